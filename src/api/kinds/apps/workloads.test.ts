import { describe, expect, test } from 'vitest'
import type * as coreV1 from '../../generated/core-v1.ts'
import type { Manifest } from '../../object.ts'
import { created, createErrors, row, testContext, testNowMs, updateErrors } from '../testing.ts'
import { DaemonSet } from './daemon-set.ts'
import { Deployment } from './deployment.ts'
import { ReplicaSet } from './replica-set.ts'
import { StatefulSet } from './stateful-set.ts'

const labels = { app: 'web' }
const template: Manifest<coreV1.PodTemplateSpec> = {
  metadata: { labels },
  spec: { containers: [{ name: 'web', image: 'navarch.local/web:v1' }] },
}
const base = { selector: { matchLabels: labels }, template }

const otherLabels: Manifest<coreV1.PodTemplateSpec> = { ...template, metadata: { labels: { app: 'other' } } }
const once: Manifest<coreV1.PodTemplateSpec> = { ...template, spec: { ...template.spec, restartPolicy: 'Never' } }

describe('workload defaults', () => {
  test('a deployment rolls a quarter at a time', () => {
    expect(created(Deployment, { spec: base }).spec).toMatchObject({
      replicas: 1,
      revisionHistoryLimit: 10,
      progressDeadlineSeconds: 600,
      strategy: { type: 'RollingUpdate', rollingUpdate: { maxSurge: '25%', maxUnavailable: '25%' } },
    })
  })

  test('a deployment that recreates has nothing to roll', () => {
    expect(created(Deployment, { spec: { ...base, strategy: { type: 'Recreate' } } }).spec.strategy).toEqual({ type: 'Recreate' })
  })

  test('a daemon set rolls node by node', () => {
    expect(created(DaemonSet, { spec: base }).spec).toMatchObject({
      revisionHistoryLimit: 10,
      updateStrategy: { type: 'RollingUpdate', rollingUpdate: { maxUnavailable: 1, maxSurge: 0 } },
    })
  })

  test('a stateful set goes in order and keeps its claims', () => {
    expect(created(StatefulSet, { spec: { ...base, serviceName: 'web' } }).spec).toMatchObject({
      replicas: 1,
      podManagementPolicy: 'OrderedReady',
      revisionHistoryLimit: 10,
      updateStrategy: { type: 'RollingUpdate', rollingUpdate: { partition: 0 } },
      persistentVolumeClaimRetentionPolicy: { whenDeleted: 'Retain', whenScaled: 'Retain' },
    })
  })

  test('a replica set has one pod and a first generation is not its own doing', () => {
    const { spec, metadata } = created(ReplicaSet, { spec: base })
    expect(spec.replicas).toBe(1)
    expect(metadata.generation).toBeUndefined()
  })
})

const unmatched = 'spec.template.metadata.labels: Invalid value: {"app":"other"}: `selector` does not match template `labels`'

