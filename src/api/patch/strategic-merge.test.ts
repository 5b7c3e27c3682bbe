import { describe, expect, test } from 'vitest'
import { builtinSchema, definitionSchema } from '../schema/builtin.ts'
import { applyStrategicMergePatch } from './strategic-merge.ts'
import type { JsonObject } from './values.ts'

const podSpec = definitionSchema('io.k8s.api.core.v1.PodSpec')

function patchSpec(original: JsonObject, patch: JsonObject): unknown {
  const before = JSON.stringify([original, patch])
  const result = applyStrategicMergePatch(podSpec, original, patch)
  expect(JSON.stringify([original, patch])).toBe(before)
  return result
}

describe('maps', () => {
  test('are merged, null takes away', () => {
    expect(patchSpec({ nodeSelector: { a: '1', b: '2' }, nodeName: 'x' }, { nodeSelector: { b: null, c: '3' }, nodeName: null })).toEqual({
      nodeSelector: { a: '1', c: '3' },
    })
  })

  test('nulls in what is new are left out', () => {
    expect(patchSpec({}, { securityContext: { runAsUser: 1, runAsGroup: null } })).toEqual({ securityContext: { runAsUser: 1 } })
  })

  test('$patch: replace replaces, $patch: delete empties', () => {
    const original = { nodeSelector: { a: '1' }, securityContext: { runAsUser: 1, fsGroup: 2 } }
    expect(patchSpec(original, { nodeSelector: { $patch: 'replace', b: '2' }, securityContext: { $patch: 'delete' } })).toEqual({
      nodeSelector: { b: '2' },
      securityContext: {},
    })
  })

  test('a directive where there is nothing to patch is left out', () => {
    expect(patchSpec({}, { nodeSelector: { $patch: 'delete' }, hostname: 'x' })).toEqual({ hostname: 'x' })
  })

  test('an unknown directive is an error', () => {
    expect(() => patchSpec({ nodeSelector: {} }, { nodeSelector: { $patch: 'swap', a: 1 } })).toThrow(
      'unknown patch type: swap in map: map[$patch:swap a:1]',
    )
  })
})

describe('lists of objects', () => {
  const containers = [
    { name: 'a', image: '1', env: [{ name: 'X', value: '1' }] },
    { name: 'b', image: '2' },
  ]

  test('are merged by key, to any depth; what only the server has comes after what is new', () => {
    const patch = {
      containers: [
        { name: 'a', env: [{ name: 'Y', value: '2' }], image: '9' },
        { name: 'c', image: '3' },
      ],
    }
    const env = [
      { name: 'Y', value: '2' },
      { name: 'X', value: '1' },
    ]
    expect(patchSpec({ containers }, patch)).toEqual({
      containers: [{ name: 'a', image: '9', env }, { name: 'c', image: '3' }, containers[1]],
    })
  })

  test('items with $patch: delete go', () => {
    expect(patchSpec({ containers }, { containers: [{ name: 'a', $patch: 'delete' }] })).toEqual({
      containers: [{ name: 'b', image: '2' }],
    })
  })

  test('an item that says replace makes the patch the whole list', () => {
    expect(patchSpec({ containers }, { containers: [{ $patch: 'replace' }, { name: 'z', image: '0' }] })).toEqual({
      containers: [{ name: 'z', image: '0' }],
    })
  })

  test('lists without a strategy are replaced', () => {
    expect(patchSpec({ tolerations: [{ key: 'a' }] }, { tolerations: [{ key: 'b' }] })).toEqual({ tolerations: [{ key: 'b' }] })
  })

  test('$setElementOrder puts the list in order, what only the server has goes before what followed it', () => {
    const names = (result: unknown): string[] => (result as { containers: { name: string }[] }).containers.map((c) => c.name)
    const original = { containers: ['a', 's', 'b', 'c'].map((name) => ({ name, image: name })) }
    const order = { '$setElementOrder/containers': [{ name: 'c' }, { name: 'a' }, { name: 'b' }] }
    expect(names(patchSpec(original, order))).toEqual(['s', 'c', 'a', 'b'])
    const withNew = {
      '$setElementOrder/containers': [{ name: 'n' }, { name: 'a' }, { name: 'b' }, { name: 'c' }],
      containers: [{ name: 'n', image: 'n' }],
    }
    expect(names(patchSpec(original, withNew))).toEqual(['n', 'a', 's', 'b', 'c'])
  })

  test('$setElementOrder of a list that is nowhere does nothing', () => {
    expect(patchSpec({}, { '$setElementOrder/containers': [{ name: 'a' }] })).toEqual({})
  })

  test('a patch against its own order is an error', () => {
    const patch = { '$setElementOrder/containers': [{ name: 'b' }, { name: 'a' }], containers: [{ name: 'a' }, { name: 'b' }] }
    expect(() => patchSpec({ containers }, patch)).toThrow("doesn't match $setElementOrder list:\n[map[name:b] map[name:a]]")
  })

  test('an item without its key is an error', () => {
    expect(() => patchSpec({ containers }, { containers: [{ image: 'x' }] })).toThrow(
      'map: map[image:x] does not contain declared merge key: name',
    )
  })

  test('ports are merged by their first key', () => {
    const service = definitionSchema('io.k8s.api.core.v1.ServiceSpec')
    expect(
      applyStrategicMergePatch(
        service,
        { ports: [{ port: 80, protocol: 'TCP', name: 'a' }] },
        { ports: [{ port: 80, name: 'b' }, { port: 81 }] },
      ),
    ).toEqual({ ports: [{ port: 80, protocol: 'TCP', name: 'b' }, { port: 81 }] })
  })
})

