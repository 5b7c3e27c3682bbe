import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { type Answer, openTestCore, type TestCore } from '../api-core.testing.ts'

let api: TestCore

beforeEach(async () => {
  api = await openTestCore()
})
afterEach(() => api.close())

const definitions = '/apis/apiextensions.k8s.io/v1/customresourcedefinitions'
const tabs = '/apis/stable.example.com/v1/namespaces/default/crontabs'
const merge = { 'content-type': 'application/merge-patch+json' }

async function turns(): Promise<void> {
  for (let i = 0; i < 50; i++) await new Promise((resolve) => setImmediate(resolve))
}

async function define(schema: object, version: object = {}): Promise<void> {
  const names = { plural: 'crontabs', singular: 'crontab', kind: 'CronTab' }
  const versions = [{ name: 'v1', served: true, storage: true, schema: { openAPIV3Schema: { type: 'object', ...schema } }, ...version }]
  await api.ok('POST', definitions, {
    body: {
      apiVersion: 'apiextensions.k8s.io/v1',
      kind: 'CustomResourceDefinition',
      metadata: { name: 'crontabs.stable.example.com' },
      spec: { group: 'stable.example.com', scope: 'Namespaced', names, versions },
    },
  })
  await turns()
}

// Replaces the properties of the schema.
async function redefine(properties: object): Promise<void> {
  await api.ok('PATCH', `${definitions}/crontabs.stable.example.com`, {
    headers: { 'content-type': 'application/json-patch+json' },
    body: [{ op: 'add', path: '/spec/versions/0/schema/openAPIV3Schema/properties', value: properties }],
  })
  await turns()
}

const tab = (fields: object, metadata: object = {}): object => ({
  apiVersion: 'stable.example.com/v1',
  kind: 'CronTab',
  metadata: { name: 'a', ...metadata },
  ...fields,
})
const create = (fields: object, metadata: object = {}): Promise<Answer> => api.call('POST', tabs, { body: tab(fields, metadata) })
const change = (fields: object, part = ''): Promise<Answer> => api.call('PATCH', `${tabs}/a${part}`, { body: fields, headers: merge })
const refusal = ({ json }: Answer): string => json.message.replace('CronTab.stable.example.com "a" is invalid: ', '')

const int = { type: 'integer' }
const text = { type: 'string' }
const fields = (properties: object, more: object = {}): object => ({ type: 'object', properties, ...more })

describe('lists whose items are told apart', () => {
  const list = (listType: string, items: object, keys?: string[]): object => ({
    type: 'array',
    items,
    'x-kubernetes-list-type': listType,
    ...(keys === undefined ? {} : { 'x-kubernetes-list-map-keys': keys }),
  })
  const port = fields({ name: text, port: { ...int, default: 80 }, more: text }, { required: ['name'] })
  const schema = {
    properties: {
      set: list('set', int),
      pairs: list('set', { type: 'array', items: int }),
      ports: list('map', port, ['name', 'port']),
      within: fields({ names: list('map', fields({ name: text }, { required: ['name'] }), ['name']) }),
    },
  }

  test.each<[string, object, string]>([
    ['a number', { set: [1, 2, 1, 1] }, 'set[2]: Duplicate value: 1'],
    [
      'a list',
      {
        pairs: [
          [1, 2],
          [2, 1],
          [1, 2],
        ],
      },
      'pairs[2]: Duplicate value: [1,2]',
    ],
    [
      'its keys, filled in by their defaults',
      { ports: [{ name: 'a' }, { name: 'a', port: 81 }, { name: 'a', port: 80, more: 'x' }] },
      'ports[2]: Duplicate value: {"name":"a","port":80}',
    ],
    ['its key, further in', { within: { names: [{ name: 'a' }, { name: 'a' }] } }, 'within.names[1]: Duplicate value: {"name":"a"}'],
  ])('hold each once: by %s', async (_, object, message) => {
    await define(schema)
    const answer = await create(object)
    expect([answer.status, refusal(answer)]).toEqual([422, message])
  })

  test('may stay as they were when they held some twice before', async () => {
    await define({ properties: { set: { type: 'array', items: int }, n: int } })
    await create({ set: [1, 1] })
    await redefine({ set: list('set', int), n: int })
    expect((await change({ set: [1, 1, 1] })).status).toBe(200)
    expect((await change({ set: [1] })).status).toBe(200)
    expect(refusal(await change({ set: [1, 1] }))).toBe('set[1]: Duplicate value: 1')
  })
})

