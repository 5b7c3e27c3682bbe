// What no client should send, and some do: nothing of it may end in a 500, be half written, or reach beyond its own object.
import fc from 'fast-check'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { allKinds } from '#api/kinds/all'
import { openTestCore, type TestCore } from './api-core.testing.ts'

let api: TestCore

beforeAll(async () => {
  api = await openTestCore()
  await api.ok('POST', '/api/v1/namespaces/default/serviceaccounts', {
    body: { apiVersion: 'v1', kind: 'ServiceAccount', metadata: { name: 'default' } },
  })
})

afterAll(async () => {
  await api.close()
})

const configMaps = '/api/v1/namespaces/default/configmaps'
const stored = allKinds.filter((kind) => kind.verbs.includes('create') && kind.verbs.includes('get'))

function pathOf(kind: (typeof stored)[number]): string {
  const prefix = kind.group === '' ? `/api/${kind.version}` : `/apis/${kind.group}/${kind.version}`
  return `${prefix}${kind.namespaced ? '/namespaces/default' : ''}/${kind.resource}`
}

describe('MUSTHOLD 11: names that mean something to JavaScript are plain data', () => {
  test('in maps that come and go', async () => {
    const body = `{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"proto"},"data":{"__proto__":"a","constructor":"b","prototype":"c"}}`
    const { bytes } = await api.ok('POST', configMaps, { body })
    expect(bytes.toString()).toContain('"data":{"__proto__":"a","constructor":"b","prototype":"c"}')
    const patch = '{"data":{"__proto__":"z","hasOwnProperty":"d"}}'
    const patched = await api.ok('PATCH', `${configMaps}/proto`, {
      body: patch,
      headers: { 'content-type': 'application/merge-patch+json' },
    })
    expect(patched.bytes.toString()).toContain('"__proto__":"z"')
    expect(({} as { z?: string }).z).toBeUndefined()
    expect((await api.ok('GET', configMaps)).bytes.toString()).toContain('"__proto__":"z"')
  })

  test('where a field is expected', async () => {
    const body =
      '{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"p2","__proto__":{"namespace":"kube-system"}},"__proto__":{"data":{"x":"y"}}}'
    const { json } = await api.ok('POST', configMaps, { body })
    expect([json.metadata.namespace, json.data]).toEqual(['default', undefined])
  })
})

describe('bodies of any shape', () => {
  const json = fc.json({ maxDepth: 4 })

  test('are refused with a 4xx or accepted, by every kind', async () => {
    await fc.assert(
      fc.asyncProperty(fc.constantFrom(...stored), json, async (kind, text) => {
        const { status, json: answer } = await api.call('POST', pathOf(kind), { body: text })
        if (status >= 500) throw new Error(`${kind.kind} ${text}: ${JSON.stringify(answer)}`)
      }),
      { numRuns: 400 },
    )
  })

  test('are refused with a 4xx or accepted, where a known object is bent', async () => {
    const bent = fc.record({ path: fc.array(fc.nat(20), { minLength: 1, maxLength: 5 }), value: fc.jsonValue({ maxDepth: 2 }) })
    await fc.assert(
      fc.asyncProperty(fc.constantFrom(...samples), bent, async ([path, sample], { path: steps, value }) => {
        const body = structuredClone(sample) as Record<string, unknown>
        bend(body, steps, value)
        for (const [method, at, headers] of [
          ['POST', path, {}],
          ['POST', path, { 'content-type': 'application/yaml' }],
          ['PATCH', `${path}/bent`, { 'content-type': 'application/merge-patch+json' }],
          ['PATCH', `${path}/bent`, { 'content-type': 'application/strategic-merge-patch+json' }],
          ['PATCH', `${path}/bent?fieldManager=f&force=true`, { 'content-type': 'application/apply-patch+yaml' }],
          ['PUT', `${path}/bent`, {}],
        ] as const) {
          const { status, json: answer } = await api.call(method, at, { body, headers })
          if (status >= 500) throw new Error(`${method} ${at} ${JSON.stringify(body)}: ${JSON.stringify(answer)}`)
        }
      }),
      { numRuns: 300 },
    )
  })

  test('of bytes that are no text are bad requests', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.uint8Array({ maxLength: 200 }),
        fc.constantFrom('application/json', 'application/yaml', 'application/vnd.kubernetes.protobuf'),
        async (bytes, type) => {
          const { status } = await api.call('POST', configMaps, { body: Buffer.from(bytes), headers: { 'content-type': type } })
          expect(status).toBeGreaterThanOrEqual(400)
          expect(status).toBeLessThan(500)
        },
      ),
      { numRuns: 300 },
    )
  })
})

