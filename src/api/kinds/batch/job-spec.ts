// The spec of a Job, in Jobs and in the templates of CronJobs.
import type { FieldError } from '../../errors.ts'
import type * as batchV1 from '../../generated/batch-v1.ts'
import { validateLabelSelector } from '../../label-selectors.ts'
import { forbidden, invalid, notSupported, required, tooMany } from '../../validation/field-errors.ts'
import { templateMatchesSelector } from '../apps/workloads.ts'
import { validatePodTemplateSpec } from '../core/pod-validation.ts'
import { nonNegativeFields } from '../numbers.ts'

const int32Max = 2 ** 31 - 1
const rulesMax = 20
const exitCodesMax = 255
const conditionsMax = 20

/** What a Job's spec gets; a CronJob's template does not. */
export function setJobSpecDefaults(spec: batchV1.JobSpec): void {
  if (spec.completions === undefined && spec.parallelism === undefined) spec.completions = 1
  spec.parallelism ??= 1
  spec.backoffLimit ??= spec.backoffLimitPerIndex === undefined ? 6 : int32Max
  spec.completionMode ??= 'NonIndexed'
  spec.suspend ??= false
  spec.manualSelector ??= false
  spec.podReplacementPolicy ??= spec.podFailurePolicy === undefined ? 'TerminatingOrFailed' : 'Failed'
  setFailurePolicyDefaults(spec)
}

export function setFailurePolicyDefaults(spec: batchV1.JobSpec): void {
  for (const rule of spec.podFailurePolicy?.rules ?? []) for (const pattern of rule.onPodConditions ?? []) pattern.status ||= 'True'
}

/** `selectorNeeded`: a Job has one by now; a CronJob's template has none yet. */
export function validateJobSpec(spec: batchV1.JobSpec, path: string, selectorNeeded: boolean): FieldError[] {
  const errors = nonNegativeFields(
    spec,
    path,
    'parallelism',
    'completions',
    'activeDeadlineSeconds',
    'backoffLimit',
    'ttlSecondsAfterFinished',
    'backoffLimitPerIndex',
    'maxFailedIndexes',
  )
  errors.push(...validateIndexes(spec, path))
  if (spec.selector !== undefined) errors.push(...validateLabelSelector(spec.selector, `${path}.selector`))
  else if (selectorNeeded) errors.push(required(`${path}.selector`))
  if (selectorNeeded) errors.push(...templateMatchesSelector(spec.template, spec.selector, `${path}.template`))
  errors.push(...validatePodTemplateSpec(spec.template, `${path}.template`))
  errors.push(...validateRestartPolicy(spec, `${path}.template.spec.restartPolicy`))
  if (spec.podFailurePolicy !== undefined) errors.push(...validateFailurePolicy(spec, `${path}.podFailurePolicy`))
  if (spec.successPolicy !== undefined) errors.push(...validateSuccessPolicy(spec, `${path}.successPolicy`))
  const policy = spec.podReplacementPolicy
  if (policy !== undefined) {
    const supported = spec.podFailurePolicy === undefined ? ['Failed', 'TerminatingOrFailed'] : ['Failed']
    if (!supported.includes(policy)) errors.push(notSupported(`${path}.podReplacementPolicy`, policy, supported))
  }
  return errors
}

function validateIndexes(spec: batchV1.JobSpec, path: string): FieldError[] {
  const errors: FieldError[] = []
  const { completionMode, completions, backoffLimitPerIndex, maxFailedIndexes } = spec
  if (completionMode !== undefined && completionMode !== 'NonIndexed' && completionMode !== 'Indexed') {
    errors.push(notSupported(`${path}.completionMode`, completionMode, ['Indexed', 'NonIndexed']))
  }
  if (completionMode === 'Indexed' && completions === undefined) {
    errors.push(required(`${path}.completions`, 'when completion mode is Indexed'))
  }
  if (backoffLimitPerIndex !== undefined && completionMode !== 'Indexed') {
    errors.push(invalid(`${path}.backoffLimitPerIndex`, backoffLimitPerIndex, 'requires indexed completion mode'))
  }
  if (maxFailedIndexes === undefined) return errors
  if (backoffLimitPerIndex === undefined) {
    errors.push(required(`${path}.backoffLimitPerIndex`, 'when maxFailedIndexes is specified'))
  }
  if (completions !== undefined && maxFailedIndexes > completions) {
    errors.push(invalid(`${path}.maxFailedIndexes`, maxFailedIndexes, 'must be less than or equal to completions'))
  }
  return errors
}

function validateRestartPolicy({ template, podFailurePolicy }: batchV1.JobSpec, path: string): FieldError[] {
  const policy = template.spec.restartPolicy
  if (policy === 'Always') return [required(path, 'valid values: "OnFailure", "Never"')]
  if (policy !== 'OnFailure' && policy !== 'Never') return [notSupported(path, policy, ['OnFailure', 'Never'])]
  if (podFailurePolicy === undefined || policy === 'Never') return []
  return [invalid(path, policy, 'only "Never" is supported when podFailurePolicy is specified')]
}

