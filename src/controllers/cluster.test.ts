// Controllers, scheduler and API server together: what a user sees when they create, change and delete things.
import { describe, expect, test } from 'vitest'
import type { Deployment as DeploymentObject } from '#api/generated/apps-v1'
import { DaemonSet } from '#api/kinds/apps/daemon-set'
import { Deployment } from '#api/kinds/apps/deployment'
import { ReplicaSet } from '#api/kinds/apps/replica-set'
import { ConfigMap } from '#api/kinds/core/config-map'
import { Event } from '#api/kinds/core/event'
import { Namespace } from '#api/kinds/core/namespace'
import { Node } from '#api/kinds/core/node'
import { Pod } from '#api/kinds/core/pod'
import { Service } from '#api/kinds/core/service'
import { EndpointSlice } from '#api/kinds/discovery/endpoint-slice'
import type { Manifest } from '#api/object'
import { isPodReady } from '#api/pods'
import { startTestCluster, type TestCluster } from './cluster.testing.ts'

function web(replicas: number, image = 'navarch.local/web:1'): Manifest<DeploymentObject> {
  return {
    metadata: { name: 'web', namespace: 'default' },
    spec: {
      replicas,
      selector: { matchLabels: { app: 'web' } },
      template: { metadata: { labels: { app: 'web' } }, spec: { containers: [{ name: 'web', image }] } },
    },
  }
}

async function available(cluster: TestCluster, replicas: number): Promise<DeploymentObject> {
  return cluster.until(async () => {
    const deployment = await cluster.get(Deployment, 'web')
    const { observedGeneration, availableReplicas = 0, updatedReplicas = 0, replicas: all = 0 } = deployment?.status ?? {}
    const done = [availableReplicas, updatedReplicas, all].every((count) => count === replicas)
    return observedGeneration === deployment?.metadata.generation && done ? deployment : undefined
  })
}

function setImage(cluster: TestCluster, image: string): Promise<unknown> {
  const patch = { spec: { template: { spec: { containers: [{ name: 'web', image }] } } } }
  return cluster.client.patch(Deployment, { namespace: 'default', name: 'web' }, 'strategic', patch)
}

