import { describe, expect, test } from 'vitest'
import type * as storageV1 from '../../generated/storage-v1.ts'
import type { Manifest } from '../../object.ts'
import { created, createErrors, row, updateErrors } from '../testing.ts'
import { CSIDriver } from './csi-driver.ts'
import { CSINode } from './csi-node.ts'
import { CSIStorageCapacity } from './csi-storage-capacity.ts'
import { StorageClass } from './storage-class.ts'
import { VolumeAttachment } from './volume-attachment.ts'
import { VolumeAttributesClass } from './volume-attributes-class.ts'

describe('storage classes', () => {
  const base: Manifest<StorageClass> = { provisioner: 'example.com/disks' }
  const inZone = { matchLabelExpressions: [{ key: 'zone', values: ['a'] }] }

  test('volumes go with their claims and are made at once', () => {
    expect(created(StorageClass, base)).toMatchObject({ reclaimPolicy: 'Delete', volumeBindingMode: 'Immediate' })
  })

  test.each<[string, Manifest<StorageClass>, string[]]>([
    ['a provisioner', base, []],
    ['some provisioner', { provisioner: '' }, ['provisioner: Required value']],
    [
      'two policies',
      { ...base, reclaimPolicy: 'Recycle' },
      ['reclaimPolicy: Unsupported value: "Recycle": supported values: "Delete", "Retain"'],
    ],
    [
      'two modes',
      { ...base, volumeBindingMode: 'Later' as 'Immediate' },
      ['volumeBindingMode: Unsupported value: "Later": supported values: "Immediate", "WaitForFirstConsumer"'],
    ],
    [
      'places have values',
      { ...base, allowedTopologies: [{ matchLabelExpressions: [{ key: 'zone', values: [] }] }] },
      ['allowedTopologies[0].matchLabelExpressions[0].values: Required value'],
    ],
    [
      'places differ',
      { ...base, allowedTopologies: [inZone, inZone] },
      ['allowedTopologies[1].matchLabelExpressions: Duplicate value: ""'],
    ],
  ])('%s', (_what, manifest, errors) => {
    expect(createErrors(StorageClass, manifest)).toEqual(errors)
  })

  test('only expansion, mounts and places may change', () => {
    expect(updateErrors(StorageClass, base, { ...base, allowVolumeExpansion: true })).toEqual([])
    const other: Manifest<StorageClass> = {
      provisioner: 'other',
      reclaimPolicy: 'Retain',
      parameters: { a: 'b' },
      volumeBindingMode: 'WaitForFirstConsumer',
    }
    expect(updateErrors(StorageClass, base, other)).toEqual([
      'parameters: Invalid value: {"a":"b"}: field is immutable',
      'provisioner: Invalid value: "other": field is immutable',
      'reclaimPolicy: Invalid value: "Retain": field is immutable',
      'volumeBindingMode: Invalid value: "WaitForFirstConsumer": field is immutable',
    ])
  })

  test('the table marks the default', () => {
    const annotations = { 'storageclass.kubernetes.io/is-default-class': 'true' }
    expect(row(StorageClass, created(StorageClass, { ...base, metadata: { name: 'fast', annotations } }))).toMatchObject({
      Name: 'fast (default)',
      Provisioner: 'example.com/disks',
      ReclaimPolicy: 'Delete',
      VolumeBindingMode: 'Immediate',
      AllowVolumeExpansion: false,
    })
  })
})

describe('volume attributes classes', () => {
  test('have a driver and parameters, which stay', () => {
    const base: Manifest<VolumeAttributesClass> = { driverName: 'disks.example.com', parameters: { iops: '100' } }
    expect(createErrors(VolumeAttributesClass, base)).toEqual([])
    expect(createErrors(VolumeAttributesClass, { driverName: '' })).toEqual([
      'driverName: Required value',
      'parameters: Required value: must contain at least one key/value pair',
    ])
    expect(updateErrors(VolumeAttributesClass, base, { ...base, parameters: { iops: '200' } })).toEqual([
      'parameters: Forbidden: updates to parameters are forbidden.',
    ])
  })
})

