// The status of a Job: its controller may be anybody's (KEP-4368), so what a status can go through is checked here.
import type { FieldError } from '../../errors.ts'
import type * as batchV1 from '../../generated/batch-v1.ts'
import { duplicate, invalid, invalidOmitted, required, semanticEqual } from '../../validation/field-errors.ts'
import { nonNegativeFields } from '../numbers.ts'
import { countIndexes, overlap } from './job-indexes.ts'

type Job = batchV1.Job

/** Whether the job has the condition, with this status. */
export function hasJobCondition({ status }: Pick<Job, 'status'>, type: string, value = 'True'): boolean {
  return status.conditions?.some((condition) => condition.type === type && condition.status === value) ?? false
}

function isFinished(job: Job): boolean {
  return hasJobCondition(job, 'Complete') || hasJobCondition(job, 'Failed')
}

/** What is compared with before counts when it changed only: what an older server let in may stay. */
export function validateJobStatusUpdate(job: Job, old: Job): FieldError[] {
  const errors = nonNegativeFields(job.status, 'status', 'active', 'succeeded', 'failed', 'ready', 'terminating')
  errors.push(...validateUncounted(job.status.uncountedTerminatedPods))
  errors.push(...validateEnd(job, old))
  errors.push(...validateFinished(job, old))
  errors.push(...validateIndexes(job, old))
  const { status } = job
  const finishedNow = isFinished(job) && !isFinished(old)
  if ((status.terminating ?? 0) > 0 && isFinished(job) && (finishedNow || status.terminating !== old.status.terminating)) {
    errors.push(invalid('status.terminating', status.terminating, 'terminating>0 is invalid for finished job'))
  }
  const countsChanged = status.ready !== old.status.ready || (status.active ?? 0) !== (old.status.active ?? 0)
  if (countsChanged && (status.ready ?? 0) > (status.active ?? 0)) {
    errors.push(invalid('status.ready', status.ready, 'cannot set more ready pods than active'))
  }
  return [...errors, ...validateSuccess(job), ...validateTransition(job, old)]
}

function validateUncounted(uncounted: batchV1.UncountedTerminatedPods | undefined): FieldError[] {
  const errors: FieldError[] = []
  const seen = new Set<string>()
  for (const list of ['succeeded', 'failed'] as const) {
    for (const [i, uid] of (uncounted?.[list] ?? []).entries()) {
      const path = `status.uncountedTerminatedPods.${list}[${i}]`
      if (uid === '') errors.push(invalid(path, uid, 'must not be empty'))
      else if (seen.has(uid)) errors.push(duplicate(path, uid))
      seen.add(uid)
    }
  }
  return errors
}

const conditions = 'status.conditions'

// How the conditions of an end, and its time, go together.
function validateEnd(job: Job, old: Job): FieldError[] {
  const errors: FieldError[] = []
  const { status } = job
  const changed = (...types: string[]): boolean => types.some((type) => hasJobCondition(job, type) !== hasJobCondition(old, type))
  const [complete, failed] = [hasJobCondition(job, 'Complete'), hasJobCondition(job, 'Failed')]
  const target = hasJobCondition(job, 'FailureTarget')
  if (complete && failed && changed('Complete', 'Failed')) {
    errors.push(invalidOmitted(conditions, 'cannot set Complete=True and Failed=true conditions'))
  }
  if (complete && target && changed('Complete', 'FailureTarget')) {
    errors.push(invalidOmitted(conditions, 'cannot set Complete=True and FailureTarget=true conditions'))
  }
  const endChanged = status.completionTime !== old.status.completionTime
  if (changed('Complete') || endChanged) {
    const detail = 'cannot set completionTime when there is no Complete=True condition'
    if (status.completionTime !== undefined && !complete) errors.push(invalid('status.completionTime', status.completionTime, detail))
    if (status.completionTime === undefined && complete) {
      errors.push(required('status.completionTime', 'completionTime is required for Complete jobs'))
    }
  }
  const startChanged = status.startTime !== old.status.startTime
  if ((startChanged || endChanged) && Date.parse(status.completionTime ?? '') < Date.parse(status.startTime ?? '')) {
    errors.push(invalid('status.completionTime', status.completionTime, 'must be equal to or after `startTime`'))
  }
  if (failed && !target && (changed('Failed') || status.failedIndexes !== old.status.failedIndexes)) {
    errors.push(invalidOmitted(conditions, 'cannot set Failed=True condition without the FailureTarget=true condition'))
  }
  if (complete && !hasJobCondition(job, 'SuccessCriteriaMet') && changed('Complete', 'SuccessCriteriaMet')) {
    errors.push(invalidOmitted(conditions, 'cannot set Complete=True condition without the SuccessCriteriaMet=true condition'))
  }
  return errors
}

