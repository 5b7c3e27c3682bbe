import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { openTestCore, type TestCore } from './api-core.testing.ts'
import type { User } from './request.ts'

let api: TestCore

beforeEach(async () => {
  api = await openTestCore()
  await api.ok('POST', '/api/v1/namespaces/default/serviceaccounts', {
    body: { apiVersion: 'v1', kind: 'ServiceAccount', metadata: { name: 'default' }, imagePullSecrets: [{ name: 'pull' }] },
  })
})

afterEach(async () => {
  await api.close()
})

const pods = '/api/v1/namespaces/default/pods'
const pod = (name: string, spec: object = {}, metadata: object = {}): object => ({
  apiVersion: 'v1',
  kind: 'Pod',
  metadata: { name, ...metadata },
  spec: { containers: [{ name: 'main', image: 'navarch.local/web:v1' }], ...spec },
})
const merge = { 'content-type': 'application/merge-patch+json' }
const node: User = { name: 'system:node:n1', groups: ['system:nodes', 'system:authenticated'] }
const bind = (name: string, to: string): Promise<unknown> =>
  api.ok('POST', `${pods}/${name}/binding`, { body: { metadata: { name }, target: { kind: 'Node', name: to } } })

describe('a new pod', () => {
  test('gets its service account, its token, its priority and its tolerations', async () => {
    const { json } = await api.ok('POST', pods, { body: pod('web') })
    expect(json.spec).toMatchObject({
      serviceAccountName: 'default',
      serviceAccount: 'default',
      imagePullSecrets: [{ name: 'pull' }],
      priority: 0,
      preemptionPolicy: 'PreemptLowerPriority',
      enableServiceLinks: true,
      tolerations: [
        { key: 'node.kubernetes.io/not-ready', operator: 'Exists', effect: 'NoExecute', tolerationSeconds: 300 },
        { key: 'node.kubernetes.io/unreachable', operator: 'Exists', effect: 'NoExecute', tolerationSeconds: 300 },
      ],
    })
    const [volume] = json.spec.volumes
    expect(volume.name).toMatch(/^kube-api-access-[a-z0-9]{5}$/)
    expect(volume.projected).toEqual({
      defaultMode: 420,
      sources: [
        { serviceAccountToken: { expirationSeconds: 3607, path: 'token' } },
        { configMap: { name: 'kube-root-ca.crt', items: [{ key: 'ca.crt', path: 'ca.crt' }] } },
        { downwardAPI: { items: [{ path: 'namespace', fieldRef: { apiVersion: 'v1', fieldPath: 'metadata.namespace' } }] } },
      ],
    })
    expect(json.spec.containers[0].volumeMounts).toEqual([
      { name: volume.name, readOnly: true, mountPath: '/var/run/secrets/kubernetes.io/serviceaccount' },
    ])
    expect(json.status).toEqual({ phase: 'Pending', qosClass: 'BestEffort' })
    expect(json.metadata.generation).toBe(1)
  })

  test('without a service account is refused after a moment', async () => {
    const pending = api.call('POST', pods, { body: pod('web', { serviceAccountName: 'nobody' }) })
    await api.clock.advance(1_100)
    const { status, json } = await pending
    expect([status, json.message]).toEqual([
      403,
      'pods "web" is forbidden: error looking up service account default/nobody: serviceaccount "nobody" not found',
    ])
  })

  test('of a priority class gets its number; an unknown class is refused', async () => {
    const { json } = await api.ok('POST', pods, { body: pod('web', { priorityClassName: 'system-cluster-critical' }) })
    expect(json.spec.priority).toBe(2_000_000_000)
    const unknown = await api.call('POST', pods, { body: pod('x', { priorityClassName: 'nope' }) })
    expect(unknown.json.message).toBe('pods "x" is forbidden: no PriorityClass with name nope was found')
  })

  test('takes its resources from limit ranges, and must keep to their bounds', async () => {
    await api.ok('POST', '/api/v1/namespaces/default/limitranges', {
      body: {
        apiVersion: 'v1',
        kind: 'LimitRange',
        metadata: { name: 'lr' },
        spec: { limits: [{ type: 'Container', default: { cpu: '500m' }, defaultRequest: { cpu: '100m' }, max: { cpu: '1' } }] },
      },
    })
    const { json } = await api.ok('POST', pods, { body: pod('web') })
    expect(json.spec.containers[0].resources).toEqual({ limits: { cpu: '500m' }, requests: { cpu: '100m' } })
    expect(json.metadata.annotations['kubernetes.io/limit-ranger']).toBe(
      'LimitRanger plugin set: cpu request for container main; cpu limit for container main',
    )
    const resources = { limits: { cpu: '2' }, requests: { cpu: '1' } }
    const big = await api.call('POST', pods, { body: pod('big', { containers: [{ name: 'main', image: 'i', resources }] }) })
    expect([big.status, big.json.message]).toEqual([403, 'pods "big" is forbidden: maximum cpu usage per Container is 1, but limit is 2'])
  })

  test('in a namespace that is missing or going away is refused', async () => {
    const missing = await api.call('POST', '/api/v1/namespaces/none/pods', { body: pod('web') })
    expect([missing.status, missing.json.message]).toEqual([404, 'namespaces "none" not found'])
    await api.ok('POST', '/api/v1/namespaces', { body: { apiVersion: 'v1', kind: 'Namespace', metadata: { name: 'gone' } } })
    await api.ok('DELETE', '/api/v1/namespaces/gone')
    const going = await api.call('POST', '/api/v1/namespaces/gone/configmaps', {
      body: { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name: 'c' } },
    })
    expect([going.status, going.json.message, going.json.details.causes]).toEqual([
      403,
      'configmaps "c" is forbidden: unable to create new content in namespace gone because it is being terminated',
      [{ reason: 'NamespaceTerminating', message: 'namespace gone is being terminated', field: 'metadata.namespace' }],
    ])
  })
})

