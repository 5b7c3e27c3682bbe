// The spec of a Job, in Jobs and in the templates of CronJobs.
import type { FieldError } from '../../errors.ts'
import type * as batchV1 from '../../generated/batch-v1.ts'
import { validateDomainPrefixedPath } from '../../validation/domain-paths.ts'
import { duplicate, invalid, invalidEach, invalidOmitted, notSupported, required, tooLong, tooMany } from '../../validation/field-errors.ts'
import { checkLabelKey } from '../../validation/names.ts'
import { byteLength, goQuoteList } from '../../validation/text.ts'
import { validatePodTemplateSpec } from '../core/pod-validation.ts'
import { podWarnings } from '../core/pod-warnings.ts'
import { nonNegative, nonNegativeFields } from '../numbers.ts'
import { countIndexes } from './job-indexes.ts'

const int32Max = 2 ** 31 - 1
const rulesMax = 20
const exitCodesMax = 255
const conditionsMax = 20
const managedByBytesMax = 63
const indexedMax = 100_000
const manyIndexesMax = 10_000
const succeededIndexesBytesMax = 64 * 1024

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

/** What Jobs and the templates of CronJobs are checked for. */
export function validateJobSpec(spec: batchV1.JobSpec, path: string): FieldError[] {
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
  if (spec.maxFailedIndexes !== undefined && spec.backoffLimitPerIndex === undefined) {
    errors.push(required(`${path}.backoffLimitPerIndex`, 'when maxFailedIndexes is specified'))
  }
  if (spec.managedBy !== undefined) {
    errors.push(...validateDomainPrefixedPath(spec.managedBy, `${path}.managedBy`))
    if (byteLength(spec.managedBy) > managedByBytesMax) errors.push(tooLong(`${path}.managedBy`, managedByBytesMax))
  }
  errors.push(...validateCompletionMode(spec, path))
  if (spec.podFailurePolicy !== undefined) errors.push(...validateFailurePolicy(spec, `${path}.podFailurePolicy`))
  if (spec.successPolicy !== undefined) errors.push(...validateSuccessPolicy(spec, `${path}.successPolicy`))
  const policy = spec.podReplacementPolicy
  if (policy !== undefined) {
    const supported = spec.podFailurePolicy === undefined ? ['Failed', 'TerminatingOrFailed'] : ['Failed']
    if (!supported.includes(policy)) errors.push(notSupported(`${path}.podReplacementPolicy`, policy, supported))
  }
  errors.push(...validatePodTemplateSpec(spec.template, `${path}.template`))
  return [...errors, ...validateRestartPolicy(spec, `${path}.template.spec.restartPolicy`)]
}

function validateCompletionMode(spec: batchV1.JobSpec, path: string): FieldError[] {
  const errors: FieldError[] = []
  const { completionMode, backoffLimitPerIndex, maxFailedIndexes } = spec
  if (completionMode !== undefined && completionMode !== 'NonIndexed' && completionMode !== 'Indexed') {
    errors.push(notSupported(`${path}.completionMode`, completionMode, ['NonIndexed', 'Indexed']))
  }
  if (completionMode === 'Indexed') errors.push(...validateIndexed(spec, path))
  if (completionMode !== undefined && completionMode !== 'NonIndexed') return errors
  const detail = 'requires indexed completion mode'
  if (backoffLimitPerIndex !== undefined) errors.push(invalid(`${path}.backoffLimitPerIndex`, backoffLimitPerIndex, detail))
  if (maxFailedIndexes !== undefined) errors.push(invalid(`${path}.maxFailedIndexes`, maxFailedIndexes, detail))
  return errors
}

