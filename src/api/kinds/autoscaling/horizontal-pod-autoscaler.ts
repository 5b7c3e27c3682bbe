// HorizontalPodAutoscaler of autoscaling/v2, the stored form.
import type { FieldError } from '../../errors.ts'
import type * as autoscalingV2 from '../../generated/autoscaling-v2.ts'
import { type Column, column, defineKind } from '../../kind.ts'
import { isQuantity, parseQuantity, quantitySign } from '../../quantity.ts'
import { forbidden, invalid, invalidEach, notSupported, required } from '../../validation/field-errors.ts'
import { checkDns1123Label, checkPathSegment } from '../../validation/names.ts'
import { ageColumn, firstOf, nameColumn, none, unknown, unset } from '../columns.ts'
import { validateContainerResourceName } from '../core/resource-validation.ts'
import { nonNegativeFields } from '../numbers.ts'

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

/** `old`: the spec before an update, which an older server may have let in. */
export function validateHpa({ spec }: HorizontalPodAutoscaler, old?: Spec): FieldError[] {
  const errors: FieldError[] = []
  const { minReplicas = 1, maxReplicas } = spec
  // Scaling to zero is off by default (KEP-2021); what is there may stay.
  const lowest = old?.minReplicas === 0 ? 0 : 1
  if (minReplicas < lowest) errors.push(invalid('spec.minReplicas', minReplicas, `must be greater than or equal to ${lowest}`))
  if (!maxReplicas) errors.push(required('spec.maxReplicas', 'must be set and greater than 0'))
  else if (maxReplicas < 0) errors.push(invalid('spec.maxReplicas', maxReplicas, 'must be greater than or equal to 1'))
  if (minReplicas > (maxReplicas ?? 0)) {
    errors.push(invalid('spec.maxReplicas', maxReplicas ?? 0, 'must be greater than or equal to `minReplicas`'))
  }
  errors.push(...validateTargetRef(spec.scaleTargetRef, old?.scaleTargetRef))
  const metrics = spec.metrics ?? []
  const mayBeOdd = (old?.metrics ?? []).some(({ object }) => object !== undefined && apiVersionError(object.describedObject, true) !== '')
  for (const [i, metric] of metrics.entries()) errors.push(...validateMetric(metric, mayBeOdd, `spec.metrics[${i}]`))
  if (minReplicas === 0 && !metrics.some(({ type }) => type === 'Object' || type === 'External')) {
    const detail = 'must specify at least one Object or External metric to support scaling to zero replicas'
    errors.push(forbidden('spec.metrics', detail))
  }
  return [...errors, ...validateBehavior(spec)]
}

export function validateHpaStatus(status: { currentReplicas?: number; desiredReplicas?: number }): FieldError[] {
  return nonNegativeFields(status, 'status', 'currentReplicas', 'desiredReplicas')
}

type Reference = autoscalingV2.CrossVersionObjectReference

function validateTargetRef(ref: Reference, old: Reference | undefined): FieldError[] {
  const same = old !== undefined && old.kind === ref.kind && (old.apiVersion ?? '') === (ref.apiVersion ?? '')
  const errors = validateReference(ref, 'spec.scaleTargetRef')
  const problem = same ? '' : apiVersionError(ref, ref.kind === 'ReplicationController')
  return problem === '' ? errors : [...errors, invalid('spec.scaleTargetRef.apiVersion', ref.apiVersion ?? '', problem)]
}

function validateReference({ kind, name }: Reference, path: string): FieldError[] {
  const errors: FieldError[] = []
  if (!kind) errors.push(required(`${path}.kind`))
  else errors.push(...invalidEach(`${path}.kind`, kind, checkPathSegment(kind)))
  if (!name) errors.push(required(`${path}.name`))
  else errors.push(...invalidEach(`${path}.name`, name, checkPathSegment(name)))
  return errors
}

