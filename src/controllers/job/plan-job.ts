// What a Job should do now: which pods to make, remove and count, and what to say of itself. Pure.
import type { JobCondition, Job as JobObject, JobStatus } from '#api/generated/batch-v1'
import type { Pod as PodObject } from '#api/generated/core-v1'
import { isPodActive, isPodReady, isPodTerminal } from '#api/pods'
import { timestamp } from '#base/clock'
import { isJobFinished } from '../job-finished.ts'
import { leastUseful } from '../pods-of-template.ts'
import { judgeFailure, successByPolicy } from './failure-policy.ts'
import { countIndexes, firstMissing, formatIndexes, hasIndex, type Indexes, parseIndexes, withIndexes } from './indexes.ts'
import { failuresBefore, type IndexFailures, indexOf, isTracked, type NewPod } from './pod-of-job.ts'

// Pods made or removed in one go.
const burst = 500
const backoffInitialMs = 10_000
const backoffMsMax = 600_000

/** Failures in a row that hold new pods back. */
export interface JobBackoff {
  readonly failures: number
  readonly lastFailureMs: number
}

export interface JobPlan {
  readonly create: readonly NewPod[]
  /** Active pods that are no longer wanted; they do not count as failed. */
  readonly remove: readonly PodObject[]
  /** Active pods of a Job that has failed or succeeded early. */
  readonly end: readonly PodObject[]
  /** Pods to let go of, once `status` is written. */
  readonly release: readonly PodObject[]
  readonly status: JobStatus
  readonly events: readonly { readonly type: 'Normal' | 'Warning'; readonly reason: string; readonly message: string }[]
  readonly backoff: JobBackoff | undefined
  readonly lookAgainAfterMs: number | undefined
}

interface Target {
  readonly type: 'SuccessCriteriaMet' | 'FailureTarget'
  readonly reason: string
  readonly message: string
}

/** Everything that the parts of the plan read. */
interface View {
  readonly job: JobObject
  readonly nowMs: number
  readonly indexed: boolean
  readonly completions: number | undefined
  readonly active: readonly PodObject[]
  readonly terminating: number
  readonly counts: Counts
}

interface Counts {
  readonly succeeded: number
  readonly failed: number
  readonly succeededIndexes: Indexes
  readonly failedIndexes: Indexes
  /** The last failed pod of each index that waits for its replacement. */
  readonly lastFailed: ReadonlyMap<number, { readonly failures: IndexFailures; readonly atMs: number }>
  readonly uncounted: { readonly succeeded: string[]; readonly failed: string[] }
  /** Counters before the uncounted. */
  readonly counted: { readonly succeeded: number; readonly failed: number }
  readonly release: PodObject[]
  readonly failJobMessage: string | undefined
  readonly newlyFailedAtMs: readonly number[]
  readonly newlySucceeded: boolean
}