describe('a Deployment', () => {
  test('gets scheduled pods behind its service, scales, rolls out and rolls back, without a controller failing', async () => {
    const cluster = await startTestCluster()
    await cluster.addNode('node-1')
    await cluster.addNode('node-2')
    await cluster.create(Service, {
      metadata: { name: 'web', namespace: 'default' },
      spec: { selector: { app: 'web' }, ports: [{ port: 80 }] },
    })
    await cluster.create(Deployment, web(2))
    const first = await available(cluster, 2)
    const pods = await cluster.list(Pod)
    expect(new Set(pods.map(({ spec }) => spec.nodeName))).toEqual(new Set(['node-1', 'node-2']))
    const endpoints = await cluster.until(async () => {
      const [slice] = await cluster
        .list(EndpointSlice)
        .then((all) => all.filter(({ metadata }) => metadata.labels?.['kubernetes.io/service-name'] === 'web'))
      return slice?.endpoints?.length === 2 && slice.endpoints.every(({ conditions }) => conditions?.ready) ? slice : undefined
    })
    expect(endpoints.ports).toEqual([{ name: '', port: 80, protocol: 'TCP' }])
    expect(first.status.conditions?.map(({ type, status, reason }) => `${type} ${status} ${reason}`).sort()).toEqual([
      'Available True MinimumReplicasAvailable',
      'Progressing True NewReplicaSetAvailable',
    ])

    await cluster.client.patch(Deployment, { namespace: 'default', name: 'web' }, 'merge', { spec: { replicas: 4 } })
    await available(cluster, 4)

    await setImage(cluster, 'navarch.local/web:2')
    const rolled = await available(cluster, 4)
    expect(rolled.metadata.annotations?.['deployment.kubernetes.io/revision']).toBe('2')
    expect((await cluster.list(Pod)).every(({ spec }) => spec.containers[0]?.image === 'navarch.local/web:2')).toBe(true)
    const sets = await cluster.list(ReplicaSet)
    expect(sets.map(({ spec, metadata }) => [metadata.annotations?.['deployment.kubernetes.io/revision'], spec.replicas]).sort()).toEqual([
      ['1', 0],
      ['2', 4],
    ])

    await setImage(cluster, 'navarch.local/web:1')
    await available(cluster, 4)
    const [oldest] = (await cluster.list(ReplicaSet)).filter(({ spec }) => spec.replicas === 4)
    expect(oldest?.metadata.annotations).toMatchObject({
      'deployment.kubernetes.io/revision': '3',
      'deployment.kubernetes.io/revision-history': '1',
    })
    const messages = (await cluster.list(Event)).filter(({ reason }) => reason === 'ScalingReplicaSet').map(({ message = '' }) => message)
    expect(messages.some((message) => /^Scaled up replica set web-\S+ from 0 to 2$/.test(message))).toBe(true)
    expect(cluster.failures).toEqual([])
  })

  test.each([
    ['Background', 0],
    ['Foreground', 0],
    ['Orphan', 1],
  ] as const)('deleted in the %s leaves %i sets behind', async (propagationPolicy, left) => {
    const cluster = await startTestCluster()
    await cluster.addNode('node-1')
    await cluster.create(Deployment, web(2))
    await available(cluster, 2)
    await cluster.client.delete(Deployment, { namespace: 'default', name: 'web' }, { propagationPolicy })
    await cluster.until(async () => (await cluster.get(Deployment, 'web')) === undefined)
    await cluster.until(async () => (await cluster.list(ReplicaSet)).length === left && (await cluster.list(Pod)).length === left * 2)
    const [set] = await cluster.list(ReplicaSet)
    expect(set?.metadata.ownerReferences ?? []).toEqual([])
    expect(cluster.failures).toEqual([])
  })
})

test('a namespace empties itself, pods first, before it goes', async () => {
  const cluster = await startTestCluster()
  const node = await cluster.addNode('node-1')
  await cluster.create(Namespace, { metadata: { name: 'team' } })
  await cluster.until(async () => (await cluster.list(ConfigMap, 'team')).length > 0)
  await cluster.create(Deployment, { ...web(2), metadata: { name: 'web', namespace: 'team' } })
  await cluster.until(async () => (await cluster.list(Pod, 'team')).filter(isPodReady).length === 2)
  // A node that does not answer keeps its pods, and with them everything that they may still need.
  node.silence()
  await cluster.client.delete(Namespace, { namespace: '', name: 'team' })
  await cluster.until(async () => {
    const namespace = await cluster.get(Namespace, 'team')
    return namespace?.status.conditions?.find(({ type }) => type === 'NamespaceContentRemaining')?.status === 'True'
  })
  expect((await cluster.list(ConfigMap, 'team')).length).toBeGreaterThan(0)
  for (const { metadata } of await cluster.list(Pod, 'team'))
    await cluster.client.delete(Pod, { namespace: 'team', name: metadata.name }, { gracePeriodSeconds: 0 })
  await cluster.until(async () => (await cluster.get(Namespace, 'team')) === undefined)
  expect([await cluster.list(ReplicaSet, 'team'), await cluster.list(ConfigMap, 'team')]).toEqual([[], []])
})

