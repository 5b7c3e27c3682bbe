// CronJob of batch/v1.

import { ageOf } from '../../duration.ts'
import type { FieldError } from '../../errors.ts'
import type * as batchV1 from '../../generated/batch-v1.ts'
import { column, defineKind } from '../../kind.ts'
import { invalid, notSupported, required } from '../../validation/field-errors.ts'
import { nameIsDnsSubdomain } from '../../validation/names.ts'
import { byteLength } from '../../validation/text.ts'
import { isChanged, shownSelector } from '../apps/workloads.ts'
import { ageColumn, containerColumns, countColumn, nameColumn, none, selectorCell, unset } from '../columns.ts'
import { setPodTemplateDefaults } from '../core/pod-defaults.ts'
import { nameWarnings } from '../core/pod-warnings.ts'
import { nonNegativeFields } from '../numbers.ts'
import { cronScheduleError, isTimeZone } from './cron-schedule.ts'
import { jobSpecWarnings, setFailurePolicyDefaults, validateJobSpec } from './job-spec.ts'

export type CronJob = batchV1.CronJob

// Jobs get an 11-character suffix, and their names end up in a pod's hostname of at most 63.
const nameBytesMax = 52

function setDefaults(cronJob: CronJob): void {
  cronJob.spec ??= {} as batchV1.CronJobSpec
  cronJob.status ??= {}
  const { spec } = cronJob
  spec.concurrencyPolicy ||= 'Allow'
  spec.suspend ??= false
  spec.successfulJobsHistoryLimit ??= 3
  spec.failedJobsHistoryLimit ??= 1
  spec.jobTemplate ??= {} as batchV1.JobTemplateSpec
  spec.jobTemplate.metadata ??= {}
  spec.jobTemplate.spec ??= {} as batchV1.JobSpec
  const job = spec.jobTemplate.spec
  job.template ??= {} as batchV1.JobSpec['template']
  job.template.metadata ??= {}
  job.template.spec ??= {} as batchV1.JobSpec['template']['spec']
  setFailurePolicyDefaults(job)
  setPodTemplateDefaults(job.template)
}

function validateCreate({ metadata, spec }: CronJob): FieldError[] {
  const errors = validateSpec(spec, undefined)
  if (byteLength(metadata.name) <= nameBytesMax) return errors
  return [...errors, invalid('metadata.name', metadata.name, `must be no more than ${nameBytesMax} characters`)]
}

function validateSpec(spec: batchV1.CronJobSpec, old: batchV1.CronJobSpec | undefined): FieldError[] {
  const errors: FieldError[] = []
  if (!spec.schedule) errors.push(required('spec.schedule'))
  else errors.push(...validateSchedule(spec, old?.schedule.includes('TZ') ?? false))
  errors.push(...nonNegativeFields(spec, 'spec', 'startingDeadlineSeconds'))
  if (spec.timeZone !== undefined && spec.timeZone !== old?.timeZone) errors.push(...validateTimeZone(spec.timeZone))
  if (!['Allow', 'Forbid', 'Replace'].includes(spec.concurrencyPolicy ?? '')) {
    errors.push(notSupported('spec.concurrencyPolicy', spec.concurrencyPolicy ?? '', ['Allow', 'Forbid', 'Replace']))
  }
  const job = spec.jobTemplate.spec
  const path = 'spec.jobTemplate.spec'
  errors.push(...validateJobSpec(job, path))
  if (job.selector !== undefined) {
    errors.push(invalid(`${path}.selector`, shownSelector(job.selector), '`selector` will be auto-generated'))
  }
  if (job.manualSelector) errors.push(notSupported(`${path}.manualSelector`, true, ['nil', 'false']))
  return [...errors, ...nonNegativeFields(spec, 'spec', 'successfulJobsHistoryLimit', 'failedJobsHistoryLimit')]
}

/** A zone in the schedule itself was taken once, and may stay where it is. */
function validateSchedule({ schedule, timeZone }: batchV1.CronJobSpec, mayHaveZone: boolean): FieldError[] {
  const error = cronScheduleError(schedule)
  const errors = error === undefined ? [] : [invalid('spec.schedule', schedule, error)]
  if (!schedule.includes('TZ')) return errors
  if (!mayHaveZone) {
    errors.push(invalid('spec.schedule', schedule, 'cannot use TZ or CRON_TZ in schedule, use timeZone field instead'))
  } else if (timeZone !== undefined) {
    errors.push(invalid('spec.schedule', schedule, 'cannot use both timeZone field and TZ or CRON_TZ in schedule'))
  }
  return errors
}

function validateTimeZone(name: string): FieldError[] {
  const path = 'spec.timeZone'
  if (name === '') return [invalid(path, name, 'timeZone must be nil or non-empty string')]
  const odd = name.split('/').some((part) => part === '.' || part === '..' || !/^[A-Za-z._0-9+][A-Za-z.\-_0-9+]{0,13}$/.test(part))
  if (odd) return [invalid(path, name, `unknown time zone ${name}`)]
  if (name.toLowerCase() === 'local') {
    const errors = [invalid(path, name, 'timeZone must be an explicit time zone as defined in https://www.iana.org/time-zones')]
    return name === 'Local' ? errors : [...errors, invalid(path, name, `unknown time zone ${name}`)]
  }
  return isTimeZone(name) ? [] : [invalid(path, name, `unknown time zone ${name}`)]
}

function warnings({ metadata, spec }: CronJob, old: CronJob | undefined): string[] {
  const found = old === undefined ? nameWarnings(metadata.name) : []
  if (isChanged(metadata, old)) found.push(...jobSpecWarnings(spec.jobTemplate.spec, 'spec.jobTemplate.spec'))
  if (old !== undefined && spec.schedule.includes('TZ')) {
    const more = 'see https://kubernetes.io/docs/concepts/workloads/controllers/cron-jobs/ for more details'
    found.push(`cannot use TZ or CRON_TZ in spec.spec.schedule, use timeZone instead, ${more}`)
  }
  return found
}

export const CronJob = defineKind<CronJob>('batch/v1/cronjobs', {
  validateName: nameIsDnsSubdomain,
  setDefaults,
  validateCreate,
  validateUpdate: ({ spec }, old) => validateSpec(spec, old.spec),
  warnings,
  columns: [
    nameColumn,
    column<CronJob>('Schedule', ({ spec }) => spec.schedule),
    column<CronJob>('Timezone', ({ spec }) => spec.timeZone ?? none),
    column<CronJob>('Suspend', ({ spec }) => (spec.suspend === undefined ? unset : spec.suspend ? 'True' : 'False'), { type: 'boolean' }),
    countColumn<CronJob>('Active', ({ status }) => status.active?.length),
    column<CronJob>('Last Schedule', ({ status }, nowMs) => (status.lastScheduleTime ? ageOf(status.lastScheduleTime, nowMs) : none)),
    ageColumn,
    ...containerColumns<CronJob>(
      ({ spec }) => spec.jobTemplate.spec.template.spec.containers,
      ({ spec }) => selectorCell(spec.jobTemplate.spec.selector),
    ),
  ],
})