export function planJob(job: JobObject, pods: readonly PodObject[], nowMs: number, backoff: JobBackoff | undefined): JobPlan {
  const indexed = job.spec.completionMode === 'Indexed'
  const active = pods.filter(isPodActive)
  const terminating = pods.filter((pod) => pod.metadata.deletionTimestamp !== undefined && !isPodTerminal(pod)).length
  const counts = count(job, pods, indexed)
  const view: View = { job, nowMs, indexed, completions: job.spec.completions, active, terminating, counts }
  const nextBackoff = backoffAfter(backoff, counts)
  const startTime = job.status.startTime ?? (job.spec.suspend ? undefined : timestamp(nowMs))
  const { target, deadlineMs } = findTarget(view, pods, startTime)
  const work = target === undefined && job.metadata.deletionTimestamp === undefined ? manage(view, nextBackoff) : idle
  const left = active.length - work.remove.length
  const reached = target ?? completion(view, left)
  const end = reached === undefined ? [] : active
  const events: JobPlan['events'][number][] = []
  const conditions = nextConditions(view, pods, reached, work !== idle, events)
  const finished = isJobFinished({ status: { conditions } })
  const resumed = events.some(({ reason }) => reason === 'Resumed')
  const status: JobStatus = {
    ...(job.status as object),
    conditions,
    ...(startTime === undefined ? {} : { startTime: resumed ? timestamp(nowMs) : startTime }),
    ...(conditions.some(({ type, status: value }) => type === 'Complete' && value === 'True') ? { completionTime: timestamp(nowMs) } : {}),
    active: finished ? 0 : left + work.create.length - end.length,
    ready: finished || end.length > 0 ? 0 : active.filter((pod) => isPodReady(pod) && !work.remove.includes(pod)).length,
    terminating: finished ? 0 : terminating + work.remove.length + end.length,
    succeeded: indexed ? countIndexes(counts.succeededIndexes) : counts.counted.succeeded,
    failed: counts.counted.failed,
    uncountedTerminatedPods: {
      ...(counts.uncounted.succeeded.length > 0 ? { succeeded: counts.uncounted.succeeded } : {}),
      ...(counts.uncounted.failed.length > 0 ? { failed: counts.uncounted.failed } : {}),
    },
    ...(indexed ? { completedIndexes: formatIndexes(counts.succeededIndexes) } : {}),
    ...(indexed && job.spec.backoffLimitPerIndex !== undefined ? { failedIndexes: formatIndexes(counts.failedIndexes) } : {}),
  }
  const release = reached === undefined ? counts.release.filter((pod) => !waitsForReplacement(view, pod)) : counts.release
  const waits = [deadlineMs, work.waitMs].filter((ms) => ms !== undefined)
  return {
    create: work.create,
    remove: work.remove,
    end,
    release,
    status,
    events,
    backoff: finished ? undefined : nextBackoff,
    lookAgainAfterMs: finished || waits.length === 0 ? undefined : Math.min(...waits),
  }
}

/** Pods of Jobs that judge failures, or replace only the failed, count when they have ended, others as soon as they are deleted. */
function onlyReplacesFailed({ spec }: JobObject): boolean {
  return spec.podReplacementPolicy === 'Failed' || spec.podFailurePolicy !== undefined
}

function hasFailed(job: JobObject, pod: PodObject): boolean {
  if (pod.status.phase === 'Failed') return true
  return !onlyReplacesFailed(job) && pod.metadata.deletionTimestamp !== undefined && pod.status.phase !== 'Succeeded'
}

function count(job: JobObject, pods: readonly PodObject[], indexed: boolean): Counts {
  const { status, spec } = job
  const completions = spec.completions ?? 0
  const tracked = pods.filter(isTracked)
  const trackedUids = new Set(tracked.map(({ metadata }) => metadata.uid))
  const before = { succeeded: status.uncountedTerminatedPods?.succeeded ?? [], failed: status.uncountedTerminatedPods?.failed ?? [] }
  // Whoever was let go of is counted now.
  const still = {
    succeeded: before.succeeded.filter((uid) => trackedUids.has(uid)),
    failed: before.failed.filter((uid) => trackedUids.has(uid)),
  }
  const counted = {
    succeeded: (status.succeeded ?? 0) + (indexed ? 0 : before.succeeded.length - still.succeeded.length),
    failed: (status.failed ?? 0) + before.failed.length - still.failed.length,
  }
  const uncounted = { succeeded: [...still.succeeded], failed: [...still.failed] }
  const known = new Set([...still.succeeded, ...still.failed])
  const newIndexes: number[] = []
  const newFailedIndexes: number[] = []
  const lastFailed = new Map<number, { failures: IndexFailures; atMs: number }>()
  const newlyFailedAtMs: number[] = []
  const release: PodObject[] = []
  let failJobMessage: string | undefined
  let newlySucceeded = false
  const done = parseIndexes(status.completedIndexes, completions)
  for (const pod of tracked) {
    const { uid } = pod.metadata
    const index = indexed ? indexOf(pod) : undefined
    const foreign = indexed && (index === undefined || index >= completions)
    if (pod.status.phase === 'Succeeded') {
      release.push(pod)
      if (foreign || known.has(uid)) continue
      newlySucceeded = true
      if (index !== undefined) newIndexes.push(index)
      else uncounted.succeeded.push(uid)
    } else if (hasFailed(job, pod)) {
      release.push(pod)
      const verdict = judgeFailure(spec.podFailurePolicy, pod)
      if (verdict.action === 'FailJob') failJobMessage ??= verdict.message
      if (index !== undefined && !foreign) {
        const { counted: earlier, ignored } = failuresBefore(pod)
        const failures = verdict.action === 'Ignore' ? { counted: earlier, ignored: ignored + 1 } : { counted: earlier + 1, ignored }
        const highest = lastFailed.get(index)?.failures
        if (highest === undefined || failures.counted + failures.ignored > highest.counted + highest.ignored)
          lastFailed.set(index, { failures, atMs: failedAtMs(pod) })
        const given = spec.backoffLimitPerIndex
        if (given !== undefined && verdict.action !== 'Ignore' && (verdict.action === 'FailIndex' || earlier >= given))
          newFailedIndexes.push(index)
      }
      if (foreign || known.has(uid) || verdict.action === 'Ignore') continue
      uncounted.failed.push(uid)
      newlyFailedAtMs.push(failedAtMs(pod))
    }
  }
  const succeededIndexes = withIndexes(done, newIndexes)
  const failedIndexes = withIndexes(
    parseIndexes(status.failedIndexes, completions),
    newFailedIndexes.filter((index) => !hasIndex(succeededIndexes, index)),
  )
  return {
    succeeded: indexed ? countIndexes(succeededIndexes) : counted.succeeded + uncounted.succeeded.length,
    failed: counted.failed + uncounted.failed.length,
    succeededIndexes,
    failedIndexes,
    lastFailed,
    uncounted,
    counted,
    release,
    failJobMessage,
    newlyFailedAtMs,
    newlySucceeded,
  }
}

