import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { type Answer, openTestCore, type TestCore } from '../api-core.testing.ts'

let api: TestCore

beforeEach(async () => {
  api = await openTestCore()
})
afterEach(() => api.close())

const definitions = '/apis/apiextensions.k8s.io/v1/customresourcedefinitions'
const at = 'spec.validation.openAPIV3Schema.properties'

function define(properties: object, more: object = {}): Promise<Answer> {
  const schema = { openAPIV3Schema: { type: 'object', properties } }
  return api.call('POST', definitions, {
    body: {
      apiVersion: 'apiextensions.k8s.io/v1',
      kind: 'CustomResourceDefinition',
      metadata: { name: 'tabs.example.com' },
      spec: {
        group: 'example.com',
        scope: 'Namespaced',
        names: { plural: 'tabs', singular: 'tab', kind: 'Tab' },
        versions: [{ name: 'v1', served: true, storage: true, schema, ...more }],
      },
    },
  })
}

function refusal({ status, json }: Answer): string {
  expect(status).toBe(422)
  return json.message.replace('CustomResourceDefinition.apiextensions.k8s.io "tabs.example.com" is invalid: ', '')
}

const text = { type: 'string' }
const int = { type: 'integer' }
const fields = (properties: object, more: object = {}): object => ({ type: 'object', properties, ...more })
const embedded = (properties: object): object => fields(properties, { 'x-kubernetes-embedded-resource': true })

describe('defaults of a definition', () => {
  test.each<[string, object, string]>([
    [
      'have the type of their field',
      { ...int, default: 'x' },
      `${at}[a].default: Invalid value: "string":  in body must be of type integer: "string"`,
    ],
    [
      'lie within its bounds',
      { ...int, default: 7, maximum: 5 },
      `${at}[a].default: Invalid value: 7:  in body should be less than or equal to 5`,
    ],
    ['have all that is required', fields({ b: int }, { required: ['b'], default: {} }), `${at}[a].default.b: Required value`],
    [
      'have nothing that is not known',
      fields({ b: int }, { default: { b: 1, c: 2 } }),
      `${at}[a].default: Invalid value: {"b":1,"c":2}: must not have unknown fields`,
    ],
    [
      'keep the rules about them',
      { ...int, default: 3, 'x-kubernetes-validations': [{ rule: 'self % 2 == 0', message: 'odd' }] },
      `${at}[a].default: Invalid value: 3: odd`,
    ],
    [
      'keep rules that may not see the past',
      { ...int, default: 3, 'x-kubernetes-validations': [{ rule: 'oldSelf.hasValue()', optionalOldSelf: true, message: 'new' }] },
      `${at}[a].default: Invalid value: 3: new`,
    ],
    [
      'are checked in lists',
      { type: 'array', items: { ...text, default: 'long', maxLength: 3 } },
      `${at}[a].items.default: Too long: may not be more than 3 bytes`,
    ],
    [
      'make valid metadata of objects within',
      embedded({ metadata: fields({ name: { ...text, default: '..' } }) }),
      `${at}[a].properties[metadata].properties[name].default: Invalid value: "..": must result in valid metadata: metadata.name: Invalid value: "..": may not be '..'`,
    ],
    [
      'have metadata that can be read',
      { ...embedded({ n: int }), default: { apiVersion: 'v1', kind: 'X', metadata: { name: 42 } } },
      `${at}[a].default.metadata: Invalid value: {"name":42}: json: cannot unmarshal number into Go struct field ObjectMeta.name of type string`,
    ],
    [
      'have types that are texts',
      { ...embedded({ n: int }), default: { apiVersion: 'v1', kind: 42 } },
      `${at}[a].default.kind: Invalid value: 42: must be a string`,
    ],
    ['make valid objects', { ...embedded({ n: int }), default: { kind: 'X', n: 1 } }, `${at}[a].default.apiVersion: Required value`],
  ])('%s', async (_, schema, message) => {
    expect(refusal(await define({ a: schema }))).toBe(message)
  })

  test('may be anything that fits', async () => {
    const answer = await define({
      a: { ...int, default: 4, maximum: 5, 'x-kubernetes-validations': [{ rule: 'self % 2 == 0' }] },
      b: fields({ c: { type: 'array', items: text } }, { default: { c: ['x'] } }),
      d: { type: 'string', nullable: true, default: null },
      e: { ...embedded({ metadata: fields({ name: { ...text, default: 'fine' } }) }) },
    })
    expect(answer.status).toBe(201)
  })
})

