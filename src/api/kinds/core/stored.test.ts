import { describe, expect, test } from 'vitest'
import type { Manifest } from '../../object.ts'
import { created, createErrors, testContext, testNowMs, updateErrors } from '../testing.ts'
import { ConfigMap } from './config-map.ts'
import { Endpoints } from './endpoints.ts'
import { Node } from './node.ts'
import { PersistentVolume } from './persistent-volume.ts'
import { PersistentVolumeClaim } from './persistent-volume-claim.ts'
import { Service } from './service.ts'

type ClaimSpec = Manifest<PersistentVolumeClaim['spec']>

describe('claims', () => {
  const spec: ClaimSpec = { accessModes: ['ReadWriteOnce'], resources: { requests: { storage: '1Gi' } } }
  const classAnnotation = 'volume.beta.kubernetes.io/storage-class'
  const claim = (more: ClaimSpec, rest: Omit<Manifest<PersistentVolumeClaim>, 'spec'> = {}): Manifest<PersistentVolumeClaim> => ({
    ...rest,
    spec: { ...spec, ...more },
  })
  const bound = (more: ClaimSpec, current?: string): Manifest<PersistentVolumeClaim> =>
    claim(more, { status: { phase: 'Bound', ...(current !== undefined && { currentVolumeAttributesClassName: current }) } })

  test.each<[string, Manifest<PersistentVolumeClaim>, Manifest<PersistentVolumeClaim>, string[]]>([
    [
      'a bound one may take another attributes class',
      bound({ volumeAttributesClassName: 'a' }, 'a'),
      bound({ volumeAttributesClassName: 'b' }),
      [],
    ],
    ['or give one back that it never had', bound({ volumeAttributesClassName: 'a' }), bound({}), []],
    [
      'but not one that its volume has',
      bound({ volumeAttributesClassName: 'a' }, 'a'),
      bound({}),
      ['spec.volumeAttributesClassName: Forbidden: update to nil is forbidden when status.currentVolumeAttributesClassName is not nil'],
    ],
    [
      'the class moves from the annotation to the field',
      claim({}, { metadata: { annotations: { [classAnnotation]: 'a' } } }),
      claim({ storageClassName: 'a' }),
      [],
    ],
    [
      'and else stays',
      claim({}, { metadata: { annotations: { [classAnnotation]: 'a' } } }),
      claim({}, { metadata: { annotations: { [classAnnotation]: 'b' } } }),
      [`metadata.annotations.${classAnnotation}: Invalid value: "b": field is immutable`],
    ],
  ])('%s', (_, before, after, expected) => {
    expect(updateErrors(PersistentVolumeClaim, before, after)).toEqual(expected)
  })

  test('what is allocated is storage, in known states', () => {
    const status = { allocatedResources: { cpu: '1' }, allocatedResourceStatuses: { storage: 'Odd' as 'NodeResizePending' } }
    expect(updateErrors(PersistentVolumeClaim, claim({}), claim({}, { status }), 'status')).toEqual([
      'status.allocatedResourceStatuses: Unsupported value: "storage": supported values: "ControllerResizeInProgress", "ControllerResizeInfeasible", "NodeResizeInProgress", "NodeResizeInfeasible", "NodeResizePending"',
      'status.allocatedResources: Unsupported value: "cpu": supported values: "storage"',
    ])
  })

  test('sources that old servers did not know, and those of other namespaces, go', () => {
    const odd = { apiGroup: 'navarch.local', kind: 'Odd', name: 'x' }
    expect(created(PersistentVolumeClaim, claim({ dataSource: odd })).spec).not.toHaveProperty('dataSource')
    expect(created(PersistentVolumeClaim, claim({ dataSourceRef: { ...odd, namespace: 'other' } })).spec).not.toHaveProperty(
      'dataSourceRef',
    )
    expect(created(PersistentVolumeClaim, claim({ dataSourceRef: odd })).spec).toMatchObject({ dataSource: odd, dataSourceRef: odd })
  })
})

