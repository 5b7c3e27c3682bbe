// Namespaces that end: what is in them goes, pods first.
import { expect, test } from 'vitest'
import { ConfigMap } from '#api/kinds/core/config-map'
import { Namespace } from '#api/kinds/core/namespace'
import { Pod } from '#api/kinds/core/pod'
import { startTestCluster } from '../cluster.testing.ts'

// covers: [sig-api-machinery] OrderedNamespaceDeletion namespace deletion should delete pod first [Conformance]
test('nothing goes while a pod is left', async () => {
  const cluster = await startTestCluster()
  await cluster.addNode('node')
  await cluster.create(Namespace, { metadata: { name: 'ending' } })
  await cluster.create(ConfigMap, { metadata: { name: 'kept', namespace: 'ending' } })
  await cluster.create(Pod, {
    metadata: { name: 'held', namespace: 'ending', finalizers: ['example.com/hold'] },
    spec: { containers: [{ name: 'c', image: 'navarch.local/web' }] },
  })
  await cluster.client.delete(Namespace, { namespace: '', name: 'ending' })
  const conditionOf = async (type: string): Promise<string | undefined> => {
    const condition = (await cluster.get(Namespace, 'ending', ''))?.status.conditions?.find((one) => one.type === type)
    return condition === undefined ? undefined : `${condition.status} ${condition.reason} ${condition.message}`
  }
  await cluster.until(() => conditionOf('NamespaceContentRemaining'))
  await cluster.until(async () => (await cluster.get(Pod, 'held', 'ending'))?.metadata.deletionTimestamp)
  const from = cluster.clock.now()
  await cluster.until(() => cluster.clock.now() > from + 20_000)
  expect((await cluster.get(ConfigMap, 'kept', 'ending'))?.metadata.deletionTimestamp).toBeUndefined()
  expect(await conditionOf('NamespaceContentRemaining')).toBe(
    'True SomeResourcesRemain Some resources are remaining: pods. has 1 resource instances',
  )
  expect(await conditionOf('NamespaceFinalizersRemaining')).toBe(
    'True SomeFinalizersRemain Some content in the namespace has finalizers remaining: example.com/hold in 1 resource instances',
  )
  expect(await conditionOf('NamespaceDeletionContentFailure')).toBeDefined()
  await cluster.client.patch(Pod, { namespace: 'ending', name: 'held' }, 'merge', { metadata: { finalizers: [] } })
  await cluster.until(async () => (await cluster.get(Namespace, 'ending', '')) === undefined)
  expect(await cluster.get(ConfigMap, 'kept', 'ending')).toBeUndefined()
})