function failedAtMs({ status, metadata }: PodObject): number {
  const ends = (status.containerStatuses ?? [])
    .map(({ state }) => Date.parse(state?.terminated?.finishedAt ?? ''))
    .filter((ms) => !Number.isNaN(ms))
  return ends.length > 0 ? Math.max(...ends) : Date.parse(metadata.deletionTimestamp ?? status.startTime ?? metadata.creationTimestamp)
}

function backoffAfter(before: JobBackoff | undefined, { newlyFailedAtMs, newlySucceeded }: Counts): JobBackoff | undefined {
  if (newlyFailedAtMs.length === 0) return newlySucceeded ? undefined : before
  const lastFailureMs = Math.max(before?.lastFailureMs ?? 0, ...newlyFailedAtMs)
  return { failures: (newlySucceeded ? 0 : (before?.failures ?? 0)) + newlyFailedAtMs.length, lastFailureMs }
}

/** Why the Job ends, if it does, and otherwise how long it may still run. */
function findTarget(
  view: View,
  pods: readonly PodObject[],
  startTime: string | undefined,
): { target: Target | undefined; deadlineMs: number | undefined } {
  const { job, counts, nowMs, indexed, completions = 0 } = view
  const { spec, status } = job
  const end = (target: Target) => ({ target, deadlineMs: undefined })
  const failure = (reason: string, message: string) => end({ type: 'FailureTarget', reason, message })
  for (const type of ['FailureTarget', 'SuccessCriteriaMet'] as const) {
    const standing = status.conditions?.find((condition) => condition.type === type && condition.status === 'True')
    if (standing !== undefined) return end({ type, reason: standing.reason ?? '', message: standing.message ?? '' })
  }
  if (counts.failJobMessage !== undefined) return failure('PodFailurePolicy', counts.failJobMessage)
  const limit = spec.backoffLimit ?? 6
  if (counts.failed > limit || restartsExceed(job, pods, limit))
    return failure('BackoffLimitExceeded', 'Job has reached the specified backoff limit')
  if (indexed) {
    const failed = countIndexes(counts.failedIndexes)
    if (spec.maxFailedIndexes !== undefined && failed > spec.maxFailedIndexes)
      return failure('MaxFailedIndexesExceeded', 'Job has exceeded the specified maximal number of failed indexes')
    if (failed > 0 && failed + counts.succeeded >= completions) return failure('FailedIndexes', 'Job has failed indexes')
    const message = successByPolicy(spec.successPolicy, counts.succeededIndexes, completions)
    if (message !== undefined) return end({ type: 'SuccessCriteriaMet', reason: 'SuccessPolicy', message })
  }
  if (spec.activeDeadlineSeconds === undefined || spec.suspend || startTime === undefined)
    return { target: undefined, deadlineMs: undefined }
  const deadlineMs = Date.parse(startTime) + spec.activeDeadlineSeconds * 1_000 - nowMs
  return deadlineMs > 0 ? { target: undefined, deadlineMs } : failure('DeadlineExceeded', 'Job was active longer than specified deadline')
}

