import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { openMemoryStore } from '#storage/memory/memory-store'
import { openTestCore, type TestCore } from '../api-core.testing.ts'
import { compileJsonPath } from './json-path.ts'

let api: TestCore

beforeEach(async () => {
  api = await openTestCore()
})

afterEach(async () => {
  await api.close()
})

const definitions = '/apis/apiextensions.k8s.io/v1/customresourcedefinitions'
const tabs = '/apis/stable.example.com/v1/namespaces/default/crontabs'
const merge = { 'content-type': 'application/merge-patch+json' }
const turns = async (): Promise<void> => {
  for (let i = 0; i < 20; i++) await new Promise((resolve) => setImmediate(resolve))
}

const specSchema = {
  type: 'object',
  required: ['cron'],
  properties: {
    cron: { type: 'string', pattern: '^(\\d+|\\*)(\\s+(\\d+|\\*)){4}$' },
    image: { type: 'string', default: 'busybox' },
    replicas: { type: 'integer', minimum: 0, maximum: 10 },
    mode: { type: 'string', enum: ['Fast', 'Slow'] },
    ports: {
      type: 'array',
      'x-kubernetes-list-type': 'map',
      'x-kubernetes-list-map-keys': ['name'],
      items: { type: 'object', required: ['name'], properties: { name: { type: 'string' }, port: { type: 'integer', default: 80 } } },
    },
    free: { type: 'object', 'x-kubernetes-preserve-unknown-fields': true },
  },
}

function definition(overrides: object = {}, version: object = {}): object {
  return {
    apiVersion: 'apiextensions.k8s.io/v1',
    kind: 'CustomResourceDefinition',
    metadata: { name: 'crontabs.stable.example.com' },
    spec: {
      group: 'stable.example.com',
      scope: 'Namespaced',
      names: { plural: 'crontabs', singular: 'crontab', kind: 'CronTab', shortNames: ['ct'] },
      versions: [
        {
          name: 'v1',
          served: true,
          storage: true,
          schema: {
            openAPIV3Schema: {
              type: 'object',
              properties: { spec: specSchema, status: { type: 'object', 'x-kubernetes-preserve-unknown-fields': true } },
            },
          },
          subresources: { status: {}, scale: { specReplicasPath: '.spec.replicas', statusReplicasPath: '.status.replicas' } },
          additionalPrinterColumns: [
            { name: 'Cron', type: 'string', jsonPath: '.spec.cron' },
            { name: 'Replicas', type: 'integer', jsonPath: '.spec.replicas' },
            { name: 'Age', type: 'date', jsonPath: '.metadata.creationTimestamp' },
          ],
          selectableFields: [{ jsonPath: '.spec.mode' }],
          ...version,
        },
      ],
      ...overrides,
    },
  }
}

const tab = (name: string, spec: object): object => ({ apiVersion: 'stable.example.com/v1', kind: 'CronTab', metadata: { name }, spec })

async function define(body = definition()): Promise<void> {
  await api.ok('POST', definitions, { body })
  await turns()
}

