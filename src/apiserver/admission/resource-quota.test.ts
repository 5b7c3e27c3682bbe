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

type Amounts = Readonly<Record<string, string>>

/** A quota whose usage is counted. `used`: what is not said is 0. */
async function quota(
  name: string,
  hard: Amounts,
  { used = {}, ...spec }: { used?: Amounts } & Record<string, unknown> = {},
): Promise<void> {
  await api.ok('POST', `${base}/resourcequotas`, {
    body: { apiVersion: 'v1', kind: 'ResourceQuota', metadata: { name }, spec: { hard, ...spec } },
  })
  const none = Object.fromEntries(Object.keys(hard).map((resource) => [resource, '0']))
  await count(name, hard, { ...none, ...used })
}

const count = (name: string, hard: Amounts, used: Amounts): Promise<Answer> =>
  api.ok('PATCH', `${base}/resourcequotas/${name}/status`, { body: { status: { hard, used } }, headers: merge })

const usedOf = async (name: string): Promise<Amounts> => (await api.ok('GET', `${base}/resourcequotas/${name}`)).json.status.used

interface PodParts {
  readonly requests?: Amounts
  readonly limits?: Amounts
  readonly resources?: object
  readonly spec?: object
}

function podBody(name: string, { requests, limits, resources, spec }: PodParts = {}): object {
  const containers = [{ name: 'main', image: 'i', resources: { requests, limits } }]
  return { apiVersion: 'v1', kind: 'Pod', metadata: { name }, spec: { containers, ...(resources && { resources }), ...spec } }
}

const create = (name: string, parts?: PodParts, query = ''): Promise<Answer> =>
  api.call('POST', `${base}/pods${query}`, { body: podBody(name, parts) })

const forbidden = (name: string, message: string): object => ({ code: 403, message: `pods "${name}" is forbidden: ${message}` })

const small = { requests: { cpu: '100m', memory: '1Gi' } }

test('takes what a pod uses, and refuses what is more than is left, in Kubernetes’ words', async () => {
  await quota('q', { cpu: '200m', memory: '10Gi', pods: '5' }, { used: { cpu: '50m', memory: '1Gi', pods: '1' } })
  expect((await create('a', small)).status).toBe(201)
  expect(await usedOf('q')).toEqual({ cpu: '150m', memory: '2Gi', pods: '2' })
  const words = 'exceeded quota: q, requested: cpu=100m, used: cpu=150m, limited: cpu=200m'
  expect((await create('b', small)).json).toMatchObject(forbidden('b', words))
  expect((await create('c', small, '?dryRun=All')).json).toMatchObject(forbidden('c', words))
  expect((await create('d', { requests: { cpu: '10m', memory: '1Gi' } }, '?dryRun=All')).status).toBe(201)
  expect(await usedOf('q')).toEqual({ cpu: '150m', memory: '2Gi', pods: '2' })
})

test('binds once its usage is counted', async () => {
  await api.ok('POST', `${base}/resourcequotas`, {
    body: { apiVersion: 'v1', kind: 'ResourceQuota', metadata: { name: 'q' }, spec: { hard: { pods: '0', cpu: '0' } } },
  })
  expect((await create('a')).status).toBe(201)
  await count('q', { pods: '1', cpu: '1', 'count/secrets': '1' }, { pods: '0' })
  const words = 'status unknown for quota: q, resources: cpu,pods'
  expect((await create('b', small)).json).toMatchObject(forbidden('b', words))
  const secret = { apiVersion: 'v1', kind: 'Secret', metadata: { name: 's' } }
  expect((await api.call('POST', `${base}/secrets`, { body: secret })).json.message).toBe(
    'secrets "s" is forbidden: status unknown for quota: q, resources: count/secrets',
  )
})

test('several quotas all have to have enough, and one that has not leaves the others as they were', async () => {
  await quota('a', { pods: '9' })
  await quota('b', { pods: '1' }, { used: { pods: '1' } })
  await quota('c', { pods: '9' })
  expect((await create('p')).json).toMatchObject(forbidden('p', 'exceeded quota: b, requested: pods=1, used: pods=1, limited: pods=1'))
  expect([await usedOf('a'), await usedOf('c')]).toEqual([{ pods: '0' }, { pods: '0' }])
})

