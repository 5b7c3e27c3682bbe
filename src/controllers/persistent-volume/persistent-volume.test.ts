// Claims, volumes and pods together, as users see them: binder, scheduler and API server on one clock.
import { describe, expect, test } from 'vitest'
import type { PersistentVolumeClaim as ClaimObject, PersistentVolume as VolumeObject } from '#api/generated/core-v1'
import { Event } from '#api/kinds/core/event'
import { PersistentVolume } from '#api/kinds/core/persistent-volume'
import { PersistentVolumeClaim } from '#api/kinds/core/persistent-volume-claim'
import { Pod } from '#api/kinds/core/pod'
import { StorageClass } from '#api/kinds/storage/storage-class'
import type { Manifest } from '#api/object'
import { startTestCluster, type TestCluster } from '../cluster.testing.ts'

function volume(name: string, spec: Manifest<VolumeObject['spec']> = {}): Manifest<VolumeObject> {
  return {
    metadata: { name },
    spec: {
      capacity: { storage: '1Gi' },
      accessModes: ['ReadWriteOnce'],
      hostPath: { path: `/tmp/${name}` },
      storageClassName: '',
      ...spec,
    },
  }
}

function claim(name: string, spec: Manifest<ClaimObject['spec']> = {}): Manifest<ClaimObject> {
  return {
    metadata: { name, namespace: 'default' },
    spec: { accessModes: ['ReadWriteOnce'], resources: { requests: { storage: '1Gi' } }, storageClassName: '', ...spec },
  }
}

const local = (node: string): Manifest<VolumeObject['spec']> => ({
  hostPath: undefined as never,
  local: { path: '/mnt/disk' },
  nodeAffinity: {
    required: { nodeSelectorTerms: [{ matchExpressions: [{ key: 'kubernetes.io/hostname', operator: 'In', values: [node] }] }] },
  },
})

function pod(name: string, claimName: string) {
  return {
    metadata: { name, namespace: 'default' },
    spec: {
      containers: [{ name: 'c', image: 'navarch.local/web:1' }],
      volumes: [{ name: 'data', persistentVolumeClaim: { claimName } }],
    },
  }
}

async function bound(cluster: TestCluster, name: string): Promise<ClaimObject> {
  return cluster.until(async () => {
    const found = await cluster.get(PersistentVolumeClaim, name)
    return found?.status.phase === 'Bound' ? found : undefined
  })
}

async function inPhase(cluster: TestCluster, name: string, phase: string): Promise<VolumeObject> {
  return cluster.until(async () => {
    const found = await cluster.get(PersistentVolume, name, '')
    return found?.status.phase === phase ? found : undefined
  })
}

async function told(cluster: TestCluster, reason: string, name: string): Promise<string> {
  return cluster.until(async () => {
    const events = (await cluster.client.list(Event)).items
    return events.find((event) => event.reason === reason && event.involvedObject.name === name)?.message
  })
}