describe('binding', () => {
  test('sets the node once', async () => {
    await api.ok('POST', pods, { body: pod('web') })
    await bind('web', 'n1')
    const { json } = await api.ok('GET', `${pods}/web`)
    expect([json.spec.nodeName, json.status.conditions[0].type, json.status.conditions[0].status]).toEqual(['n1', 'PodScheduled', 'True'])
    const again = await api.call('POST', `${pods}/web/binding`, { body: { target: { name: 'n2' } } })
    expect([again.status, again.json.message]).toEqual([
      409,
      'Operation cannot be fulfilled on pods/binding "web": pod web is already assigned to node "n1"',
    ])
    const selected = await api.ok('GET', `/api/v1/pods?fieldSelector=spec.nodeName%3Dn1`)
    expect(selected.json.items.length).toBe(1)
  })

  test('that many try at once succeeds for one', async () => {
    await api.ok('POST', pods, { body: pod('web') })
    const answers = await Promise.all(
      Array.from({ length: 10 }, (_, i) => api.call('POST', `${pods}/web/binding`, { body: { target: { name: `n${i}` } } })),
    )
    expect(answers.filter(({ status }) => status === 201).length).toBe(1)
  })
})

describe('deletion of a pod', () => {
  test('that has no node happens at once', async () => {
    await api.ok('POST', pods, { body: pod('web') })
    const { json } = await api.ok('DELETE', `${pods}/web`)
    expect([json.kind, json.metadata.name]).toEqual(['Pod', 'web'])
    expect((await api.call('GET', `${pods}/web`)).status).toBe(404)
  })

  test('that runs waits for its grace period, which may only become shorter', async () => {
    await api.ok('POST', pods, { body: pod('web') })
    await bind('web', 'n1')
    const first = (await api.ok('DELETE', `${pods}/web`)).json
    expect(first.metadata).toMatchObject({
      deletionTimestamp: '2026-01-01T00:00:30Z',
      deletionGracePeriodSeconds: 30,
      generation: 2,
    })
    const longer = (await api.ok('DELETE', `${pods}/web?gracePeriodSeconds=60`)).json
    expect(longer.metadata.resourceVersion).toBe(first.metadata.resourceVersion)
    const shorter = (await api.ok('DELETE', `${pods}/web?gracePeriodSeconds=5`)).json
    expect(shorter.metadata).toMatchObject({ deletionTimestamp: '2026-01-01T00:00:05Z', deletionGracePeriodSeconds: 5 })
    await api.ok('DELETE', `${pods}/web?gracePeriodSeconds=0`, { user: node })
    expect((await api.call('GET', `${pods}/web`)).status).toBe(404)
  })

  test('of another node is not for a node to make', async () => {
    await api.ok('POST', pods, { body: pod('web') })
    await bind('web', 'n2')
    const { status, json } = await api.call('DELETE', `${pods}/web`, { user: node })
    expect([status, json.message]).toEqual([
      403,
      'pods "web" is forbidden: node "n1" can only delete pods with spec.nodeName set to itself',
    ])
  })
})