test('a quota of compute resources demands that containers say what they need, unless the pod does', async () => {
  await quota('q', { cpu: '4', 'requests.memory': '4Gi', 'limits.cpu': '4' })
  const words = 'failed quota: q: must specify cpu for: main; limits.cpu for: main; requests.memory for: main'
  expect((await create('a')).json).toMatchObject(forbidden('a', words))
  expect((await create('b', { resources: { requests: { cpu: '1' } } })).status).toBe(201)
  expect(await usedOf('q')).toEqual({ cpu: '1', 'requests.memory': '0', 'limits.cpu': '0' })
})

describe('scopes', () => {
  const terminating = { scopes: ['Terminating'] }
  const notTerminating = { scopes: ['NotTerminating'] }

  test('bind the pods they speak of', async () => {
    await quota('ending', { pods: '1' }, terminating)
    await quota('lasting', { pods: '1' }, notTerminating)
    await quota('best', { pods: '1' }, { scopes: ['BestEffort'] })
    await quota(
      'important',
      { pods: '1' },
      {
        scopeSelector: { matchExpressions: [{ scopeName: 'PriorityClass', operator: 'In', values: ['system-node-critical'] }] },
      },
    )
    expect((await create('a', { spec: { activeDeadlineSeconds: 5 } })).status).toBe(201)
    expect((await create('b', small)).status).toBe(201)
    const used = await Promise.all(['ending', 'lasting', 'best', 'important'].map(usedOf))
    expect(used.map(({ pods }) => pods)).toEqual(['1', '1', '1', '0'])
    expect((await create('c', { ...small, spec: { activeDeadlineSeconds: 5 } })).json.message).toContain('exceeded quota: ending')
    // A scope of pods holds nothing else.
    await quota('secrets', { 'count/secrets': '0' }, terminating)
    await api.ok('POST', `${base}/secrets`, { body: { apiVersion: 'v1', kind: 'Secret', metadata: { name: 's' } } })
  })

  test('that a pod comes into by an update are spent in full', async () => {
    await quota('ending', { pods: '1', cpu: '1' }, terminating)
    await quota('lasting', { pods: '5', cpu: '5' }, notTerminating)
    await create('a', small)
    await create('b', small)
    expect([await usedOf('ending'), await usedOf('lasting')]).toEqual([
      { pods: '0', cpu: '0' },
      { pods: '2', cpu: '200m' },
    ])
    const bound = (name: string): Promise<Answer> =>
      api.call('PATCH', `${base}/pods/${name}`, { body: { spec: { activeDeadlineSeconds: 60 } }, headers: merge })
    expect((await bound('a')).status).toBe(200)
    expect(await usedOf('ending')).toEqual({ pods: '1', cpu: '100m' })
    expect((await bound('b')).json.message).toBe(
      'pods "b" is forbidden: exceeded quota: ending, requested: pods=1, used: pods=1, limited: pods=1',
    )
    // Anything else about it is none of a quota's business.
    expect((await api.call('PATCH', `${base}/pods/b`, { body: { metadata: { labels: { a: 'b' } } }, headers: merge })).status).toBe(200)
  })
})

test('a resize takes what it adds; what is being given back counts until the container has lost it', async () => {
  await quota('q', { 'requests.cpu': '1' })
  await create('a', { requests: { cpu: '400m', memory: '1Gi' } })
  const resize = (cpu: string): Promise<Answer> =>
    api.call('PATCH', `${base}/pods/a/resize`, {
      body: { spec: { containers: [{ name: 'main', resources: { requests: { cpu } } }] } },
      headers: { 'content-type': 'application/strategic-merge-patch+json' },
    })
  expect((await resize('900m')).status).toBe(200)
  expect(await usedOf('q')).toEqual({ 'requests.cpu': '900m' })
  expect((await resize('1100m')).json.message).toBe(
    'pods "a" is forbidden: exceeded quota: q, requested: requests.cpu=200m, used: requests.cpu=900m, limited: requests.cpu=1',
  )
  const containerStatuses = [
    { name: 'main', ready: true, restartCount: 0, image: 'i', imageID: '', resources: { requests: { cpu: '900m' } } },
  ]
  await api.ok('PATCH', `${base}/pods/a/status`, { body: { status: { containerStatuses } }, headers: merge })
  expect((await resize('100m')).status).toBe(200)
  expect((await resize('900m')).status).toBe(200)
  expect(await usedOf('q')).toEqual({ 'requests.cpu': '900m' })
})