function apiVersionError({ apiVersion = '' }: Reference, mayBeCore: boolean): string {
  const parts = apiVersion.split('/')
  if (parts.length > 2) return `unexpected GroupVersion string: ${apiVersion}`
  const group = parts.length === 2 ? parts[0] : ''
  return group === '' && !mayBeCore ? 'apiVersion must specify API group' : ''
}

// In the order in which Kubernetes looks at them: of several only the first is checked.
const sourceFields = {
  Object: 'object',
  External: 'external',
  Pods: 'pods',
  Resource: 'resource',
  ContainerResource: 'containerResource',
} as const

function validateMetric(metric: autoscalingV2.MetricSpec, mayBeOdd: boolean, path: string): FieldError[] {
  const errors: FieldError[] = []
  const types = Object.keys(sourceFields).sort()
  const unknownType = notSupported(`${path}.type`, metric.type ?? '', types)
  const expected = sourceFields[metric.type as keyof typeof sourceFields]
  if (!metric.type) errors.push(required(`${path}.type`, 'must specify a metric source type'))
  if (expected === undefined) errors.push(unknownType)
  const present = Object.values(sourceFields).filter((field) => metric[field] !== undefined)
  if (present[0] !== undefined) errors.push(...validateSource(metric, present[0], mayBeOdd, `${path}.${present[0]}`))
  if (expected === undefined) errors.push(unknownType)
  else if (metric[expected] === undefined) {
    errors.push(required(`${path}.${expected}`, 'must populate information for the given metric source'))
  }
  if (present.length < 2) return errors
  for (const field of present) {
    if (field !== expected) errors.push(forbidden(`${path}.${field}`, 'must populate the given metric source only'))
  }
  return errors
}

type SourceField = (typeof sourceFields)[keyof typeof sourceFields]

function validateSource(metric: autoscalingV2.MetricSpec, field: SourceField, mayBeOdd: boolean, path: string): FieldError[] {
  const { object, external, pods, resource, containerResource } = metric
  if (field === 'object') return validateObject(object!, mayBeOdd, path)
  if (field === 'external') return validateExternal(external!, path)
  if (field === 'resource') return validateResource(resource!, path)
  if (field === 'containerResource') return validateContainerResource(containerResource!, path)
  const { metric: identifier, target } = pods!
  const errors = [...validateIdentifier(identifier, `${path}.metric`), ...validateTarget(target, `${path}.target`)]
  if (target.averageValue === undefined) errors.push(required(`${path}.target.averageValue`, 'must specify a positive target averageValue'))
  return errors
}

function validateObject(source: autoscalingV2.ObjectMetricSource, mayBeOdd: boolean, path: string): FieldError[] {
  const { describedObject, metric, target } = source
  const errors = validateReference(describedObject, `${path}.describedObject`)
  const problem = mayBeOdd ? '' : apiVersionError(describedObject, true)
  if (problem !== '') errors.push(invalid(`${path}.describedObject.apiVersion`, describedObject.apiVersion, problem))
  errors.push(...validateIdentifier(metric, `${path}.metric`), ...validateTarget(target, `${path}.target`))
  if (target.value === undefined && target.averageValue === undefined) {
    errors.push(required(`${path}.target.averageValue`, 'must set either a target value or averageValue'))
  }
  return errors
}

function validateContainerResource(source: autoscalingV2.ContainerResourceMetricSource, path: string): FieldError[] {
  const { name, container, target } = source
  const errors = name ? validateContainerResourceName(name, `${path}.name`) : [required(`${path}.name`, 'must specify a resource name')]
  if (!container) errors.push(required(`${path}.container`, 'must specify a container'))
  else errors.push(...invalidEach(`${path}.container`, container, checkDns1123Label(container)))
  return [...errors, ...validateResourceTarget(target, `${path}.target`)]
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
  const errors = name ? [] : [required(`${path}.name`, 'must specify a resource name')]
  return [...errors, ...validateResourceTarget(target, `${path}.target`)]
}

