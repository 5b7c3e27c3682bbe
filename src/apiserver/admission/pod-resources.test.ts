import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { type Answer, openTestCore, type TestCore } from '../api-core.testing.ts'

let api: TestCore

beforeEach(async () => {
  api = await openTestCore()
  await api.ok('POST', '/api/v1/namespaces/default/serviceaccounts', {
    body: { apiVersion: 'v1', kind: 'ServiceAccount', metadata: { name: 'default' } },
  })
})
afterEach(() => api.close())

const base = '/api/v1/namespaces/default'
const merge = { 'content-type': 'application/merge-patch+json' }
const strategic = { 'content-type': 'application/strategic-merge-patch+json' }

type Amounts = Readonly<Record<string, string>>

const container = (name: string, requests?: Amounts, limits?: Amounts, more: object = {}): object => ({
  name,
  image: 'i',
  resources: { requests, limits },
  ...more,
})
const create = (name: string, spec: object): Promise<Answer> =>
  api.call('POST', `${base}/pods`, { body: { apiVersion: 'v1', kind: 'Pod', metadata: { name }, spec } })

describe('limit ranges', () => {
  const range = (name: string, ...limits: object[]): Promise<Answer> =>
    api.ok('POST', `${base}/limitranges`, { body: { apiVersion: 'v1', kind: 'LimitRange', metadata: { name }, spec: { limits } } })

  const bounds = { min: { cpu: '100m' }, max: { cpu: '1' } }

  test.each([
    [
      'Container',
      [container('a', { cpu: '50m' }, { cpu: '2' }), container('b', { cpu: '50m' }, { cpu: '2' })],
      {},
      '[minimum cpu usage per Container is 100m, but request is 50m, maximum cpu usage per Container is 1, but limit is 2]',
    ],
    ['Container', [container('a', { cpu: '50m' }, { cpu: '1' })], {}, 'minimum cpu usage per Container is 100m, but request is 50m'],
    [
      'Pod',
      [container('a', { cpu: '1' }, { cpu: '1' }), container('b', { cpu: '1m' }, { cpu: '1m' })],
      {},
      'maximum cpu usage per Pod is 1, but limit is 1001m',
    ],
    // Init containers run one at a time, but beside the sidecars before them.
    [
      'Pod',
      [container('a', { cpu: '500m' }, { cpu: '500m' })],
      { initContainers: [container('i', { cpu: '1' }, { cpu: '1' })] },
      undefined,
    ],
    [
      'Pod',
      [container('a', { cpu: '100m' }, { cpu: '100m' })],
      {
        initContainers: [
          container('s', { cpu: '500m' }, { cpu: '500m' }, { restartPolicy: 'Always' }),
          container('i', { cpu: '600m' }, { cpu: '600m' }),
        ],
      },
      'maximum cpu usage per Pod is 1, but limit is 1100m',
    ],
    [
      'Pod',
      [container('a')],
      { resources: { requests: { cpu: '500m' }, limits: { cpu: '2' } } },
      'maximum cpu usage per Pod is 1, but limit is 2',
    ],
    ['Pod', [container('a')], { resources: { requests: { cpu: '500m' }, limits: { cpu: '1' } } }, undefined],
  ])('of a %s: %#', async (type, containers, spec, message) => {
    await range('lr', { type, ...bounds })
    const answer = await create('p', { containers, ...spec })
    expect(answer.json.message).toBe(message && `pods "p" is forbidden: ${message}`)
    expect(answer.status).toBe(message === undefined ? 201 : 403)
  })

  test('the first that refuses speaks alone', async () => {
    await range('a', { type: 'Container', max: { cpu: '1' } })
    await range('b', { type: 'Container', max: { memory: '1Gi' } })
    const big = { cpu: '2', memory: '2Gi' }
    const words = 'pods "p" is forbidden: maximum cpu usage per Container is 1, but limit is 2'
    expect((await create('p', { containers: [container('c', big, big)] })).json.message).toBe(words)
  })

  test('let a claim that is going away give up its finalizers', async () => {
    const spec = { accessModes: ['ReadWriteOnce'], storageClassName: '', resources: { requests: { storage: '1Gi' } } }
    const metadata = { name: 'c', finalizers: ['example.com/hold'] }
    await api.ok('POST', `${base}/persistentvolumeclaims`, { body: { apiVersion: 'v1', kind: 'PersistentVolumeClaim', metadata, spec } })
    await range('lr', { type: 'PersistentVolumeClaim', max: { storage: '500Mi' } })
    const path = `${base}/persistentvolumeclaims/c`
    const refused = await api.call('PATCH', path, { body: { metadata: { labels: { a: 'b' } } }, headers: merge })
    expect(refused.json.message).toBe(
      'persistentvolumeclaims "c" is forbidden: maximum storage usage per PersistentVolumeClaim is 500Mi, but request is 1Gi',
    )
    await api.ok('DELETE', path)
    await api.ok('PATCH', path, { body: { metadata: { finalizers: null } }, headers: merge })
    expect((await api.call('GET', path)).status).toBe(404)
  })
})