describe('a definition', () => {
  test('is established, and its objects are served', async () => {
    await define()
    const { json } = await api.ok('GET', `${definitions}/crontabs.stable.example.com`)
    expect(json.status.conditions.map((c: { type: string; status: string; reason: string }) => [c.type, c.status, c.reason])).toEqual([
      ['NamesAccepted', 'True', 'NoConflicts'],
      ['Established', 'True', 'InitialNamesAccepted'],
    ])
    expect(json.status.acceptedNames).toMatchObject({ plural: 'crontabs', kind: 'CronTab', listKind: 'CronTabList' })
    expect(json.status.storedVersions).toEqual(['v1'])
    expect((await api.ok('GET', tabs)).json).toMatchObject({ kind: 'CronTabList', apiVersion: 'stable.example.com/v1', items: [] })
  })

  test('whose names are taken is not established', async () => {
    await define()
    const other = definition({ names: { plural: 'other', singular: 'another', kind: 'CronTab' } }) as { metadata: { name: string } }
    other.metadata.name = 'other.stable.example.com'
    await define(other)
    const { json } = await api.ok('GET', `${definitions}/other.stable.example.com`)
    expect(json.status.conditions).toMatchObject([
      { type: 'NamesAccepted', status: 'False', reason: 'ListKindConflict', message: '"CronTabList" is already in use' },
      { type: 'Established', status: 'False', reason: 'NotAccepted', message: 'not all names are accepted' },
    ])
  })

  test('that goes away takes its objects along, those with finalizers in their time', async () => {
    await define()
    await api.ok('POST', tabs, { body: tab('a', { cron: '* * * * *' }) })
    const held = tab('b', { cron: '* * * * *' }) as { metadata: object }
    held.metadata = { name: 'b', finalizers: ['example.com/hold'] }
    await api.ok('POST', tabs, { body: held })
    const { json } = await api.ok('DELETE', `${definitions}/crontabs.stable.example.com`)
    expect(json.metadata.finalizers).toEqual(['customresourcecleanup.apiextensions.k8s.io'])
    await turns()
    expect((await api.ok('GET', tabs)).json.items.length).toBe(1)
    const refused = await api.call('POST', tabs, { body: tab('c', { cron: '* * * * *' }) })
    const why = 'crontabs.stable.example.com "c" is forbidden: create not allowed while custom resource definition is terminating'
    expect([refused.status, refused.json.message]).toEqual([403, why])
    const applied = { body: tab('c', { cron: '* * * * *' }), headers: { 'content-type': 'application/apply-patch+yaml' } }
    expect((await api.call('PATCH', `${tabs}/c?fieldManager=me`, applied)).json.message).toBe(why)
    await api.ok('PATCH', `${tabs}/b`, { body: { metadata: { finalizers: null } }, headers: merge })
    await api.clock.advance(1_100)
    await turns()
    expect((await api.call('GET', `${definitions}/crontabs.stable.example.com`)).status).toBe(404)
    await turns()
    expect((await api.call('GET', tabs)).status).toBe(404)
    await define()
    expect((await api.ok('GET', tabs)).json.items).toEqual([])
  })

  test('is served again after a restart', async () => {
    const store = openMemoryStore()
    const first = await openTestCore({ store })
    await first.ok('POST', definitions, { body: definition() })
    await turns()
    await first.ok('POST', tabs, { body: tab('a', { cron: '* * * * *' }) })
    await first.core.close()
    const second = await openTestCore({ store })
    expect((await second.ok('GET', `${tabs}/a`)).json.spec.cron).toBe('* * * * *')
    await second.close()
  })
})

