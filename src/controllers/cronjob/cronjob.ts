// CronJob: starts Jobs by the clock, and keeps some of the finished ones.

import { isApiError } from '#api/errors'
import type { CronJob as CronJobObject, CronJobStatus, Job as JobObject } from '#api/generated/batch-v1'
import type { ObjectReference } from '#api/generated/core-v1'
import { canonicalJson } from '#api/hash'
import { CronJob } from '#api/kinds/batch/cron-job'
import { Job } from '#api/kinds/batch/job'
import { keyText } from '#api/object'
import { timestamp } from '#base/clock'
import { defineController, type ReconcileContext } from '#client/controller'
import { nameOf } from '../owned-objects.ts'
import { watchKind, watchOwned } from '../watches.ts'
import { dueTime, jobFor, outcomeOf, readSchedule, referenceTo, surplusJobs, tooManyMissed } from './plan-cron-job.ts'
import type { Schedule } from './schedule.ts'

// A little after the time itself, so that a clock that runs slow does not come too early.
const lateMs = 100

export const cronJobController = defineController({
  name: 'cronjob-controller',
  watches: [watchKind(CronJob), watchOwned(Job, { by: CronJob })],
  concurrency: 5,
  async reconcile(key, context) {
    const { cache, clock } = context
    const cronJob = cache.get(CronJob, key)
    if (cronJob === undefined) return
    const jobs = cache.ownedBy(Job, cronJob)
    const status: CronJobStatus = { ...cronJob.status, active: [...(cronJob.status.active ?? [])] }
    await followActive(cronJob, jobs, status, context)
    for (const job of surplusJobs(cronJob, jobs)) await deleteJob(cronJob, job, context)
    let current = await writeStatus(cronJob, status, context)
    if (cronJob.metadata.deletionTimestamp !== undefined || cronJob.spec.suspend) return
    const schedule = scheduleOf(cronJob, context)
    if (schedule === undefined) return
    const nowMs = clock.now()
    const { dueMs, missed } = dueTime(cronJob, schedule, nowMs)
    if (dueMs === undefined && schedule.next(nowMs) === undefined) {
      // Such as the 31st of February.
      const message = `invalid schedule: ${cronJob.spec.schedule} : time difference between two schedules is less than 1 second`
      context.events.record(cronJob, 'Warning', 'InvalidSchedule', message)
      return
    }
    if (tooManyMissed(missed)) {
      const message = 'too many missed start times. Set or decrease .spec.startingDeadlineSeconds or check clock skew'
      context.events.record(cronJob, 'Warning', 'TooManyMissedTimes', message)
    }
    if (dueMs !== undefined) {
      const started = await start(cronJob, dueMs, status, jobs, context)
      if (started) {
        status.lastScheduleTime = timestamp(dueMs)
        current = await writeStatus(current, status, context)
      }
    }
    const next = schedule.next(clock.now())
    return next === undefined ? undefined : next - clock.now() + lateMs
  },
})

async function writeStatus(cronJob: CronJobObject, status: CronJobStatus, { client }: ReconcileContext): Promise<CronJobObject> {
  const plain = (of: CronJobStatus): string => canonicalJson({ ...of, active: of.active ?? [] })
  if (plain(cronJob.status) === plain(status)) return cronJob
  const { active = [], ...rest } = status
  return client.updateStatus(CronJob, { ...cronJob, status: active.length > 0 ? { ...rest, active } : rest })
}

function scheduleOf(cronJob: CronJobObject, { events }: ReconcileContext): Schedule | undefined {
  try {
    return readSchedule(cronJob)
  } catch (error) {
    const { timeZone, schedule } = cronJob.spec
    if (timeZone === undefined)
      events.record(
        cronJob,
        'Warning',
        'UnparseableSchedule',
        `unparseable schedule: ${JSON.stringify(schedule)} : ${(error as Error).message}`,
      )
    else
      events.record(cronJob, 'Warning', 'UnknownTimeZone', `invalid timeZone: ${JSON.stringify(timeZone)}: unknown time zone ${timeZone}`)
    return undefined
  }
}