describe('claims that are bound at once', () => {
  test('a claim gets the smallest volume that suits, both sides say so, and the volume outlives it as Released', async () => {
    const cluster = await startTestCluster()
    await cluster.create(PersistentVolume, volume('big', { capacity: { storage: '5Gi' } }))
    await cluster.create(PersistentVolume, volume('small', { capacity: { storage: '2Gi' } }))
    await cluster.create(PersistentVolume, volume('other-class', { storageClassName: 'fast' }))
    await inPhase(cluster, 'small', 'Available')
    await inPhase(cluster, 'big', 'Available')
    await cluster.create(PersistentVolumeClaim, claim('data'))
    const data = await bound(cluster, 'data')
    expect(data.spec.volumeName).toBe('small')
    expect(data.metadata.annotations).toEqual({ 'pv.kubernetes.io/bind-completed': 'yes', 'pv.kubernetes.io/bound-by-controller': 'yes' })
    expect(data.status).toEqual({ phase: 'Bound', accessModes: ['ReadWriteOnce'], capacity: { storage: '2Gi' } })
    const small = await inPhase(cluster, 'small', 'Bound')
    expect(small.metadata.annotations).toEqual({ 'pv.kubernetes.io/bound-by-controller': 'yes' })
    const { uid, namespace, name } = data.metadata
    expect(small.spec.claimRef).toMatchObject({ apiVersion: 'v1', kind: 'PersistentVolumeClaim', namespace, name, uid })
    await cluster.client.delete(PersistentVolumeClaim, { namespace: 'default', name: 'data' })
    await inPhase(cluster, 'small', 'Released')
    // Kept by its policy: a new claim of the same name does not get what the old one left.
    await cluster.create(PersistentVolumeClaim, claim('data'))
    expect((await bound(cluster, 'data')).spec.volumeName).toBe('big')
    expect(cluster.failures).toEqual([])
  })

  test('a claim waits for a volume, says why, and is bound as soon as one comes', async () => {
    const cluster = await startTestCluster()
    await cluster.create(PersistentVolumeClaim, claim('data'))
    expect(await told(cluster, 'FailedBinding', 'data')).toBe('no persistent volumes available for this claim and no storage class is set')
    await cluster.create(PersistentVolume, volume('late'))
    expect((await bound(cluster, 'data')).spec.volumeName).toBe('late')
  })

  test('two claims at once get a volume each', async () => {
    const cluster = await startTestCluster()
    const names = ['a', 'b', 'c', 'd']
    await Promise.all([
      ...names.map((name) => cluster.create(PersistentVolumeClaim, claim(name))),
      ...names.map((name) => cluster.create(PersistentVolume, volume(`disk-${name}`))),
    ])
    const claims = await Promise.all(names.map((name) => bound(cluster, name)))
    expect(new Set(claims.map(({ spec }) => spec.volumeName)).size).toBe(4)
    expect(cluster.failures).toEqual([])
  })

  test('a claim whose volume is deleted is lost, and so is the pod that wants it', async () => {
    const cluster = await startTestCluster()
    await cluster.addNode('node-1')
    await cluster.create(PersistentVolume, volume('disk'))
    await cluster.create(PersistentVolumeClaim, claim('data'))
    await bound(cluster, 'data')
    await cluster.client.patch(PersistentVolume, { namespace: '', name: 'disk' }, 'merge', { metadata: { finalizers: null } })
    await cluster.client.delete(PersistentVolume, { namespace: '', name: 'disk' })
    await cluster.client
      .patch(PersistentVolume, { namespace: '', name: 'disk' }, 'merge', { metadata: { finalizers: null } })
      .catch(() => {})
    const lost = await cluster.until(async () => {
      const found = await cluster.get(PersistentVolumeClaim, 'data')
      return found?.status.phase === 'Lost' ? found : undefined
    })
    expect(lost.status).toEqual({ phase: 'Lost' })
    expect(await told(cluster, 'ClaimLost', 'data')).toBe('Bound claim has lost its PersistentVolume. Data on the volume is lost!')
    await cluster.create(Pod, pod('web', 'data'))
    expect(await told(cluster, 'FailedScheduling', 'web')).toBe(
      '0/1 nodes are available: persistentvolumeclaim "data" bound to non-existent persistentvolume "disk". not found',
    )
  })

  test('a default class that comes later is given to claims that named none', async () => {
    const cluster = await startTestCluster()
    const { storageClassName: _, ...spec } = claim('data').spec as ClaimObject['spec']
    await cluster.create(PersistentVolumeClaim, { ...claim('data'), spec })
    await told(cluster, 'FailedBinding', 'data')
    await cluster.create(StorageClass, {
      metadata: { name: 'standard', annotations: { 'storageclass.kubernetes.io/is-default-class': 'true' } },
      provisioner: 'disks.example.com',
    })
    const message = await told(cluster, 'ExternalProvisioning', 'data')
    expect(message).toBe(
      "Waiting for a volume to be created either by the external provisioner 'disks.example.com' or manually by the system administrator. If volume creation is delayed, please verify that the provisioner is running and correctly registered.",
    )
    const found = await cluster.get(PersistentVolumeClaim, 'data')
    expect(found?.spec.storageClassName).toBe('standard')
    expect(found?.metadata.annotations).toEqual({
      'volume.beta.kubernetes.io/storage-provisioner': 'disks.example.com',
      'volume.kubernetes.io/storage-provisioner': 'disks.example.com',
    })
  })
})

