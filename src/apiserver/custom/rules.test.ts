import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { type Answer, openTestCore, type TestCore } from '../api-core.testing.ts'

let api: TestCore

beforeEach(async () => {
  api = await openTestCore()
})
afterEach(() => api.close())

const definitions = '/apis/apiextensions.k8s.io/v1/customresourcedefinitions'
const tabs = '/apis/stable.example.com/v1/namespaces/default/crontabs'

function define(spec: object): Promise<Answer> {
  const schema = { openAPIV3Schema: { type: 'object', properties: { spec } } }
  const body = {
    apiVersion: 'apiextensions.k8s.io/v1',
    kind: 'CustomResourceDefinition',
    metadata: { name: 'crontabs.stable.example.com' },
    spec: {
      group: 'stable.example.com',
      scope: 'Namespaced',
      names: { plural: 'crontabs', singular: 'crontab', kind: 'CronTab' },
      versions: [{ name: 'v1', served: true, storage: true, schema }],
    },
  }
  return api.call('POST', definitions, { body })
}

// Definitions are served a moment after they are written.
async function served(spec: object): Promise<void> {
  const answer = await define(spec)
  if (answer.status !== 201) throw new Error(JSON.stringify(answer.json))
  for (let i = 0; i < 200 && (await api.call('GET', tabs)).status !== 200; i++) await new Promise((resolve) => setImmediate(resolve))
}

const tab = (spec: object, more: object = {}): object => ({
  apiVersion: 'stable.example.com/v1',
  kind: 'CronTab',
  metadata: { name: 'a', ...more },
  spec,
})
const create = (spec: object): Promise<Answer> => api.call('POST', tabs, { body: tab(spec) })
// A custom resource is replaced only by somebody who knows what stands there.
const update = async (spec: object, more: object = {}): Promise<Answer> => {
  const { resourceVersion } = (await api.ok('GET', `${tabs}/a`)).json.metadata
  return api.call('PUT', `${tabs}/a`, { body: tab(spec, { resourceVersion, ...more }) })
}

const int = { type: 'integer' }
const limits = (...rules: object[]): object => ({
  type: 'object',
  properties: { min: int, max: int, 'odd-name': { type: 'string', maxLength: 100 } },
  'x-kubernetes-validations': rules,
})

describe('rules', () => {
  test.each<[string, object, object, string]>([
    [
      'say their message',
      { rule: 'self.min <= self.max', message: 'min above max' },
      { min: 3, max: 2 },
      'spec: Invalid value: min above max',
    ],
    ['say themselves', { rule: 'self.min <= self.max' }, { min: 3, max: 2 }, 'spec: Invalid value: failed rule: self.min <= self.max'],
    [
      'say what their message expression says',
      { rule: 'self.min <= self.max', messageExpression: '"%d is above %d".format([self.min, self.max])' },
      { min: 3, max: 2 },
      'spec: Invalid value: 3 is above 2',
    ],
    [
      'point where they are told to, for the reason they give',
      { rule: 'self.min <= self.max', fieldPath: '.min', reason: 'FieldValueForbidden', message: 'too much' },
      { min: 3, max: 2 },
      'spec.min: Forbidden: too much',
    ],
    [
      'see names that are no identifiers',
      { rule: "self.odd__dash__name == 'x'", message: 'odd' },
      { 'odd-name': 'y' },
      'spec: Invalid value: odd',
    ],
    [
      'that err refuse',
      { rule: 'self.min <= self.max' },
      { min: 3 },
      'spec: Invalid value: "object": no such key: max evaluating rule: self.min <= self.max',
    ],
  ])('%s', async (_, rule, spec, message) => {
    await served(limits(rule))
    const answer = await create(spec)
    expect(answer).toMatchObject({ status: 422, json: { message: `CronTab.stable.example.com "a" is invalid: ${message}` } })
  })

  test('of items and values point at them', async () => {
    const list = { type: 'array', maxItems: 10, items: { ...int, 'x-kubernetes-validations': [{ rule: 'self % 2 == 0', message: 'odd' }] } }
    await served({ type: 'object', properties: { list } })
    expect((await create({ list: [2, 3] })).json.message).toBe(
      'CronTab.stable.example.com "a" is invalid: spec.list[1]: Invalid value: 3: odd',
    )
    expect((await create({ list: [2, 4] })).status).toBe(201)
  })

  test('are not looked at when the object does not fit its schema', async () => {
    await served({ ...limits({ rule: 'self.min > 1' }), required: ['max'] })
    expect((await create({ min: 0 })).json.details.causes.map(({ message }: { message: string }) => message)).toEqual([
      'Required value',
      'Invalid value: null: some validation rules were not checked because the object was invalid; correct the existing errors to complete validation',
    ])
  })

  test('about the past hold from the second write on', async () => {
    await served(limits({ rule: 'self.min >= oldSelf.min', message: 'min may only grow' }))
    expect((await create({ min: 2 })).status).toBe(201)
    expect((await update({ min: 1 })).json.message).toContain('spec: Invalid value: min may only grow')
    expect((await update({ min: 3 })).status).toBe(200)
  })

  test('may treat the past as optional', async () => {
    const rule = 'oldSelf.hasValue() ? self.min >= oldSelf.value().min : self.min == 0'
    await served(limits({ rule, optionalOldSelf: true, message: 'from 0 upward' }))
    expect((await create({ min: 2 })).status).toBe(422)
    expect((await create({ min: 0 })).status).toBe(201)
    expect((await update({ min: 5 })).status).toBe(200)
    expect((await update({ min: 4 })).status).toBe(422)
  })
})