test('a dependent goes with its owner, and one of an owner that never was goes too', async () => {
  const cluster = await startTestCluster()
  const owner = await cluster.create(ConfigMap, { metadata: { name: 'owner', namespace: 'default' } })
  const reference = { apiVersion: 'v1', kind: 'ConfigMap', name: 'owner', uid: owner.metadata.uid }
  await cluster.create(ConfigMap, { metadata: { name: 'dependent', namespace: 'default', ownerReferences: [reference] } })
  await cluster.create(ConfigMap, {
    metadata: { name: 'stray', namespace: 'default', ownerReferences: [{ ...reference, name: 'nobody', uid: 'no-such-uid' }] },
  })
  await cluster.until(async () => (await cluster.get(ConfigMap, 'stray')) === undefined)
  expect(await cluster.get(ConfigMap, 'dependent')).toBeDefined()
  await cluster.client.delete(ConfigMap, { namespace: 'default', name: 'owner' })
  await cluster.until(async () => (await cluster.get(ConfigMap, 'dependent')) === undefined)
})

test('pods of a node that falls silent leave their services, then the node', async () => {
  const cluster = await startTestCluster()
  const node = await cluster.addNode('node-1')
  await cluster.create(Deployment, web(1))
  await available(cluster, 1)
  const [pod] = await cluster.list(Pod)
  node.silence()
  await cluster.addNode('node-2')
  const tainted = await cluster.until(async () => {
    const found = await cluster.get(Node, 'node-1')
    return found?.spec.taints?.some(({ effect }) => effect === 'NoExecute') ? found : undefined
  })
  expect(tainted.spec.taints?.map(({ key, effect }) => `${key}:${effect}`).sort()).toEqual([
    'node.kubernetes.io/unreachable:NoExecute',
    'node.kubernetes.io/unreachable:NoSchedule',
  ])
  expect(tainted.status.conditions?.find(({ type }) => type === 'Ready')).toMatchObject({ status: 'Unknown', reason: 'NodeStatusUnknown' })
  await cluster.until(async () => !isPodReady((await cluster.get(Pod, pod?.metadata.name ?? ''))!))
  await cluster.clock.advance(295_000)
  const replacement = await cluster.until(async () =>
    (await cluster.list(Pod)).find(({ spec, metadata }) => spec.nodeName === 'node-2' && metadata.uid !== pod?.metadata.uid),
  )
  const evicted = await cluster.get(Pod, pod?.metadata.name ?? '')
  expect([
    evicted?.metadata.deletionTimestamp !== undefined,
    evicted?.status.conditions?.find(({ type }) => type === 'DisruptionTarget')?.reason,
  ]).toEqual([true, 'DeletionByTaintManager'])
  expect(replacement.metadata.deletionTimestamp).toBeUndefined()
})

test('while no node answers, no pod is given up: it is the control plane that is cut off', async () => {
  const cluster = await startTestCluster()
  const nodes = [await cluster.addNode('node-1'), await cluster.addNode('node-2')]
  const takesPods = async (name: string): Promise<boolean> =>
    (await cluster.get(Node, name))?.spec.taints?.some(({ effect }) => effect === 'NoExecute') ?? false
  const unknown = async (name: string): Promise<boolean> =>
    (await cluster.get(Node, name))?.status.conditions?.some(({ type, status }) => type === 'Ready' && status === 'Unknown') ?? false
  nodes[0]?.silence()
  await cluster.until(() => takesPods('node-1'))
  nodes[1]?.silence()
  await cluster.until(() => unknown('node-2'))
  await cluster.until(async () => !(await takesPods('node-1')))
  await cluster.clock.advance(600_000)
  expect([await takesPods('node-1'), await takesPods('node-2')]).toEqual([false, false])
  // The first that is back shows that the others are down.
  await cluster.addNode('node-3')
  await cluster.until(async () => (await takesPods('node-1')) && (await takesPods('node-2')))
})

test('pods of a node that is no more are given up after forty seconds', async () => {
  const cluster = await startTestCluster()
  const node = await cluster.addNode('node-1')
  await cluster.create(Deployment, web(1))
  await available(cluster, 1)
  const [pod] = await cluster.list(Pod)
  node.silence()
  const deletedAt = cluster.clock.now()
  await cluster.client.delete(Node, { namespace: '', name: 'node-1' })
  await cluster.until(async () => (await cluster.get(Pod, pod!.metadata.name)) === undefined)
  expect(cluster.clock.now() - deletedAt).toBeGreaterThanOrEqual(40_000)
})

