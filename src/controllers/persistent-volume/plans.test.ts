// The decisions of the binder, case by case.
import { describe, expect, test } from 'vitest'
import type { PersistentVolumeClaim as ClaimObject, PersistentVolume as VolumeObject } from '#api/generated/core-v1'
import type { StorageClass as ClassObject } from '#api/generated/storage-v1'
import { PersistentVolume } from '#api/kinds/core/persistent-volume'
import { PersistentVolumeClaim } from '#api/kinds/core/persistent-volume-claim'
import { StorageClass } from '#api/kinds/storage/storage-class'
import type { Manifest } from '#api/object'
import { makeObject } from '#client/make-object.testing'
import { type ClaimPlan, planClaim } from './plan-claim.ts'
import { deletionOf, planVolume } from './plan-volume.ts'
import { claimStatus } from './writes.ts'

interface Traits {
  readonly annotations?: Record<string, string>
  readonly labels?: Record<string, string>
}

function volume(name: string, spec: Manifest<VolumeObject['spec']> = {}, { annotations, labels }: Traits = {}): VolumeObject {
  return makeObject(PersistentVolume, {
    metadata: { name, ...(annotations === undefined ? {} : { annotations }), ...(labels === undefined ? {} : { labels }) },
    spec: {
      capacity: { storage: '1Gi' },
      accessModes: ['ReadWriteOnce'],
      persistentVolumeReclaimPolicy: 'Retain',
      ...(spec.local === undefined && spec.csi === undefined ? { hostPath: { path: '/tmp/x' } } : {}),
      ...spec,
    },
    status: { phase: spec.claimRef === undefined ? 'Available' : 'Bound' },
  } as Manifest<VolumeObject>)
}

function claim(spec: Manifest<ClaimObject['spec']> = {}, { annotations }: Traits = {}): ClaimObject {
  return makeObject(PersistentVolumeClaim, {
    metadata: { name: 'data', namespace: 'default', uid: 'claim-uid', ...(annotations === undefined ? {} : { annotations }) },
    spec: { accessModes: ['ReadWriteOnce'], resources: { requests: { storage: '1Gi' } }, storageClassName: '', ...spec },
    status: { phase: 'Pending' },
  } as Manifest<ClaimObject>)
}

const reserved = (uid?: string) => ({ claimRef: { namespace: 'default', name: 'data', ...(uid === undefined ? {} : { uid }) } })
const others = { claimRef: { namespace: 'default', name: 'other', uid: 'other-uid' } }
const bound = { 'pv.kubernetes.io/bind-completed': 'yes' }
const byUs = { 'pv.kubernetes.io/bound-by-controller': 'yes' }

function classOf(name: string, more: Partial<ClassObject> = {}): ClassObject {
  return makeObject(StorageClass, {
    metadata: { name },
    provisioner: 'disks.example.com',
    volumeBindingMode: 'Immediate',
    ...more,
  } as never)
}

function plan(of: ClaimObject, volumes: VolumeObject[], classes: ClassObject[] = []): string {
  const found = planClaim(of, {
    volumes,
    classes,
    volume: (name) => volumes.find(({ metadata }) => metadata.name === name),
    waitingPods: () => [],
  })
  return inShort(found)
}

function inShort(found: ClaimPlan): string {
  switch (found.do) {
    case 'bind':
      return `bind ${found.volume.metadata.name}`
    case 'wait':
      return `wait ${found.event === undefined ? '' : `${found.event.reason}: ${found.event.message}`}${found.error === undefined ? '' : ' and fail'}`
    case 'lose':
    case 'refuse':
      return `${found.do} ${found.event.reason}: ${found.event.message}`
    case 'assignClass':
      return `class ${found.name}`
    case 'provision':
      return `provision ${found.provisioner}`
  }
}

const none = 'wait FailedBinding: no persistent volumes available for this claim and no storage class is set'

