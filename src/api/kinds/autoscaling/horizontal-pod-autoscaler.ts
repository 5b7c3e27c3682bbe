// HorizontalPodAutoscaler of autoscaling/v2, the stored form.
import type { FieldError } from '../../errors.ts'
import type * as autoscalingV2 from '../../generated/autoscaling-v2.ts'
import { type Column, column, defineKind } from '../../kind.ts'
import { isQuantity, parseQuantity, quantitySign } from '../../quantity.ts'
import { forbidden, invalid, invalidEach, notSupported, required } from '../../validation/field-errors.ts'
import { checkPathSegment } from '../../validation/names.ts'
import { ageColumn, firstOf, nameColumn, none, unknown, unset } from '../columns.ts'

export type HorizontalPodAutoscaler = autoscalingV2.HorizontalPodAutoscaler
type Spec = autoscalingV2.HorizontalPodAutoscalerSpec

export function setHpaDefaults({ spec }: HorizontalPodAutoscaler): void {
  spec.minReplicas ??= 1
  if ((spec.metrics ?? []).length === 0) {
    spec.metrics = [{ type: 'Resource', resource: { name: 'cpu', target: { type: 'Utilization', averageUtilization: 80 } } }]
  }
  if (spec.behavior === undefined) return
  spec.behavior.scaleUp = {
    stabilizationWindowSeconds: 0,
    selectPolicy: 'Max',
    policies: [
      { type: 'Pods', value: 4, periodSeconds: 15 },
      { type: 'Percent', value: 100, periodSeconds: 15 },
    ],
    ...spec.behavior.scaleUp,
  }
  spec.behavior.scaleDown = {
    selectPolicy: 'Max',
    policies: [{ type: 'Percent', value: 100, periodSeconds: 15 }],
    ...spec.behavior.scaleDown,
  }
}

export function validateHpa({ spec }: HorizontalPodAutoscaler): FieldError[] {
  const errors: FieldError[] = []
  const { minReplicas = 1, maxReplicas } = spec
  if (minReplicas < 1) errors.push(invalid('spec.minReplicas', minReplicas, 'must be greater than or equal to 1'))
  if (maxReplicas < 1) errors.push(invalid('spec.maxReplicas', maxReplicas, 'must be greater than 0'))
  if (minReplicas > maxReplicas) errors.push(invalid('spec.maxReplicas', maxReplicas, 'must be greater than or equal to `minReplicas`'))
  errors.push(...validateReference(spec.scaleTargetRef, 'spec.scaleTargetRef'))
  for (const [i, metric] of (spec.metrics ?? []).entries()) errors.push(...validateMetric(metric, `spec.metrics[${i}]`))
  return [...errors, ...validateBehavior(spec)]
}

function validateReference({ kind, name }: autoscalingV2.CrossVersionObjectReference, path: string): FieldError[] {
  const errors: FieldError[] = []
  if (!kind) errors.push(required(`${path}.kind`))
  else errors.push(...invalidEach(`${path}.kind`, kind, checkPathSegment(kind)))
  if (!name) errors.push(required(`${path}.name`))
  else errors.push(...invalidEach(`${path}.name`, name, checkPathSegment(name)))
  return errors
}

const sourceFields = {
  Object: 'object',
  External: 'external',
  Pods: 'pods',
  Resource: 'resource',
  ContainerResource: 'containerResource',
} as const

function validateMetric(metric: autoscalingV2.MetricSpec, path: string): FieldError[] {
  const errors: FieldError[] = []
  const types = Object.keys(sourceFields).sort()
  if (!metric.type) errors.push(required(`${path}.type`, 'must specify a metric source type'))
  else if (!types.includes(metric.type)) errors.push(notSupported(`${path}.type`, metric.type, types))
  const present = Object.values(sourceFields).filter((field) => metric[field] !== undefined)
  if (present.length === 1) errors.push(...validateSource(metric, path))
  const expected = sourceFields[metric.type as keyof typeof sourceFields]
  if (expected === undefined) return errors
  if (metric[expected] === undefined) errors.push(required(`${path}.${expected}`, 'must populate information for the given metric source'))
  for (const field of present) {
    if (field !== expected) errors.push(forbidden(`${path}.${field}`, 'must populate the given metric source only'))
  }
  return errors
}