describe('volumes whose claim is gone', () => {
  test('one that is to be deleted and that nobody can delete has failed', async () => {
    const cluster = await startTestCluster()
    await cluster.create(PersistentVolume, volume('disk', { ...local('node-1'), persistentVolumeReclaimPolicy: 'Delete' }))
    await cluster.create(PersistentVolumeClaim, claim('data'))
    await bound(cluster, 'data')
    await cluster.client.delete(PersistentVolumeClaim, { namespace: 'default', name: 'data' })
    const failed = await inPhase(cluster, 'disk', 'Failed')
    const message = 'error getting deleter volume plugin for volume "disk": no deletable volume plugin matched'
    expect(failed.status.message).toBe(message)
    expect(await told(cluster, 'VolumeFailedDelete', 'disk')).toBe(message)
  })

  test('one that is to be recycled is emptied by a pod and free again', async () => {
    const cluster = await startTestCluster()
    const node = await cluster.addNode('node-1')
    node.readiness(() => 'succeeded')
    await cluster.create(PersistentVolume, volume('disk', { persistentVolumeReclaimPolicy: 'Recycle' }))
    await cluster.create(PersistentVolumeClaim, claim('data'))
    await bound(cluster, 'data')
    await cluster.client.delete(PersistentVolumeClaim, { namespace: 'default', name: 'data' })
    const free = await inPhase(cluster, 'disk', 'Available')
    expect([free.spec.claimRef, free.metadata.annotations]).toEqual([undefined, undefined])
    expect(await told(cluster, 'VolumeRecycled', 'disk')).toBe('Volume recycled')
    await cluster.until(async () => (await cluster.list(Pod)).length === 0)
  })
})

describe('claims that wait for a pod', () => {
  const manual = {
    metadata: { name: 'manual' },
    provisioner: 'kubernetes.io/no-provisioner',
    volumeBindingMode: 'WaitForFirstConsumer' as const,
  }

  test('the pod goes where a volume is, the claim gets that volume, and an affinity keeps later pods there', async () => {
    const cluster = await startTestCluster()
    for (const name of ['node-1', 'node-2', 'node-3']) await cluster.addNode(name)
    await cluster.create(StorageClass, manual)
    await cluster.create(PersistentVolume, volume('disk', { ...local('node-2'), storageClassName: 'manual' }))
    await inPhase(cluster, 'disk', 'Available')
    await cluster.create(PersistentVolumeClaim, claim('data', { storageClassName: 'manual' }))
    expect(await told(cluster, 'WaitForFirstConsumer', 'data')).toBe('waiting for first consumer to be created before binding')
    await cluster.create(Pod, pod('first', 'data'))
    const first = await cluster.until(async () => {
      const found = await cluster.get(Pod, 'first')
      return found?.spec.nodeName ? found : undefined
    })
    expect(first.spec.nodeName).toBe('node-2')
    const data = await bound(cluster, 'data')
    expect(data.spec.volumeName).toBe('disk')
    await cluster.create(Pod, pod('second', 'data'))
    await cluster.until(async () => (await cluster.get(Pod, 'second'))?.spec.nodeName === 'node-2')
    await cluster.create(Pod, {
      ...pod('elsewhere', 'data'),
      spec: { ...pod('elsewhere', 'data').spec, nodeSelector: { 'kubernetes.io/hostname': 'node-1' } },
    })
    expect(await told(cluster, 'FailedScheduling', 'elsewhere')).toBe(
      "0/3 nodes are available: 1 node(s) didn't match PersistentVolume's node affinity, 2 node(s) didn't match Pod's node affinity/selector. no new claims to deallocate, preemption: 0/3 nodes are available: 3 Preemption is not helpful for scheduling.",
    )
    expect(cluster.failures).toEqual([])
  })

  test('pods for which there is no volume wait and are scheduled when one comes', async () => {
    const cluster = await startTestCluster()
    await cluster.addNode('node-1')
    await cluster.create(StorageClass, manual)
    await cluster.create(Pod, pod('web', 'data'))
    expect(await told(cluster, 'FailedScheduling', 'web')).toBe(
      '0/1 nodes are available: persistentvolumeclaim "data" not found. not found',
    )
    await cluster.create(PersistentVolumeClaim, claim('data', { storageClassName: 'manual' }))
    const noVolume = "0/1 nodes are available: 1 node(s) didn't find available persistent volumes to bind."
    await cluster.until(async () => {
      const web = await cluster.get(Pod, 'web')
      return web?.status.conditions?.some(({ type, message }) => type === 'PodScheduled' && message?.startsWith(noVolume))
    })
    expect(await told(cluster, 'WaitForPodScheduled', 'data')).toBe('waiting for pod web to be scheduled')
    await cluster.create(PersistentVolume, volume('disk', { ...local('node-1'), storageClassName: 'manual' }))
    await cluster.until(async () => (await cluster.get(Pod, 'web'))?.spec.nodeName)
    expect((await bound(cluster, 'data')).spec.volumeName).toBe('disk')
  })

  test('a volume that somebody else is to make is made for the node that the pod was given', async () => {
    const cluster = await startTestCluster()
    await cluster.addNode('node-1')
    await cluster.create(StorageClass, { ...manual, provisioner: 'disks.example.com' })
    await cluster.create(PersistentVolumeClaim, claim('data', { storageClassName: 'manual' }))
    await cluster.create(Pod, pod('web', 'data'))
    const asked = await cluster.until(async () => {
      const found = await cluster.get(PersistentVolumeClaim, 'data')
      return found?.metadata.annotations?.['volume.kubernetes.io/storage-provisioner'] === undefined ? undefined : found
    })
    expect(asked.metadata.annotations?.['volume.kubernetes.io/selected-node']).toBe('node-1')
    const { uid, namespace = '' } = asked.metadata
    const claimRef = { apiVersion: 'v1', kind: 'PersistentVolumeClaim', namespace, name: 'data', uid }
    const made = volume(`pvc-${uid}`, { storageClassName: 'manual', claimRef, persistentVolumeReclaimPolicy: 'Delete' })
    const annotations = { 'pv.kubernetes.io/provisioned-by': 'disks.example.com' }
    await cluster.create(PersistentVolume, { ...made, metadata: { name: `pvc-${uid}`, annotations } })
    await cluster.until(async () => (await cluster.get(Pod, 'web'))?.spec.nodeName)
    expect((await bound(cluster, 'data')).spec.volumeName).toBe(`pvc-${uid}`)
  })

  test('an ephemeral volume gets a claim that is the pod’s own and goes with it', async () => {
    const cluster = await startTestCluster()
    await cluster.addNode('node-1')
    await cluster.create(PersistentVolume, volume('disk'))
    await cluster.create(Pod, {
      metadata: { name: 'web', namespace: 'default' },
      spec: {
        containers: [{ name: 'c', image: 'navarch.local/web:1' }],
        volumes: [{ name: 'scratch', ephemeral: { volumeClaimTemplate: { metadata: { labels: { of: 'web' } }, spec: claim('x').spec! } } }],
      },
    } as never)
    const made = await bound(cluster, 'web-scratch')
    expect([made.metadata.labels, made.metadata.ownerReferences?.[0]?.name]).toEqual([{ of: 'web' }, 'web'])
    await cluster.until(async () => (await cluster.get(Pod, 'web'))?.spec.nodeName)
    await cluster.client.delete(Pod, { namespace: 'default', name: 'web' }, { gracePeriodSeconds: 0 })
    await cluster.until(async () => (await cluster.get(PersistentVolumeClaim, 'web-scratch')) === undefined)
    await inPhase(cluster, 'disk', 'Released')
    expect(cluster.failures).toEqual([])
  })
})

