// HorizontalPodAutoscaler of autoscaling/v1: CPU only; what v2 knows beyond that travels in annotations.
import type * as autoscalingV1 from '../../generated/autoscaling-v1.ts'
import type * as autoscalingV2 from '../../generated/autoscaling-v2.ts'
import { column, defineKind } from '../../kind.ts'
import {
  hpaAnnotations,
  hpaColumns,
  setHpaDefaults,
  validateHpa,
  validateHpaStatus,
  withoutHpaAnnotations,
} from './horizontal-pod-autoscaler.ts'

export type HorizontalPodAutoscalerV1 = autoscalingV1.HorizontalPodAutoscaler

const { behaviorAnnotation, conditionsAnnotation, currentMetricsAnnotation, metricsAnnotation } = hpaAnnotations

function parse<T>(text: string | undefined): T | undefined {
  if (text === undefined) return undefined
  try {
    return JSON.parse(text) as T
  } catch {
    return undefined
  }
}

function isCpuUtilization(metric: { type: string; resource?: { name: string; target: { averageUtilization?: number } } }): boolean {
  return metric.type === 'Resource' && metric.resource?.name === 'cpu' && metric.resource.target.averageUtilization !== undefined
}

/** The stored form of a v1 object. */
export function hpaToV2(hpa: HorizontalPodAutoscalerV1): autoscalingV2.HorizontalPodAutoscaler {
  const { metadata, spec, status } = hpa
  const annotations = metadata.annotations ?? {}
  const metrics: autoscalingV2.MetricSpec[] = []
  if (spec.targetCPUUtilizationPercentage !== undefined) {
    const target = { type: 'Utilization', averageUtilization: spec.targetCPUUtilizationPercentage }
    metrics.push({ type: 'Resource', resource: { name: 'cpu', target } })
  }
  metrics.push(...(parse<autoscalingV1.MetricSpec[]>(annotations[metricsAnnotation]) ?? []).map(metricToV2))
  const behavior = parse<autoscalingV2.HorizontalPodAutoscalerBehavior>(annotations[behaviorAnnotation])
  const currentMetrics = parse<autoscalingV2.MetricStatus[]>(annotations[currentMetricsAnnotation])
  const conditions = parse<autoscalingV2.HorizontalPodAutoscalerCondition[]>(annotations[conditionsAnnotation])
  const { targetCPUUtilizationPercentage: _, ...sameSpec } = spec
  const { currentCPUUtilizationPercentage: __, ...sameStatus } = status
  const rest = withoutHpaAnnotations(metadata.annotations)
  const { annotations: ___, ...sameMeta } = metadata
  const out: autoscalingV2.HorizontalPodAutoscaler = {
    ...hpa,
    apiVersion: 'autoscaling/v2',
    metadata: { ...sameMeta, ...(rest !== undefined && { annotations: rest }) },
    spec: { ...sameSpec, ...(metrics.length > 0 && { metrics }), ...(behavior !== undefined && { behavior }) },
    status: {
      ...sameStatus,
      ...(currentMetrics !== undefined && { currentMetrics }),
      ...(conditions !== undefined && { conditions }),
    },
  }
  setHpaDefaults(out)
  return out
}

/** A stored object as v1 shows it. */
export function hpaToV1(hpa: autoscalingV2.HorizontalPodAutoscaler): HorizontalPodAutoscalerV1 {
  const { metrics = [], behavior, ...sameSpec } = hpa.spec
  const { currentMetrics = [], conditions = [], ...sameStatus } = hpa.status
  const cpu = metrics.find(isCpuUtilization)
  const others = metrics.filter((metric) => metric !== cpu)
  const cpuNow = currentMetrics.find(({ type, resource }) => type === 'Resource' && resource?.name === 'cpu')?.resource?.current
  const annotations = { ...hpa.metadata.annotations }
  if (others.length > 0) annotations[metricsAnnotation] = JSON.stringify(others.map(metricToV1))
  if (behavior !== undefined) annotations[behaviorAnnotation] = JSON.stringify(behavior)
  if (currentMetrics.length > 0) annotations[currentMetricsAnnotation] = JSON.stringify(currentMetrics)
  if (conditions.length > 0) annotations[conditionsAnnotation] = JSON.stringify(conditions)
  const utilization = cpu?.resource?.target.averageUtilization
  return {
    ...hpa,
    apiVersion: 'autoscaling/v1',
    metadata: { ...hpa.metadata, ...(Object.keys(annotations).length > 0 && { annotations }) },
    spec: { ...sameSpec, ...(utilization !== undefined && { targetCPUUtilizationPercentage: utilization }) },
    status: {
      ...sameStatus,
      currentReplicas: sameStatus.currentReplicas ?? 0,
      ...(cpuNow?.averageUtilization !== undefined && { currentCPUUtilizationPercentage: cpuNow.averageUtilization }),
    },
  }
}

