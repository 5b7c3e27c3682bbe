// Owners and dependents, with the whole control plane: what goes, what stays, and in which order.
import { describe, expect, test } from 'vitest'
import type { OwnerReference } from '#api/generated/meta-v1'
import type { Kind } from '#api/kind'
import { ConfigMap } from '#api/kinds/core/config-map'
import { Event } from '#api/kinds/core/event'
import { Namespace } from '#api/kinds/core/namespace'
import { Pod } from '#api/kinds/core/pod'
import { ReplicationController } from '#api/kinds/core/replication-controller'
import type { KubeObject } from '#api/object'
import { startTestCluster, type TestCluster } from '../cluster.testing.ts'

type Policy = 'Background' | 'Foreground' | 'Orphan'

async function controllerWithPods(cluster: TestCluster, replicas = 4): Promise<KubeObject> {
  await cluster.addNode('node')
  const controller = await cluster.create(ReplicationController, {
    metadata: { name: 'many', namespace: 'default' },
    spec: {
      replicas,
      selector: { app: 'many' },
      template: { metadata: { labels: { app: 'many' } }, spec: { containers: [{ name: 'c', image: 'navarch.local/web' }] } },
    },
  })
  await cluster.until(async () => (await cluster.list(Pod)).length === replicas)
  return controller
}

function remove<T extends KubeObject>(cluster: TestCluster, kind: Kind<T>, name: string, propagationPolicy?: Policy): Promise<unknown> {
  const key = { namespace: 'default', name }
  return cluster.client.delete(kind, key, propagationPolicy === undefined ? {} : { propagationPolicy })
}

function reference({ apiVersion, kind, metadata }: KubeObject, blockOwnerDeletion: boolean): OwnerReference {
  return { apiVersion, kind, name: metadata.name, uid: metadata.uid, blockOwnerDeletion }
}

// As long as it takes to be sure that nothing more happens.
async function calm(cluster: TestCluster): Promise<void> {
  const from = cluster.clock.now()
  await cluster.until(() => cluster.clock.now() > from + 10_000)
}

describe('what a controller owns', () => {
  // covers: [sig-api-machinery] Garbage collector should delete pods created by rc when not orphaning [Conformance]
  test('goes after it in the background', async () => {
    const cluster = await startTestCluster()
    await controllerWithPods(cluster)
    await remove(cluster, ReplicationController, 'many', 'Background')
    expect(await cluster.get(ReplicationController, 'many')).toBeUndefined()
    await cluster.until(async () => (await cluster.list(Pod)).length === 0)
    expect(cluster.failures).toEqual([])
  })

  // covers: [sig-api-machinery] Garbage collector should orphan pods created by rc if delete options say so [Conformance]
  test('stays and belongs to nobody when it is orphaned', async () => {
    const cluster = await startTestCluster()
    await controllerWithPods(cluster)
    await remove(cluster, ReplicationController, 'many', 'Orphan')
    await cluster.until(async () => (await cluster.get(ReplicationController, 'many')) === undefined)
    await calm(cluster)
    const pods = await cluster.list(Pod)
    expect(pods.map(({ metadata }) => [metadata.ownerReferences, metadata.deletionTimestamp])).toEqual(
      Array(4).fill([undefined, undefined]),
    )
  })

  // covers: [sig-api-machinery] Garbage collector should keep the rc around until all its pods are deleted if the deleteOptions says so [Conformance]
  test('goes before it in the foreground', async () => {
    const cluster = await startTestCluster()
    await controllerWithPods(cluster)
    const [held] = await cluster.list(Pod)
    const key = { namespace: 'default', name: held!.metadata.name }
    await cluster.client.patch(Pod, key, 'merge', { metadata: { finalizers: ['example.com/hold'] } })
    await remove(cluster, ReplicationController, 'many', 'Foreground')
    await cluster.until(async () => (await cluster.list(Pod)).length === 1)
    await calm(cluster)
    const waiting = await cluster.get(ReplicationController, 'many')
    expect(waiting?.metadata).toMatchObject({ finalizers: ['foregroundDeletion'], deletionTimestamp: expect.any(String) })
    await cluster.client.patch(Pod, key, 'merge', { metadata: { finalizers: [] } })
    await cluster.until(async () => (await cluster.get(ReplicationController, 'many')) === undefined)
    expect(await cluster.list(Pod)).toEqual([])
  })
})