describe('what a schema came to refuse may stay', () => {
  const nginx = { name: 'nginx', port: 443, note: 'a' }
  const etcd = { name: 'etcd', port: 2379, note: 'a' }
  const proxy = { name: 'proxy', port: 8080, note: 'a' }
  const ports = (port: object, more: object): object => ({
    ports: {
      type: 'array',
      items: fields({ name: text, port: { ...int, ...port }, note: text }, { required: ['name', 'port'] }),
      ...more,
    },
    n: int,
  })
  const byKeys = { 'x-kubernetes-list-type': 'map', 'x-kubernetes-list-map-keys': ['name', 'port'] }

  test('in another order, where items are told apart by keys', async () => {
    await define({ properties: ports({}, byKeys) })
    await create({ ports: [nginx, etcd] })
    await redefine(ports({}, { ...byKeys, maxItems: 1 }))
    expect((await change({ ports: [etcd, nginx] })).status).toBe(200)
    expect(refusal(await change({ ports: [etcd, nginx, proxy] }))).toBe('ports: Too many: 3: must have at most 1 item')
    await redefine(ports({ multipleOf: 2 }, byKeys))
    expect((await change({ ports: [nginx, proxy, { ...etcd, note: 'b' }] })).status).toBe(200)
    expect(refusal(await change({ ports: [nginx, proxy, { ...etcd, port: 2381 }] }))).toContain('ports[2].port: Invalid value: 2381')
  })

  test('as a whole only, where they are not', async () => {
    await define({ properties: ports({}, {}) })
    await create({ ports: [nginx, etcd] })
    await redefine(ports({ multipleOf: 2 }, {}))
    expect((await change({ n: 1 })).status).toBe(200)
    expect((await change({ ports: [nginx, { ...etcd, note: 'b' }] })).status).toBe(422)
    expect((await change({ ports: [etcd, nginx] })).status).toBe(422)
  })

  test('not within an object that holds what the schema does not know', async () => {
    const open = { 'x-kubernetes-preserve-unknown-fields': true }
    await define({ properties: { known: fields({ a: int }), open: fields({ a: int }, open), n: int } })
    await create({ known: { a: 1 }, open: { b: 1 } })
    await redefine({ known: fields({ a: int }, { minProperties: 2 }), open: fields({ a: int }, { ...open, minProperties: 2 }), n: int })
    expect(refusal(await change({ n: 1 }))).toBe('open: Invalid value: 1: open in body should have at least 2 properties')
    expect((await change({ n: 1, open: null })).status).toBe(200)
  })
})

describe('objects within objects', () => {
  const embedded = { type: 'object', 'x-kubernetes-embedded-resource': true, 'x-kubernetes-preserve-unknown-fields': true }
  const schema = { properties: { inner: embedded, all: { type: 'array', items: embedded } } }

  test.each<[string, object, string]>([
    ['have a type', { inner: {} }, '[inner.apiVersion: Required value, inner.kind: Required value]'],
    [
      'have a version',
      { inner: { apiVersion: 'a/b/c', kind: 'X' } },
      'inner.apiVersion: Invalid value: "a/b/c": unexpected GroupVersion string: a/b/c',
    ],
    ['have a type that is some', { all: [{ apiVersion: 'v1', kind: '' }] }, 'all[0].kind: Invalid value: "": must not be empty'],
    [
      'have metadata as all objects',
      { inner: { apiVersion: 'v1', kind: 'Pod', metadata: { name: '..', labels: { 'not a label': 'x' } } } },
      `[inner.metadata.name: Invalid value: "..": may not be '..', inner.metadata.labels: Invalid value: "not a label": name part must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')]`,
    ],
  ])('%s', async (_, object, message) => {
    await define(schema)
    const answer = await create(object)
    expect([answer.status, refusal(answer)]).toEqual([422, message])
  })

  test('need no metadata', async () => {
    await define(schema)
    expect((await create({ inner: { apiVersion: 'v1', kind: 'Pod', anything: true } })).status).toBe(201)
  })
})

