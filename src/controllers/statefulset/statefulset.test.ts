// StatefulSets in a whole cluster: order, identity, storage, rollouts.
import { describe, expect, test } from 'vitest'
import type { StatefulSet as StatefulSetObject, StatefulSetSpec } from '#api/generated/apps-v1'
import { ControllerRevision } from '#api/kinds/apps/controller-revision'
import { StatefulSet } from '#api/kinds/apps/stateful-set'
import { PersistentVolume } from '#api/kinds/core/persistent-volume'
import { PersistentVolumeClaim } from '#api/kinds/core/persistent-volume-claim'
import { Pod } from '#api/kinds/core/pod'
import { ResourceQuota } from '#api/kinds/core/resource-quota'
import type { Manifest } from '#api/object'
import { isPodReady } from '#api/pods'
import { startTestCluster, type TestCluster } from '../cluster.testing.ts'

function db(spec: Manifest<StatefulSetSpec> = {}): Manifest<StatefulSetObject> {
  return {
    metadata: { name: 'db', namespace: 'default' },
    spec: {
      serviceName: 'db',
      replicas: 3,
      selector: { matchLabels: { app: 'db' } },
      template: { metadata: { labels: { app: 'db' } }, spec: { containers: [{ name: 'db', image: 'navarch.local/db:1' }] } },
      ...spec,
    },
  }
}

const names = async (cluster: TestCluster): Promise<string[]> => (await cluster.list(Pod)).map(({ metadata }) => metadata.name).sort()
const ready = (cluster: TestCluster, count: number, generation?: number): Promise<StatefulSetObject> =>
  cluster.until(async () => {
    const set = await cluster.get(StatefulSet, 'db')
    const { readyReplicas, replicas, observedGeneration, updatedReplicas } = set?.status ?? {}
    if (generation !== undefined && updatedReplicas !== count) return undefined
    return set !== undefined && (readyReplicas ?? 0) === count && replicas === count && observedGeneration === set.metadata.generation
      ? set
      : undefined
  })
const patch = (cluster: TestCluster, spec: object): Promise<unknown> =>
  cluster.client.patch(StatefulSet, { namespace: 'default', name: 'db' }, 'strategic', { spec })
const image = (to: string): object => ({ template: { spec: { containers: [{ name: 'db', image: to }] } } })

/** Volumes for as many claims. */
async function disks(cluster: TestCluster, count: number): Promise<void> {
  for (let i = 0; i < count; i++) {
    const spec = { capacity: { storage: '1Gi' }, accessModes: ['ReadWriteOnce' as const], hostPath: { path: `/disks/${i}` } }
    await cluster.create(PersistentVolume, { metadata: { name: `disk-${i}` }, spec })
  }
}