describe('lists of scalars', () => {
  const meta = definitionSchema('io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta')
  const patchMeta = (original: JsonObject, patch: JsonObject): unknown => applyStrategicMergePatch(meta, original, patch)

  test('are merged as sets where the strategy says so', () => {
    expect(patchMeta({ finalizers: ['a', 'b'] }, { finalizers: ['b', 'c'] })).toEqual({ finalizers: ['a', 'b', 'c'] })
  })

  test('$deleteFromPrimitiveList takes away', () => {
    expect(patchMeta({ finalizers: ['a', 'b', 'c'] }, { '$deleteFromPrimitiveList/finalizers': ['b', 'x'] })).toEqual({
      finalizers: ['a', 'c'],
    })
    expect(patchMeta({}, { '$deleteFromPrimitiveList/finalizers': ['b'] })).toEqual({})
  })

  test('deletion and order work together', () => {
    const patch = { '$deleteFromPrimitiveList/finalizers': ['a'], '$setElementOrder/finalizers': ['c', 'b'], finalizers: ['c'] }
    expect(patchMeta({ finalizers: ['a', 'b'] }, patch)).toEqual({ finalizers: ['c', 'b'] })
  })

  test('malformed directives are bad requests', () => {
    expect(() => patchMeta({}, { $deleteFromPrimitiveList: ['b'] })).toThrow('invalid patch format of primitive list')
    expect(() => patchMeta({}, { $setElementOrder: ['b'] })).toThrow('invalid patch format of setElementOrder list')
  })
})

describe('$retainKeys', () => {
  const deployment = definitionSchema('io.k8s.api.apps.v1.DeploymentSpec')

  test('drops what it does not name', () => {
    const original = { strategy: { type: 'RollingUpdate', rollingUpdate: { maxSurge: 1 } } }
    expect(applyStrategicMergePatch(deployment, original, { strategy: { $retainKeys: ['type'], type: 'Recreate' } })).toEqual({
      strategy: { type: 'Recreate' },
    })
  })

  test('works in items of lists', () => {
    const volumes = [{ name: 'v', emptyDir: {} }]
    expect(patchSpec({ volumes }, { volumes: [{ name: 'v', $retainKeys: ['name', 'hostPath'], hostPath: { path: '/x' } }] })).toEqual({
      volumes: [{ name: 'v', hostPath: { path: '/x' } }],
    })
  })

  test('must name what the patch sets', () => {
    expect(() => applyStrategicMergePatch(deployment, { strategy: {} }, { strategy: { $retainKeys: ['x'], type: 'Recreate' } })).toThrow(
      'invalid patch format of retainKeys',
    )
  })
})

describe('what has no schema', () => {
  test('raw values cannot be merged into', () => {
    const revision = builtinSchema('apps/v1', 'ControllerRevision')
    expect(() => applyStrategicMergePatch(revision, { data: { spec: { a: 1 } } }, { data: { spec: { b: 1 } } })).toThrow(
      'merging an object in json but data type is not struct',
    )
  })

  test('fields called like inherited properties are plain data', () => {
    const pod = builtinSchema('v1', 'Pod')
    const patch = JSON.parse('{"metadata":{"labels":{"constructor":"x","__proto__":"y"}}}')
    expect(JSON.stringify(applyStrategicMergePatch(pod, { metadata: { labels: { a: '1' } } }, patch))).toBe(
      '{"metadata":{"labels":{"a":"1","constructor":"x","__proto__":"y"}}}',
    )
  })
})