describe('a custom object', () => {
  test('is pruned and filled in by its schema', async () => {
    await define()
    const { json } = await api.ok('POST', tabs, {
      body: tab('a', { cron: '* * * * *', nonsense: 1, free: { any: { thing: [1] } }, ports: [{ name: 'x' }] }),
    })
    expect(json.spec).toEqual({ cron: '* * * * *', image: 'busybox', ports: [{ name: 'x', port: 80 }], free: { any: { thing: [1] } } })
    expect(json.metadata.generation).toBe(1)
    const listed = (await api.ok('GET', tabs)).json.items[0]
    expect([listed.kind, listed.apiVersion]).toEqual(['CronTab', 'stable.example.com/v1'])
  })

  test('that does not fit is refused with each cause', async () => {
    await define()
    const { status, json } = await api.call('POST', tabs, { body: tab('a', { cron: 'never', replicas: 11, mode: 'Odd' }) })
    expect(status).toBe(422)
    expect(json.message).toBe(
      `CronTab.stable.example.com "a" is invalid: [spec.cron: Invalid value: "never": spec.cron in body should match '^(\\d+|\\*)(\\s+(\\d+|\\*)){4}$', spec.mode: Unsupported value: "Odd": supported values: "Fast", "Slow", spec.replicas: Invalid value: 11: spec.replicas in body should be less than or equal to 10]`,
    )
    const missing = await api.call('POST', tabs, { body: tab('a', {}) })
    expect(missing.json.message).toBe('CronTab.stable.example.com "a" is invalid: spec.cron: Required value')
    const type = await api.call('POST', tabs, { body: tab('a', { cron: '* * * * *', replicas: 'many' }) })
    expect([type.status, type.json.message]).toEqual([
      422,
      'CronTab.stable.example.com "a" is invalid: [spec.replicas: Invalid value: "string": spec.replicas in body must be of type integer: "string", .spec.replicas: Invalid value: 0: .spec.replicas accessor error: many is of the type string, expected int64]',
    ])
  })

  test('has status, scale, a table and selectable fields', async () => {
    await define()
    await api.ok('POST', tabs, { body: tab('a', { cron: '* * * * *', replicas: 2, mode: 'Fast' }) })
    await api.ok('POST', tabs, { body: tab('b', { cron: '* * * * *', mode: 'Slow' }) })
    await api.ok('PATCH', `${tabs}/a/status`, { body: { status: { replicas: 2 }, spec: { cron: '1 1 1 1 1' } }, headers: merge })
    const scale = (await api.ok('PATCH', `${tabs}/a/scale`, { body: { spec: { replicas: 4 } }, headers: merge })).json
    expect([scale.spec, scale.status]).toEqual([{ replicas: 4 }, { replicas: 2 }])
    const { json } = await api.ok('GET', `${tabs}/a`)
    expect([json.spec.cron, json.spec.replicas, json.metadata.generation]).toEqual(['* * * * *', 4, 2])
    const accept = 'application/json;as=Table;v=v1;g=meta.k8s.io'
    const table = (await api.ok('GET', tabs, { headers: { accept } })).json
    expect(table.columnDefinitions.map((c: { name: string }) => c.name)).toEqual(['Name', 'Cron', 'Replicas', 'Age'])
    expect(table.rows.map((r: { cells: unknown[] }) => r.cells)).toEqual([
      ['a', '* * * * *', 4, '0s'],
      ['b', '* * * * *', null, '0s'],
    ])
    const fast = (await api.ok('GET', `${tabs}?fieldSelector=spec.mode%3DFast`)).json.items
    expect(fast.map((o: { metadata: { name: string } }) => o.metadata.name)).toEqual(['a'])
  })

  test('is applied by the keys of its lists, watched, and not patched strategically', async () => {
    await define()
    const stream = await api.watch(`${tabs}?watch=true`)
    const apply = (manager: string, ports: object[]) =>
      api.ok('PATCH', `${tabs}/a?fieldManager=${manager}`, {
        body: tab('a', { cron: '* * * * *', ports }),
        headers: { 'content-type': 'application/apply-patch+yaml' },
      })
    await apply('one', [{ name: 'x', port: 1 }])
    const both = await apply('two', [{ name: 'y', port: 2 }])
    expect(both.json.spec.ports).toEqual([
      { name: 'x', port: 1 },
      { name: 'y', port: 2 },
    ])
    await turns()
    expect(stream.events.map((event) => event.type)).toEqual(['ADDED', 'MODIFIED'])
    stream.stop()
    const strategic = await api.call('PATCH', `${tabs}/a`, {
      body: {},
      headers: { 'content-type': 'application/strategic-merge-patch+json' },
    })
    expect(strategic.status).toBe(415)
  })

  test('cannot be applied without metadata, which is no fault of ours', async () => {
    await api.ok('POST', definitions, { body: definition() })
    await turns()
    for (const metadata of [undefined, null]) {
      const { status } = await api.call('PATCH', `${tabs}/none?fieldManager=f`, {
        body: { apiVersion: 'stable.example.com/v1', kind: 'CronTab', metadata },
        headers: { 'content-type': 'application/apply-patch+yaml' },
      })
      expect(status).toBe(400)
    }
  })

  test('is seen in each served version, and a new schema counts from then on', async () => {
    await define()
    await api.ok('POST', tabs, { body: tab('a', { cron: '* * * * *' }) })
    const base = definition() as { spec: { versions: object[] } }
    const beta = { ...base.spec.versions[0], name: 'v1beta1', storage: false }
    const wider = {
      type: 'object',
      properties: { spec: { ...specSchema, properties: { ...specSchema.properties, extra: { type: 'string' } } } },
    }
    const v1 = { ...base.spec.versions[0], schema: { openAPIV3Schema: wider } }
    await api.ok('PATCH', `${definitions}/crontabs.stable.example.com`, { body: { spec: { versions: [v1, beta] } }, headers: merge })
    await turns()
    const old = '/apis/stable.example.com/v1beta1/namespaces/default/crontabs'
    expect((await api.ok('GET', `${old}/a`)).json).toMatchObject({ apiVersion: 'stable.example.com/v1beta1', spec: { cron: '* * * * *' } })
    await api.ok('POST', old, { body: { ...tab('b', { cron: '1 * * * *' }), apiVersion: 'stable.example.com/v1beta1' } })
    expect((await api.ok('GET', `${tabs}/b`)).json.apiVersion).toBe('stable.example.com/v1')
    const { json } = await api.ok('PATCH', `${tabs}/a`, { body: { spec: { extra: 'yes' } }, headers: merge })
    expect(json.spec.extra).toBe('yes')
  })
})