describe('claims that ask for more', () => {
  const growing = { metadata: { name: 'growing' }, provisioner: 'kubernetes.io/no-provisioner', allowVolumeExpansion: true }
  const more = { spec: { resources: { requests: { storage: '3Gi' } } } }
  const key = { namespace: 'default', name: 'data' }

  test('a directory of the node is as big as it is said to be', async () => {
    const cluster = await startTestCluster()
    await cluster.create(StorageClass, growing)
    await cluster.create(PersistentVolume, volume('disk', { storageClassName: 'growing' }))
    await cluster.create(PersistentVolumeClaim, claim('data', { storageClassName: 'growing' }))
    await bound(cluster, 'data')
    await cluster.client.patch(PersistentVolumeClaim, key, 'merge', more)
    await cluster.until(async () => (await cluster.get(PersistentVolumeClaim, 'data'))?.status.capacity?.['storage'] === '3Gi')
    expect((await cluster.get(PersistentVolume, 'disk', ''))?.spec.capacity).toEqual({ storage: '3Gi' })
    expect(cluster.failures).toEqual([])
  })

  test('of other volumes it is told who has to act', async () => {
    const cluster = await startTestCluster()
    await cluster.create(StorageClass, growing)
    await cluster.create(PersistentVolume, volume('disk', { ...local('node-1'), storageClassName: 'growing' }))
    await cluster.create(PersistentVolumeClaim, claim('data', { storageClassName: 'growing' }))
    await bound(cluster, 'data')
    await cluster.client.patch(PersistentVolumeClaim, key, 'merge', more)
    expect(await told(cluster, 'ExternalExpanding', 'data')).toBe('waiting for an external controller to expand this PVC')
  })
})
