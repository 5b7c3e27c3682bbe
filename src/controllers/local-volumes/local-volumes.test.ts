import { describe, expect, test } from 'vitest'
import type { PersistentVolumeClaim as ClaimObject } from '#api/generated/core-v1'
import { Event } from '#api/kinds/core/event'
import { PersistentVolume } from '#api/kinds/core/persistent-volume'
import { PersistentVolumeClaim } from '#api/kinds/core/persistent-volume-claim'
import { Pod } from '#api/kinds/core/pod'
import { StorageClass } from '#api/kinds/storage/storage-class'
import type { Manifest } from '#api/object'
import { makeObject } from '#client/make-object.testing'
import { startTestCluster } from '../cluster.testing.ts'
import { localVolume } from './local-volumes.ts'

const storageClass = {
  metadata: { name: 'local' },
  provisioner: 'navarch.local/directory',
  volumeBindingMode: 'WaitForFirstConsumer',
} as const
const claim = (spec: Manifest<ClaimObject['spec']> = {}): Manifest<ClaimObject> => ({
  metadata: { name: 'data', namespace: 'default' },
  spec: { accessModes: ['ReadWriteOnce'], storageClassName: 'local', resources: { requests: { storage: '1Gi' } }, ...spec },
})
const pod = {
  metadata: { name: 'web', namespace: 'default' },
  spec: {
    containers: [{ name: 'c', image: 'navarch.local/web:1' }],
    volumes: [{ name: 'data', persistentVolumeClaim: { claimName: 'data' } }],
  },
}

describe('volumes on demand', () => {
  test('a claim gets a directory on its pod’s node, which goes with it', async () => {
    const disk = new Set<string>()
    const cluster = await startTestCluster({
      localVolumes: {
        directory: '/volumes',
        make: async (path) => void disk.add(path),
        remove: async (path) => void disk.delete(path),
      },
    })
    await cluster.addNode('node-1')
    await cluster.create(StorageClass, storageClass)
    await cluster.create(PersistentVolumeClaim, claim())
    await cluster.create(Pod, pod)
    await cluster.until(async () => (await cluster.get(Pod, 'web'))?.status.phase === 'Running')
    const bound = await cluster.get(PersistentVolumeClaim, 'data')
    const name = `pvc-${bound?.metadata.uid}`
    expect([bound?.spec.volumeName, [...disk]]).toEqual([name, [`/volumes/${name}`]])
    const told = (await cluster.client.list(Event)).items.filter(({ involvedObject }) => involvedObject.kind === 'PersistentVolumeClaim')
    expect(told.map(({ reason, message }) => `${reason}: ${message}`)).toContain(
      `ProvisioningSucceeded: Successfully provisioned volume ${name}`,
    )
    await cluster.client.delete(Pod, { namespace: 'default', name: 'web' }, { gracePeriodSeconds: 0 })
    await cluster.client.delete(PersistentVolumeClaim, { namespace: 'default', name: 'data' })
    await cluster.until(async () => (await cluster.list(PersistentVolume)).length === 0)
    expect([...disk]).toEqual([])
    expect(cluster.failures).toEqual([])
  })

  test('a class may bind at once, and may keep its volumes', async () => {
    const removed: string[] = []
    const cluster = await startTestCluster({
      localVolumes: { directory: '/volumes', make: async () => {}, remove: async (path) => void removed.push(path) },
    })
    await cluster.addNode('node-1')
    await cluster.create(StorageClass, { ...storageClass, volumeBindingMode: 'Immediate', reclaimPolicy: 'Retain' })
    await cluster.create(PersistentVolumeClaim, claim())
    await cluster.until(async () => (await cluster.get(PersistentVolumeClaim, 'data'))?.status.phase === 'Bound')
    await cluster.client.delete(PersistentVolumeClaim, { namespace: 'default', name: 'data' })
    await cluster.until(async () => (await cluster.list(PersistentVolume))[0]?.status.phase === 'Released')
    await cluster.clock.advance(5_000)
    expect(removed).toEqual([])
  })

  test.each<[string, Manifest<ClaimObject['spec']>]>([
    ['a directory is no block device', { volumeMode: 'Block' }],
    ['a directory begins empty', { dataSource: { kind: 'PersistentVolumeClaim', name: 'other' } }],
  ])('%s', (error, spec) => {
    const of = makeObject(PersistentVolumeClaim, claim(spec))
    expect(() => localVolume(of, makeObject(StorageClass, storageClass), 'node-1', '/volumes')).toThrow(error)
  })
})

test('a hostPath volume goes with its claim where the machine can delete it, and has failed where that fails', async () => {
  let isBroken = true
  const removed: string[] = []
  const cluster = await startTestCluster({
    removeHostPath: async (path) => {
      if (isBroken) throw new Error('the disk is broken')
      removed.push(path)
    },
  })
  const spec = { capacity: { storage: '1Gi' }, accessModes: ['ReadWriteOnce' as const], persistentVolumeReclaimPolicy: 'Delete' as const }
  const use = async (name: string): Promise<void> => {
    await cluster.create(PersistentVolume, {
      metadata: { name },
      spec: { ...spec, storageClassName: name, hostPath: { path: `/tmp/${name}` } },
    })
    await cluster.create(PersistentVolumeClaim, claim({ storageClassName: name }))
    await cluster.until(async () => (await cluster.get(PersistentVolumeClaim, 'data'))?.status.phase === 'Bound')
    await cluster.client.delete(PersistentVolumeClaim, { namespace: 'default', name: 'data' })
  }
  await use('first')
  await cluster.until(async () => (await cluster.get(PersistentVolume, 'first', ''))?.status.message === 'the disk is broken')
  await cluster.until(async () => (await cluster.get(PersistentVolumeClaim, 'data')) === undefined)
  isBroken = false
  await use('second')
  await cluster.until(async () => (await cluster.get(PersistentVolume, 'second', '')) === undefined)
  expect(removed).toEqual(['/tmp/second'])
})