describe('several owners', () => {
  // covers: [sig-api-machinery] Garbage collector should not delete dependents that have both valid owner and owner that's waiting for dependents to be deleted [Conformance]
  test('one that stays keeps a dependent, which lets go of the one that waits', async () => {
    const cluster = await startTestCluster()
    const leaving = await cluster.create(ConfigMap, { metadata: { name: 'leaving', namespace: 'default' } })
    const staying = await cluster.create(ConfigMap, { metadata: { name: 'staying', namespace: 'default' } })
    const child = (name: string, owners: readonly KubeObject[]): Promise<unknown> =>
      cluster.create(ConfigMap, {
        metadata: { name, namespace: 'default', ownerReferences: owners.map((owner) => reference(owner, true)) },
      })
    await child('shared', [leaving, staying])
    await child('alone', [leaving])
    await remove(cluster, ConfigMap, 'leaving', 'Foreground')
    await cluster.until(async () => (await cluster.get(ConfigMap, 'leaving')) === undefined)
    await calm(cluster)
    expect(await cluster.get(ConfigMap, 'alone')).toBeUndefined()
    const shared = await cluster.get(ConfigMap, 'shared')
    expect(shared?.metadata.ownerReferences).toEqual([reference(staying, true)])
    expect(shared?.metadata.deletionTimestamp).toBeUndefined()
  })

  test('one that does not block is no reason to wait', async () => {
    const cluster = await startTestCluster()
    const owner = await cluster.create(ConfigMap, { metadata: { name: 'owner', namespace: 'default' } })
    await cluster.create(ConfigMap, {
      metadata: { name: 'held', namespace: 'default', ownerReferences: [reference(owner, false)], finalizers: ['example.com/hold'] },
    })
    await remove(cluster, ConfigMap, 'owner', 'Foreground')
    await cluster.until(async () => (await cluster.get(ConfigMap, 'owner')) === undefined)
    await cluster.until(async () => (await cluster.get(ConfigMap, 'held'))?.metadata.deletionTimestamp)
  })
})

// covers: [sig-api-machinery] Garbage collector should not be blocked by dependency circle [Conformance]
test.each(['Foreground', 'Background'] as const)('a circle of owners goes when one of them does (%s)', async (policy) => {
  const cluster = await startTestCluster()
  const objects: KubeObject[] = []
  for (const name of ['one', 'two', 'three']) objects.push(await cluster.create(ConfigMap, { metadata: { name, namespace: 'default' } }))
  for (const [i, { metadata }] of objects.entries()) {
    const ownerReferences = [reference(objects[(i + 2) % 3]!, true)]
    await cluster.client.patch(ConfigMap, { namespace: 'default', name: metadata.name }, 'merge', { metadata: { ownerReferences } })
  }
  await remove(cluster, ConfigMap, 'one', policy)
  await cluster.until(async () =>
    (await cluster.list(ConfigMap)).every(({ metadata }) => !objects.some(({ metadata: m }) => m.name === metadata.name)),
  )
  expect(cluster.failures).toEqual([])
})

test('an owner that never was takes its dependents along', async () => {
  const cluster = await startTestCluster()
  const ownerReferences = [{ apiVersion: 'v1', kind: 'ConfigMap', name: 'nobody', uid: 'b9e4a3f0-0000-4000-8000-000000000000' }]
  await cluster.create(ConfigMap, { metadata: { name: 'child', namespace: 'default', ownerReferences } })
  await cluster.until(async () => (await cluster.get(ConfigMap, 'child')) === undefined)
})

describe('an owner that is something else than its reference says', () => {
  const owned = async (name: string, change: Partial<OwnerReference>, namespace = 'default'): Promise<TestCluster> => {
    const cluster = await startTestCluster()
    const owner = await cluster.create(ConfigMap, { metadata: { name: 'owner', namespace: 'default' } })
    if (namespace !== 'default') await cluster.create(Namespace, { metadata: { name: namespace } })
    const ownerReferences = [{ ...reference(owner, false), ...change }]
    await cluster.create(ConfigMap, { metadata: { name, namespace, ownerReferences } })
    return cluster
  }
  const gone = (cluster: TestCluster, namespace = 'default'): Promise<unknown> =>
    cluster.until(async () =>
      (await cluster.client.list(ConfigMap, { namespace })).items.every(({ metadata }) => metadata.name !== 'child'),
    )

  test.each<[string, Partial<OwnerReference>]>([
    ['kind', { kind: 'Secret' }],
    ['name', { name: 'other' }],
  ])('by %s is none', async (_what, change) => {
    const cluster = await owned('child', change)
    await gone(cluster)
    expect(await cluster.get(ConfigMap, 'owner')).toBeDefined()
  })

  test('by namespace is none, which an event says', async () => {
    const cluster = await owned('child', {}, 'elsewhere')
    await gone(cluster, 'elsewhere')
    const of = async (): Promise<string | undefined> =>
      (await cluster.client.list(Event, { namespace: 'elsewhere' })).items.find(({ reason }) => reason === 'OwnerRefInvalidNamespace')
        ?.message
    await cluster.until(of)
    expect(await of()).toMatch(
      /^ownerRef \[v1\/ConfigMap, namespace: elsewhere, name: owner, uid: [^\]]+\] does not exist in namespace "elsewhere"$/,
    )
  })

  test('by a kind that is not served is not known to be gone', async () => {
    const cluster = await owned('child', { apiVersion: 'unknown.example.com/v1', kind: 'Unknown' })
    await calm(cluster)
    expect(await cluster.get(ConfigMap, 'child')).toBeDefined()
  })
})