/** Brings the list of active Jobs up to date: finished and missing ones leave it. */
async function followActive(
  cronJob: CronJobObject,
  jobs: readonly JobObject[],
  status: CronJobStatus,
  context: ReconcileContext,
): Promise<void> {
  const { events, cache, client } = context
  const isListed = ({ metadata }: JobObject): boolean => status.active?.some(({ uid }) => uid === metadata.uid) === true
  const drop = (gone: (reference: ObjectReference) => boolean): void => {
    status.active = (status.active ?? []).filter((reference) => !gone(reference))
  }
  for (const job of jobs) {
    const outcome = outcomeOf(job)
    if (outcome === undefined) {
      if (isListed(job) || job.metadata.deletionTimestamp !== undefined) continue
      // Made, but not written down before a restart or a conflict: it is ours all the same.
      if (job.metadata.name === jobNameOf(cronJob, job)) status.active?.push(referenceTo(job))
      else
        events.record(cronJob, 'Warning', 'UnexpectedJob', `Saw a job that the controller did not create or forgot: ${job.metadata.name}`)
      continue
    }
    if (isListed(job)) {
      drop(({ uid }) => uid === job.metadata.uid)
      events.record(cronJob, 'Normal', 'SawCompletedJob', `Saw completed job: ${job.metadata.name}, condition: ${outcome}`)
    }
    const { completionTime } = job.status
    if (outcome === 'Complete' && completionTime !== undefined && (status.lastSuccessfulTime ?? '') < completionTime)
      status.lastSuccessfulTime = completionTime
  }
  for (const { name = '', uid } of status.active ?? []) {
    const known = cache.get(Job, keyText(cronJob.metadata.namespace, name))
    if (known?.metadata.uid === uid) continue
    const live = await client.get(Job, { namespace: cronJob.metadata.namespace ?? '', name }).catch((error) => {
      if (isApiError(error, 'NotFound')) return undefined
      throw error
    })
    if (live?.metadata.uid === uid) continue
    events.record(cronJob, 'Normal', 'MissingJob', `Active job went missing: ${name}`)
    drop((reference) => reference.uid === uid)
  }
}

function jobNameOf(cronJob: CronJobObject, job: JobObject): string {
  return /^\d+$/.test(job.metadata.name.slice(cronJob.metadata.name.length + 1)) ? job.metadata.name : ''
}

/** Starts the Job of this time, unless deadline or concurrency policy forbid it; whether the time is served. */
async function start(
  cronJob: CronJobObject,
  dueMs: number,
  status: CronJobStatus,
  jobs: readonly JobObject[],
  context: ReconcileContext,
): Promise<boolean> {
  const { client, clock, events } = context
  const { startingDeadlineSeconds, concurrencyPolicy } = cronJob.spec
  if (startingDeadlineSeconds !== undefined && dueMs + startingDeadlineSeconds * 1_000 < clock.now()) {
    events.record(
      cronJob,
      'Warning',
      'MissSchedule',
      `Missed scheduled time to start a job: ${new Date(dueMs).toUTCString().replace('GMT', '+0000')}`,
    )
    return false
  }
  const manifest = jobFor(cronJob, dueMs)
  if (status.active?.some(({ name }) => name === manifest.metadata.name)) return false
  if (concurrencyPolicy === 'Forbid' && (status.active ?? []).length > 0) {
    events.record(
      cronJob,
      'Normal',
      'JobAlreadyActive',
      'Not starting job because prior execution is running and concurrency policy is Forbid',
    )
    return false
  }
  if (concurrencyPolicy === 'Replace') {
    for (const { uid } of status.active ?? []) {
      const running = jobs.find(({ metadata }) => metadata.uid === uid)
      if (running !== undefined) await deleteJob(cronJob, running, context)
    }
    status.active = []
  }
  try {
    const job = await client.create(Job, manifest)
    events.record(cronJob, 'Normal', 'SuccessfulCreate', `Created job ${job.metadata.name}`)
    status.active?.push(referenceTo(job))
  } catch (error) {
    if (isApiError(error, 'AlreadyExists')) return jobs.some(({ metadata }) => metadata.name === manifest.metadata.name)
    if (isApiError(error, 'Forbidden') && (error.status.details?.causes ?? []).some(({ reason }) => reason === 'NamespaceTerminating'))
      return false
    events.record(cronJob, 'Warning', 'FailedCreate', `Error creating job: ${(error as Error).message}`)
    throw error
  }
  return true
}

async function deleteJob(cronJob: CronJobObject, job: JobObject, { client, events }: ReconcileContext): Promise<void> {
  try {
    await client.delete(Job, nameOf(job), { propagationPolicy: 'Background', preconditions: { uid: job.metadata.uid } })
    events.record(cronJob, 'Normal', 'SuccessfulDelete', `Deleted job ${job.metadata.name}`)
  } catch (error) {
    if (isApiError(error, 'NotFound') || isApiError(error, 'Conflict')) return
    events.record(cronJob, 'Warning', 'FailedDelete', `Deleted job: ${(error as Error).message}`)
    throw error
  }
}