// Containers that restart in place fail without their pod failing.
function restartsExceed({ spec }: JobObject, pods: readonly PodObject[], limit: number): boolean {
  if (spec.template.spec.restartPolicy !== 'OnFailure') return false
  let restarts = 0
  for (const { status } of pods) {
    if (status.phase !== 'Running' && status.phase !== 'Pending') continue
    for (const { restartCount } of [...(status.initContainerStatuses ?? []), ...(status.containerStatuses ?? [])]) restarts += restartCount
  }
  return limit === 0 ? restarts > 0 : restarts >= limit
}

interface Work {
  readonly create: readonly NewPod[]
  readonly remove: readonly PodObject[]
  readonly waitMs: number | undefined
}

const idle: Work = { create: [], remove: [], waitMs: undefined }

/** Brings the number of active pods to what is wanted. */
function manage(view: View, backoff: JobBackoff | undefined): Work {
  const { job, active, terminating, counts, completions, indexed, nowMs } = view
  if (job.spec.suspend) return { create: [], remove: active.slice(0, burst), waitMs: undefined }
  const parallelism = job.spec.parallelism ?? 1
  const open = completions === undefined ? undefined : completions - counts.succeeded - countIndexes(counts.failedIndexes)
  const wanted = open === undefined ? (counts.succeeded > 0 ? active.length : parallelism) : Math.min(Math.max(0, open), parallelism)
  const useless = indexed ? superfluous(view) : []
  const surplus = Math.max(active.length - wanted, useless.length)
  if (surplus > 0) {
    const others = active.filter((pod) => !useless.includes(pod))
    return { create: [], remove: [...useless, ...leastUseful(others, surplus - useless.length)].slice(0, burst), waitMs: undefined }
  }
  const missing = Math.min(wanted - active.length - (onlyReplacesFailed(job) ? terminating : 0), burst)
  if (missing <= 0) return { create: [], remove: [], waitMs: undefined }
  const perIndex = indexed && job.spec.backoffLimitPerIndex !== undefined
  if (backoff !== undefined && backoff.failures > 0 && !perIndex) {
    const waitMs = backoff.lastFailureMs + delayMs(backoff.failures) - nowMs
    if (waitMs > 0) return { create: [], remove: [], waitMs }
  }
  if (!indexed)
    return { create: Array.from({ length: missing }, () => ({ index: undefined, failures: undefined })), remove: [], waitMs: undefined }
  const running = withIndexes(
    [],
    active.map(indexOf).filter((index) => index !== undefined),
  )
  // Each index waits for itself alone.
  let waiting: Indexes = []
  let waitMs: number | undefined
  for (const [index, { failures, atMs }] of perIndex ? counts.lastFailed : []) {
    const leftMs = atMs + delayMs(failures.counted + failures.ignored) - nowMs
    if (leftMs <= 0 || hasIndex(running, index) || hasIndex(counts.failedIndexes, index)) continue
    waiting = withIndexes(waiting, [index])
    waitMs = Math.min(waitMs ?? leftMs, leftMs)
  }
  const create = firstMissing(missing, completions ?? 0, counts.succeededIndexes, counts.failedIndexes, running, waiting).map((index) => ({
    index,
    failures: perIndex ? (counts.lastFailed.get(index)?.failures ?? { counted: 0, ignored: 0 }) : undefined,
  }))
  return { create, remove: [], waitMs }
}

