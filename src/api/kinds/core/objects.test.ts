import { describe, expect, test } from 'vitest'
import type * as coreV1 from '../../generated/core-v1.ts'
import type { Manifest } from '../../object.ts'
import { created, createErrors, defaulted, row, testNowMs, updateErrors } from '../testing.ts'
import { ConfigMap } from './config-map.ts'
import { Endpoints } from './endpoints.ts'
import { LimitRange } from './limit-range.ts'
import { Namespace } from './namespace.ts'
import { Node } from './node.ts'
import { PersistentVolume } from './persistent-volume.ts'
import { PersistentVolumeClaim } from './persistent-volume-claim.ts'
import { ResourceQuota } from './resource-quota.ts'
import { Secret } from './secret.ts'

const base64 = (text: string): string => Buffer.from(text).toString('base64')

describe('config maps', () => {
  test.each<[string, Manifest<ConfigMap>, string[]]>([
    ['text and bytes are fine', { data: { 'a.conf': 'x' }, binaryData: { b: 'AAE=' } }, []],
    [
      'keys are file names',
      { data: { 'a/b': 'x' } },
      [
        "data[a/b]: Invalid value: \"a/b\": a valid config key must consist of alphanumeric characters, '-', '_' or '.' (e.g. 'key.name',  or 'KEY_NAME',  or 'key-name', regex used for validation is '[-._a-zA-Z0-9]+')",
      ],
    ],
    [
      'a key is text or bytes',
      { data: { a: 'x' }, binaryData: { a: 'AAE=' } },
      ['data[a]: Invalid value: "a": duplicate of key present in binaryData'],
    ],
    ['a megabyte is the most', { data: { a: 'x'.repeat(1024 * 1024 + 1) } }, ['[]: Too long: may not be more than 1048576 bytes']],
  ])('%s', (_what, manifest, errors) => {
    expect(createErrors(ConfigMap, manifest)).toEqual(errors)
  })

  test('what was made immutable stays', () => {
    const before: Manifest<ConfigMap> = { data: { a: '1' }, immutable: true }
    expect(updateErrors(ConfigMap, before, { data: { a: '2' }, immutable: true })).toEqual([
      'data: Forbidden: field is immutable when `immutable` is set',
    ])
    expect(updateErrors(ConfigMap, before, { data: { a: '1' } })).toEqual([
      'immutable: Forbidden: field is immutable when `immutable` is set',
    ])
    expect(updateErrors(ConfigMap, { data: { a: '1' } }, { data: { a: '2' }, immutable: true })).toEqual([])
  })

  test('the table counts keys of both sorts', () => {
    expect(row(ConfigMap, created(ConfigMap, { data: { a: '' }, binaryData: { b: '' } }))).toMatchObject({ Data: 2 })
  })
})

describe('secrets', () => {
  test('text that was given goes into the data, and is not given back', () => {
    const secret = defaulted(Secret, { stringData: { a: 'grüß' }, data: { a: base64('old'), b: base64('kept') } })
    expect(secret.data).toEqual({ a: base64('grüß'), b: base64('kept') })
    expect(secret.stringData).toBeUndefined()
    expect(secret.type).toBe('Opaque')
  })

  test.each<[string, Manifest<Secret>, string[]]>([
    ['an opaque secret may hold anything', { data: { a: '' } }, []],
    [
      'a certificate has two parts',
      { type: 'kubernetes.io/tls', data: {} },
      ['data[tls.crt]: Required value', 'data[tls.key]: Required value'],
    ],
    ['a registry login is one', { type: 'kubernetes.io/dockerconfigjson' }, ['data[.dockerconfigjson]: Required value']],
    [
      'and is JSON',
      { type: 'kubernetes.io/dockerconfigjson', data: { '.dockerconfigjson': base64('{') } },
      ['data[.dockerconfigjson]: Invalid value: "<secret contents redacted>": unexpected end of JSON input'],
    ],
    [
      'a password has a name or a word',
      { type: 'kubernetes.io/basic-auth' },
      ['data[username]: Required value', 'data[password]: Required value'],
    ],
    ['a key is one', { type: 'kubernetes.io/ssh-auth' }, ['data[ssh-privatekey]: Required value']],
    [
      'a token is somebody’s',
      { type: 'kubernetes.io/service-account-token' },
      ['metadata.annotations[kubernetes.io/service-account.name]: Required value'],
    ],
  ])('%s', (_what, manifest, errors) => {
    expect(createErrors(Secret, manifest)).toEqual(errors)
  })

  test('its type stays, and what was made immutable', () => {
    expect(updateErrors(Secret, {}, { type: 'example.com/other' })).toEqual([
      'type: Invalid value: "example.com/other": field is immutable',
    ])
    expect(updateErrors(Secret, { immutable: true, data: { a: '' } }, { immutable: true })).toEqual([
      'data: Forbidden: field is immutable when `immutable` is set',
    ])
  })

  test('the table shows type and count', () => {
    expect(row(Secret, created(Secret, { data: { a: '' } }))).toMatchObject({ Type: 'Opaque', Data: 1 })
    expect(Secret.strategy.selectableFields!['type']!(created(Secret, {}))).toBe('Opaque')
  })
})