describe('a request', () => {
  const kept = { openAPIV3Schema: { type: 'object', 'x-kubernetes-preserve-unknown-fields': true } }
  const open = { schema: kept, selectableFields: [] }
  const everywhere = '/apis/stable.example.com/v1/crontabs'

  test.each([
    ['Cluster', everywhere, tabs],
    ['Namespaced', tabs, everywhere],
  ])('for what is %s is answered there alone', async (scope, here, elsewhere) => {
    await define(definition({ scope }, open))
    await api.ok('POST', here, { body: tab('bar', {}) })
    const status = async (method: string, path: string): Promise<number> => {
      const body = method === 'GET' || method === 'DELETE' ? {} : { body: tab('bar', {}) }
      return (await api.call(method, path, method === 'PATCH' ? { ...body, headers: merge } : body)).status
    }
    for (const path of ['/bar', '/bar/status', '/bar/scale']) {
      for (const method of ['GET', 'PUT', 'PATCH', 'DELETE']) expect([path, method, await status(method, elsewhere + path)]).toContain(404)
    }
    expect(await status('POST', elsewhere)).toBe(404)
    expect(await status('DELETE', elsewhere)).toBe(404)
    expect(await status('GET', elsewhere)).toBe(scope === 'Cluster' ? 404 : 200)
    expect(await status('GET', `${here}/bar`)).toBe(200)
  })

  test('to create needs a type and a name', async () => {
    await define(definition({}, open))
    expect((await api.call('POST', tabs, { body: {} })).status).toBe(400)
    const { status, json } = await api.call('POST', tabs, { body: { apiVersion: 'stable.example.com/v1', kind: 'CronTab' } })
    expect([status, json.message]).toEqual([
      422,
      expect.stringContaining('metadata.name: Required value: name or generateName is required'),
    ])
  })

  test('is held against the schema in its own version', async () => {
    const base = definition({}, open) as { spec: { versions: object[] } }
    const versionOnly = { ...kept.openAPIV3Schema, properties: { apiVersion: { type: 'string', pattern: '^stable.example.com/v1beta1$' } } }
    const schema = { openAPIV3Schema: { ...versionOnly, required: ['apiVersion'] } }
    const v1 = { ...base.spec.versions[0], schema }
    await define(definition({ versions: [v1, { ...v1, name: 'v1beta1', storage: false }] }))
    const beta = tabs.replace('/v1/', '/v1beta1/')
    await api.ok('POST', beta, { body: { ...tab('foo', {}), apiVersion: 'stable.example.com/v1beta1' } })
    await api.ok('PATCH', `${beta}/foo`, { body: { i: 1 }, headers: merge })
    const { status, json } = await api.call('PATCH', `${tabs}/foo`, { body: { i: 2 }, headers: merge })
    expect([status, json.message]).toEqual([422, expect.stringContaining('apiVersion: Invalid value: "stable.example.com/v1"')])
  })

  test('is answered while the definition changes', async () => {
    const v1 = (definition({}, open) as { spec: { versions: object[] } }).spec.versions[0]
    const both = [v1, { ...v1, name: 'v2', storage: false }]
    await define(definition({}, open))
    let changing = true
    const read = async (_: unknown, i: number): Promise<number> => {
      await api.ok('POST', tabs, { body: tab(`foo-${i}`, {}) })
      let reads = 0
      for (; changing; reads++) {
        await api.ok('GET', `${tabs}/foo-${i}`)
        await new Promise((resolve) => setImmediate(resolve))
      }
      return reads
    }
    const readers = Array.from({ length: 5 }, read)
    for (let i = 0; i < 20; i++) {
      const body = { spec: { versions: i % 2 === 0 ? both : [v1] } }
      await api.ok('PATCH', `${definitions}/crontabs.stable.example.com`, { body, headers: merge })
      await turns()
    }
    changing = false
    for (const reads of await Promise.all(readers)) expect(reads).toBeGreaterThan(20)
  })
})

test('printer columns read names, indexes and filters', () => {
  const object = {
    a: { 'b.c': [1, 2] },
    list: [
      { type: 'x', v: 1 },
      { type: 'Ready', v: 'True' },
    ],
  }
  const read = (path: string): unknown => compileJsonPath(path)?.(object)
  expect(read('.list[?(@.type=="Ready")].v')).toEqual(['True'])
  expect(read('.list[0].v')).toEqual([1])
  expect(read('.list[*].type')).toEqual(['x', 'Ready'])
  expect(read(".a['b.c'][1]")).toEqual([2])
  expect(read('.a.b\\.c[0]')).toEqual([1])
  expect(read('.missing.thing')).toEqual([])
})