describe('rules of a definition', () => {
  const ruled = (schema: object, ...rules: object[]): object => ({ ...schema, 'x-kubernetes-validations': rules })
  const rule = 'self.all(x, x > 0)'

  test.each<[string, object, string]>([
    [
      'that do not look back say nothing of how',
      ruled(int, { rule: 'self > 0', optionalOldSelf: true }),
      `${at}[a].x-kubernetes-validations[0].optionalOldSelf: Invalid value: true: may not be set if oldSelf is not used in rule`,
    ],
    [
      'point at fields that are there',
      ruled(fields({ b: int }), { rule: 'self.b > 0', fieldPath: '.c' }),
      `${at}[a].x-kubernetes-validations[0].fieldPath: Invalid value: ".c": must be a valid path`,
    ],
    [
      'cannot see what has no type',
      fields({ b: { 'x-kubernetes-preserve-unknown-fields': true } }, { 'x-kubernetes-validations': [{ rule: 'has(self.b)' }] }),
      `compilation failed: ERROR: <input>:1:9: undefined field 'b'`,
    ],
    [
      'cannot see fields that are only kept',
      ruled(fields({}, { 'x-kubernetes-preserve-unknown-fields': true }), { rule: 'has(self.b)' }),
      `compilation failed: ERROR: <input>:1:9: undefined field 'b'`,
    ],
    [
      'stand where there is a type',
      ruled({ 'x-kubernetes-preserve-unknown-fields': true }, { rule: 'true' }),
      `${at}[a].x-kubernetes-validations: Internal error: internal error: failed to construct type information for x-kubernetes-validations rules: unable to convert structural schema to CEL declarations`,
    ],
  ])('%s', async (_, schema, message) => {
    expect(refusal(await define({ a: schema }))).toContain(message)
  })

  test('point as they say', async () => {
    const schema = ruled(
      fields({ 'odd.name': int, m: { type: 'object', additionalProperties: int } }),
      { rule: 'self.odd__dot__name > 0', fieldPath: "['odd.name']", message: 'one' },
      { rule: 'self.m.all(k, self.m[k] > 0)', fieldPath: '.m', message: 'two' },
      { rule: "!('x' in self.m) || self.m['x'] > 1", fieldPath: ".m['x']", message: 'three', reason: 'FieldValueDuplicate' },
    )
    expect((await define({ a: schema })).status).toBe(201)
    for (let i = 0; i < 50; i++) await new Promise((resolve) => setImmediate(resolve))
    const body = { apiVersion: 'example.com/v1', kind: 'Tab', metadata: { name: 'x' }, a: { 'odd.name': 0, m: { x: 0 } } }
    const { json } = await api.call('POST', '/apis/example.com/v1/namespaces/default/tabs', { body })
    expect(json.details.causes.map(({ field, message }: { field: string; message: string }) => `${field}: ${message}`)).toEqual([
      'a.odd.name: Invalid value: one',
      'a.m: Invalid value: two',
      'a.m[x]: Duplicate value',
    ])
  })

  test('within lists without bounds are counted as often as a request has room for them', async () => {
    const list = (items: object, more: object = {}): object => ({ type: 'array', items, ...more })
    // A list of lists: no more often than one list.
    expect((await define({ a: list(list(ruled(int, { rule: 'self > 0' }))) })).status).toBe(201)
    await api.ok('DELETE', `${definitions}/tabs.example.com`)
    for (let i = 0; i < 50; i++) await new Promise((resolve) => setImmediate(resolve))
    const dear = ruled(list(int), { rule })
    expect(refusal(await define({ a: list(dear) }))).toContain(
      `${at}[a].items.x-kubernetes-validations[0].rule: Forbidden: estimated rule cost exceeds budget by factor of more than 100x`,
    )
    expect((await define({ a: list(ruled(list(int, { maxItems: 10 }), { rule }), { maxItems: 10 }) })).status).toBe(201)
  })
})

