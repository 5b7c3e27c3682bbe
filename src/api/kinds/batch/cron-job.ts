// CronJob of batch/v1.

import { ageOf } from '../../duration.ts'
import type { FieldError } from '../../errors.ts'
import type * as batchV1 from '../../generated/batch-v1.ts'
import { column, defineKind } from '../../kind.ts'
import { invalid, notSupported, required } from '../../validation/field-errors.ts'
import { nameIsDnsSubdomain } from '../../validation/names.ts'
import { ageColumn, containerColumns, countColumn, nameColumn, none, selectorCell, unset } from '../columns.ts'
import { setPodTemplateDefaults } from '../core/pod-defaults.ts'
import { nameWarnings, templateWarnings } from '../core/pod-warnings.ts'
import { nonNegativeFields } from '../numbers.ts'
import { cronScheduleError } from './cron-schedule.ts'
import { setFailurePolicyDefaults, validateJobSpec, validateNoManualSelector } from './job-spec.ts'

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

function validate({ metadata, spec }: CronJob): FieldError[] {
  const errors: FieldError[] = []
  if (metadata.name.length > nameBytesMax)
    errors.push(invalid('metadata.name', metadata.name, `must be no more than ${nameBytesMax} characters`))
  if (!spec.schedule) errors.push(required('spec.schedule'))
  else errors.push(...validateSchedule(spec))
  errors.push(...nonNegativeFields(spec, 'spec', 'startingDeadlineSeconds'))
  if (!['Allow', 'Forbid', 'Replace'].includes(spec.concurrencyPolicy ?? '')) {
    errors.push(notSupported('spec.concurrencyPolicy', spec.concurrencyPolicy ?? '', ['Allow', 'Forbid', 'Replace']))
  }
  errors.push(...validateNoManualSelector(spec.jobTemplate.spec, 'spec.jobTemplate.spec'))
  errors.push(...validateJobSpec(spec.jobTemplate.spec, 'spec.jobTemplate.spec', false))
  return [...errors, ...nonNegativeFields(spec, 'spec', 'successfulJobsHistoryLimit', 'failedJobsHistoryLimit')]
}

function validateSchedule({ schedule, timeZone }: batchV1.CronJobSpec): FieldError[] {
  const errors: FieldError[] = []
  if (schedule.includes('TZ')) {
    const detail =
      timeZone === undefined
        ? 'cannot use TZ or CRON_TZ in schedule, use timeZone field instead'
        : 'cannot use both timeZone field and TZ or CRON_TZ in schedule'
    errors.push(invalid('spec.schedule', schedule, detail))
  } else {
    const error = cronScheduleError(schedule)
    if (error !== undefined) errors.push(invalid('spec.schedule', schedule, error))
  }
  if (timeZone !== undefined) errors.push(...validateTimeZone(timeZone))
  return errors
}

function validateTimeZone(name: string): FieldError[] {
  const path = 'spec.timeZone'
  if (name === '') return [invalid(path, name, 'timeZone must be nil or non-empty string')]
  if (name.toLowerCase() === 'local')
    return [invalid(path, name, 'timeZone must be an explicit time zone as defined in https://www.iana.org/time-zones')]
  try {
    new Intl.DateTimeFormat('en', { timeZone: name })
    return []
  } catch {
    return [invalid(path, name, `unknown time zone ${name}`)]
  }
}

export const CronJob = defineKind<CronJob>('batch/v1/cronjobs', {
  validateName: nameIsDnsSubdomain,
  setDefaults,
  validate,
  warnings: ({ metadata, spec }, old) => [
    ...(old === undefined ? nameWarnings(metadata.name) : []),
    ...templateWarnings(spec.jobTemplate.spec.template, old?.spec.jobTemplate.spec.template, 'spec.jobTemplate.spec.template'),
  ],
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