describe('creating a workload', () => {
  test.each<[string, Manifest<Deployment>['spec'], string[]]>([
    ['a deployment is fine', base, []],
    ['its selector must match its pods', { ...base, template: otherLabels }, [unmatched]],
    ['its selector must select', { ...base, selector: {} }, ['spec.selector: Invalid value: {}: empty selector is invalid for deployment']],
    [
      'its pods never end',
      { ...base, template: once },
      ['spec.template.spec.restartPolicy: Unsupported value: "Never": supported values: "Always"'],
    ],
    ['its count is not negative', { ...base, replicas: -1 }, ['spec.replicas: Invalid value: -1: must be greater than or equal to 0']],
    [
      'it must be able to move',
      { ...base, strategy: { rollingUpdate: { maxSurge: 0, maxUnavailable: '0%' } } },
      ['spec.strategy.rollingUpdate.maxUnavailable: Invalid value: "0%": may not be 0 when `maxSurge` is 0'],
    ],
    [
      'it cannot lose more than everything',
      { ...base, strategy: { rollingUpdate: { maxUnavailable: '101%' } } },
      ['spec.strategy.rollingUpdate.maxUnavailable: Invalid value: "101%": must not be greater than 100%'],
    ],
    [
      'shares are percentages',
      { ...base, strategy: { rollingUpdate: { maxSurge: 'half' } } },
      [
        "spec.strategy.rollingUpdate.maxSurge: Invalid value: \"half\": a valid percent string must be a numeric string followed by an ending '%' (e.g. '1%',  or '93%', regex used for validation is '[0-9]+%')",
      ],
    ],
    [
      'recreating rolls nothing',
      { ...base, strategy: { type: 'Recreate', rollingUpdate: {} } },
      ["spec.strategy.rollingUpdate: Forbidden: may not be specified when strategy `type` is 'Recreate'"],
    ],
    [
      'it must be given time to progress',
      { ...base, minReadySeconds: 10, progressDeadlineSeconds: 10 },
      ['spec.progressDeadlineSeconds: Invalid value: 10: must be greater than minReadySeconds'],
    ],
    [
      'pods are checked like pods',
      { ...base, template: { ...template, spec: { containers: [] } } },
      ['spec.template.spec.containers: Required value'],
    ],
  ])('%s', (_what, spec, errors) => {
    expect(createErrors(Deployment, { spec })).toEqual(errors)
  })

  test('a selector that is missing selects nothing, and one that is wrong says nothing of the template', () => {
    expect(createErrors(Deployment, { spec: { template } })).toEqual([
      'spec.selector: Required value',
      'spec.template.metadata.labels: Invalid value: {"app":"web"}: `selector` does not match template `labels`',
    ])
    const selector = { matchExpressions: [{ key: 'app', operator: 'Near' }] }
    expect(createErrors(Deployment, { spec: { selector, template: once } })).toEqual([
      'spec.selector.matchExpressions[0].operator: Invalid value: "Near": not a valid selector operator',
      'spec.selector: Invalid value: {"matchExpressions":[{"key":"app","operator":"Near"}]}: invalid label selector',
    ])
    expect(createErrors(DaemonSet, { spec: { template } })).toEqual([
      'spec.template.metadata.labels: Invalid value: {"app":"web"}: `selector` does not match template `labels`',
    ])
  })

  test('an unknown strategy is shown whole', () => {
    const strategy = { type: 'Odd' as 'Recreate' }
    expect(createErrors(Deployment, { spec: { ...base, strategy } })).toEqual([
      'spec.strategy: Unsupported value: {"Type":"Odd","RollingUpdate":null}: supported values: "Recreate", "RollingUpdate"',
    ])
  })

  test('a stateful set’s pods mount its claims, which are checked when it is made', () => {
    const pod = { containers: [{ ...template.spec!.containers![0], volumeMounts: [{ name: 'data', mountPath: '/data' }] }] }
    const spec = (claim: Manifest<coreV1.PersistentVolumeClaimSpec>): Manifest<StatefulSet>['spec'] => ({
      ...base,
      template: { ...template, spec: pod },
      volumeClaimTemplates: [{ metadata: { name: 'data' }, spec: claim }],
    })
    const good = spec({ accessModes: ['ReadWriteOnce'], resources: { requests: { storage: '1Gi' } } })
    expect(createErrors(StatefulSet, { spec: good })).toEqual([])
    expect(createErrors(StatefulSet, { spec: spec({ accessModes: ['ReadWriteOnce'] }) })).toEqual([
      'spec.volumeClaimTemplates[0].spec.resources[storage]: Required value',
    ])
    expect(createErrors(StatefulSet, { spec: { ...base, template: { ...template, spec: pod } } })).toEqual([
      'spec.template.spec.containers[0].volumeMounts[0].name: Not found: "data"',
    ])
  })

  test('a stateful set has one pod less at a time', () => {
    const type = 'RollingUpdate'
    expect(created(StatefulSet, { spec: { ...base, updateStrategy: { type } } }).spec.updateStrategy).toEqual({ type })
    const updateStrategy = { rollingUpdate: { maxUnavailable: 3 } }
    expect(created(StatefulSet, { spec: { ...base, updateStrategy } }).spec.updateStrategy).toEqual({
      type,
      rollingUpdate: { partition: 0 },
    })
  })

  test.each<[string, Manifest<StatefulSet>['spec'], string[]]>([
    ['a stateful set is fine', { ...base, serviceName: 'web' }, []],
    [
      'its order is one of two',
      { ...base, serviceName: 'web', podManagementPolicy: 'Random' as 'Parallel' },
      ["spec.podManagementPolicy: Invalid value: \"Random\": must be 'OrderedReady' or 'Parallel'"],
    ],
    [
      'deleting rolls nothing',
      { ...base, serviceName: 'web', updateStrategy: { type: 'OnDelete', rollingUpdate: { partition: 1 } } },
      [
        'spec.updateStrategy.rollingUpdate: Invalid value: {"Partition":1,"MaxUnavailable":null}: only allowed for updateStrategy \'RollingUpdate\'',
      ],
    ],
  ])('%s', (_what, spec, errors) => {
    expect(createErrors(StatefulSet, { spec })).toEqual(errors)
  })

  test.each<[string, Manifest<DaemonSet>['spec'], string[]]>([
    ['a daemon set is fine', base, []],
    ['its selector must match its pods', { ...base, template: otherLabels }, [unmatched]],
    [
      'a node has one pod more or less, not both ways',
      { ...base, updateStrategy: { rollingUpdate: { maxSurge: 1, maxUnavailable: 1 } } },
      ['spec.updateStrategy.rollingUpdate.maxSurge: Invalid value: 1: may not be set when maxUnavailable is non-zero'],
    ],
    [
      'it must be able to move',
      { ...base, updateStrategy: { rollingUpdate: { maxSurge: 0, maxUnavailable: 0 } } },
      ['spec.updateStrategy.rollingUpdate.maxUnavailable: Required value: cannot be 0 when maxSurge is 0'],
    ],
  ])('%s', (_what, spec, errors) => {
    expect(createErrors(DaemonSet, { spec })).toEqual(errors)
  })

  test('a replica set selects its own pods', () => {
    expect(createErrors(ReplicaSet, { spec: { ...base, template: otherLabels } })).toEqual([unmatched])
    expect(createErrors(ReplicaSet, { spec: { ...base, selector: {} } })).toEqual([
      'spec.selector: Invalid value: {}: empty selector is invalid for deployment',
    ])
  })
})