describe('status', () => {
  test('is written through its subresource only, and takes nothing else along', async () => {
    await api.ok('POST', pods, { body: pod('web') })
    const main = await api.ok('PATCH', `${pods}/web`, { body: { status: { phase: 'Running' } }, headers: merge })
    expect(main.json.status.phase).toBe('Pending')
    const patch = { status: { phase: 'Running' }, spec: { terminationGracePeriodSeconds: 7 } }
    const status = await api.ok('PATCH', `${pods}/web/status`, { body: patch, headers: merge })
    expect([status.json.status.phase, status.json.spec.terminationGracePeriodSeconds]).toEqual(['Running', 30])
  })
})

describe('ephemeral containers', () => {
  test('are added through their subresource and nowhere else', async () => {
    await api.ok('POST', pods, { body: pod('web') })
    const wanted = { spec: { ephemeralContainers: [{ name: 'debug', image: 'navarch.local/busybox:1' }] } }
    const strategic = { 'content-type': 'application/strategic-merge-patch+json' }
    expect((await api.call('PATCH', `${pods}/web`, { body: wanted, headers: strategic })).status).toBe(422)
    const { json } = await api.ok('PATCH', `${pods}/web/ephemeralcontainers`, { body: wanted, headers: strategic })
    expect(json.spec.ephemeralContainers[0].name).toBe('debug')
  })
})

describe('eviction', () => {
  const evict = (name: string) =>
    api.call('POST', `${pods}/${name}/eviction`, { body: { apiVersion: 'policy/v1', kind: 'Eviction', metadata: { name } } })

  test('deletes, within what the disruption budget allows', async () => {
    const labels = { app: 'web' }
    for (const name of ['a', 'b']) {
      await api.ok('POST', pods, { body: pod(name, {}, { labels }) })
      await bind(name, 'n1')
      const status = { phase: 'Running', conditions: [{ type: 'Ready', status: 'True' }] }
      await api.ok('PATCH', `${pods}/${name}/status`, { body: { status }, headers: merge })
    }
    const budgets = '/apis/policy/v1/namespaces/default/poddisruptionbudgets'
    await api.ok('POST', budgets, {
      body: {
        apiVersion: 'policy/v1',
        kind: 'PodDisruptionBudget',
        metadata: { name: 'pdb' },
        spec: { minAvailable: 1, selector: { matchLabels: labels } },
      },
    })
    const early = await evict('a')
    expect([early.status, early.json.message, early.json.details]).toEqual([
      429,
      "Cannot evict pod as it would violate the pod's disruption budget.",
      {
        retryAfterSeconds: 10,
        causes: [{ reason: 'DisruptionBudget', message: 'The disruption budget pdb is still being processed by the server.' }],
      },
    ])
    const status = { observedGeneration: 1, disruptionsAllowed: 1, currentHealthy: 2, desiredHealthy: 1, expectedPods: 2 }
    await api.ok('PATCH', `${budgets}/pdb/status`, { body: { status }, headers: merge })
    expect((await evict('a')).status).toBe(201)
    expect((await api.ok('GET', `${pods}/a`)).json.metadata.deletionTimestamp).toBeDefined()
    expect((await api.ok('GET', `${budgets}/pdb`)).json.status.disruptionsAllowed).toBe(0)
    const refused = await evict('b')
    expect([refused.status, refused.json.details.causes[0].message]).toEqual([
      429,
      'The disruption budget pdb needs 1 healthy pods and has 2 currently',
    ])
    const another = {
      apiVersion: 'policy/v1',
      kind: 'PodDisruptionBudget',
      metadata: { name: 'other' },
      spec: { selector: { matchLabels: labels } },
    }
    await api.ok('POST', budgets, { body: another })
    const doubted = await evict('b')
    expect([doubted.status, doubted.json.message, doubted.json.reason]).toEqual([
      500,
      'This pod has more than one PodDisruptionBudget, which the eviction subresource does not support.',
      undefined,
    ])
  })
})