// What is remembered of each index grows with their number, so there are limits to how much may go on and go wrong.
function validateIndexed(spec: batchV1.JobSpec, path: string): FieldError[] {
  const errors: FieldError[] = []
  const { completions, parallelism = 0, backoffLimitPerIndex, maxFailedIndexes } = spec
  const atMost = (field: 'parallelism' | 'maxFailedIndexes', max: number, more = ''): void => {
    if ((spec[field] ?? 0) > max) errors.push(invalid(`${path}.${field}`, spec[field], `must be less than or equal to ${max}${more}`))
  }
  if (completions === undefined) errors.push(required(`${path}.completions`, 'when completion mode is Indexed'))
  atMost('parallelism', indexedMax, ' when completion mode is Indexed')
  if (completions !== undefined && (maxFailedIndexes ?? 0) > completions) {
    errors.push(invalid(`${path}.maxFailedIndexes`, maxFailedIndexes, 'must be less than or equal to completions'))
  }
  atMost('maxFailedIndexes', indexedMax)
  if ((completions ?? 0) <= indexedMax || backoffLimitPerIndex === undefined) return errors
  if (maxFailedIndexes === undefined) {
    errors.push(required(`${path}.maxFailedIndexes`, `must be specified when completions is above ${indexedMax}`))
  }
  const when = ` when completions are above ${indexedMax} and used with backoff limit per index`
  if (parallelism > 0) atMost('parallelism', manyIndexesMax, when)
  atMost('maxFailedIndexes', manyIndexesMax, when)
  return errors
}

function validateRestartPolicy({ template, podFailurePolicy }: batchV1.JobSpec, path: string): FieldError[] {
  const policy = template.spec.restartPolicy
  if (!policy || policy === 'Always') return [required(path, 'valid values: "OnFailure", "Never"')]
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
  if (!action) errors.push(required(`${path}.action`, `valid values: ${goQuoteList(failureActions)}`))
  else if (action === 'FailIndex') {
    const detail = 'requires the backoffLimitPerIndex to be set'
    if (spec.backoffLimitPerIndex === undefined) errors.push(invalid(`${path}.action`, action, detail))
  } else if (!failureActions.includes(action)) errors.push(notSupported(`${path}.action`, action, failureActions))
  if (onExitCodes !== undefined) errors.push(...validateExitCodes(onExitCodes, names, `${path}.onExitCodes`))
  errors.push(...validatePodConditions(onPodConditions, `${path}.onPodConditions`))
  if (onExitCodes !== undefined && onPodConditions.length > 0) {
    errors.push(invalidOmitted(path, 'specifying both OnExitCodes and OnPodConditions is not supported'))
  }
  if (onExitCodes === undefined && onPodConditions.length === 0) {
    errors.push(invalidOmitted(path, 'specifying one of OnExitCodes and OnPodConditions is required'))
  }
  return errors
}

const conditionStatuses = ['False', 'True', 'Unknown']

function validatePodConditions(patterns: readonly batchV1.PodFailurePolicyOnPodConditionsPattern[], path: string): FieldError[] {
  const errors: FieldError[] = []
  if (patterns.length > conditionsMax) errors.push(tooMany(path, patterns.length, conditionsMax))
  for (const [i, { type = '', status = '' }] of patterns.entries()) {
    errors.push(...invalidEach(`${path}[${i}].type`, type, checkLabelKey(type)))
    if (status === '') errors.push(required(`${path}[${i}].status`, `valid values: ${goQuoteList(conditionStatuses)}`))
    else if (!conditionStatuses.includes(status)) errors.push(notSupported(`${path}[${i}].status`, status, conditionStatuses))
  }
  return errors
}

const exitCodeOperators = ['In', 'NotIn']