describe('a claim that names no volume', () => {
  test.each<[string, ClaimObject, VolumeObject[], string]>([
    ['gets the smallest that is big enough', claim(), [volume('big', { capacity: { storage: '9Gi' } }), volume('fit')], 'bind fit'],
    ['not one that is too small', claim(), [volume('small', { capacity: { storage: '1Mi' } })], none],
    ['not one that is another’s', claim(), [volume('taken', others)], none],
    [
      'one that is reserved for it by name, bigger as it is',
      claim(),
      [volume('fit'), volume('own', { ...reserved(), capacity: { storage: '9Gi' } })],
      'bind own',
    ],
    ['not one that was an earlier claim’s of its name', claim(), [volume('old', reserved('old-uid'))], none],
    [
      'one that its labels select',
      claim({ selector: { matchLabels: { disk: 'fast' } } }),
      [volume('slow', {}, { labels: { disk: 'slow' } }), volume('fast', {}, { labels: { disk: 'fast' } })],
      'bind fast',
    ],
    [
      'one with no more access modes than it needs, where there is a choice',
      claim(),
      [volume('both', { accessModes: ['ReadWriteOnce', 'ReadOnlyMany'] }), volume('one', { capacity: { storage: '9Gi' } })],
      'bind one',
    ],
    ['not one without its access modes', claim({ accessModes: ['ReadWriteMany'] }), [volume('once')], none],
    ['not one of another class', claim(), [volume('classy', { storageClassName: 'gold' })], none],
    ['not a device for files', claim(), [volume('raw', { volumeMode: 'Block' })], none],
    ['a device for a device', claim({ volumeMode: 'Block' }), [volume('files'), volume('raw', { volumeMode: 'Block' })], 'bind raw'],
    ['not one of other attributes', claim(), [volume('gold', { volumeAttributesClassName: 'gold' })], none],
  ])('%s', (_, of, volumes, expected) => {
    expect(plan(of, volumes)).toBe(expected)
  })

  test.each<[string, ClaimObject, ClassObject[], string]>([
    ['is left to who makes volumes of its class', claim({ storageClassName: 'gold' }), [classOf('gold')], 'provision disks.example.com'],
    [
      'is refused when its class is not there',
      claim({ storageClassName: 'gold' }),
      [],
      'refuse ProvisioningFailed: storageclass.storage.k8s.io "gold" not found',
    ],
    [
      'is refused when nobody makes volumes of its class',
      claim({ storageClassName: 'gold' }),
      [classOf('gold', { provisioner: 'kubernetes.io/no-provisioner' })],
      'refuse ProvisioningFailed: no volume plugin matched name: kubernetes.io/no-provisioner',
    ],
    [
      'is left to the driver that stands in for a plugin of old',
      claim({ storageClassName: 'gold' }),
      [classOf('gold', { provisioner: 'kubernetes.io/gce-pd' })],
      'provision pd.csi.storage.gke.io',
    ],
    [
      'waits for its pod when its class says so',
      claim({ storageClassName: 'gold' }),
      [classOf('gold', { volumeBindingMode: 'WaitForFirstConsumer' })],
      'wait WaitForFirstConsumer: waiting for first consumer to be created before binding',
    ],
    [
      'is made once its pod has a node',
      claim({ storageClassName: 'gold' }, { annotations: { 'volume.kubernetes.io/selected-node': 'node-1' } }),
      [classOf('gold', { volumeBindingMode: 'WaitForFirstConsumer' })],
      'provision disks.example.com',
    ],
  ])('%s', (_, of, classes, expected) => {
    expect(plan(of, [], classes)).toBe(expected)
  })

  test('a class that waits for pods keeps free volumes from it, not the one that is reserved for it', () => {
    const waiting = classOf('gold', { volumeBindingMode: 'WaitForFirstConsumer' })
    const of = claim({ storageClassName: 'gold' })
    expect(plan(of, [volume('free', { storageClassName: 'gold' })], [waiting])).toMatch('wait WaitForFirstConsumer')
    expect(plan(of, [volume('own', { storageClassName: 'gold', ...reserved() })], [waiting])).toBe('bind own')
  })
})

describe('a claim that names a volume', () => {
  test.each<[string, ClaimObject, VolumeObject[], string]>([
    ['waits until it is there', claim({ volumeName: 'disk' }), [], 'wait '],
    ['gets it when it suits', claim({ volumeName: 'disk' }), [volume('disk')], 'bind disk'],
    ['gets it when it is reserved for it', claim({ volumeName: 'disk' }), [volume('disk', reserved())], 'bind disk'],
    [
      'is told when it is too small',
      claim({ volumeName: 'disk' }),
      [volume('disk', { capacity: { storage: '1Mi' } })],
      'wait VolumeMismatch: Cannot bind to requested volume "disk": requested PV is too small',
    ],
    [
      'is told when its class differs',
      claim({ volumeName: 'disk' }),
      [volume('disk', { storageClassName: 'gold' })],
      'wait VolumeMismatch: Cannot bind to requested volume "disk": storageClassName does not match',
    ],
    [
      'is told when it is another’s',
      claim({ volumeName: 'disk' }),
      [volume('disk', others)],
      'wait FailedBinding: volume "disk" already bound to a different claim.',
    ],
    [
      'fails when it was ours and is another’s',
      claim({ volumeName: 'disk' }, { annotations: byUs }),
      [volume('disk', others)],
      'wait FailedBinding: volume "disk" already bound to a different claim. and fail',
    ],
  ])('%s', (_, of, volumes, expected) => {
    expect(plan(of, volumes)).toBe(expected)
  })
})