test('services take node ports and load balancers as they come to need them', async () => {
  await quota('q', { services: '2', 'services.nodeports': '2', 'services.loadbalancers': '0' })
  const ports = [{ port: 80 }, { name: 'b', port: 81 }].map((port, i) => ({ name: `p${i}`, ...port }))
  const make = (name: string, type: string): Promise<Answer> =>
    api.call('POST', `${base}/services`, {
      body: { apiVersion: 'v1', kind: 'Service', metadata: { name }, spec: { type, ports, selector: { a: 'b' } } },
    })
  expect((await make('a', 'ClusterIP')).status).toBe(201)
  expect((await make('b', 'LoadBalancer')).json.message).toBe(
    'services "b" is forbidden: exceeded quota: q, requested: services.loadbalancers=1, used: services.loadbalancers=0, limited: services.loadbalancers=0',
  )
  expect((await make('c', 'NodePort')).status).toBe(201)
  const typed = await api.call('PATCH', `${base}/services/a`, { body: { spec: { type: 'NodePort' } }, headers: merge })
  expect(typed.json.message).toContain('requested: services.nodeports=2, used: services.nodeports=2, limited: services.nodeports=2')
})

test('claims take storage by their class, in whole bytes', async () => {
  await api.ok('POST', '/apis/storage.k8s.io/v1/storageclasses', {
    body: {
      apiVersion: 'storage.k8s.io/v1',
      kind: 'StorageClass',
      metadata: { name: 'gold' },
      provisioner: 'p',
      allowVolumeExpansion: true,
    },
  })
  const gold = 'gold.storageclass.storage.k8s.io'
  await quota('q', { 'requests.storage': '1Gi', [`${gold}/requests.storage`]: '600Mi', [`${gold}/persistentvolumeclaims`]: '1' })
  const claim = (name: string, storage: string, parts: object = {}): Promise<Answer> =>
    api.call('POST', `${base}/persistentvolumeclaims`, {
      body: {
        apiVersion: 'v1',
        kind: 'PersistentVolumeClaim',
        metadata: { name, ...parts },
        spec: {
          accessModes: ['ReadWriteOnce'],
          storageClassName: parts === undefined ? '' : 'other',
          resources: { requests: { storage } },
        },
      },
    })
  const legacy = { annotations: { 'volume.beta.kubernetes.io/storage-class': 'gold' } }
  expect((await claim('a', '500Mi', legacy)).status).toBe(201)
  expect((await claim('b', '1Mi', legacy)).json.message).toBe(
    `persistentvolumeclaims "b" is forbidden: exceeded quota: q, requested: ${gold}/persistentvolumeclaims=1, used: ${gold}/persistentvolumeclaims=1, limited: ${gold}/persistentvolumeclaims=1`,
  )
  expect((await claim('c', '100500m')).status).toBe(201)
  expect((await usedOf('q'))['requests.storage']).toBe(`${500 * 1024 * 1024 + 101}`)
  // What its volume was given counts, and is told though it is more than there may be.
  await api.ok('PATCH', `${base}/persistentvolumeclaims/c/status`, {
    body: { status: { allocatedResources: { storage: '2Gi' } } },
    headers: merge,
  })
  expect((await usedOf('q'))['requests.storage']).toBe(`${500 * 1024 * 1024 + 2 * 1024 ** 3}`)
})

test('resource claims take devices of each class, the worst of alternatives', async () => {
  const per = (name: string): string => `${name}.deviceclass.resource.k8s.io/devices`
  await quota('q', { [per('gpu')]: '40', [per('nic')]: '1', 'count/resourceclaims.resource.k8s.io': '2' })
  const claim = (name: string, requests: object[]): Promise<Answer> =>
    api.call('POST', '/apis/resource.k8s.io/v1/namespaces/default/resourceclaims', {
      body: { apiVersion: 'resource.k8s.io/v1', kind: 'ResourceClaim', metadata: { name }, spec: { devices: { requests } } },
    })
  const firstAvailable = [
    { name: 'a', deviceClassName: 'gpu', count: 3 },
    { name: 'b', deviceClassName: 'gpu' },
    { name: 'c', deviceClassName: 'nic' },
  ]
  const made = await claim('a', [
    { name: 'all', exactly: { deviceClassName: 'gpu', allocationMode: 'All' } },
    { name: 'some', firstAvailable },
  ])
  expect(made.status).toBe(201)
  expect(await usedOf('q')).toEqual({ [per('gpu')]: '35', [per('nic')]: '1', 'count/resourceclaims.resource.k8s.io': '1' })
  expect((await claim('b', [{ name: 'n', exactly: { deviceClassName: 'nic' } }])).json.message).toBe(
    `resourceclaims.resource.k8s.io "b" is forbidden: exceeded quota: q, requested: ${per('nic')}=1, used: ${per('nic')}=1, limited: ${per('nic')}=1`,
  )
})