function validateExitCodes(codes: batchV1.PodFailurePolicyOnExitCodesRequirement, names: ReadonlySet<string>, path: string): FieldError[] {
  const errors: FieldError[] = []
  const { containerName, operator, values = [] } = codes
  if (!operator) errors.push(required(`${path}.operator`, `valid values: ${goQuoteList(exitCodeOperators)}`))
  else if (!exitCodeOperators.includes(operator)) errors.push(notSupported(`${path}.operator`, operator, exitCodeOperators))
  if (containerName !== undefined && !names.has(containerName)) {
    errors.push(invalid(`${path}.containerName`, containerName, 'must be one of the container or initContainer names in the pod template'))
  }
  if (values.length === 0) errors.push(invalid(`${path}.values`, values, 'at least one value is required'))
  else if (values.length > exitCodesMax) errors.push(tooMany(`${path}.values`, values.length, exitCodesMax))
  for (const [i, value] of values.entries()) {
    const at = `${path}.values[${i}]`
    if (operator === 'In' && value === 0) errors.push(invalid(at, value, 'must not be 0 for the In operator'))
    if (values.indexOf(value) < i) errors.push(duplicate(at, value))
  }
  if (values.some((value, i) => i > 0 && value < values[i - 1]!)) errors.push(invalid(`${path}.values`, values, 'must be ordered'))
  return errors
}

function validateSuccessPolicy(spec: batchV1.JobSpec, path: string): FieldError[] {
  const policy = spec.successPolicy
  if (spec.completionMode !== 'Indexed') return [invalid(path, shownSuccessPolicy(policy), 'requires indexed completion mode')]
  const rules = policy?.rules ?? []
  const errors: FieldError[] = []
  if (rules.length === 0) {
    errors.push(required(`${path}.rules`, 'at least one rules must be specified when the successPolicy is specified'))
  }
  if (rules.length > rulesMax) errors.push(tooMany(`${path}.rules`, rules.length, rulesMax))
  for (const [i, rule] of rules.entries()) errors.push(...validateSuccessRule(rule, spec.completions ?? 0, `${path}.rules[${i}]`))
  return errors
}

// Compat: shown as Kubernetes' internal structure.
function shownSuccessPolicy(policy: batchV1.SuccessPolicy | undefined): object {
  const rules = policy?.rules?.map(({ succeededIndexes, succeededCount }) => ({
    SucceededIndexes: succeededIndexes ?? null,
    SucceededCount: succeededCount ?? null,
  }))
  return { Rules: rules ?? null }
}

function validateSuccessRule(rule: batchV1.SuccessPolicyRule, completions: number, path: string): FieldError[] {
  const { succeededCount, succeededIndexes } = rule
  const errors: FieldError[] = []
  if (succeededCount === undefined && succeededIndexes === undefined) {
    errors.push(required(path, 'at least one of succeededCount or succeededIndexes must be specified'))
  }
  let total = 0
  if (succeededIndexes !== undefined) {
    const at = `${path}.succeededIndexes`
    if (byteLength(succeededIndexes) > succeededIndexesBytesMax) errors.push(tooLong(at, succeededIndexesBytesMax))
    const parsed = countIndexes(succeededIndexes, completions)
    if (typeof parsed === 'number') total = parsed
    else errors.push(invalid(at, succeededIndexes, `error parsing succeededIndexes: ${parsed}`))
  }
  if (succeededCount === undefined) return errors
  const at = `${path}.succeededCount`
  errors.push(...nonNegative(succeededCount, at))
  if (succeededCount > completions) {
    errors.push(invalid(at, succeededCount, `must be less than or equal to ${completions} (the number of specified completions)`))
  }
  if (succeededIndexes !== undefined && succeededCount > total) {
    const detail = `must be less than or equal to ${total} (the number of indexes in the specified succeededIndexes field)`
    errors.push(invalid(at, succeededCount, detail))
  }
  return errors
}

/** Warnings about a Job's spec, `path`. */
export function jobSpecWarnings(spec: batchV1.JobSpec, path: string): string[] {
  const warnings: string[] = []
  if (spec.completionMode === 'Indexed' && (spec.completions ?? 0) > indexedMax && (spec.parallelism ?? 0) > manyIndexesMax) {
    const when = 'In Indexed Jobs with a number of completions higher than 10^5 and a parallelism higher than 10^4'
    warnings.push(`${path}: ${when}, Kubernetes might not be able to track completedIndexes when a big number of indexes fail`)
  }
  return [...warnings, ...podWarnings(spec.template, `${path}.template`)]
}