describe('scale', () => {
  const scale = { specReplicasPath: '.spec.replicas', statusReplicasPath: '.status.replicas', labelSelectorPath: '.status.selector' }
  const schema = { properties: { spec: fields({ replicas: int }), status: fields({ replicas: int, selector: text }) } }

  test('keeps numbers within what it can say', async () => {
    await define(schema, { subresources: { status: {}, scale } })
    expect(refusal(await create({ spec: { replicas: -1 } }))).toBe('.spec.replicas: Invalid value: -1: should be a non-negative integer')
    expect(refusal(await create({ spec: { replicas: 2 ** 31 } }))).toBe(
      '.spec.replicas: Invalid value: 2147483648: should be less than or equal to 2147483647',
    )
    await create({ spec: { replicas: 1 } })
    expect(refusal(await change({ status: { replicas: -1 } }, '/status'))).toBe(
      '.status.replicas: Invalid value: -1: should be a non-negative integer',
    )
    expect((await change({ status: { replicas: 3, selector: 'a=b' } }, '/status')).status).toBe(200)
    expect((await api.ok('GET', `${tabs}/a/scale`)).json).toMatchObject({ spec: { replicas: 1 }, status: { replicas: 3, selector: 'a=b' } })
  })
})

describe('status', () => {
  const schema = {
    properties: { spec: fields({ n: { ...int, maximum: 10 } }), status: fields({ n: { ...int, maximum: 10 } }) },
  }

  test('is all that is looked at when it is written', async () => {
    await define(schema, { subresources: { status: {} } })
    await create({ spec: { n: 10 }, status: { n: 1 } })
    await api.ok('PATCH', `${definitions}/crontabs.stable.example.com`, {
      headers: { 'content-type': 'application/json-patch+json' },
      body: [{ op: 'replace', path: '/spec/versions/0/schema/openAPIV3Schema/properties/spec/properties/n/maximum', value: 5 }],
    })
    await turns()
    expect((await api.ok('GET', `${tabs}/a`)).json.status).toBeUndefined()
    expect((await change({ status: { n: 2 } }, '/status')).json.status).toEqual({ n: 2 })
    expect(refusal(await change({ status: { n: 11 } }, '/status'))).toBe(
      'status.n: Invalid value: 11: n in body should be less than or equal to 10',
    )
    const { metadata } = (await api.ok('GET', `${tabs}/a`)).json
    expect(metadata.generation).toBe(1)
  })

  test('is a field like others when it is no subresource', async () => {
    await define(schema)
    expect((await create({ status: { n: 1 } })).json.status).toEqual({ n: 1 })
    expect((await change({ status: { n: 2 } })).json.metadata.generation).toBe(2)
  })
})

test('what is replaced must be known by its version', async () => {
  await define({ properties: {} })
  await create({})
  const answer = await api.call('PUT', `${tabs}/a`, { body: tab({}) })
  expect([answer.status, answer.json.message]).toEqual([
    422,
    'crontabs.stable.example.com "a" is invalid: metadata.resourceVersion: Invalid value: 0: must be specified for an update',
  ])
})

test('finalizers that could be anybody’s are warned of when they come', async () => {
  await define({ properties: {} })
  const about = (name: string, form: string): string =>
    `metadata.finalizers: "${name}": prefer a domain-qualified finalizer ${form} to avoid accidental conflicts with other finalizer writers`
  const made = await create({}, { finalizers: ['mine', 'orphan', 'example.com', 'example.com/mine'] })
  expect(made.warnings).toEqual([about('example.com', 'name including a path (/)'), about('mine', 'name')])
  expect((await change({ metadata: { labels: { a: 'b' } } })).warnings).toEqual([])
})