describe('conditions of a definition', () => {
  const turns = async (): Promise<void> => {
    for (let i = 0; i < 80; i++) await new Promise((resolve) => setImmediate(resolve))
  }
  const named = (plural: string, kind: string, spec: object = {}, metadata: object = {}, group = 'example.com'): Promise<Answer> =>
    api.call('POST', definitions, {
      body: {
        apiVersion: 'apiextensions.k8s.io/v1',
        kind: 'CustomResourceDefinition',
        metadata: { name: `${plural}.${group}`, ...metadata },
        spec: {
          group,
          scope: 'Namespaced',
          names: { plural, kind, ...(spec as { names?: object }).names },
          versions: [{ name: 'v1', served: true, storage: true, schema: { openAPIV3Schema: { type: 'object' } } }],
          ...(spec as { conversion?: object }).conversion,
        },
      },
    })
  const conditions = async (name: string): Promise<Record<string, string>> => {
    const { json } = await api.ok('GET', `${definitions}/${name}`)
    return Object.fromEntries(
      json.status.conditions.map((c: Record<string, string>) => [c['type'], `${c['status']} ${c['reason']}: ${c['message']}`]),
    )
  }

  test('say which names are taken, until they are free', async () => {
    await named('tabs', 'Tab', { names: { shortNames: ['t', 'tb'] } })
    await turns()
    await named('rows', 'Tab', { names: { shortNames: ['t', 'tb'], listKind: 'Rows' } })
    await named('t', 'T')
    await turns()
    expect(await conditions('rows.example.com')).toEqual({
      NamesAccepted: 'False KindConflict: "Tab" is already in use',
      Established: 'False NotAccepted: not all names are accepted',
    })
    expect(await conditions('t.example.com')).toMatchObject({ NamesAccepted: 'False SingularConflict: "t" is already in use' })
    const rows = (await api.ok('GET', `${definitions}/rows.example.com`)).json.status.acceptedNames
    expect(rows).toEqual({ plural: 'rows', kind: '', listKind: 'Rows' })
    await api.ok('DELETE', `${definitions}/rows.example.com`)
    await api.ok('DELETE', `${definitions}/tabs.example.com`)
    await turns()
    expect(await conditions('t.example.com')).toEqual({
      NamesAccepted: 'True NoConflicts: no conflicts found',
      Established: 'True InitialNamesAccepted: the initial names have been accepted',
    })
  })

  test('say whether a group of the Kubernetes community is approved', async () => {
    const group = 'mine.k8s.io'
    const annotation = 'api-approved.kubernetes.io'
    await named('tabs', 'Tab', {}, { annotations: { [annotation]: 'unapproved, a test' } }, group)
    await turns()
    const type = 'KubernetesAPIApprovalPolicyConformant'
    expect((await conditions(`tabs.${group}`))[type]).toBe('False UnapprovedAnnotation: not approved: "unapproved, a test"')
    await api.ok('PATCH', `${definitions}/tabs.${group}`, {
      body: { metadata: { annotations: { [annotation]: 'https://example.com/1' } } },
      headers: { 'content-type': 'application/merge-patch+json' },
    })
    await turns()
    expect((await conditions(`tabs.${group}`))[type]).toBe('True ApprovedAnnotation: approved in https://example.com/1')
    expect((await named('rows', 'Row', {}, { annotations: { [annotation]: 'maybe' } }, group)).status).toBe(422)
  })

  test('a version of a group that is built in stays built in, whatever definitions say', async () => {
    const approved = { annotations: { 'api-approved.kubernetes.io': 'unapproved, for a test' } }
    const group = 'rbac.authorization.k8s.io'
    const versions = ['v1', 'v2'].map((name, i) => ({
      name,
      served: true,
      storage: i === 0,
      schema: { openAPIV3Schema: { type: 'object' } },
    }))
    expect((await named('roles', 'Role', { conversion: { versions } }, approved, group)).status).toBe(201)
    expect((await named('widgets', 'Widget', { conversion: { versions } }, approved, group)).status).toBe(201)
    await turns()
    const role = { apiVersion: `${group}/v1`, kind: 'Role', metadata: { name: 'a', namespace: 'default' }, rules: 1 }
    expect((await api.call('POST', `/apis/${group}/v1/namespaces/default/roles`, { body: role })).status).toBe(400)
    expect((await api.call('GET', `/apis/${group}/v1/widgets`)).status).toBe(404)
    expect((await api.call('GET', `/apis/${group}/v2/widgets`)).status).toBe(200)
    await api.ok('DELETE', `${definitions}/roles.${group}`)
    await turns()
    expect((await api.call('GET', `/apis/${group}/v1/roles`)).status).toBe(200)
  })

  test('keep a definition from being served whose webhook cannot be trusted', async () => {
    const conversion = (caBundle: string | undefined): object => ({
      conversion: {
        strategy: 'Webhook',
        webhook: { conversionReviewVersions: ['v1'], clientConfig: { url: 'https://127.0.0.1:1/', ...(caBundle && { caBundle }) } },
      },
    })
    const bad = Buffer.from('no certificate').toString('base64')
    expect((await named('tabs', 'Tab', { conversion: conversion(bad) })).status).toBe(201)
    await turns()
    expect((await conditions('tabs.example.com'))['Established']).toBe('False InvalidCABundle: The conversion webhook CABundle is invalid')
    expect((await api.call('GET', '/apis/example.com/v1/tabs')).status).toBe(404)
    const merge = { 'content-type': 'application/merge-patch+json' }
    await api.ok('PATCH', `${definitions}/tabs.example.com`, {
      body: { spec: { conversion: { webhook: { clientConfig: { caBundle: null } } } } },
      headers: merge,
    })
    await turns()
    expect((await conditions('tabs.example.com'))['Established']).toContain('True InitialNamesAccepted')
    const answer = await api.call('PATCH', `${definitions}/tabs.example.com`, { body: { spec: conversion(bad) }, headers: merge })
    expect([answer.status, answer.json.details.causes[0].message]).toEqual([
      422,
      `Invalid value: "${bad}": unable to load root certificates: unable to parse bytes as PEM block`,
    ])
  })

  test('tell how a definition ends', async () => {
    await named('tabs', 'Tab')
    await turns()
    const tab = { apiVersion: 'example.com/v1', kind: 'Tab', metadata: { name: 'a', finalizers: ['example.com/held'] } }
    await api.ok('POST', '/apis/example.com/v1/namespaces/default/tabs', { body: tab })
    await api.ok('DELETE', `${definitions}/tabs.example.com`)
    await turns()
    expect((await conditions('tabs.example.com'))['Terminating']).toBe(
      'True InstanceDeletionInProgress: CustomResource deletion is in progress',
    )
    await api.ok('PATCH', '/apis/example.com/v1/namespaces/default/tabs/a', {
      body: { metadata: { finalizers: null } },
      headers: { 'content-type': 'application/merge-patch+json' },
    })
    api.clock.advance(1_000)
    await turns()
    expect((await api.call('GET', `${definitions}/tabs.example.com`)).status).toBe(404)
  })

  test('tell that its objects are gone to who holds it longer', async () => {
    const merge = { 'content-type': 'application/merge-patch+json' }
    const hold = (name: string): Promise<unknown> =>
      api.ok('PATCH', `${definitions}/${name}`, { body: { metadata: { finalizers: ['example.com/held'] } }, headers: merge })
    await named('tabs', 'Tab')
    await named('tubs', 'Tub', { names: { plural: 'tubs', singular: 'tab', kind: 'Tub' } })
    await turns()
    for (const name of ['tabs.example.com', 'tubs.example.com']) {
      await hold(name)
      await api.ok('DELETE', `${definitions}/${name}`)
    }
    await turns()
    expect((await conditions('tabs.example.com'))['Terminating']).toBe('False InstanceDeletionCompleted: removed all instances')
    expect((await conditions('tubs.example.com'))['Terminating']).toBe('False NeverEstablished: resource was never established')
    const body = { apiVersion: 'example.com/v1', kind: 'Tab', metadata: { name: 'a' } }
    expect((await api.call('POST', '/apis/example.com/v1/namespaces/default/tabs', { body })).status).toBe(403)
  })

  test('warn of formats that nothing is checked by, when they come', async () => {
    const made = await define({ a: { ...text, format: 'odd' }, b: { ...int, format: 'int32' } })
    expect(made.warnings).toEqual(['unrecognized format "odd"'])
    const body = { metadata: { labels: { a: 'b' } } }
    const headers = { 'content-type': 'application/merge-patch+json' }
    expect((await api.ok('PATCH', `${definitions}/tabs.example.com`, { body, headers })).warnings).toEqual([])
  })
})

describe('fields to select by', () => {
  test.each<[string, string, string]>([
    ['a path with brackets', ".spec['a']", 'is an invalid path: array notation is not allowed'],
    ['a path without a point', 'spec.a', 'is an invalid path: expected [ or . but got: spec'],
    ['a path that ends early', '.spec.', 'is an invalid path: unexpected end of JSON path'],
    ['nothing that is there', '.spec.b', 'is an invalid path: does not refer to a valid field'],
    ['metadata', '.metadata.name', 'must not point to fields in metadata'],
  ])('%s', async (_, jsonPath, message) => {
    const properties = { metadata: fields({ name: text }), spec: fields({ a: text }) }
    const answer = await define(properties, { selectableFields: [{ jsonPath }] })
    expect(refusal(answer)).toBe(`spec.selectableFields[0].jsonPath: Invalid value: ${JSON.stringify(jsonPath)}: ${message}`)
  })
})