function validateSource({ object, external, pods, resource, containerResource }: autoscalingV2.MetricSpec, path: string): FieldError[] {
  const errors: FieldError[] = []
  if (object !== undefined) {
    errors.push(...validateReference(object.describedObject, `${path}.object.describedObject`))
    errors.push(...validateIdentifier(object.metric, `${path}.object.metric`), ...validateTarget(object.target, `${path}.object.target`))
    if (object.target.value === undefined && object.target.averageValue === undefined) {
      errors.push(required(`${path}.object.target.averageValue`, 'must set either a target value or averageValue'))
    }
  }
  if (external !== undefined) errors.push(...validateExternal(external, `${path}.external`))
  if (pods !== undefined) {
    errors.push(...validateIdentifier(pods.metric, `${path}.pods.metric`), ...validateTarget(pods.target, `${path}.pods.target`))
    if (!isPositive(pods.target.averageValue)) {
      errors.push(required(`${path}.pods.target.averageValue`, 'must specify a positive target averageValue'))
    }
  }
  if (resource !== undefined) errors.push(...validateResource(resource, `${path}.resource`))
  if (containerResource !== undefined) {
    if (!containerResource.container) errors.push(required(`${path}.containerResource.container`, 'must specify a container'))
    errors.push(...validateResource(containerResource, `${path}.containerResource`))
  }
  return errors
}

function validateExternal({ metric, target }: autoscalingV2.ExternalMetricSource, path: string): FieldError[] {
  const errors = [...validateIdentifier(metric, `${path}.metric`), ...validateTarget(target, `${path}.target`)]
  if (target.value === undefined && target.averageValue === undefined) {
    errors.push(required(`${path}.target.averageValue`, 'must set either a target value for metric or a per-pod target'))
  }
  if (target.value !== undefined && target.averageValue !== undefined) {
    errors.push(forbidden(`${path}.target.value`, 'may not set both a target value for metric and a per-pod target'))
  }
  return errors
}

function validateResource({ name, target }: autoscalingV2.ResourceMetricSource, path: string): FieldError[] {
  const errors: FieldError[] = []
  if (!name) errors.push(required(`${path}.name`, 'must specify a resource name'))
  errors.push(...validateTarget(target, `${path}.target`))
  if (target.averageUtilization === undefined && target.averageValue === undefined) {
    errors.push(required(`${path}.target.averageUtilization`, 'must set either a target raw value or a target utilization'))
  }
  if (target.averageUtilization !== undefined && target.averageValue !== undefined) {
    errors.push(forbidden(`${path}.target.averageValue`, 'may not set both a target raw value and a target utilization'))
  }
  return errors
}

function validateIdentifier({ name }: autoscalingV2.MetricIdentifier, path: string): FieldError[] {
  return name ? invalidEach(`${path}.name`, name, checkPathSegment(name)) : [required(`${path}.name`, 'must specify a metric name')]
}

function isPositive(amount: string | undefined): boolean {
  return amount !== undefined && isQuantity(amount) && quantitySign(parseQuantity(amount)) > 0
}

function validateTarget({ type, value, averageValue, averageUtilization }: autoscalingV2.MetricTarget, path: string): FieldError[] {
  const errors: FieldError[] = []
  if (!type) errors.push(required(`${path}.type`, 'must specify a metric target type'))
  else if (!['Utilization', 'Value', 'AverageValue'].includes(type)) {
    errors.push(invalid(`${path}.type`, type, 'must be either Utilization, Value, or AverageValue'))
  }
  if (value !== undefined && !isPositive(value)) errors.push(invalid(`${path}.value`, value, 'must be positive'))
  if (averageValue !== undefined && !isPositive(averageValue))
    errors.push(invalid(`${path}.averageValue`, averageValue, 'must be positive'))
  if (averageUtilization !== undefined && averageUtilization < 1) {
    errors.push(invalid(`${path}.averageUtilization`, averageUtilization, 'must be greater than 0'))
  }
  return errors
}

const windowSecondsMax = 3600
const periodSecondsMax = 1800

function validateBehavior({ behavior }: Spec): FieldError[] {
  const errors: FieldError[] = []
  for (const field of ['scaleUp', 'scaleDown'] as const) {
    const rules = behavior?.[field]
    if (rules !== undefined) errors.push(...validateRules(rules, `spec.behavior.${field}`))
  }
  return errors
}

