import { describe, expect, test } from 'vitest'
import type { PersistentVolumeClaim as ClaimObject } from '#api/generated/core-v1'
import { PersistentVolume } from '#api/kinds/core/persistent-volume'
import { PersistentVolumeClaim } from '#api/kinds/core/persistent-volume-claim'
import { Pod } from '#api/kinds/core/pod'
import { VolumeAttributesClass } from '#api/kinds/storage/volume-attributes-class'
import type { Manifest } from '#api/object'
import { startTestCluster } from '../cluster.testing.ts'

const claim = (name: string, volumeAttributesClassName?: string): Manifest<ClaimObject> => ({
  metadata: { name, namespace: 'default' },
  spec: {
    accessModes: ['ReadWriteOnce'],
    resources: { requests: { storage: '1Gi' } },
    storageClassName: '',
    ...(volumeAttributesClassName === undefined ? {} : { volumeAttributesClassName }),
  },
})

const key = (name: string) => ({ namespace: 'default', name })

describe('storage objects in use', () => {
  test('a claim outlives its deletion until the last pod that names it is gone', async () => {
    const cluster = await startTestCluster()
    await cluster.addNode('node-1')
    for (const name of ['used', 'unused'])
      expect((await cluster.create(PersistentVolumeClaim, claim(name))).metadata.finalizers).toEqual(['kubernetes.io/pvc-protection'])
    await cluster.create(Pod, {
      metadata: { name: 'user', namespace: 'default' },
      spec: {
        nodeName: 'node-1',
        containers: [{ name: 'c', image: 'navarch.local/web:1' }],
        volumes: [{ name: 'data', persistentVolumeClaim: { claimName: 'used' } }],
      },
    })
    for (const name of ['used', 'unused']) await cluster.client.delete(PersistentVolumeClaim, key(name))
    await cluster.until(async () => (await cluster.get(PersistentVolumeClaim, 'unused')) === undefined)
    expect((await cluster.get(PersistentVolumeClaim, 'used'))?.metadata.deletionTimestamp).toBeDefined()
    await cluster.client.delete(Pod, key('user'), { gracePeriodSeconds: 0 })
    await cluster.until(async () => (await cluster.get(PersistentVolumeClaim, 'used')) === undefined)
    expect(cluster.failures).toEqual([])
  })

  test('a volume outlives its deletion while it is bound, and gets the finalizer back that somebody took', async () => {
    const cluster = await startTestCluster()
    const volume = await cluster.create(PersistentVolume, {
      metadata: { name: 'disk' },
      spec: { capacity: { storage: '1Gi' }, accessModes: ['ReadWriteOnce'], hostPath: { path: '/tmp/disk' }, storageClassName: '' },
    })
    expect(volume.metadata.finalizers).toEqual(['kubernetes.io/pv-protection'])
    const disk = { namespace: '', name: 'disk' }
    await cluster.client.patch(PersistentVolume, disk, 'merge', { metadata: { finalizers: null } })
    await cluster.until(async () => (await cluster.get(PersistentVolume, 'disk', ''))?.metadata.finalizers?.length === 1)
    await cluster.create(PersistentVolumeClaim, claim('data'))
    await cluster.until(async () => (await cluster.get(PersistentVolume, 'disk', ''))?.status.phase === 'Bound')
    await cluster.client.delete(PersistentVolume, disk)
    await cluster.clock.advance(5_000)
    expect((await cluster.get(PersistentVolume, 'disk', ''))?.metadata.deletionTimestamp).toBeDefined()
    await cluster.client.delete(PersistentVolumeClaim, key('data'))
    await cluster.until(async () => (await cluster.get(PersistentVolume, 'disk', '')) === undefined)
  })

  test('a volume attributes class outlives its deletion while a claim asks for it', async () => {
    const cluster = await startTestCluster()
    const gold = { namespace: '', name: 'gold' }
    await cluster.create(VolumeAttributesClass, { metadata: { name: 'gold' }, driverName: 'disks.example.com', parameters: { iops: '5' } })
    await cluster.create(PersistentVolumeClaim, claim('data', 'gold'))
    await cluster.client.delete(VolumeAttributesClass, gold)
    await cluster.until(async () => (await cluster.get(VolumeAttributesClass, 'gold', ''))?.metadata.deletionTimestamp !== undefined)
    await cluster.client.delete(PersistentVolumeClaim, key('data'))
    await cluster.until(async () => (await cluster.get(VolumeAttributesClass, 'gold', '')) === undefined)
  })
})