const failureActions = ['Count', 'FailIndex', 'FailJob', 'Ignore']

function validateFailurePolicy(spec: batchV1.JobSpec, path: string): FieldError[] {
  const rules = spec.podFailurePolicy?.rules ?? []
  const names = new Set([...(spec.template.spec.containers ?? []), ...(spec.template.spec.initContainers ?? [])].map(({ name }) => name))
  const errors: FieldError[] = []
  if (rules.length > rulesMax) errors.push(tooMany(`${path}.rules`, rules.length, rulesMax))
  for (const [i, rule] of rules.entries()) errors.push(...validateFailureRule(rule, spec, names, `${path}.rules[${i}]`))
  return errors
}

function validateFailureRule(
  rule: batchV1.PodFailurePolicyRule,
  spec: batchV1.JobSpec,
  names: ReadonlySet<string>,
  path: string,
): FieldError[] {
  const errors: FieldError[] = []
  const { action, onExitCodes, onPodConditions = [] } = rule
  if (!action) errors.push(required(`${path}.action`, `valid values: ${failureActions.map((value) => `"${value}"`).join(', ')}`))
  else if (action === 'FailIndex' && spec.backoffLimitPerIndex === undefined) {
    errors.push(invalid(`${path}.action`, action, 'requires the backoffLimitPerIndex to be set'))
  } else if (!failureActions.includes(action)) errors.push(notSupported(`${path}.action`, action, failureActions))
  if (onExitCodes !== undefined) errors.push(...validateExitCodes(onExitCodes, names, `${path}.onExitCodes`))
  if (onPodConditions.length > conditionsMax) errors.push(tooMany(`${path}.onPodConditions`, onPodConditions.length, conditionsMax))
  for (const [i, { status = '' }] of onPodConditions.entries()) {
    if (!['False', 'True', 'Unknown'].includes(status)) {
      errors.push(notSupported(`${path}.onPodConditions[${i}].status`, status, ['False', 'True', 'Unknown']))
    }
  }
  if (onExitCodes !== undefined && onPodConditions.length > 0) {
    errors.push(invalid(path, rule, 'specifying both OnExitCodes and OnPodConditions is not supported'))
  }
  if (onExitCodes === undefined && onPodConditions.length === 0) {
    errors.push(invalid(path, rule, 'specifying one of OnExitCodes and OnPodConditions is required'))
  }
  return errors
}

function validateExitCodes(codes: batchV1.PodFailurePolicyOnExitCodesRequirement, names: ReadonlySet<string>, path: string): FieldError[] {
  const errors: FieldError[] = []
  const { containerName, operator, values = [] } = codes
  if (containerName !== undefined && !names.has(containerName)) {
    errors.push(invalid(`${path}.containerName`, containerName, 'must be one of the container or initContainer names in the pod template'))
  }
  if (operator !== 'In' && operator !== 'NotIn') errors.push(notSupported(`${path}.operator`, operator ?? '', ['In', 'NotIn']))
  if (values.length === 0) errors.push(invalid(`${path}.values`, values, 'at least one value is required'))
  else if (values.length > exitCodesMax) errors.push(tooMany(`${path}.values`, values.length, exitCodesMax))
  if (operator === 'In' && values.includes(0)) {
    errors.push(invalid(`${path}.values[${values.indexOf(0)}]`, 0, 'must not be 0 for the In operator'))
  }
  if (values.some((value, i) => i > 0 && value <= values[i - 1]!)) errors.push(invalid(`${path}.values`, values, 'must be ordered'))
  return errors
}

function validateSuccessPolicy(spec: batchV1.JobSpec, path: string): FieldError[] {
  if (spec.completionMode !== 'Indexed') {
    return [invalid(path, spec.successPolicy, 'requires indexed completion mode')]
  }
  const rules = spec.successPolicy?.rules ?? []
  if (rules.length === 0) return [required(`${path}.rules`, 'at least one rules must be specified when the successPolicy is specified')]
  const errors: FieldError[] = []
  if (rules.length > rulesMax) errors.push(tooMany(`${path}.rules`, rules.length, rulesMax))
  for (const [i, { succeededCount, succeededIndexes }] of rules.entries()) {
    if (succeededCount === undefined && succeededIndexes === undefined) {
      errors.push(required(`${path}.rules[${i}]`, 'at least one of succeededCount or succeededIndexes must be specified'))
    }
    if (succeededCount !== undefined && succeededCount < 1) {
      errors.push(invalid(`${path}.rules[${i}].succeededCount`, succeededCount, 'must be greater than or equal to 0'))
    }
  }
  return errors
}

/** A selector that a CronJob's template may not have. */
export function validateNoManualSelector({ manualSelector }: batchV1.JobSpec, path: string): FieldError[] {
  return manualSelector ? [forbidden(`${path}.manualSelector`, 'may not be specified in a CronJob')] : []
}