describe('a node', () => {
  test('MUSTHOLD 15: writes only its own object, without labels of trust, taints or owners', async () => {
    const own = { apiVersion: 'v1', kind: 'Node', metadata: { name: 'n1', labels: { 'kubernetes.io/hostname': 'n1' } } }
    const { json } = await api.ok('POST', '/api/v1/nodes', { body: own, user: node })
    expect(json.spec.taints).toEqual([{ key: 'node.kubernetes.io/not-ready', effect: 'NoSchedule' }])
    const other = await api.call('POST', '/api/v1/nodes', { body: { ...own, metadata: { name: 'n2' } }, user: node })
    expect(other.json.message).toBe('nodes "n2" is forbidden: node "n1" is not allowed to modify node "n2"')
    const patch = (body: object) => api.call('PATCH', '/api/v1/nodes/n1', { body, headers: merge, user: node })
    const label = await patch({ metadata: { labels: { 'node-restriction.kubernetes.io/x': 'y' } } })
    expect(label.json.message).toBe('nodes "n1" is forbidden: is not allowed to modify labels: node-restriction.kubernetes.io/x')
    const taint = await patch({ spec: { taints: null } })
    expect(taint.json.message).toBe('nodes "n1" is forbidden: node "n1" is not allowed to modify taints')
    const owner = await patch({ metadata: { ownerReferences: [{ apiVersion: 'v1', kind: 'Node', name: 'n1', uid: json.metadata.uid }] } })
    expect(owner.json.message).toBe('nodes "n1" is forbidden: node "n1" is not allowed to modify ownerReferences')
  })
})

describe('scale', () => {
  test('reads and writes the number of replicas', async () => {
    const deployments = '/apis/apps/v1/namespaces/default/deployments'
    await api.ok('POST', deployments, {
      body: {
        apiVersion: 'apps/v1',
        kind: 'Deployment',
        metadata: { name: 'web' },
        spec: {
          replicas: 2,
          selector: { matchLabels: { app: 'web' } },
          template: { metadata: { labels: { app: 'web' } }, spec: { containers: [{ name: 'main', image: 'i' }] } },
        },
      },
    })
    const { json } = await api.ok('GET', `${deployments}/web/scale`)
    expect([json.kind, json.spec, json.status]).toEqual(['Scale', { replicas: 2 }, { replicas: 0, selector: 'app=web' }])
    const scaled = await api.ok('PUT', `${deployments}/web/scale`, { body: { ...json, spec: { replicas: 5 } } })
    expect(scaled.json.spec.replicas).toBe(5)
    const patched = await api.ok('PATCH', `${deployments}/web/scale`, { body: { spec: { replicas: 3 } }, headers: merge })
    expect(patched.json.spec.replicas).toBe(3)
    const parent = (await api.ok('GET', `${deployments}/web`)).json
    expect([parent.spec.replicas, parent.metadata.generation]).toEqual([3, 3])
    const negative = await api.call('PATCH', `${deployments}/web/scale`, { body: { spec: { replicas: -1 } }, headers: merge })
    expect([negative.status, negative.json.message]).toEqual([
      422,
      'Scale.autoscaling "web" is invalid: spec.replicas: Invalid value: -1: must be greater than or equal to 0',
    ])
    const stale = await api.call('PUT', `${deployments}/web/scale`, { body: json })
    expect(stale.status).toBe(409)
  })
})

describe('namespaces', () => {
  test('terminate when they are deleted, and are gone when they are finalized', async () => {
    await api.ok('POST', '/api/v1/namespaces', { body: { apiVersion: 'v1', kind: 'Namespace', metadata: { name: 'work' } } })
    const { json } = await api.ok('DELETE', '/api/v1/namespaces/work')
    expect([json.status.phase, json.metadata.deletionTimestamp]).toEqual(['Terminating', '2026-01-01T00:00:00Z'])
    const again = await api.ok('DELETE', '/api/v1/namespaces/work')
    expect(again.json.metadata.resourceVersion).toBe(json.metadata.resourceVersion)
    await api.ok('PUT', '/api/v1/namespaces/work/finalize', { body: { ...json, spec: { finalizers: [] } } })
    expect((await api.call('GET', '/api/v1/namespaces/work')).status).toBe(404)
  })

  test('of the system are not deleted', async () => {
    const { status, json } = await api.call('DELETE', '/api/v1/namespaces/kube-system')
    expect([status, json.message]).toEqual([403, 'namespaces "kube-system" is forbidden: this namespace may not be deleted'])
  })
})