describe('namespaces', () => {
  test('a new one is labelled with its name and active', () => {
    const namespace = created(Namespace, { metadata: { name: 'blue' } })
    expect(namespace.metadata.labels).toEqual({ 'kubernetes.io/metadata.name': 'blue' })
    expect(namespace.spec.finalizers).toEqual(['kubernetes'])
    expect(namespace.status.phase).toBe('Active')
    expect(Namespace.strategy.selectableFields!['status.phase']!(namespace)).toBe('Active')
    expect(row(Namespace, namespace)).toMatchObject({ Name: 'blue', Status: 'Active' })
  })

  test('its name is a label', () => {
    expect(createErrors(Namespace, { metadata: { name: 'Blue' } })).toEqual([
      "metadata.name: Invalid value: \"Blue\": a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end with an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?')",
    ])
  })
})

describe('nodes', () => {
  test.each<[string, Manifest<Node>, string[]]>([
    ['nothing need be said', {}, []],
    [
      'a taint has an effect',
      { spec: { taints: [{ key: 'a', effect: '' as 'NoSchedule' }] } },
      ['metadata.taints[0].effect: Required value'],
    ],
    [
      'effects are three',
      { spec: { taints: [{ key: 'a', effect: 'Never' as 'NoSchedule' }] } },
      ['metadata.taints[0].effect: Unsupported value: "Never": supported values: "NoSchedule", "PreferNoSchedule", "NoExecute"'],
    ],
    [
      'a key and effect stands once',
      {
        spec: {
          taints: [
            { key: 'a', effect: 'NoSchedule' },
            { key: 'a', value: 'b', effect: 'NoSchedule' },
          ],
        },
      },
      [
        'metadata.taints[1]: Duplicate value: {"Key":"a","Value":"b","Effect":"NoSchedule","TimeAdded":null}: taints must be unique by key and effect pair',
      ],
    ],
    [
      'old annotations still have to parse',
      { metadata: { annotations: { 'scheduler.alpha.kubernetes.io/taints': '{}' } } },
      [
        'metadata.annotations: Invalid value: "scheduler.alpha.kubernetes.io/taints": json: cannot unmarshal object into Go value of type []core.Taint',
      ],
    ],
    [
      'and to make sense',
      {
        metadata: {
          annotations: {
            'scheduler.alpha.kubernetes.io/taints': '[{"key":"a"}]',
            'scheduler.alpha.kubernetes.io/preferAvoidPods': JSON.stringify({
              preferAvoidPods: [
                { podSignature: { podController: { kind: 'ReplicaSet', name: 'a', controller: true } } },
                { podSignature: { podController: { kind: 'ReplicaSet', name: 'a', controller: false } } },
                { reason: 'none' },
              ],
            }),
          },
        },
      },
      [
        'metadata.annotations.scheduler.alpha.kubernetes.io/taints[0].effect: Required value',
        'metadata.annotations.scheduler.alpha.kubernetes.io/preferAvoidPods[1].PodSignature.PodController.Controller: Invalid value: false: must point to a controller',
        'metadata.annotations.scheduler.alpha.kubernetes.io/preferAvoidPods[2].PodSignature: Required value',
      ],
    ],
  ])('%s', (_what, manifest, errors) => {
    expect(createErrors(Node, manifest)).toEqual(errors)
  })

  test('its pod addresses stay', () => {
    const before: Manifest<Node> = { spec: { podCIDR: '10.1.0.0/24', podCIDRs: ['10.1.0.0/24'] } }
    expect(updateErrors(Node, before, { spec: { podCIDR: '10.2.0.0/24', podCIDRs: ['10.2.0.0/24'] } })).toEqual(
      expect.arrayContaining(['spec.podCIDRs: Forbidden: node updates may not change podCIDR except from "" to valid']),
    )
  })

  test('the table shows state, roles, version and addresses', () => {
    const node = created(Node, {
      metadata: { name: 'one', labels: { 'node-role.kubernetes.io/control-plane': '' } },
      spec: { unschedulable: true },
    })
    node.status = {
      ...node.status,
      conditions: [{ type: 'Ready', status: 'True' }],
      addresses: [{ type: 'InternalIP', address: '10.0.0.4' }],
      nodeInfo: {
        ...node.status.nodeInfo,
        kubeletVersion: 'v1.36.0',
        osImage: 'Linux',
        kernelVersion: '6.12',
        architecture: 'arm64',
        containerRuntimeVersion: 'docker://28',
      },
    } as typeof node.status
    expect(row(Node, node)).toMatchObject({
      Status: 'Ready,SchedulingDisabled',
      Roles: 'control-plane',
      Version: 'v1.36.0',
      'Internal-IP': '10.0.0.4',
      'External-IP': '<none>',
      'OS-Image': 'Linux',
      'Kernel-Version': '6.12 (arm64)',
      'Container-Runtime': 'docker://28',
    })
    expect(row(Node, created(Node, {}))).toMatchObject({ Status: 'Unknown', Roles: '<none>' })
  })
})