describe('values of the wrong type', () => {
  test('are told with all else that is wrong, and of nulls only those that are lost', async () => {
    await define({
      properties: {
        n: int,
        list: { type: 'array', items: text },
        map: { type: 'object', additionalProperties: text },
        obj: fields({ a: int }),
        small: { ...int, maximum: 5 },
      },
    })
    const wrong = await create({ n: 'x', list: [1, null], map: { a: 2, gone: null }, obj: [], small: 7 })
    const causes = wrong.json.details.causes.map(({ field, message }: Record<string, string>) => `${field}: ${message}`)
    const typed = (at: string, is: string, must: string): string =>
      `${at}: Invalid value: "${is}": ${at} in body must be of type ${must}: "${is}"`
    expect(causes.sort()).toEqual([
      typed('list[0]', 'integer', 'string'),
      typed('list[1]', 'null', 'string'),
      typed('map.a', 'integer', 'string'),
      typed('n', 'string', 'integer'),
      typed('obj', 'array', 'object'),
      'small: Invalid value: 7: small in body should be less than or equal to 5',
    ])
    expect((await create({ n: null, map: { a: null, b: 'c' }, obj: { a: null } })).json).toMatchObject({ map: { b: 'c' }, obj: {} })
    expect(refusal(await change({ n: 'x' }))).toBe(typed('n', 'string', 'integer'))
  })

  test('may stay where they were before the type was another', async () => {
    await define({ properties: { v: text, n: int } })
    await create({ v: 'x' })
    await redefine({ v: int, n: int })
    expect((await api.ok('GET', `${tabs}/a`)).json.v).toBe('x')
    expect((await change({ n: 1 })).json).toMatchObject({ v: 'x', n: 1 })
    expect((await change({ v: 'y' })).status).toBe(422)
    expect((await change({ v: 3 })).json.v).toBe(3)
  })

  test('of metadata within are told at once', async () => {
    await define({ properties: { inner: { type: 'object', 'x-kubernetes-embedded-resource': true, properties: { a: int } } } })
    const typed = await create({ inner: { apiVersion: 'v1', kind: 'X', metadata: { namespace: 42 } } })
    expect([typed.status, typed.json.message]).toEqual([
      400,
      expect.stringContaining(
        'CronTab in version "v1" cannot be handled as a CronTab: inner.metadata: Invalid value: {"namespace":42}: json: cannot unmarshal number',
      ),
    ])
    const untyped = await create({ inner: { apiVersion: 'v1', kind: 42 } })
    expect([untyped.status, untyped.json.message]).toEqual([
      400,
      'CronTab in version "v1" cannot be handled as a CronTab: inner.kind: Invalid value: 42: must be a string',
    ])
  })
})

test('a schema may bound the name', async () => {
  await define({ properties: { metadata: fields({ name: { ...text, maxLength: 3 } }) } })
  expect((await create({})).status).toBe(201)
  expect(refusal(await create({}, { name: 'long' })).replace('"long"', '"a"')).toContain(
    'metadata.name: Too long: may not be more than 3 bytes',
  )
})