test('what was stored before a schema became stricter may stay, as long as it is not touched', async () => {
  await served({ type: 'object', properties: { a: limits(), name: { type: 'string' } } })
  await create({ a: { min: 3, max: 2 }, name: 'Bad' })
  const rule = { rule: 'self.min <= self.max', message: 'min above max' }
  const stricter = { a: limits(rule), name: { type: 'string', maxLength: 2 } }
  await api.ok('PATCH', `${definitions}/crontabs.stable.example.com`, {
    headers: { 'content-type': 'application/json-patch+json' },
    body: [{ op: 'replace', path: '/spec/versions/0/schema/openAPIV3Schema/properties/spec/properties', value: stricter }],
  })
  for (let i = 0; i < 50; i++) await new Promise((resolve) => setImmediate(resolve))
  const labelled = await update({ a: { min: 3, max: 2 }, name: 'Bad' }, { labels: { a: 'b' } })
  expect([labelled.status, labelled.warnings]).toEqual([200, ['spec.a: Invalid value: min above max']])
  expect((await update({ a: { min: 4, max: 2 }, name: 'Bad' })).json.message).toContain('spec.a: Invalid value: min above max')
  expect((await update({ a: { min: 3, max: 2 }, name: 'Worse' })).json.message).toContain('spec.name: Too long')
})

describe('a definition is refused whose rules', () => {
  const at = 'spec.validation.openAPIV3Schema.properties[spec]'
  const list = (items: object): object => ({ type: 'array', items })

  test.each<[string, object, string]>([
    ['name no field', limits({ rule: 'self.nothing > 1' }), "compilation failed: ERROR: <input>:1:5: undefined field 'nothing'"],
    ['do not parse', limits({ rule: 'self.min >' }), 'compilation failed: ERROR: <input>:1:11: Syntax error'],
    ['compare what cannot be', limits({ rule: "self.min == 'x'" }), "found no matching overload for '_==_' applied to '(int, string)'"],
    ['are no conditions', limits({ rule: 'self.min + 1' }), 'cel expression must evaluate to a bool'],
    ['explain with no text', limits({ rule: 'true', messageExpression: 'self.min' }), 'messageExpression must evaluate to a string'],
    [
      'could cost too much',
      { ...list(list(int)), 'x-kubernetes-validations': [{ rule: 'self.all(a, a.all(b, self.all(c, c.exists(d, d == b))))' }] },
      `${at}.x-kubernetes-validations[0].rule: Forbidden: estimated rule cost exceeds budget by factor of more than 100x`,
    ],
    [
      'look back where nothing can be found',
      list({ ...limits({ rule: 'self.min >= oldSelf.min' }) }),
      `oldSelf cannot be used on the uncorrelatable portion of the schema within ${at}`,
    ],
  ])('%s', async (_, spec, message) => {
    const answer = await define(spec)
    expect(answer.status).toBe(422)
    expect(answer.json.message).toContain(message)
  })
})