function delayMs(failures: number): number {
  return Math.min(backoffMsMax, backoffInitialMs * 2 ** Math.min(failures - 1, 20))
}

/** Active pods whose index is done, out of range, or run by another one as well. */
function superfluous({ active, counts, completions = 0 }: View): PodObject[] {
  const seen = new Set<number>()
  const ranked = [...active].sort(
    (a, b) => Number(isPodReady(b)) - Number(isPodReady(a)) || (a.metadata.creationTimestamp < b.metadata.creationTimestamp ? -1 : 1),
  )
  return ranked.filter((pod) => {
    const index = indexOf(pod)
    if (index === undefined || index >= completions || seen.has(index)) return true
    if (hasIndex(counts.succeededIndexes, index) || hasIndex(counts.failedIndexes, index)) return true
    seen.add(index)
    return false
  })
}

// The failed pod of an index remembers how often that failed, until another pod does.
function waitsForReplacement({ job, active, counts, completions = 0 }: View, pod: PodObject): boolean {
  if (job.spec.backoffLimitPerIndex === undefined || job.metadata.deletionTimestamp !== undefined || pod.status.phase === 'Succeeded')
    return false
  const index = indexOf(pod)
  if (index === undefined || index >= completions) return false
  if (hasIndex(counts.succeededIndexes, index) || hasIndex(counts.failedIndexes, index)) return false
  return !active.some((other) => indexOf(other) === index)
}

function completion({ counts, completions }: View, active: number): Target | undefined {
  const done = completions === undefined ? counts.succeeded > 0 && active === 0 : counts.succeeded >= completions && active === 0
  return done
    ? { type: 'SuccessCriteriaMet', reason: 'CompletionsReached', message: 'Reached expected number of succeeded pods' }
    : undefined
}

/** The target stands as a condition of its own until the last pod has ended and is counted; then the Job is finished. */
function nextConditions(
  view: View,
  pods: readonly PodObject[],
  target: Target | undefined,
  managed: boolean,
  events: JobPlan['events'][number][],
): JobCondition[] {
  const { job, nowMs, active, terminating, counts } = view
  const conditions = job.status.conditions ?? []
  const make = (type: string, reason: string, message: string, status = 'True'): JobCondition => {
    const now = timestamp(nowMs)
    return { type, status, lastProbeTime: now, lastTransitionTime: now, reason, message }
  }
  const put = (next: JobCondition): JobCondition[] => {
    const before = conditions.find(({ type }) => type === next.type)
    if (before?.status === next.status) return [...conditions]
    return before === undefined ? [...conditions, next] : conditions.map((condition) => (condition === before ? next : condition))
  }
  if (target !== undefined) {
    const all = put(make(target.type, target.reason, target.message))
    const waiting = pods.some(isTracked) || counts.uncounted.succeeded.length + counts.uncounted.failed.length > 0
    if (active.length > 0 || terminating > 0 || waiting) return all
    const failed = target.type === 'FailureTarget'
    if (!failed && job.spec.completions !== undefined && counts.succeeded > job.spec.completions) {
      const message = 'Too many succeeded pods running after completion count reached'
      events.push({ type: 'Warning', reason: 'TooManySucceededPods', message })
    }
    events.push(
      failed
        ? { type: 'Warning', reason: target.reason, message: target.message }
        : { type: 'Normal', reason: 'Completed', message: 'Job completed' },
    )
    return [...all, make(failed ? 'Failed' : 'Complete', target.reason, target.message)]
  }
  if (!managed) return [...conditions]
  const suspended = conditions.find(({ type }) => type === 'Suspended')
  if (job.spec.suspend) {
    if (suspended?.status !== 'True') events.push({ type: 'Normal', reason: 'Suspended', message: 'Job suspended' })
    return put(make('Suspended', 'JobSuspended', 'Job suspended'))
  }
  if (suspended?.status !== 'True') return [...conditions]
  events.push({ type: 'Normal', reason: 'Resumed', message: 'Job resumed' })
  return put(make('Suspended', 'JobResumed', 'Job resumed', 'False'))
}