describe('endpoints', () => {
  test.each<[string, Manifest<Endpoints>, string[]]>([
    ['addresses and ports', { subsets: [{ addresses: [{ ip: '10.0.0.1' }], ports: [{ port: 80 }] }] }, []],
    [
      'some addresses',
      { subsets: [{ ports: [{ port: 80 }] }] },
      ['subsets[0]: Required value: must specify `addresses` or `notReadyAddresses`'],
    ],
    [
      'that are addresses',
      { subsets: [{ addresses: [{ ip: '10.0.0' }] }] },
      [
        'subsets[0].addresses[0].ip: Invalid value: "10.0.0": must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)',
        'subsets[0].addresses[0].ip: Invalid value: "10.0.0": must be a valid IP address',
      ],
    ],
  ])('%s', (_what, manifest, errors) => {
    expect(createErrors(Endpoints, manifest)).toEqual(errors)
  })

  test('the table shows where they are, three at most', () => {
    const ips = ['1', '2', '3', '4'].map((n) => ({ ip: `10.0.0.${n}` }))
    const object = created(Endpoints, { subsets: [{ addresses: ips, ports: [{ port: 80 }] }] })
    expect(row(Endpoints, object)).toMatchObject({ Endpoints: '10.0.0.1:80,10.0.0.2:80,10.0.0.3:80 + 1 more...' })
    expect(row(Endpoints, created(Endpoints, {}))).toMatchObject({ Endpoints: '<none>' })
  })
})