describe('updating a workload', () => {
  const moved = {
    selector: { matchLabels: { app: 'web', tier: 'a' } },
    template: { ...template, metadata: { labels: { ...labels, tier: 'a' } } },
  }
  const immutable = 'spec.selector: Invalid value: {"matchLabels":{"app":"web","tier":"a"}}: field is immutable'

  test('a deployment may change anything but its selector', () => {
    expect(updateErrors(Deployment, { spec: base }, { spec: { ...base, replicas: 5 } })).toEqual([])
    expect(updateErrors(Deployment, { spec: base }, { spec: moved })).toEqual([immutable])
  })

  test('so may replica sets and daemon sets', () => {
    expect(updateErrors(ReplicaSet, { spec: base }, { spec: moved })).toEqual([immutable])
    expect(updateErrors(DaemonSet, { spec: base }, { spec: moved })).toEqual([immutable])
  })

  test('a stateful set may change what its pods are not named by', () => {
    const web = { ...base, serviceName: 'web' }
    expect(updateErrors(StatefulSet, { spec: web }, { spec: { ...web, replicas: 3 } })).toEqual([])
    expect(updateErrors(StatefulSet, { spec: web }, { spec: { ...web, serviceName: 'other' } })).toEqual([
      "spec: Forbidden: updates to statefulset spec for fields other than 'replicas', 'ordinals', 'template', 'updateStrategy', 'revisionHistoryLimit', 'persistentVolumeClaimRetentionPolicy' and 'minReadySeconds' are forbidden",
    ])
  })
})

describe('generations', () => {
  test('a deployment’s annotations count, for its replica sets get them', () => {
    const old = created(Deployment, { metadata: { generation: 3 }, spec: base })
    const same = structuredClone(old)
    Deployment.strategy.prepareForUpdate!(same, old, testContext())
    expect(same.metadata.generation).toBe(3)
    same.metadata.annotations = { why: 'new' }
    Deployment.strategy.prepareForUpdate!(same, old, testContext())
    expect(same.metadata.generation).toBe(4)
  })

  test('a daemon set counts the changes of its template', () => {
    const old = created(DaemonSet, { spec: base })
    const generation = (object: DaemonSet): string | undefined => object.metadata.annotations?.['deprecated.daemonset.template.generation']
    expect(generation(old)).toBe('1')
    const next = structuredClone(old)
    next.metadata.annotations = {}
    DaemonSet.strategy.prepareForUpdate!(next, old, testContext())
    expect(generation(next)).toBe('1')
    next.spec.template.spec.containers[0]!.image = 'navarch.local/web:v2'
    DaemonSet.strategy.prepareForUpdate!(next, old, testContext())
    expect(generation(next)).toBe('2')
  })
})

describe('the tables of workloads', () => {
  const metadata = { name: 'web', creationTimestamp: new Date(testNowMs - 90_000).toISOString() }

  test('a deployment shows how far it is', () => {
    const object = created(Deployment, { metadata, spec: { ...base, replicas: 3 } })
    object.status = { replicas: 3, readyReplicas: 2, updatedReplicas: 1, availableReplicas: 2 }
    expect(row(Deployment, object)).toEqual({
      Name: 'web',
      Ready: '2/3',
      'Up-to-date': 1,
      Available: 2,
      Age: '90s',
      Containers: 'web',
      Images: 'navarch.local/web:v1',
      Selector: 'app=web',
    })
  })

  test('a replica set shows its counts', () => {
    const object = created(ReplicaSet, { metadata, spec: { ...base, replicas: 3 } })
    object.status = { replicas: 3, readyReplicas: 2 }
    expect(row(ReplicaSet, object)).toMatchObject({ Desired: 3, Current: 3, Ready: 2, Age: '90s' })
  })

  test('a daemon set shows its nodes', () => {
    const object = created(DaemonSet, {
      metadata,
      spec: { ...base, template: { ...template, spec: { ...template.spec, nodeSelector: { disk: 'ssd' } } } },
    })
    object.status = { currentNumberScheduled: 2, numberMisscheduled: 0, desiredNumberScheduled: 3, numberReady: 1, numberAvailable: 1 }
    expect(row(DaemonSet, object)).toMatchObject({
      Desired: 3,
      Current: 2,
      Ready: 1,
      'Up-to-date': 0,
      Available: 1,
      'Node Selector': 'disk=ssd',
    })
  })

  test('a stateful set shows its pods', () => {
    const object = created(StatefulSet, { metadata, spec: { ...base, serviceName: 'web', replicas: 3 } })
    object.status = { replicas: 2, readyReplicas: 1 } as typeof object.status
    expect(row(StatefulSet, object)).toMatchObject({ Ready: '1/3', Containers: 'web' })
  })
})