describe('volume drivers', () => {
  test('a driver says little, and much is assumed', () => {
    expect(created(CSIDriver, { metadata: { name: 'disks.example.com' }, spec: {} }).spec).toEqual({
      attachRequired: true,
      podInfoOnMount: false,
      storageCapacity: false,
      fsGroupPolicy: 'ReadWriteOnceWithFSType',
      volumeLifecycleModes: ['Persistent'],
      requiresRepublish: false,
      seLinuxMount: false,
    })
  })

  test.each<[string, Manifest<storageV1.CSIDriverSpec>, string[]]>([
    ['nothing', {}, []],
    [
      'tokens are for one audience each, and last a while',
      { tokenRequests: [{ audience: 'a', expirationSeconds: 10 }, { audience: 'a' }] },
      [
        'spec.tokenRequests[0].expirationSeconds: Invalid value: 10: may not specify a duration less than 10 minutes',
        'spec.tokenRequests[1].audience: Duplicate value: "a"',
      ],
    ],
    [
      'three policies',
      { fsGroupPolicy: 'Some' },
      ['spec.fsGroupPolicy: Unsupported value: "Some": supported values: "File", "None", "ReadWriteOnceWithFSType"'],
    ],
    [
      'tokens in secrets, if there are tokens',
      { serviceAccountTokenInSecrets: true, nodeAllocatableUpdatePeriodSeconds: 1 },
      [
        'spec.nodeAllocatableUpdatePeriodSeconds: Invalid value: 1: must be greater than or equal to 10 seconds',
        'spec.serviceAccountTokenInSecrets: Invalid value: true: serviceAccountTokenInSecrets is set but no tokenRequests are specified',
      ],
    ],
  ])('%s', (_what, spec, errors) => {
    expect(createErrors(CSIDriver, { spec })).toEqual(errors)
  })

  test('a driver with tokens is told where they are safe; what is not enabled is dropped', () => {
    const spec = { tokenRequests: [{ audience: 'a' }], preventPodSchedulingIfMissing: true }
    const driver = created(CSIDriver, { spec })
    expect(driver.spec.preventPodSchedulingIfMissing).toBeUndefined()
    expect(CSIDriver.strategy.warnings?.(driver, driver)).toEqual([])
    expect(CSIDriver.strategy.warnings?.(driver, undefined)).toEqual([
      'spec.serviceAccountTokenInSecrets is unset; if supported by this CSI driver, set to true to prevent possible logging of tokens in volume attributes',
    ])
  })

  test('the table shows what a driver can do', () => {
    expect(row(CSIDriver, created(CSIDriver, { spec: {} }))).toMatchObject({
      AttachRequired: true,
      PodInfoOnMount: false,
      StorageCapacity: false,
      TokenRequests: '<unset>',
      RequiresRepublish: false,
      Modes: 'Persistent',
    })
  })

  test('drivers of a node are told apart, and stay as they are but for their count', () => {
    const driver = { name: 'disks.example.com', nodeID: 'one', allocatable: { count: 3 } }
    expect(createErrors(CSINode, { spec: { drivers: [driver, { ...driver, nodeID: '' }] } })).toEqual([
      'spec.drivers[1].nodeID: Required value',
      'spec.drivers[1].name: Duplicate value: "disks.example.com"',
    ])
    const more = { ...driver, allocatable: { count: 4 } }
    expect(updateErrors(CSINode, { spec: { drivers: [driver] } }, { spec: { drivers: [more] } })).toEqual([])
    expect(updateErrors(CSINode, { spec: { drivers: [driver] } }, { spec: { drivers: [{ ...driver, nodeID: 'two' }] } })).toEqual([
      'spec.drivers: Invalid value: {"Name":"disks.example.com","NodeID":"two","TopologyKeys":null,"Allocatable":null}: field is immutable',
    ])
  })

  test('capacity is somewhere, of some class, and not negative', () => {
    const base: Manifest<CSIStorageCapacity> = { storageClassName: 'fast', capacity: '10Gi' }
    expect(createErrors(CSIStorageCapacity, base)).toEqual([])
    expect(createErrors(CSIStorageCapacity, { ...base, capacity: '-1' })).toEqual([
      'capacity: Invalid value: "-1": must be greater than or equal to 0',
    ])
    expect(updateErrors(CSIStorageCapacity, base, { ...base, storageClassName: 'slow' })).toEqual([
      'storageClassName: Invalid value: "slow": field is immutable',
    ])
  })
})

describe('volume attachments', () => {
  const base: Manifest<VolumeAttachment> = {
    spec: { attacher: 'disks.example.com', nodeName: 'one', source: { persistentVolumeName: 'data' } },
  }

  test('have one source', () => {
    expect(createErrors(VolumeAttachment, base)).toEqual([])
    expect(createErrors(VolumeAttachment, { spec: { ...base.spec, source: {} } as never })).toEqual([
      'spec.source: Required value: must specify exactly one of inlineVolumeSpec and persistentVolumeName',
    ])
  })

  test('stay as they are', () => {
    const moved = { spec: { ...base.spec, nodeName: 'two' } as storageV1.VolumeAttachmentSpec }
    const shown = '{"Attacher":"disks.example.com","Source":{"PersistentVolumeName":"data","InlineVolumeSpec":null},"NodeName":"two"}'
    expect(updateErrors(VolumeAttachment, base, moved)).toEqual([`spec: Invalid value: ${shown}: field is immutable`])
    const failed = { ...base, status: { attached: false, attachError: { errorCode: -1 } } }
    expect(updateErrors(VolumeAttachment, base, failed, 'status')).toEqual([
      'status.attachError.errorCode: Invalid value: -1: must be between 0 and 2147483647, inclusive',
    ])
    expect(row(VolumeAttachment, created(VolumeAttachment, base))).toMatchObject({ PV: 'data', Node: 'one', Attached: false })
  })
})