describe('quotas and limits', () => {
  test.each<[string, Manifest<coreV1.ResourceQuotaSpec>, string[]]>([
    ['counts and amounts', { hard: { pods: '10', 'requests.cpu': '4', 'count/widgets.example.com': '3' } }, []],
    ['whole pods', { hard: { pods: '1500m' } }, ['spec.hard[pods]: Invalid value: "1500m": must be an integer']],
    ['none below nothing', { hard: { cpu: '-1' } }, ['spec.hard[cpu]: Invalid value: "-1": must be greater than or equal to 0']],
    [
      'no quota of what does not end and what does',
      { hard: { pods: '1' }, scopes: ['Terminating', 'NotTerminating'] },
      ['spec.scopes: Invalid value: ["Terminating","NotTerminating"]: conflicting scopes'],
    ],
  ])('quota: %s', (_what, spec, errors) => {
    expect(createErrors(ResourceQuota, { spec })).toEqual(errors)
  })

  test.each<[string, Manifest<coreV1.LimitRangeItem>, string[]]>([
    ['a range', { type: 'Container', min: { cpu: '100m' }, max: { cpu: '1' }, default: { cpu: '500m' } }, []],
    [
      'the least is not above the most',
      { type: 'Container', min: { cpu: '2' }, max: { cpu: '1' } },
      [
        'spec.limits[0].min[cpu]: Invalid value: "2": min value 2 is greater than max value 1',
        'spec.limits[0].defaultRequest[cpu]: Invalid value: "1": min value 2 is greater than default request value 1',
        'spec.limits[0].default[cpu]: Invalid value: "2": min value 2 is greater than default value 1',
      ],
    ],
    [
      'pods have no default',
      { type: 'Pod', default: { cpu: '1' } },
      ["spec.limits[0].default: Forbidden: may not be specified when `type` is 'Pod'"],
    ],
  ])('limits: %s', (_what, item, errors) => {
    expect(createErrors(LimitRange, { spec: { limits: [item] } })).toEqual(errors)
  })
})

describe('volumes and claims', () => {
  const claim: Manifest<coreV1.PersistentVolumeClaimSpec> = { accessModes: ['ReadWriteOnce'], resources: { requests: { storage: '1Gi' } } }
  const volume: Manifest<coreV1.PersistentVolumeSpec> = {
    accessModes: ['ReadWriteOnce'],
    capacity: { storage: '1Gi' },
    hostPath: { path: '/data' },
  }

  test.each<[string, Manifest<coreV1.PersistentVolumeClaimSpec>, string[]]>([
    ['a claim', claim, []],
    [
      'a claim says how it is used',
      { ...claim, accessModes: [] },
      ['spec.accessModes: Required value: at least 1 access mode is required'],
    ],
    ['and how much', { accessModes: ['ReadWriteOnce'] }, ['spec.resources[storage]: Required value']],
    [
      'some',
      { ...claim, resources: { requests: { storage: '0' } } },
      ['spec.resources[storage]: Invalid value: "0": must be greater than zero'],
    ],
  ])('%s', (_what, spec, errors) => {
    expect(createErrors(PersistentVolumeClaim, { spec })).toEqual(errors)
  })

  test.each<[string, Manifest<coreV1.PersistentVolumeSpec>, string[]]>([
    ['a volume', volume, []],
    [
      'a volume has a size',
      { ...volume, capacity: {} },
      ['spec.capacity: Required value', 'spec.capacity: Unsupported value: null: supported values: "storage"'],
    ],
    ['and a place', { accessModes: ['ReadWriteOnce'], capacity: { storage: '1Gi' } }, ['spec: Required value: must specify a volume type']],
    ['one place', { ...volume, nfs: { server: 'a', path: '/' } }, ['spec.nfs: Forbidden: may not specify more than 1 volume type']],
  ])('%s', (_what, spec, errors) => {
    expect(createErrors(PersistentVolume, { spec })).toEqual(errors)
  })

  test('a new claim waits, and both show what is known', () => {
    const object = created(PersistentVolumeClaim, { spec: claim })
    expect(object.status.phase).toBe('Pending')
    expect(row(PersistentVolumeClaim, object)).toMatchObject({
      Status: 'Pending',
      Volume: '',
      Capacity: '',
      'Access Modes': '',
      VolumeMode: 'Filesystem',
    })
    const pv = created(PersistentVolume, { spec: { ...volume, claimRef: { namespace: 'a', name: 'b' }, storageClassName: 'fast' } })
    expect(row(PersistentVolume, pv)).toMatchObject({
      Capacity: '1Gi',
      'Access Modes': 'RWO',
      'Reclaim Policy': 'Retain',
      Status: 'Pending',
      Claim: 'a/b',
      StorageClass: 'fast',
      Age: '<unknown>',
    })
  })

  test('ages are those of the object', () => {
    const metadata = { creationTimestamp: new Date(testNowMs - 48 * 3_600_000).toISOString() }
    expect(row(PersistentVolumeClaim, created(PersistentVolumeClaim, { metadata, spec: claim }))).toMatchObject({ Age: '2d' })
  })
})