function metricToV2(metric: autoscalingV1.MetricSpec): autoscalingV2.MetricSpec {
  const { type, object, pods, resource, containerResource, external } = metric
  if (object !== undefined) {
    const target = targetOf(object.averageValue === undefined ? { value: object.targetValue } : { averageValue: object.averageValue })
    return { type, object: { describedObject: object.target, metric: identifier(object.metricName, object.selector), target } }
  }
  if (pods !== undefined) {
    return {
      type,
      pods: { metric: identifier(pods.metricName, pods.selector), target: targetOf({ averageValue: pods.targetAverageValue }) },
    }
  }
  if (external !== undefined) {
    const { targetValue, targetAverageValue } = external
    const target = targetOf(
      targetAverageValue === undefined
        ? { ...(targetValue !== undefined && { value: targetValue }) }
        : { averageValue: targetAverageValue },
    )
    return { type, external: { metric: identifier(external.metricName, external.metricSelector), target } }
  }
  const source = resource ?? containerResource
  if (source === undefined) return { type }
  const { name, targetAverageUtilization, targetAverageValue } = source
  const target = targetOf(
    targetAverageUtilization === undefined
      ? { ...(targetAverageValue !== undefined && { averageValue: targetAverageValue }) }
      : { averageUtilization: targetAverageUtilization },
  )
  if (containerResource !== undefined) return { type, containerResource: { name, target, container: containerResource.container } }
  return { type, resource: { name, target } }
}

function identifier(name: string, selector: autoscalingV2.MetricIdentifier['selector']): autoscalingV2.MetricIdentifier {
  return { name, ...(selector !== undefined && { selector }) }
}

function targetOf(values: Omit<autoscalingV2.MetricTarget, 'type'>): autoscalingV2.MetricTarget {
  if (values.averageUtilization !== undefined) return { type: 'Utilization', ...values }
  return { type: values.averageValue === undefined ? 'Value' : 'AverageValue', ...values }
}

function metricToV1(metric: autoscalingV2.MetricSpec): object {
  const { type, object, pods, resource, containerResource, external } = metric
  const raw = ({ averageUtilization, averageValue }: autoscalingV2.MetricTarget): object => ({
    ...(averageUtilization !== undefined && { targetAverageUtilization: averageUtilization }),
    ...(averageValue !== undefined && { targetAverageValue: averageValue }),
  })
  if (object !== undefined) {
    const { describedObject, metric: what, target } = object
    const { value = '0', averageValue } = target
    const average = averageValue === undefined ? {} : { averageValue }
    return { type, object: { target: describedObject, metricName: what.name, targetValue: value, selector: what.selector, ...average } }
  }
  if (pods !== undefined) {
    return { type, pods: { metricName: pods.metric.name, targetAverageValue: pods.target.averageValue, selector: pods.metric.selector } }
  }
  if (external !== undefined) {
    const { value, averageValue } = external.target
    const values = {
      ...(value !== undefined && { targetValue: value }),
      ...(averageValue !== undefined && { targetAverageValue: averageValue }),
    }
    return { type, external: { metricName: external.metric.name, metricSelector: external.metric.selector, ...values } }
  }
  if (containerResource !== undefined) {
    const { name, container, target } = containerResource
    return { type, containerResource: { name, ...raw(target), container } }
  }
  return resource === undefined ? { type } : { type, resource: { name: resource.name, ...raw(resource.target) } }
}

export const HorizontalPodAutoscalerV1 = defineKind<HorizontalPodAutoscalerV1>('autoscaling/v1/horizontalpodautoscalers', {
  setDefaults({ spec, status }) {
    spec.minReplicas ??= 1
    status.currentReplicas ??= 0
    status.desiredReplicas ??= 0
  },
  validateCreate: (hpa) => validateHpa(hpaToV2(hpa)),
  validateUpdate: (hpa, old) => validateHpa(hpaToV2(hpa), hpaToV2(old).spec),
  validateStatusUpdate: ({ status }) => validateHpaStatus(status),
  hasGeneration: false,
  storedAs: 'autoscaling/v2/horizontalpodautoscalers',
  convert: { toStorage: hpaToV2, fromStorage: (stored) => hpaToV1(stored as autoscalingV2.HorizontalPodAutoscaler) },
  columns: hpaColumns.map(({ name, cell, ...options }) =>
    column<HorizontalPodAutoscalerV1>(name, (hpa, nowMs) => cell(hpaToV2(hpa), nowMs), options),
  ),
})