describe('volumes', () => {
  const volume: Manifest<PersistentVolume> = {
    spec: {
      capacity: { storage: '1Gi' },
      accessModes: ['ReadWriteOnce'],
      persistentVolumeReclaimPolicy: 'Recycle',
      rbd: { monitors: ['m'], image: 'i' },
      nodeAffinity: {
        required: { nodeSelectorTerms: [{ matchExpressions: [{ key: 'beta.kubernetes.io/os', operator: 'In', values: ['linux'] }] }] },
      },
    },
  }
  const now = new Date(testNowMs).toISOString().replace('.000', '')

  test('know since when they are in their phase', () => {
    const object = created(PersistentVolume, volume)
    expect(object.status).toEqual({ phase: 'Pending', lastPhaseTransitionTime: now })
    const later = { ...structuredClone(object), status: { phase: 'Available' as const } }
    PersistentVolume.strategy.prepareForStatusUpdate!(later, object, { ...testContext('status'), nowMs: testNowMs + 1000 })
    expect(later.status).toEqual({ phase: 'Available', lastPhaseTransitionTime: now.replace('00Z', '01Z') })
    const same = { ...structuredClone(object), status: { phase: 'Pending' as const } }
    PersistentVolume.strategy.prepareForStatusUpdate!(same, object, testContext('status'))
    expect(same.status).toEqual(object.status)
  })

  test('warn of what is of the past', () => {
    expect(PersistentVolume.strategy.warnings!(created(PersistentVolume, volume), undefined)).toEqual([
      'spec.persistentVolumeReclaimPolicy: The Recycle reclaim policy is deprecated. Instead, the recommended approach is to use dynamic provisioning.',
      'spec.nodeAffinity.required.nodeSelectorTerms[0].matchExpressions[0].key: beta.kubernetes.io/os is deprecated since v1.14; use "kubernetes.io/os" instead',
      'spec.rbd: deprecated in v1.28, non-functional in v1.31+',
    ])
  })
})

test('nodes declare features in order, and say nothing of where their configuration is', () => {
  const node: Manifest<Node> = {
    spec: { configSource: { configMap: { name: 'c', namespace: 'd', kubeletConfigKey: 'k' } } },
    status: { declaredFeatures: ['b', 'A', 'A'] },
  }
  expect(created(Node, node).spec).toEqual({})
  expect(createErrors(Node, node)).toEqual([
    `status.declaredFeatures[0]: Invalid value: "b": invalid feature name "b": must start with an UpperCamelCase segment, with subsequent segments separated by '/' (e.g., MyFeature or MyFeature/mySubFeature), and contain only alphanumeric characters and slashes`,
    'status.declaredFeatures[1]: Invalid value: "A": list must be sorted alphabetically',
    'status.declaredFeatures[2]: Duplicate value: "A"',
  ])
})

test('endpoints that were let in once may stay as they are', () => {
  const endpoints = (ip: string, name = 'x'): Manifest<Endpoints> => ({
    metadata: { labels: { name } },
    subsets: [{ addresses: [{ ip }] }],
  })
  expect(updateErrors(Endpoints, endpoints('127.0.0.1'), endpoints('127.0.0.1', 'y'))).toEqual([])
  expect(updateErrors(Endpoints, endpoints('10.0.0.1'), endpoints('127.0.0.1'))).toEqual([
    'subsets[0].addresses[0].ip: Invalid value: "127.0.0.1": may not be in the loopback range (127.0.0.0/8, ::1/128)',
  ])
  const ipv6 = created(Endpoints, endpoints('2001:DB8::1'))
  expect(Endpoints.strategy.warnings!(ipv6, undefined)).toEqual([
    'subsets[0].addresses[0].ip: IPv6 address "2001:DB8::1" should be in RFC 5952 canonical format ("2001:db8::1")',
  ])
})

test('what may not change is complained of before what is wrong', () => {
  const before: Manifest<ConfigMap> = { immutable: true, data: { a: 'b' } }
  expect(updateErrors(ConfigMap, before, { immutable: true, data: { '..': 'b' } })).toEqual([
    'data: Forbidden: field is immutable when `immutable` is set',
    `data[..]: Invalid value: "..": must not be '..'`,
  ])
})

test('services warn of what is of the past or does nothing', () => {
  const service: Manifest<Service> = {
    metadata: { annotations: { 'service.kubernetes.io/topology-aware-hints': 'auto' } },
    spec: {
      ports: [{ port: 80 }],
      externalIPs: ['10.0.0.1'],
      externalName: 'x',
      trafficDistribution: 'PreferClose',
      loadBalancerSourceRanges: ['10.0.0.1/8'],
    },
  }
  expect(Service.strategy.warnings!(created(Service, service), undefined)).toEqual([
    'annotation service.kubernetes.io/topology-aware-hints is deprecated, please use service.kubernetes.io/topology-mode instead',
    'spec.externalIPs is deprecated and may no longer be implemented in some clusters',
    'spec.loadBalancerSourceRanges[0]: CIDR value "10.0.0.1/8" is ambiguous in this context (should be "10.0.0.0/8" or "10.0.0.1/32"?)',
    'spec.externalName is ignored when spec.type is not "ExternalName"',
    'spec.trafficDistribution: "PreferClose" is deprecated; use "PreferSameZone"',
  ])
})