test('defaults within metadata are completed and cleaned like any other', async () => {
  const whole = { 'x-kubernetes-embedded-resource': true, 'x-kubernetes-preserve-unknown-fields': true }
  const bar = { apiVersion: 'foos/v1', kind: 'Foo', metadata: { name: 'Bar', unknown: 'x' } }
  const meta = { apiVersion: { ...text, default: 'foos/v1' }, kind: { ...text, default: 'Foo' } }
  await define({
    properties: {
      fields: fields({ ...meta, metadata: fields({ name: { ...text, default: 'Bar' } }) }, whole),
      fullMetadata: fields({ ...meta, metadata: { type: 'object', default: bar.metadata } }, { 'x-kubernetes-embedded-resource': true }),
      fullObject: { type: 'object', ...whole, default: bar },
      spanning: fields({ embedded: { type: 'object', ...whole } }, { default: { embedded: bar } }),
    },
  })
  const { json } = await create({ fields: { metadata: {} }, fullMetadata: {} })
  const expected = { apiVersion: 'foos/v1', kind: 'Foo', metadata: { name: 'Bar' } }
  expect([json.fields, json.fullMetadata, json.fullObject, json.spanning?.embedded]).toEqual([expected, expected, expected, expected])
})

test('columns show what is of their type', async () => {
  const types = ['string', 'integer', 'number', 'boolean', 'date']
  const additionalPrinterColumns = types.map((type) => ({ name: type, type, jsonPath: '.v' }))
  await define({ properties: { v: { 'x-kubernetes-preserve-unknown-fields': true } } }, { additionalPrinterColumns })
  const headers = { accept: 'application/json;as=Table;v=v1;g=meta.k8s.io' }
  const cells = async (v: unknown): Promise<unknown[]> => {
    const made = await create({ v })
    const { json } = await api.ok('GET', `${tabs}/a`, { headers })
    expect([made.status, json.columnDefinitions[1].description]).toEqual([
      201,
      'Custom resource definition column (in JSONPath format): .v',
    ])
    await api.ok('DELETE', `${tabs}/a`)
    return json.rows[0].cells.slice(1)
  }
  expect(await cells('text')).toEqual(['text', null, null, null, '<invalid>'])
  expect(await cells(1.5)).toEqual(['1.5', 1, 1.5, null, null])
  expect(await cells(true)).toEqual(['true', null, null, true, null])
  expect(await cells({ a: [1] })).toEqual(['{"a":[1]}', null, null, null, null])
  expect(await cells(new Date(api.clock.now() - 5_000).toISOString())).toEqual([expect.any(String), null, null, null, '5s'])
})

test('what cannot be scaled says so', async () => {
  const scale = { specReplicasPath: '.spec.replicas', statusReplicasPath: '.status.replicas' }
  await define({ properties: { spec: fields({ replicas: int }) } }, { subresources: { scale } })
  await create({ spec: {} })
  const answer = await api.call('GET', `${tabs}/a/scale`)
  expect([answer.status, answer.json.message]).toEqual([
    500,
    'Internal error occurred: the spec replicas field ".spec.replicas" does not exist',
  ])
})

describe('deprecated versions', () => {
  test('say which version to use', async () => {
    const schema = { openAPIV3Schema: { type: 'object' } }
    const version = (name: string, more: object): object => ({ name, served: true, storage: false, schema, ...more })
    await define({}, {})
    await api.ok('PATCH', `${definitions}/crontabs.stable.example.com`, {
      headers: merge,
      body: {
        spec: {
          versions: [
            version('v1', { storage: true }),
            version('v1beta1', { deprecated: true }),
            version('v1alpha1', { deprecated: true, deprecationWarning: 'old' }),
            version('v2', {}),
            version('v3alpha1', { deprecated: true }),
            version('v3', { deprecated: true }),
          ],
        },
      },
    })
    await turns()
    const warnings = async (name: string): Promise<readonly string[]> =>
      (await api.ok('GET', `/apis/stable.example.com/${name}/namespaces/default/crontabs`)).warnings
    expect(await warnings('v1')).toEqual([])
    expect(await warnings('v1beta1')).toEqual(['stable.example.com/v1beta1 CronTab is deprecated; use stable.example.com/v2 CronTab'])
    expect(await warnings('v1alpha1')).toEqual(['old'])
    expect(await warnings('v3alpha1')).toEqual(['stable.example.com/v3alpha1 CronTab is deprecated; use stable.example.com/v2 CronTab'])
    expect(await warnings('v3')).toEqual(['stable.example.com/v3 CronTab is deprecated'])
  })
})