describe('runtime classes', () => {
  const runtimeClass = (name: string, parts: object): Promise<Answer> =>
    api.ok('POST', '/apis/node.k8s.io/v1/runtimeclasses', {
      body: { apiVersion: 'node.k8s.io/v1', kind: 'RuntimeClass', metadata: { name }, handler: 'h', ...parts },
    })
  const containers = [container('c')]

  test('give a pod their overhead, which it can have of nobody else', async () => {
    await runtimeClass('heavy', { overhead: { podFixed: { cpu: '100m', memory: '1Gi' } } })
    await runtimeClass('light', {})
    expect((await create('a', { containers, runtimeClassName: 'heavy' })).json.spec.overhead).toEqual({ cpu: '100m', memory: '1Gi' })
    expect((await create('b', { containers, runtimeClassName: 'heavy', overhead: { memory: '1024Mi', cpu: '0.1' } })).status).toBe(201)
    expect((await create('c', { containers, runtimeClassName: 'heavy', overhead: { cpu: '1' } })).json.message).toBe(
      `pods "c" is forbidden: pod rejected: Pod's Overhead doesn't match RuntimeClass's defined Overhead`,
    )
    expect((await create('d', { containers, runtimeClassName: 'light', overhead: { cpu: '1' } })).json.message).toBe(
      'pods "d" is forbidden: pod rejected: Pod Overhead set without corresponding RuntimeClass defined Overhead',
    )
    expect((await create('e', { containers, runtimeClassName: 'none' })).json.message).toBe(
      'pods "e" is forbidden: pod rejected: RuntimeClass "none" not found',
    )
  })

  test('say where a pod runs and what it tolerates, the wider of two', async () => {
    const wide = { key: 'a', operator: 'Exists', effect: 'NoSchedule' }
    const narrow = { key: 'a', operator: 'Equal', value: 'x', effect: 'NoSchedule' }
    const brief = { key: 'b', operator: 'Exists', effect: 'NoExecute', tolerationSeconds: 10 }
    await runtimeClass('r', { scheduling: { nodeSelector: { disk: 'ssd' }, tolerations: [wide, brief] } })
    const longer = { ...brief, tolerationSeconds: 20 }
    const { json } = await create('a', { containers, runtimeClassName: 'r', nodeSelector: { zone: '1' }, tolerations: [narrow, longer] })
    expect(json.spec.nodeSelector).toEqual({ disk: 'ssd', zone: '1' })
    expect(json.spec.tolerations.filter(({ key }: { key: string }) => key.length === 1)).toEqual([longer, wide])
    expect((await create('b', { containers, runtimeClassName: 'r', nodeSelector: { disk: 'tape' } })).json.message).toBe(
      'pods "b" is forbidden: conflict: runtimeClass.scheduling.nodeSelector[disk] = ssd; pod.spec.nodeSelector[disk] = tape',
    )
  })
})