describe('a StatefulSet', () => {
  test('makes its pods one after the other, each with its own name, labels and claim', async () => {
    const cluster = await startTestCluster()
    const node = await cluster.addNode('node-1')
    node.readiness((pod) => (pod.metadata.name === 'db-1' ? 'running' : 'ready'))
    const claim = { metadata: { name: 'data' }, spec: { accessModes: ['ReadWriteOnce'], resources: { requests: { storage: '1Gi' } } } }
    await disks(cluster, 3)
    await cluster.create(StatefulSet, db({ volumeClaimTemplates: [claim] as never }))
    await cluster.until(async () => (await names(cluster)).includes('db-1'))
    await cluster.clock.advance(5_000)
    expect(await names(cluster)).toEqual(['db-0', 'db-1'])
    node.readiness(() => 'ready')
    await cluster.until(async () => (await names(cluster)).length === 3)
    const pod = await cluster.get(Pod, 'db-2')
    expect(pod).toMatchObject({
      metadata: { labels: { 'statefulset.kubernetes.io/pod-name': 'db-2', 'apps.kubernetes.io/pod-index': '2' } },
      spec: { hostname: 'db-2', subdomain: 'db' },
    })
    expect(pod?.spec.volumes?.find(({ name }) => name === 'data')?.persistentVolumeClaim?.claimName).toBe('data-db-2')
    expect((await cluster.list(PersistentVolumeClaim)).map(({ metadata }) => metadata.name).sort()).toEqual([
      'data-db-0',
      'data-db-1',
      'data-db-2',
    ])
    expect(cluster.failures).toEqual([])
  })

  test('shrinks from the last, and keeps the claims', async () => {
    const cluster = await startTestCluster()
    await cluster.addNode('node-1')
    await cluster.create(StatefulSet, db({ podManagementPolicy: 'Parallel' }))
    await ready(cluster, 3)
    await patch(cluster, { replicas: 1 })
    await ready(cluster, 1)
    expect(await names(cluster)).toEqual(['db-0'])
  })

  test('rolls from the last to the first, down to the partition', async () => {
    const cluster = await startTestCluster()
    await cluster.addNode('node-1')
    await cluster.create(StatefulSet, db({ updateStrategy: { type: 'RollingUpdate', rollingUpdate: { partition: 2 } } }))
    const before = await ready(cluster, 3)
    await patch(cluster, image('navarch.local/db:2'))
    const held = await cluster.until(async () => {
      const set = await cluster.get(StatefulSet, 'db')
      return set?.status.updatedReplicas === 1 &&
        set.status.readyReplicas === 3 &&
        set.status.observedGeneration === set.metadata.generation
        ? set
        : undefined
    })
    const images = async (): Promise<(string | undefined)[]> =>
      (await cluster.list(Pod))
        .sort((a, b) => (a.metadata.name < b.metadata.name ? -1 : 1))
        .map(({ spec }) => spec.containers[0]?.image?.slice(-1))
    expect([held.status.currentRevision, held.status.updateRevision !== before.status.updateRevision]).toEqual([
      before.status.currentRevision,
      true,
    ])
    expect(await images()).toEqual(['1', '1', '2'])
    await patch(cluster, { updateStrategy: { type: 'RollingUpdate', rollingUpdate: { partition: 0 } } })
    const rolled = await cluster.until(async () => {
      const set = await cluster.get(StatefulSet, 'db')
      return set?.status.currentRevision === held.status.updateRevision ? set : undefined
    })
    expect([await images(), rolled.status.currentReplicas, rolled.status.updatedReplicas]).toEqual([['2', '2', '2'], 3, 3])
    await patch(cluster, image('navarch.local/db:1'))
    await cluster.until(async () => (await cluster.get(StatefulSet, 'db'))?.status.currentRevision === before.status.currentRevision)
    expect((await cluster.list(ControllerRevision)).map(({ revision }) => revision).sort()).toEqual([2, 3])
    expect(cluster.failures).toEqual([])
  })

  test('a failed pod is made anew under its name', async () => {
    const cluster = await startTestCluster()
    const node = await cluster.addNode('node-1')
    await cluster.create(StatefulSet, db({ replicas: 1 }))
    await ready(cluster, 1)
    const first = await cluster.get(Pod, 'db-0')
    node.readiness((pod) => (pod.metadata.uid === first?.metadata.uid ? 'failed' : 'ready'))
    await cluster.until(async () => {
      const pod = await cluster.get(Pod, 'db-0')
      return pod !== undefined && pod.metadata.uid !== first?.metadata.uid && isPodReady(pod)
    })
  })

  test('the pods that there are count, also when a quota forbids the next one', async () => {
    const cluster = await startTestCluster()
    await cluster.addNode('node-1')
    await cluster.create(ResourceQuota, { metadata: { name: 'two', namespace: 'default' }, spec: { hard: { pods: '2' } } })
    await cluster.until(async () => (await cluster.list(ResourceQuota))[0]?.status.hard)
    await cluster.create(StatefulSet, db({ replicas: 4, podManagementPolicy: 'Parallel' }))
    await cluster.until(async () => {
      const { replicas, readyReplicas } = (await cluster.get(StatefulSet, 'db'))?.status ?? {}
      return replicas === 2 && readyReplicas === 2
    })
  })

  test('claims go with the set where it says so, and with pods that are scaled away', async () => {
    const cluster = await startTestCluster()
    await cluster.addNode('node-1')
    const claim = { metadata: { name: 'data' }, spec: { accessModes: ['ReadWriteOnce'], resources: { requests: { storage: '1Gi' } } } }
    await disks(cluster, 2)
    const persistentVolumeClaimRetentionPolicy = { whenScaled: 'Delete', whenDeleted: 'Delete' }
    await cluster.create(StatefulSet, db({ replicas: 2, volumeClaimTemplates: [claim] as never, persistentVolumeClaimRetentionPolicy }))
    await ready(cluster, 2)
    await patch(cluster, { replicas: 1 })
    await ready(cluster, 1)
    const deleted = async (name: string): Promise<boolean> => {
      const found = await cluster.get(PersistentVolumeClaim, name)
      return found === undefined || found.metadata.deletionTimestamp !== undefined
    }
    await cluster.until(() => deleted('data-db-1'))
    expect(await deleted('data-db-0')).toBe(false)
    await cluster.client.delete(StatefulSet, { namespace: 'default', name: 'db' })
    await cluster.until(() => deleted('data-db-0'))
  })
})
