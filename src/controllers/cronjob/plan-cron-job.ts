// What a CronJob should do now: which finished Jobs to forget, which Job to start, and when to look again. Pure.
import type { CronJob as CronJobObject, Job as JobObject } from '#api/generated/batch-v1'
import type { ObjectReference } from '#api/generated/core-v1'
import { CronJob } from '#api/kinds/batch/cron-job'
import { Job } from '#api/kinds/batch/job'
import type { Manifest } from '#api/object'
import { timestamp } from '#base/clock'
import { ownerReference } from '../owned-objects.ts'
import { parseSchedule, type Schedule, zoneOffset } from './schedule.ts'

const scheduledAtAnnotation = 'batch.kubernetes.io/cronjob-scheduled-timestamp'
const missedMax = 100

/** The most recent time that was due and has not been served, and how many were. */
export function dueTime(cronJob: CronJobObject, schedule: Schedule, nowMs: number): { dueMs: number | undefined; missed: number } {
  const { startingDeadlineSeconds } = cronJob.spec
  let fromMs = Date.parse(cronJob.status.lastScheduleTime ?? cronJob.metadata.creationTimestamp)
  if (startingDeadlineSeconds !== undefined) fromMs = Math.max(fromMs, nowMs - startingDeadlineSeconds * 1_000)
  let dueMs: number | undefined
  let missed = 0
  let next = schedule.next(fromMs)
  while (next !== undefined && next <= nowMs) {
    missed++
    dueMs = next
    const second = schedule.next(next)
    // Regular schedules are not walked through one by one: years may have been missed.
    if (second !== undefined && missed > missedMax) {
      const periodMs = second - next
      const skipped = Math.max(0, Math.floor((nowMs - second) / periodMs) - 1)
      missed += skipped
      next = schedule.next(next + skipped * periodMs) ?? second
    } else next = second
  }
  return { dueMs, missed }
}

export function tooManyMissed(missed: number): boolean {
  return missed > missedMax
}

export function readSchedule({ spec }: CronJobObject): Schedule {
  return parseSchedule(spec.schedule, spec.timeZone)
}

/** Named after its time, so that no time is served twice. */
export function jobFor(cronJob: CronJobObject, dueMs: number): Manifest<JobObject> & { metadata: { name: string } } {
  const { jobTemplate, timeZone } = cronJob.spec
  const { labels, annotations } = jobTemplate.metadata
  return {
    metadata: {
      name: `${cronJob.metadata.name}-${Math.floor(dueMs / 60_000)}`,
      namespace: cronJob.metadata.namespace ?? '',
      ...(labels === undefined ? {} : { labels: { ...labels } }),
      annotations: { ...annotations, [scheduledAtAnnotation]: zonedTimestamp(dueMs, timeZone) },
      ownerReferences: [ownerReference(CronJob, cronJob)],
    },
    spec: structuredClone(jobTemplate.spec) as Manifest<JobObject['spec']>,
  }
}

function zonedTimestamp(ms: number, timeZone: string | undefined): string {
  if (timeZone === undefined) return timestamp(ms)
  const offsetMs = zoneOffset(timeZone)(ms)
  if (offsetMs === 0) return timestamp(ms)
  const minutes = Math.abs(offsetMs) / 60_000
  const two = (value: number): string => String(Math.floor(value)).padStart(2, '0')
  return `${timestamp(ms + offsetMs).slice(0, -1)}${offsetMs < 0 ? '-' : '+'}${two(minutes / 60)}:${two(minutes % 60)}`
}

export function referenceTo(job: JobObject): ObjectReference {
  const { name, namespace = '', uid, resourceVersion } = job.metadata
  return { kind: Job.kind, apiVersion: Job.apiVersion, namespace, name, uid, resourceVersion }
}

/** The condition that ended a Job. */
export function outcomeOf({ status }: JobObject): 'Complete' | 'Failed' | undefined {
  for (const type of ['Complete', 'Failed'] as const)
    if (status.conditions?.some((condition) => condition.type === type && condition.status === 'True')) return type
  return undefined
}

/** Finished Jobs beyond the history limits, oldest first. */
export function surplusJobs({ spec }: CronJobObject, jobs: readonly JobObject[]): JobObject[] {
  const of = (outcome: 'Complete' | 'Failed', limit: number | undefined): JobObject[] => {
    if (limit === undefined) return []
    const finished = jobs.filter((job) => outcomeOf(job) === outcome && job.metadata.deletionTimestamp === undefined).sort(byStart)
    return finished.slice(0, Math.max(0, finished.length - limit))
  }
  return [...of('Complete', spec.successfulJobsHistoryLimit), ...of('Failed', spec.failedJobsHistoryLimit)]
}

function byStart(a: JobObject, b: JobObject): number {
  const start = ({ status, metadata }: JobObject): string => status.startTime ?? metadata.creationTimestamp
  if (start(a) !== start(b)) return start(a) < start(b) ? -1 : 1
  return a.metadata.name < b.metadata.name ? -1 : 1
}