describe('a resize', () => {
  const requests = { cpu: '100m', memory: '100Mi' }
  const resize = (amounts: Amounts): Promise<Answer> =>
    api.call('PATCH', `${base}/pods/p/resize`, {
      body: { spec: { containers: [{ name: 'c', resources: { requests: amounts } }] } },
      headers: strategic,
    })
  const node = async (os: string): Promise<void> => {
    const metadata = { name: 'n', labels: { 'kubernetes.io/os': os } }
    await api.ok('POST', '/api/v1/nodes', { body: { apiVersion: 'v1', kind: 'Node', metadata } })
    const allocatable = { cpu: '1', memory: '1Gi' }
    await api.ok('PATCH', '/api/v1/nodes/n/status', { body: { status: { allocatable } }, headers: merge })
  }
  const bound = async (): Promise<void> => {
    await create('p', { containers: [container('c', requests)] })
    await api.ok('POST', `${base}/pods/p/binding`, { body: { metadata: { name: 'p' }, target: { kind: 'Node', name: 'n' } } })
  }

  test('is to no more than the node has', async () => {
    await node('linux')
    await bound()
    expect((await resize({ cpu: '900m' })).status).toBe(200)
    const { json } = await resize({ cpu: '1500m', memory: '2Gi' })
    const words =
      'pods "p" is forbidden: node didn\'t have enough allocatable resources: cpu, requested: 1500, allocatable: 1000; memory, requested: 2147483648, allocatable: 1073741824'
    expect(json).toMatchObject({ code: 403, message: words, details: { name: 'p', kind: 'pods', causes: [{ reason: 'NodeCapacity' }] } })
  })

  test('is of what its node has declared that it resizes', async () => {
    await node('linux')
    const initContainers = [container('i', requests)]
    await create('p', { containers: [container('c', requests)], initContainers, resources: { requests: { cpu: '500m' } } })
    await api.ok('POST', `${base}/pods/p/binding`, { body: { metadata: { name: 'p' }, target: { kind: 'Node', name: 'n' } } })
    const body = {
      spec: { resources: { requests: { cpu: '600m' } }, initContainers: [{ name: 'i', resources: { requests: { cpu: '200m' } } }] },
    }
    const both = (): Promise<Answer> => api.call('PATCH', `${base}/pods/p/resize`, { body, headers: strategic })
    const lacking = (names: string): string =>
      `pods "p" is forbidden: pod update requires features ${names} which are not available on node "n"`
    const [ofPods, ofInit] = ['InPlacePodLevelResourcesVerticalScaling', 'InPlacePodVerticalScalingInitContainers']
    expect((await both()).json.message).toBe(lacking(`${ofPods}, ${ofInit}`))
    const declare = (...declaredFeatures: string[]): Promise<Answer> =>
      api.ok('PATCH', '/api/v1/nodes/n/status', { body: { status: { declaredFeatures } }, headers: merge })
    await declare(ofPods!)
    expect((await both()).json.message).toBe(lacking(ofInit!))
    await declare(ofPods!, ofInit!)
    expect((await both()).status).toBe(200)
    await declare()
    // What no node has to be capable of is nothing to it.
    await api.ok('PATCH', `${base}/pods/p`, { body: { metadata: { labels: { a: 'b' } } }, headers: merge })
    await api.ok('PATCH', `${base}/pods/p/resize`, {
      body: { spec: { containers: [{ name: 'c', resources: { requests: { cpu: '150m' } } }] } },
      headers: strategic,
    })
  })

  test('is for nodes of Linux, and for nodes that are there', async () => {
    await node('windows')
    await bound()
    expect((await resize({ cpu: '200m' })).json).toMatchObject({
      message: 'pods "p" is forbidden: pod resize is only supported on linux nodes, node "n" is "windows"',
      details: { causes: [{ reason: 'UnsupportedPlatform' }] },
    })
    expect((await resize(requests)).status).toBe(200)
    await api.ok('DELETE', '/api/v1/nodes/n')
    expect((await resize({ cpu: '200m' })).json.message).toBe('pods "p" is forbidden: node "n" not found')
  })
})

test('a claim grows only within the class that it has, by whichever name', async () => {
  await api.ok('POST', '/apis/storage.k8s.io/v1/storageclasses', {
    body: {
      apiVersion: 'storage.k8s.io/v1',
      kind: 'StorageClass',
      metadata: { name: 'gold' },
      provisioner: 'p',
      allowVolumeExpansion: true,
    },
  })
  const spec = { accessModes: ['ReadWriteOnce'], storageClassName: 'silver', resources: { requests: { storage: '1Gi' } } }
  const metadata = { name: 'c', annotations: { 'volume.beta.kubernetes.io/storage-class': 'gold' } }
  await api.ok('POST', `${base}/persistentvolumeclaims`, { body: { apiVersion: 'v1', kind: 'PersistentVolumeClaim', metadata, spec } })
  const grow = (): Promise<Answer> =>
    api.call('PATCH', `${base}/persistentvolumeclaims/c`, {
      body: { spec: { resources: { requests: { storage: '2Gi' } } } },
      headers: merge,
    })
  const status = { phase: 'Bound', capacity: { storage: '1Gi' } }
  await api.ok('PATCH', `${base}/persistentvolumeclaims/c/status`, { body: { status }, headers: merge })
  expect((await grow()).status).toBe(200)
})