test('a node that is vouched to be off lets go of its pods at once', async () => {
  const cluster = await startTestCluster()
  const node = await cluster.addNode('node-1')
  await cluster
    .create(Pod, { metadata: { name: 'lone', namespace: 'default' }, spec: web(1).spec?.template?.spec as never })
    .catch(async () => {
      // The namespace's service account may not be there yet.
      await cluster.until(async () => (await cluster.list(ConfigMap)).length > 0)
      await cluster.create(Pod, { metadata: { name: 'lone', namespace: 'default' }, spec: web(1).spec?.template?.spec as never })
    })
  await cluster.until(async () => isPodReady((await cluster.get(Pod, 'lone'))!))
  node.silence()
  await cluster.until(async () =>
    (await cluster.get(Node, 'node-1'))?.status.conditions?.some(({ type, status }) => type === 'Ready' && status === 'Unknown'),
  )
  await cluster.client.delete(Pod, { namespace: 'default', name: 'lone' })
  expect(await cluster.get(Pod, 'lone')).toBeDefined()
  const taints = [{ key: 'node.kubernetes.io/out-of-service', effect: 'NoExecute', value: 'nodeshutdown' }]
  await cluster.client.patch(Node, { namespace: '', name: 'node-1' }, 'merge', { spec: { taints } })
  await cluster.until(async () => (await cluster.get(Pod, 'lone')) === undefined, { withinMs: 5_000 })
})

test('what is deleted without notice leaves services, and daemons leave with their node', async () => {
  const cluster = await startTestCluster()
  await cluster.addNode('node-1')
  await cluster.addNode('node-2')
  await cluster.create(Service, {
    metadata: { name: 'web', namespace: 'default' },
    spec: { selector: { app: 'web' }, ports: [{ port: 80 }] },
  })
  const containers = [{ name: 'c', image: 'navarch.local/web:1' }]
  for (const name of ['a', 'b']) {
    await cluster.create(Pod, { metadata: { name, namespace: 'default', labels: { app: 'web' } }, spec: { containers } })
  }
  await cluster.create(DaemonSet, {
    metadata: { name: 'daemon', namespace: 'default' },
    spec: { selector: { matchLabels: { app: 'd' } }, template: { metadata: { labels: { app: 'd' } }, spec: { containers } } },
  })
  const endpoints = async (): Promise<string[]> =>
    (await cluster.list(EndpointSlice))
      .filter(({ metadata }) => metadata.labels?.['kubernetes.io/service-name'] === 'web')
      .flatMap((slice) => (slice.endpoints ?? []).map(({ targetRef }) => targetRef?.name ?? ''))
  await cluster.until(async () => (await endpoints()).length === 2)
  await cluster.client.delete(Pod, { namespace: 'default', name: 'a' }, { gracePeriodSeconds: 0 })
  await cluster.until(async () => (await endpoints()).join() === 'b')
  await cluster.until(async () => (await cluster.get(DaemonSet, 'daemon'))?.status.desiredNumberScheduled === 2)
  await cluster.client.delete(Node, { namespace: '', name: 'node-2' })
  await cluster.until(async () => (await cluster.get(DaemonSet, 'daemon'))?.status.desiredNumberScheduled === 1)
})

test('cluster DNS is a Service, which comes back', async () => {
  const cluster = await startTestCluster()
  const dns = { namespace: 'kube-system', name: 'kube-dns' }
  const made = await cluster.until(() => cluster.get(Service, dns.name, dns.namespace))
  expect(made.spec.clusterIP).toBe('10.96.0.10')
  await cluster.client.delete(Service, dns)
  await cluster.until(
    async () => ![undefined, made.metadata.uid].includes((await cluster.get(Service, dns.name, dns.namespace))?.metadata.uid),
  )
  expect(cluster.failures).toEqual([])
})