function validateFinished(job: Job, old: Job): FieldError[] {
  if (!isFinished(job)) return []
  const errors: FieldError[] = []
  const { status, spec } = job
  const now = !isFinished(old)
  const active = status.active ?? 0
  if (active > 0 && (now || active !== (old.status.active ?? 0))) {
    errors.push(invalid('status.active', active, 'active>0 is invalid for finished job'))
  }
  const neverRan = spec.suspend === true && spec.completions === 0
  if (status.startTime === undefined && (now || old.status.startTime !== undefined) && !neverRan) {
    errors.push(required('status.startTime', 'startTime is required for finished job'))
  }
  const uncounted = status.uncountedTerminatedPods
  const open = (uncounted?.succeeded ?? []).length + (uncounted?.failed ?? []).length
  if (open > 0 && (now || !semanticEqual(uncounted, old.status.uncountedTerminatedPods))) {
    const shown = { Succeeded: uncounted?.succeeded ?? null, Failed: uncounted?.failed ?? null }
    errors.push(invalid('status.uncountedTerminatedPods', shown, 'must be empty for finished job'))
  }
  return errors
}

function validateIndexes({ spec, status }: Job, old: Job): FieldError[] {
  const errors: FieldError[] = []
  const { completions } = spec
  const { completedIndexes = '', failedIndexes } = status
  const completedChanged = completedIndexes !== (old.status.completedIndexes ?? '')
  const failedChanged = failedIndexes !== old.status.failedIndexes
  const parse = (field: 'completedIndexes' | 'failedIndexes', text: string): void => {
    const parsed = countIndexes(text, completions ?? 0)
    if (typeof parsed === 'string') errors.push(invalid(`status.${field}`, text, `error parsing ${field}: ${parsed}`))
  }
  if (completedChanged && completions !== undefined) parse('completedIndexes', completedIndexes)
  if (failedChanged && completions !== undefined && spec.backoffLimitPerIndex !== undefined && failedIndexes !== undefined) {
    parse('failedIndexes', failedIndexes)
  }
  if (completedChanged && completedIndexes !== '' && spec.completionMode !== 'Indexed') {
    const detail = 'cannot set non-empty completedIndexes when non-indexed completion mode'
    errors.push(invalid('status.completedIndexes', completedIndexes, detail))
  }
  if (failedChanged && failedIndexes !== undefined && spec.backoffLimitPerIndex === undefined) {
    errors.push(invalid('status.failedIndexes', failedIndexes, 'cannot set non-null failedIndexes when backoffLimitPerIndex is null'))
  }
  if ((completedChanged || failedChanged) && completions !== undefined && failedIndexes !== undefined) {
    const index = overlap(completedIndexes, failedIndexes, completions)
    if (index !== undefined) {
      errors.push(invalid('status.failedIndexes', failedIndexes, `failedIndexes and completedIndexes overlap at index: ${index}`))
    }
  }
  return errors
}

function validateSuccess(job: Job): FieldError[] {
  const errors: FieldError[] = []
  const met = hasJobCondition(job, 'SuccessCriteriaMet')
  if (met && hasJobCondition(job, 'Failed')) {
    errors.push(invalidOmitted(conditions, 'cannot set SuccessCriteriaMet=True and Failed=true conditions'))
  }
  if (met && hasJobCondition(job, 'FailureTarget')) {
    errors.push(invalidOmitted(conditions, 'cannot set SuccessCriteriaMet=True and FailureTarget=true conditions'))
  }
  if (job.spec.successPolicy !== undefined && !met && hasJobCondition(job, 'Complete')) {
    errors.push(invalidOmitted(conditions, 'cannot set Complete=True for Job with SuccessPolicy unless SuccessCriteriaMet=True'))
  }
  return errors
}

// What happened stays so.
function validateTransition(job: Job, old: Job): FieldError[] {
  const errors: FieldError[] = []
  const { status, spec } = job
  for (const type of ['Failed', 'Complete', 'FailureTarget']) {
    if (!hasJobCondition(old, type) || hasJobCondition(job, type)) continue
    errors.push(invalidOmitted(conditions, `cannot disable the terminal ${type}=True condition`))
  }
  const [failed, succeeded] = [status.failed ?? 0, status.succeeded ?? 0]
  if (failed < (old.status.failed ?? 0)) errors.push(invalid('status.failed', failed, 'cannot decrease the failed counter'))
  const elastic = spec.completionMode === 'Indexed' && spec.completions === spec.parallelism
  if (!elastic && succeeded < (old.status.succeeded ?? 0)) {
    errors.push(invalid('status.succeeded', succeeded, 'cannot decrease the succeeded counter'))
  }
  const [end, before] = [status.completionTime, old.status.completionTime]
  if (end !== undefined && before !== undefined && end !== before) errors.push(invalid('status.completionTime', end, 'field is immutable'))
  const resuming = hasJobCondition(old, 'Suspended') && hasJobCondition(job, 'Suspended', 'False')
  if (old.status.startTime !== undefined && old.status.startTime !== status.startTime && !spec.suspend && !resuming) {
    errors.push(invalid('status.startTime', status.startTime, 'field is immutable for unsuspended job once set'))
  }
  const met = hasJobCondition(job, 'SuccessCriteriaMet')
  const wasMet = hasJobCondition(old, 'SuccessCriteriaMet')
  if (wasMet && !met) errors.push(invalidOmitted(conditions, 'cannot disable the SuccessCriteriaMet=True condition'))
  if (hasJobCondition(old, 'Complete') && !wasMet && met) {
    errors.push(invalidOmitted(conditions, 'cannot set SuccessCriteriaMet=True for Job already has Complete=true conditions'))
  }
  return errors
}