describe('queries of any shape', () => {
  test('are refused with a 4xx or answered', async () => {
    const name = fc.constantFrom(
      'labelSelector',
      'fieldSelector',
      'limit',
      'continue',
      'resourceVersion',
      'resourceVersionMatch',
      'timeoutSeconds',
      'includeObject',
      'dryRun',
      'fieldManager',
      'fieldValidation',
      'gracePeriodSeconds',
      'propagationPolicy',
    )
    await fc.assert(
      fc.asyncProperty(fc.array(fc.tuple(name, fc.string({ maxLength: 30 })), { maxLength: 4 }), async (pairs) => {
        const query = new URLSearchParams(pairs.filter(([key, value]) => key !== 'resourceVersion' || !/^\d+$/.test(value)))
        for (const method of ['GET', 'POST', 'DELETE'] as const) {
          const body = method === 'POST' ? { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name: 'q' } } : undefined
          const path = method === 'DELETE' ? `${configMaps}/q` : configMaps
          const { status } = await api.call(method, `${path}?${query}`, body === undefined ? {} : { body })
          expect(status).toBeLessThan(500)
        }
      }),
      { numRuns: 300 },
    )
  })
})

test('a watch is read, and by no other method', async () => {
  for (const method of ['PROPFIND', 'POST', 'DELETE']) {
    expect((await api.call(method, '/api/v1/watch/namespaces/default/configmaps')).status).toBe(405)
  }
})

describe('bombs', () => {
  test('of YAML aliases and of depth are refused at once', async () => {
    const levels = ['a', 'b', 'c', 'd', 'e', 'f', 'g', 'h', 'i']
    let bomb = 'a: &a ["lol","lol","lol","lol","lol","lol","lol","lol","lol"]\n'
    for (let i = 1; i < levels.length; i++) {
      const ref = `*${levels[i - 1]}`
      bomb += `${levels[i]}: &${levels[i]} [${Array(9).fill(ref).join(',')}]\n`
    }
    const aliases = await api.call('POST', configMaps, { body: bomb, headers: { 'content-type': 'application/yaml' } })
    expect(aliases.status).toBe(400)
    const deep = `{"apiVersion":"v1","kind":"ConfigMap","metadata":${'{"a":'.repeat(100_000)}1${'}'.repeat(100_000)}}`
    expect([400, 422]).toContain((await api.call('POST', configMaps, { body: deep })).status)
    const nested = '['.repeat(50_000)
    expect((await api.call('POST', configMaps, { body: nested, headers: { 'content-type': 'application/yaml' } })).status).toBe(400)
    const dashes = `${'- '.repeat(20_000)}x`
    expect((await api.call('POST', configMaps, { body: dashes, headers: { 'content-type': 'application/yaml' } })).status).toBe(400)
  })

  test('of JSON patches that copy are refused', async () => {
    await api.ok('POST', configMaps, {
      body: { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name: 'bomb' }, data: { a: 'x'.repeat(1000) } },
    })
    const patch = Array.from({ length: 30 }, () => ({ op: 'copy', from: '/data', path: '/data/x' }))
    const { status } = await api.call('PATCH', `${configMaps}/bomb`, {
      body: patch,
      headers: { 'content-type': 'application/json-patch+json' },
    })
    expect(status).toBeGreaterThanOrEqual(400)
    expect(status).toBeLessThan(500)
  })

  test('of annotations and objects beyond their size are refused', async () => {
    const big = { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name: 'big' }, data: { a: 'x'.repeat(1_100_000) } }
    const { status, json } = await api.call('POST', configMaps, { body: big })
    expect([status, json.reason]).toEqual([422, 'Invalid'])
  })
})

