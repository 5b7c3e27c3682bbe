import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import type { JSONSchemaProps } from '#api/generated/apiextensions-v1'
import { type Answer, openTestCore, type TestCore } from '../api-core.testing.ts'
import { compileRules } from './rules.ts'

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

  test('about the past hold for what stays as well', async () => {
    await served(limits({ rule: '!oldSelf.hasValue()', optionalOldSelf: true, message: 'once' }))
    expect((await create({ min: 2 })).status).toBe(201)
    expect((await update({ min: 2 })).status).toBe(422)
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

describe('what rules see', () => {
  const text = { type: 'string', nullable: true }
  const item = { type: 'object', properties: { 'a-b': text, namespace: text, n: text }, 'x-kubernetes-preserve-unknown-fields': true }
  const schema = {
    type: 'object',
    properties: { a: item, b: item, empty: { type: 'array', items: { type: 'string', format: 'duration' } } },
  }
  const fields = { 'a-b': 'x', namespace: 'ns', n: null, 'un known': [1] }
  const value = { a: fields, b: structuredClone(fields), empty: [] }

  // Kubernetes' own cases.
  test.each([
    'self.a == self.b',
    '!has(self.a.n)',
    "self.a.namespace == 'ns' && self.a.__namespace__ == 'ns'",
    "self.empty.sum() == duration('0')",
    "duration('1h2m3s4ms').getMilliseconds() == 3723004",
    "[uint(0)].all(u, optional.ofNonZeroValue(u) == optional.none()) && optional.ofNonZeroValue(duration('0s')) == optional.none()",
    "optional.ofNonZeroValue(timestamp('0001-01-01T00:00:00Z')) == optional.none()",
    "'%e'.format([3.14]) == '3.140000×10⁰⁰'",
    "url('https://example.com/with space/').getEscapedPath() == '/with%20space/' && url('https://example.com').getEscapedPath() == ''",
    'lists.range(4) == [0, 1, 2, 3] && lists.range(0) == []',
    '[5, 1, 2, 3].reverse() == [3, 2, 1, 5]',
    '[1, 2, 3, 4].slice(1, 3) == [2, 3] && [1, 2].slice(2, 2) == []',
    '[[1], [2], [3, 4]].flatten() == [1, 2, 3, 4] && [[[1], [2]]].flatten(2) == [1, 2]',
    "[4, 3, 2, 1].sort() == [1, 2, 3, 4] && [].sort() == [] && ['b', 'a'].sort() == ['a', 'b']",
    "[{'name': 'foo'}, {'name': 'bar'}].sortBy(e, e.name) == [{'name': 'bar'}, {'name': 'foo'}]",
    'lists.range(3).sortBy(e, -e) == [2, 1, 0] && [].sortBy(e, e) == []',
    "[-2, 5, -2, 1, 1].distinct() == [-2, 5, 1] && [{'a': 1}, {'a': 1}].distinct() == [{'a': 1}]",
    "[1, 2].first().value() == 1 && ['a', 'b'].last().value() == 'b' && !self.empty.first().hasValue()",
  ])('%s', async (rule) => {
    const rules = await compileRules({ ...schema, 'x-kubernetes-validations': [{ rule }] } as JSONSchemaProps)
    expect(rules!.validate(value, undefined)).toEqual([])
  })

  test.each([
    ['[1, 2].slice(1, 0) == []', 'cannot slice(1, 0), start index must be less than or equal to end index'],
    ['[1, 2].slice(0, 10) == []', 'cannot slice(0, 10), list is length 2'],
    ['[1, 2].slice(-5, 10) == []', 'cannot slice(-5, 10), negative indexes not supported'],
    ['[[1]].flatten(-1) == [1]', 'level must be non-negative evaluating rule'],
  ])('%s fails', async (rule, why) => {
    const rules = await compileRules({ ...schema, 'x-kubernetes-validations': [{ rule }] } as JSONSchemaProps)
    expect(rules!.validate(value, undefined)[0]?.detail).toContain(why)
  })
})

// Kubernetes' own cases of what may stay: the schema, what was, what is, what is refused and what is warned of.
describe('of what was there before', () => {
  const text = { type: 'string' }
  const is = (value: string): object => ({ ...text, 'x-kubernetes-validations': [{ rule: `self == "${value}"`, message: `not ${value}` }] })
  const odd = { type: 'number', 'x-kubernetes-validations': [{ rule: 'int(self) % 2 == 1', message: 'even' }] }
  const list = (type: string, items: object, keys?: string[]): object => ({
    type: 'array',
    'x-kubernetes-list-type': type,
    ...(keys && { 'x-kubernetes-list-map-keys': keys }),
    items,
  })
  const object = (properties: object, more: object = {}): object => ({ type: 'object', properties, ...more })
  const typed = { apiVersion: is('v1'), kind: is('Pod') }
  const byKey = list('map', object({ key: text, value: is('baz') }), ['key'])
  const other = { apiVersion: 'v2', kind: 'Baz' }

  test.each<[string, object, unknown, unknown, string[], string[]]>([
    ['a value stays', object({ foo: is('bar') }), { foo: 'baz' }, { foo: 'baz' }, [], ['foo']],
    [
      'all of an atomic list stays',
      object({ l: list('atomic', object({ a: is('baz') })) }),
      { l: [{ a: 'x' }] },
      { l: [{ a: 'x' }] },
      [],
      ['l[0].a'],
    ],
    [
      'a list stays beside what changes',
      object({ s: text, l: list('set', odd), a: list('atomic', object({ b: is('baz') })) }),
      { s: 'a', l: [1, 3, 2], a: [{ b: 'x' }] },
      { s: 'b', l: [1, 3, 2], a: [{ b: 'x' }] },
      [],
      ['l[2]', 'a[0].b'],
    ],
    [
      'items with keys stay, and others come',
      object({ l: byKey }),
      {
        l: [
          { key: 'foo', value: 'x' },
          { key: 'bar', value: 'x' },
        ],
      },
      {
        l: [
          { key: 'new', value: 'baz' },
          { key: 'bar', value: 'x' },
          { key: 'foo', value: 'baz' },
        ],
      },
      [],
      ['l[1].value'],
    ],
    [
      'what changes is held',
      object({ m: object({ foo: is('baz'), in: object({ bar: is('baz'), o: is('o') }) }) }),
      { m: { foo: 'baz', in: { bar: 'x', o: 'x' } } },
      { m: { foo: 'x', in: { bar: 'x', o: 'o' } } },
      ['m.foo'],
      ['m.in.bar'],
    ],
    [
      'an item of an atomic list does not stay when the list changes',
      object({ l: list('atomic', is('baz')) }),
      { l: ['x'] },
      { l: ['x', 'baz'] },
      ['l[0]'],
      [],
    ],
    [
      'a rule of an object is held where it points at what stays',
      object({ o: object({ a: text, foo: text }, { 'x-kubernetes-validations': [{ rule: 'self.foo == "baz"', fieldPath: '.foo' }] }) }),
      { o: { foo: 'x' } },
      { o: { foo: 'x', a: 'y' } },
      ['o.foo'],
      [],
    ],
    ['the type of the whole does not stay', object(typed), other, other, ['apiVersion', 'kind'], []],
    [
      'types within stay',
      object({ o: object({ ...typed, f: text }), l: list('map', object({ ...typed, name: text }), ['name']) }),
      { o: other, l: [{ ...other, name: 'a' }] },
      { o: { ...other, f: 'new' }, l: [{ ...other, name: 'a', g: 1 }] },
      [],
      ['o.apiVersion', 'o.kind', 'l[0].apiVersion', 'l[0].kind'],
    ],
  ])('%s', async (_, schema, old, value, refused, warned) => {
    const rules = await compileRules(schema as JSONSchemaProps)
    const warnings: string[] = []
    const errors = rules!.validate(value, old, { warn: (warning) => warnings.push(warning) })
    expect(errors.map(({ field }) => field).sort()).toEqual(refused.sort())
    expect(warnings.map((warning) => warning.split(':')[0]).sort()).toEqual(warned.sort())
  })
})

describe('rules of whole objects', () => {
  const number = { type: 'number' }
  const item = { type: 'object', required: ['k'], properties: { k: { type: 'string', maxLength: 3 }, v: { type: 'string', maxLength: 3 } } }
  const ruled = (schema: object, rule: string): object => ({ ...schema, 'x-kubernetes-validations': [{ rule }] })
  const schema = ruled(
    {
      type: 'object',
      properties: {
        spec: {
          type: 'object',
          properties: {
            x: { ...int, default: 0 },
            y: { ...int, default: 0 },
            extra: ruled({ type: 'string' }, "self.startsWith('anything')"),
            floats: ruled({ type: 'object', additionalProperties: number }, 'self.all(k, self[k] >= 0.2)'),
            list: ruled(
              { type: 'array', maxItems: 10, items: item, 'x-kubernetes-list-type': 'map', 'x-kubernetes-list-map-keys': ['k'] },
              "self.exists(e, e.k == 'a' && e.v == '1')",
            ),
            limit: ruled({ nullable: true, 'x-kubernetes-int-or-string': true }, 'type(self) == int && self == 123'),
          },
        },
        status: { type: 'object', properties: { z: { ...int, default: 0 } } },
      },
    },
    'self.spec.x + self.spec.y >= (has(self.status) ? self.status.z : 0)',
  )

  test('see their status, however either is written', async () => {
    const body = {
      apiVersion: 'apiextensions.k8s.io/v1',
      kind: 'CustomResourceDefinition',
      metadata: { name: 'crontabs.stable.example.com' },
      spec: {
        group: 'stable.example.com',
        scope: 'Namespaced',
        names: { plural: 'crontabs', singular: 'crontab', kind: 'CronTab' },
        versions: [{ name: 'v1', served: true, storage: true, schema: { openAPIV3Schema: schema }, subresources: { status: {} } }],
      },
    }
    await api.ok('POST', definitions, { body })
    for (let i = 0; i < 50; i++) await new Promise((resolve) => setImmediate(resolve))
    const about = 'CronTab.stable.example.com "a" is invalid: '
    const failed = `${about}<nil>: Invalid value: failed rule: self.spec.x + self.spec.y >= (has(self.status) ? self.status.z : 0)`
    expect((await create({ x: -1 })).json.message).toBe(failed)
    const fine = { x: 2, y: 2, extra: 'anything?', floats: { a: 0.2, b: 3 }, list: [{ k: 'a', v: '1' }], limit: null }
    const made = await create(fine)
    expect([made.status, made.json.spec]).toEqual([201, fine])
    for (const [spec, message] of [
      [{ x: 3, y: -4 }, failed],
      [{ extra: 'something' }, `${about}spec.extra: Invalid value: "something": failed rule: self.startsWith('anything')`],
      [{ floats: { a: 0.1 } }, `${about}spec.floats: Invalid value: failed rule: self.all(k, self[k] >= 0.2)`],
      [{ list: [{ k: 'a', v: '2' }] }, `${about}spec.list: Invalid value: failed rule: self.exists(e, e.k == 'a' && e.v == '1')`],
      [{ limit: 'many' }, `${about}spec.limit: Invalid value: "many": failed rule: type(self) == int && self == 123`],
    ] as const) {
      expect((await update(spec)).json.message).toBe(message)
    }
    const headers = { 'content-type': 'application/merge-patch+json' }
    const status = (z: number): Promise<Answer> => api.call('PATCH', `${tabs}/a/status`, { body: { status: { z } }, headers })
    expect((await status(5)).json.message).toBe(failed)
    expect((await status(3)).status).toBe(200)
  })

  test.each<[string, object]>([
    ['a text that is too long', { extra: 'anything at all' }],
    ['too many items', { list: [{ k: 'a' }, { k: 'b' }] }],
    ['too many properties', { floats: { a: 1, b: 1, c: 1 } }],
    ['something missing', { list: [{ v: 'a' }] }],
    ['a wrong type', { list: [{ k: 'a', v: true }] }],
  ])('wait for the object to fit: %s', async (_, spec) => {
    await served({
      type: 'object',
      'x-kubernetes-validations': [{ rule: 'self.x > 0' }],
      properties: {
        x: { ...int, default: 0 },
        extra: { type: 'string', maxLength: 3 },
        floats: { type: 'object', additionalProperties: number, maxProperties: 2 },
        list: { type: 'array', items: item, maxItems: 1 },
      },
    })
    expect((await create(spec)).json.message).toContain(
      '<nil>: Invalid value: null: some validation rules were not checked because the object was invalid',
    )
  })

  test('find the old item by keys that were filled in', async () => {
    const items = {
      type: 'object',
      required: ['k1'],
      properties: { k1: { type: 'string' }, k2: { type: 'string', default: 'DEFAULT' }, v: { type: 'string', maxLength: 10 } },
      'x-kubernetes-validations': [{ rule: 'self.v == oldSelf.v' }],
    }
    const keys = { 'x-kubernetes-list-type': 'map', 'x-kubernetes-list-map-keys': ['k1', 'k2'] }
    await served({ type: 'object', properties: { list: { type: 'array', maxItems: 1000, items, ...keys } } })
    await create({ list: [{ k1: 'x', v: 'value' }] })
    expect((await update({ list: [{ k1: 'x', k2: 'DEFAULT', v: 'other' }] })).json.message).toContain(
      'spec.list[0]: Invalid value: failed rule: self.v == oldSelf.v',
    )
    expect((await update({ list: [{ k1: 'x', k2: 'new', v: 'other' }] })).status).toBe(200)
  })

  test('see of metadata the names alone', async () => {
    const whole = (rule: string): object => ruled({ type: 'object', properties: { spec: { type: 'object' } } }, rule)
    const version = (rule: string): object => ({ name: 'v1', served: true, storage: true, schema: { openAPIV3Schema: whole(rule) } })
    const defined = (rule: string): Promise<Answer> =>
      api.call('POST', definitions, {
        body: {
          apiVersion: 'apiextensions.k8s.io/v1',
          kind: 'CustomResourceDefinition',
          metadata: { name: 'crontabs.stable.example.com' },
          spec: {
            group: 'stable.example.com',
            scope: 'Namespaced',
            names: { plural: 'crontabs', kind: 'CronTab' },
            versions: [version(rule)],
          },
        },
      })
    expect((await defined('self.metadata.labels.size() > 0')).json.message).toContain("undefined field 'labels'")
    expect((await defined('self.metadata.name.size() > 3')).status).toBe(201)
    for (let i = 0; i < 50; i++) await new Promise((resolve) => setImmediate(resolve))
    expect((await create({})).json.message).toContain('failed rule: self.metadata.name.size() > 3')
  })
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