function validateRules(rules: autoscalingV2.HPAScalingRules, path: string): FieldError[] {
  const errors: FieldError[] = []
  const { stabilizationWindowSeconds: window, selectPolicy, policies = [], tolerance } = rules
  if (window !== undefined && window < 0) {
    errors.push(invalid(`${path}.stabilizationWindowSeconds`, window, 'must be greater than or equal to zero'))
  }
  if (window !== undefined && window > windowSecondsMax) {
    errors.push(invalid(`${path}.stabilizationWindowSeconds`, window, `must be less than or equal to ${windowSecondsMax}`))
  }
  if (selectPolicy !== undefined && !['Disabled', 'Max', 'Min'].includes(selectPolicy)) {
    errors.push(notSupported(`${path}.selectPolicy`, selectPolicy, ['Disabled', 'Max', 'Min']))
  }
  if (policies.length === 0) errors.push(required(`${path}.policies`, 'must specify at least one Policy'))
  for (const [i, policy] of policies.entries()) {
    const at = `${path}.policies[${i}]`
    if (policy.type !== 'Pods' && policy.type !== 'Percent') errors.push(notSupported(`${at}.type`, policy.type, ['Percent', 'Pods']))
    if (policy.value <= 0) errors.push(invalid(`${at}.value`, policy.value, 'must be greater than zero'))
    if (policy.periodSeconds <= 0) errors.push(invalid(`${at}.periodSeconds`, policy.periodSeconds, 'must be greater than zero'))
    if (policy.periodSeconds > periodSecondsMax) {
      errors.push(invalid(`${at}.periodSeconds`, policy.periodSeconds, `must be less than or equal to ${periodSecondsMax}`))
    }
  }
  if (tolerance !== undefined && isQuantity(tolerance) && quantitySign(parseQuantity(tolerance)) < 0) {
    errors.push(invalid(`${path}.tolerance`, tolerance, 'must be greater than or equal to zero'))
  }
  return errors
}

type Current = autoscalingV2.MetricStatus | undefined

function metricText(metric: autoscalingV2.MetricSpec, current: Current): string {
  const { object, external, pods, resource, containerResource } = metric
  if (external !== undefined) return valueText(external.target, current?.external?.current)
  if (object !== undefined) return valueText(object.target, current?.object?.current)
  if (pods !== undefined) return `${current?.pods?.current.averageValue ?? unknown}/${pods.target.averageValue ?? ''}`
  const source = resource ?? containerResource
  if (source === undefined) return '<unknown type>'
  const now = resource === undefined ? current?.containerResource?.current : current?.resource?.current
  if (source.target.averageValue !== undefined) return `${source.name}: ${now?.averageValue ?? unknown}/${source.target.averageValue}`
  const target = source.target.averageUtilization === undefined ? '<auto>' : `${source.target.averageUtilization}%`
  return `${source.name}: ${now?.averageUtilization === undefined ? unknown : `${now.averageUtilization}%`}/${target}`
}

function valueText(target: autoscalingV2.MetricTarget, now: autoscalingV2.MetricValueStatus | undefined): string {
  if (target.averageValue !== undefined) return `${now?.averageValue ?? unknown}/${target.averageValue} (avg)`
  return `${now?.value ?? unknown}/${target.value ?? ''}`
}

const shownMax = 2

function targetsCell({ spec, status }: HorizontalPodAutoscaler): string {
  const metrics = spec.metrics ?? []
  if (metrics.length === 0) return none
  return firstOf(
    metrics.map((metric, i) => metricText(metric, status.currentMetrics?.[i])),
    shownMax,
    ', ',
  )
}

export const hpaColumns: readonly Column<HorizontalPodAutoscaler>[] = [
  nameColumn,
  column<HorizontalPodAutoscaler>('Reference', ({ spec }) => `${spec.scaleTargetRef.kind}/${spec.scaleTargetRef.name}`),
  column<HorizontalPodAutoscaler>('Targets', targetsCell),
  column<HorizontalPodAutoscaler>('MinPods', ({ spec }) => (spec.minReplicas === undefined ? unset : String(spec.minReplicas))),
  column<HorizontalPodAutoscaler>('MaxPods', ({ spec }) => spec.maxReplicas),
  column<HorizontalPodAutoscaler>('Replicas', ({ status }) => status.currentReplicas ?? 0),
  ageColumn,
]

export const HorizontalPodAutoscaler = defineKind<HorizontalPodAutoscaler>('autoscaling/v2/horizontalpodautoscalers', {
  setDefaults: setHpaDefaults,
  validate: validateHpa,
  validateStatusUpdate: ({ status }) => [
    ...((status.currentReplicas ?? 0) < 0
      ? [invalid('status.currentReplicas', status.currentReplicas, 'must be greater than or equal to 0')]
      : []),
    ...(status.desiredReplicas < 0
      ? [invalid('status.desiredReplicas', status.desiredReplicas, 'must be greater than or equal to 0')]
      : []),
  ],
  hasGeneration: false,
  columns: hpaColumns,
})