describe('values that have no text', () => {
  test('are no reason to dry-run a deletion, and no continue token', async () => {
    const deleted = await api.call('DELETE', `${configMaps}/none`, { body: { dryRun: [{ toString: 1 }] } })
    expect([deleted.status, deleted.json.message]).toEqual([
      400,
      'json: cannot unmarshal object into Go struct field DeleteOptions.dryRun of type string',
    ])
    const token = Buffer.from('{"v":{"toString":1},"rv":1,"start":"a"}').toString('base64url')
    expect((await api.call('GET', `${configMaps}?limit=1&continue=${token}`)).status).toBe(400)
  })

  test('are no kinds, in patches and views', async () => {
    await api.ok('POST', configMaps, { body: { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name: 'kindless' } } })
    const patched = await api.call('PATCH', `${configMaps}/kindless`, {
      body: { $patch: 'delete' },
      headers: { 'content-type': 'application/strategic-merge-patch+json' },
    })
    expect([patched.status, patched.json.message]).toEqual([
      400,
      'the name of the object (kindless based on URL) was undeterminable: name must be provided',
    ])
    const view = await api.call('PATCH', '/apis/apps/v1/namespaces/default/deployments/none/scale?fieldManager=f', {
      body: { apiVersion: 'autoscaling/v1', kind: { toString: 1 } },
      headers: { 'content-type': 'application/apply-patch+yaml' },
    })
    expect([view.status, view.json.message]).toEqual([400, 'invalid object type: autoscaling/v1, Kind='])
  })

  test('are no names of pods to bind, and what is bound stays valid', async () => {
    const bindings = '/api/v1/namespaces/default/bindings'
    const target = { kind: 'Node', name: 'n' }
    const nameless = await api.call('POST', bindings, { body: { metadata: {}, target } })
    expect([nameless.status, nameless.json.message]).toEqual([400, 'Name parameter required.'])
    const labelled = await api.call('POST', bindings, { body: { metadata: { name: 'p', labels: { 'a b': 'c' } }, target } })
    expect([labelled.status, labelled.json.message]).toEqual([422, expect.stringContaining('metadata.labels: Invalid value: "a b"')])
  })

  test('are no keys', async () => {
    const body = { metadata: { name: 'a\u0000b' }, target: { kind: 'Node', name: 'n' } }
    expect((await api.call('POST', '/api/v1/namespaces/default/bindings', { body })).status).toBe(404)
    expect((await api.call('DELETE', `${configMaps}/${'x'.repeat(3_000)}`)).status).toBe(404)
    expect((await api.call('GET', `${configMaps}/${'x'.repeat(3_000)}`)).status).toBe(404)
  })

  test('are no quantities, in protobuf either', async () => {
    const { encodeObject } = await import('#api/protobuf/envelope')
    const { PersistentVolume } = await import('#api/kinds/core/persistent-volume')
    const object = { apiVersion: 'v1', kind: 'PersistentVolume', metadata: { name: 'pv' }, spec: { capacity: { storage: '1Gh' } } }
    const { status, json } = await api.call('POST', '/api/v1/persistentvolumes', {
      body: Buffer.from(encodeObject(PersistentVolume.schema(), object)),
      headers: { 'content-type': 'application/vnd.kubernetes.protobuf' },
    })
    expect([status, json.message]).toEqual([400, expect.stringContaining('quantities must match the regular expression')])
  })
})

describe('objects that cannot be tracked', () => {
  const accounts = '/api/v1/namespaces/default/serviceaccounts'
  const account = { apiVersion: 'v1', kind: 'ServiceAccount', metadata: { name: 'nameless' } }

  test('are stored as they are, and cannot be applied to', async () => {
    await api.ok('POST', accounts, { body: { ...account, secrets: [{ name: 'a' }] } })
    const path = `${accounts}/nameless`
    const updated = await api.ok('PUT', path, { body: { ...account, secrets: [{ namespace: 'x' }] } })
    expect(updated.json.secrets).toEqual([{ namespace: 'x' }])
    const { status, json } = await api.call('PATCH', `${path}?fieldManager=f`, {
      body: { ...account, secrets: [{ name: 'b' }] },
      headers: { 'content-type': 'application/apply-patch+yaml' },
    })
    expect([status, json.message]).toEqual([400, expect.stringContaining('failed to create typed live object')])
  })
})

const samples: [string, object][] = [
  [
    '/api/v1/namespaces/default/pods',
    {
      apiVersion: 'v1',
      kind: 'Pod',
      metadata: { name: 'bent', labels: { a: 'b' }, annotations: { c: 'd' }, ownerReferences: [], finalizers: [] },
      spec: {
        containers: [
          { name: 'a', image: 'i', ports: [{ containerPort: 80 }], env: [{ name: 'E', value: 'v' }], resources: { limits: { cpu: '1' } } },
        ],
        volumes: [{ name: 'v', emptyDir: {} }],
        tolerations: [{ key: 'k', operator: 'Exists' }],
        nodeSelector: { x: 'y' },
      },
    },
  ],
  [
    '/api/v1/namespaces/default/services',
    {
      apiVersion: 'v1',
      kind: 'Service',
      metadata: { name: 'bent' },
      spec: { type: 'NodePort', clusterIP: '', selector: { a: 'b' }, ports: [{ name: 'x', port: 80, targetPort: 'http', nodePort: 0 }] },
    },
  ],
  [
    '/apis/apps/v1/namespaces/default/deployments',
    {
      apiVersion: 'apps/v1',
      kind: 'Deployment',
      metadata: { name: 'bent' },
      spec: {
        replicas: 1,
        selector: { matchLabels: { a: 'b' } },
        strategy: { type: 'RollingUpdate', rollingUpdate: { maxSurge: '25%' } },
        template: { metadata: { labels: { a: 'b' } }, spec: { containers: [{ name: 'a', image: 'i' }] } },
      },
    },
  ],
  ['/api/v1/namespaces', { apiVersion: 'v1', kind: 'Namespace', metadata: { name: 'bent' }, spec: { finalizers: ['kubernetes'] } }],
]

// Puts `value` in the place that the steps lead to.
function bend(object: Record<string, unknown>, steps: readonly number[], value: unknown): void {
  let at: Record<string, unknown> = object
  for (const [i, step] of steps.entries()) {
    const keys = Object.keys(at)
    if (keys.length === 0) return
    const key = keys[step % keys.length]!
    const next = at[key]
    if (i === steps.length - 1 || typeof next !== 'object' || next === null) {
      at[key] = value
      return
    }
    at = next as Record<string, unknown>
  }
}
