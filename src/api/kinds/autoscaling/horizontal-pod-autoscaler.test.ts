import { describe, expect, test } from 'vitest'
import type * as autoscalingV2 from '../../generated/autoscaling-v2.ts'
import type { Manifest } from '../../object.ts'
import { complete, created, createErrors, defaulted, row } from '../testing.ts'
import { HorizontalPodAutoscaler } from './horizontal-pod-autoscaler.ts'
import { HorizontalPodAutoscalerV1 } from './horizontal-pod-autoscaler-v1.ts'

const target = { apiVersion: 'apps/v1', kind: 'Deployment', name: 'web' }
const base: Manifest<autoscalingV2.HorizontalPodAutoscalerSpec> = { scaleTargetRef: target, maxReplicas: 5 }

describe('horizontal pod autoscalers', () => {
  test('one replica and four fifths of the CPU, unless said otherwise', () => {
    const { spec } = defaulted(HorizontalPodAutoscaler, { spec: base })
    expect(spec.minReplicas).toBe(1)
    expect(spec.metrics).toEqual([{ type: 'Resource', resource: { name: 'cpu', target: { type: 'Utilization', averageUtilization: 80 } } }])
  })

  test.each<[string, Manifest<autoscalingV2.HorizontalPodAutoscalerSpec>, string[]]>([
    ['a target and a limit', base, []],
    [
      'at least one replica',
      { ...base, minReplicas: 0 },
      [
        'spec.minReplicas: Invalid value: 0: must be greater than or equal to 1',
        'spec.metrics: Forbidden: must specify at least one Object or External metric to support scaling to zero replicas',
      ],
    ],
    [
      'no more than the most',
      { ...base, minReplicas: 9 },
      ['spec.maxReplicas: Invalid value: 5: must be greater than or equal to `minReplicas`'],
    ],
    [
      'a target is something with a name',
      { ...base, scaleTargetRef: { kind: '', name: '', apiVersion: 'apps/v1' } },
      ['spec.scaleTargetRef.kind: Required value', 'spec.scaleTargetRef.name: Required value'],
    ],
    [
      'of a group',
      { ...base, scaleTargetRef: { kind: 'Deployment', name: 'web' } },
      ['spec.scaleTargetRef.apiVersion: Invalid value: "": apiVersion must specify API group'],
    ],
    [
      'or it is a replication controller',
      { ...base, scaleTargetRef: { kind: 'ReplicationController', name: 'web', apiVersion: 'v1' } },
      [],
    ],
    [
      'a limit is there',
      { scaleTargetRef: target } as typeof base,
      [
        'spec.maxReplicas: Required value: must be set and greater than 0',
        'spec.maxReplicas: Invalid value: 0: must be greater than or equal to `minReplicas`',
      ],
    ],
    [
      'a metric is what its type says',
      {
        ...base,
        metrics: [
          { type: 'Resource', pods: { metric: { name: 'hits' }, target: { type: '' } } },
          { type: 'Odd' },
          {
            type: 'ContainerResource',
            containerResource: { name: 'pods', container: 'A', target: { type: 'Value', averageUtilization: 0 } },
          },
        ],
      },
      [
        'spec.metrics[0].pods.target.type: Required value: must specify a metric target type',
        'spec.metrics[0].pods.target.type: Invalid value: "": must be either Utilization, Value, or AverageValue',
        'spec.metrics[0].pods.target.averageValue: Required value: must specify a positive target averageValue',
        'spec.metrics[0].resource: Required value: must populate information for the given metric source',
        'spec.metrics[1].type: Unsupported value: "Odd": supported values: "ContainerResource", "External", "Object", "Pods", "Resource"',
        'spec.metrics[1].type: Unsupported value: "Odd": supported values: "ContainerResource", "External", "Object", "Pods", "Resource"',
        'spec.metrics[2].containerResource.name: Invalid value: "pods": must be a standard resource for containers',
        "spec.metrics[2].containerResource.container: Invalid value: \"A\": a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end with an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?')",
        'spec.metrics[2].containerResource.target.averageUtilization: Invalid value: 0: must be greater than 0',
      ],
    ],
  ])('%s', (_what, spec, errors) => {
    expect(createErrors(HorizontalPodAutoscaler, { spec })).toEqual(errors)
  })

  test('the older version is the newer one with the CPU only, and forgets nothing', () => {
    const convert = HorizontalPodAutoscalerV1.strategy.convert!
    const older = complete(HorizontalPodAutoscalerV1, {
      spec: { scaleTargetRef: target, minReplicas: 2, maxReplicas: 5, targetCPUUtilizationPercentage: 50 },
    })
    const stored = convert.toStorage(structuredClone(older)) as HorizontalPodAutoscaler
    expect(stored.apiVersion).toBe('autoscaling/v2')
    expect(stored.spec.metrics).toEqual([
      { type: 'Resource', resource: { name: 'cpu', target: { type: 'Utilization', averageUtilization: 50 } } },
    ])
    expect(convert.fromStorage(stored)).toEqual(older)

    const memory: autoscalingV2.MetricSpec = {
      type: 'Resource',
      resource: { name: 'memory', target: { type: 'AverageValue', averageValue: '1Gi' } },
    }
    const newer = defaulted(HorizontalPodAutoscaler, { spec: { ...base, metrics: [memory] } })
    const seen = convert.fromStorage(structuredClone(newer)) as HorizontalPodAutoscalerV1
    expect(Object.keys(seen.metadata.annotations ?? {})).toContain('autoscaling.alpha.kubernetes.io/metrics')
    expect((convert.toStorage(seen) as HorizontalPodAutoscaler).spec.metrics).toEqual([memory])
    expect(HorizontalPodAutoscalerV1.strategy.storedAs).toBe('autoscaling/v2/horizontalpodautoscalers')
  })

  test('v2 forgets the annotations in which v1 carries what v2 has fields for', () => {
    const annotations = { 'autoscaling.alpha.kubernetes.io/metrics': '[]', 'autoscaling.alpha.kubernetes.io/behavior': '', mine: 'kept' }
    const hpa = defaulted(HorizontalPodAutoscaler, { metadata: { name: 'one', annotations }, spec: base })
    expect(hpa.metadata.annotations).toEqual({ mine: 'kept' })
  })

  test('the table shows where it stands', () => {
    const object = created(HorizontalPodAutoscaler, { spec: base })
    object.status = {
      ...object.status,
      currentReplicas: 2,
      currentMetrics: [{ type: 'Resource', resource: { name: 'cpu', current: { averageUtilization: 30, averageValue: '30m' } } }],
    }
    expect(row(HorizontalPodAutoscaler, object)).toMatchObject({
      Reference: 'Deployment/web',
      Targets: 'cpu: 30%/80%',
      MinPods: '1',
      MaxPods: 5,
      Replicas: 2,
    })
    expect(row(HorizontalPodAutoscaler, created(HorizontalPodAutoscaler, { spec: base }))).toMatchObject({ Targets: 'cpu: <unknown>/80%' })
  })
})