describe('a claim that was bound', () => {
  test.each<[string, ClaimObject, VolumeObject[], string]>([
    ['stays so', claim({ volumeName: 'disk' }, { annotations: bound }), [volume('disk', reserved('claim-uid'))], 'bind disk'],
    ['is bound again when its volume was let go', claim({ volumeName: 'disk' }, { annotations: bound }), [volume('disk')], 'bind disk'],
    [
      'is lost without a volume’s name',
      claim({}, { annotations: bound }),
      [],
      'lose ClaimLost: Bound claim has lost reference to PersistentVolume. Data on the volume is lost!',
    ],
    [
      'is lost without its volume',
      claim({ volumeName: 'disk' }, { annotations: bound }),
      [],
      'lose ClaimLost: Bound claim has lost its PersistentVolume. Data on the volume is lost!',
    ],
    [
      'is lost when its volume is another’s',
      claim({ volumeName: 'disk' }, { annotations: bound }),
      [volume('disk', others)],
      'lose ClaimMisbound: Two claims are bound to the same volume, this one is bound incorrectly',
    ],
  ])('%s', (_, of, volumes, expected) => {
    expect(plan(of, volumes)).toBe(expected)
  })
})

describe('a volume', () => {
  const made = { 'pv.kubernetes.io/provisioned-by': 'disks.example.com' }
  test.each<[string, VolumeObject, ClaimObject | undefined, string]>([
    ['of nobody is available', volume('disk'), undefined, 'phase Available'],
    ['that is reserved by name is available', volume('disk', reserved()), claim(), 'phase Available'],
    ['of a claim that has it is bound', volume('disk', reserved('claim-uid')), claim({ volumeName: 'disk' }), 'phase Bound'],
    ['of a claim that is gone is reclaimed', volume('disk', reserved('claim-uid')), undefined, 'reclaim'],
    ['of an earlier claim of that name is reclaimed', volume('disk', reserved('old-uid')), claim(), 'reclaim'],
    ['of a claim that has none yet waits for it', volume('disk', reserved('claim-uid')), claim(), 'leaveToClaim'],
    ['of another mode tells so', volume('disk', { ...reserved('claim-uid'), volumeMode: 'Block' }), claim(), 'tellMismatch'],
    ['of a claim that has another is free', volume('disk', reserved('claim-uid')), claim({ volumeName: 'other' }), 'unbind'],
    [
      'that was made for a claim that has another is reclaimed',
      volume('disk', { ...reserved('claim-uid'), persistentVolumeReclaimPolicy: 'Delete' }, { annotations: made }),
      claim({ volumeName: 'other' }),
      'reclaim',
    ],
  ])('%s', (_, of, its, expected) => {
    const found = planVolume(of, its)
    expect(found.do === 'phase' ? `phase ${found.phase}` : found.do).toBe(expected)
  })

  test.each<[string, VolumeObject, object]>([
    ['that a foreign provisioner made is left to that', volume('disk', {}, { annotations: made }), { by: 'external' }],
    ['of a CSI driver is left to that', volume('disk', { csi: { driver: 'd', volumeHandle: 'h' } }), { by: 'external' }],
    ['below /tmp is deleted', volume('disk'), { by: 'hostPath', path: '/tmp/x' }],
    [
      'elsewhere on the host is not',
      volume('disk', { hostPath: { path: '/srv/x' } }),
      { error: 'host_path deleter only supports /tmp/.+ but received provided /srv/x' },
    ],
    [
      'of the node’s own disks is not',
      volume('disk', { local: { path: '/mnt' } }),
      { error: 'error getting deleter volume plugin for volume "disk": no deletable volume plugin matched' },
    ],
  ])('%s', (_, of, expected) => {
    expect(deletionOf(of)).toEqual(expected)
  })
})

test('what a claim has follows from its volume, once, when it becomes bound', () => {
  const disk = volume('disk', { capacity: { storage: '5Gi' } })
  const status = claimStatus(claim(), 'Bound', disk)
  expect(status).toEqual({ phase: 'Bound', accessModes: ['ReadWriteOnce'], capacity: { storage: '5Gi' } })
  expect(claimStatus({ ...claim(), status: status as ClaimObject['status'] }, 'Bound', disk)).toBeUndefined()
  const grown = volume('disk', { capacity: { storage: '9Gi' } })
  expect(claimStatus({ ...claim(), status: status as ClaimObject['status'] }, 'Bound', grown)).toBeUndefined()
  expect(claimStatus({ ...claim(), status: status as ClaimObject['status'] }, 'Lost', undefined)).toEqual({ phase: 'Lost' })
})