function validateResourceTarget(target: autoscalingV2.MetricTarget, path: string): FieldError[] {
  const errors = validateTarget(target, path)
  if (target.averageUtilization === undefined && target.averageValue === undefined) {
    errors.push(required(`${path}.averageUtilization`, 'must set either a target raw value or a target utilization'))
  }
  if (target.averageUtilization !== undefined && target.averageValue !== undefined) {
    errors.push(forbidden(`${path}.averageValue`, 'may not set both a target raw value and a target utilization'))
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
  if (!['Utilization', 'Value', 'AverageValue'].includes(type)) {
    errors.push(invalid(`${path}.type`, type ?? '', 'must be either Utilization, Value, or AverageValue'))
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
    errors.push(invalid(`${path}.tolerance`, tolerance, 'must be greater than or equal to 0'))
  }
  return errors
}

/** Go's word for an amount that a metric should have but has not. */
const noQuantity = '<nil>'

function told(now: autoscalingV2.MetricValueStatus | undefined, field: 'value' | 'averageValue'): string {
  return now === undefined ? unknown : (now[field] ?? noQuantity)
}

type Current = autoscalingV2.MetricStatus | undefined

function metricText(metric: autoscalingV2.MetricSpec, current: Current): string {
  const { object, external, pods, resource, containerResource } = metric
  if (external !== undefined) return valueText(external.target, current?.external?.current)
  if (object !== undefined) return valueText(object.target, current?.object?.current)
  if (pods !== undefined) return `${told(current?.pods?.current, 'averageValue')}/${pods.target.averageValue ?? noQuantity}`
  const source = resource ?? containerResource
  if (source === undefined) return '<unknown type>'
  const now = resource === undefined ? current?.containerResource?.current : current?.resource?.current
  if (source.target.averageValue !== undefined) return `${source.name}: ${told(now, 'averageValue')}/${source.target.averageValue}`
  const target = source.target.averageUtilization === undefined ? '<auto>' : `${source.target.averageUtilization}%`
  return `${source.name}: ${now?.averageUtilization === undefined ? unknown : `${now.averageUtilization}%`}/${target}`
}

function valueText(target: autoscalingV2.MetricTarget, now: autoscalingV2.MetricValueStatus | undefined): string {
  if (target.averageValue !== undefined) return `${now?.averageValue ?? unknown}/${target.averageValue} (avg)`
  return `${told(now, 'value')}/${target.value ?? noQuantity}`
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

/** In these autoscaling/v1 carries what it has no fields for; autoscaling/v2 has the fields, and forgets the annotations. */
export const hpaAnnotations = {
  metricsAnnotation: 'autoscaling.alpha.kubernetes.io/metrics',
  currentMetricsAnnotation: 'autoscaling.alpha.kubernetes.io/current-metrics',
  conditionsAnnotation: 'autoscaling.alpha.kubernetes.io/conditions',
  behaviorAnnotation: 'autoscaling.alpha.kubernetes.io/behavior',
} as const

const carrying: ReadonlySet<string> = new Set(Object.values(hpaAnnotations))

/** The annotations without those of `hpaAnnotations`; undefined when none is left. */
export function withoutHpaAnnotations(annotations: Record<string, string> | undefined): Record<string, string> | undefined {
  if (annotations === undefined) return undefined
  const rest = Object.fromEntries(Object.entries(annotations).filter(([key]) => !carrying.has(key)))
  return Object.keys(rest).length === 0 ? undefined : rest
}

export const HorizontalPodAutoscaler = defineKind<HorizontalPodAutoscaler>('autoscaling/v2/horizontalpodautoscalers', {
  setDefaults: (hpa) => {
    const rest = withoutHpaAnnotations(hpa.metadata.annotations)
    if (rest === undefined) delete hpa.metadata.annotations
    else hpa.metadata.annotations = rest
    setHpaDefaults(hpa)
  },
  validateCreate: (hpa) => validateHpa(hpa),
  validateUpdate: (hpa, old) => validateHpa(hpa, old.spec),
  validateStatusUpdate: ({ status }) => validateHpaStatus(status),
  hasGeneration: false,
  columns: hpaColumns,
})
