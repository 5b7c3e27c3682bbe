import { describe, expect, test } from 'vitest'
import type { JobSpec, JobStatus } from '#api/generated/batch-v1'
import type { Pod as PodObject } from '#api/generated/core-v1'
import { Job } from '#api/kinds/batch/job'
import { Pod } from '#api/kinds/core/pod'
import type { Manifest } from '#api/object'
import { makeObject } from '#client/make-object.testing'
import { judgeFailure, successByPolicy } from './failure-policy.ts'
import { commonIndexes, countIndexes, firstMissing, formatIndexes, hasIndex, parseIndexes, withIndexes } from './indexes.ts'
import { type JobBackoff, planJob } from './plan-job.ts'
import { trackingFinalizer } from './pod-of-job.ts'

const nowMs = Date.UTC(2026, 0, 1, 1)
const started = '2026-01-01T00:59:00Z'
const ended = '2026-01-01T00:59:59Z'

function job(spec: Manifest<JobSpec> = {}, status: Manifest<JobStatus> = {}) {
  return makeObject(Job, {
    metadata: { name: 'task' },
    spec: { template: { spec: { restartPolicy: 'Never', containers: [{ name: 'main', image: 'x' }] } }, ...spec },
    status: { startTime: started, ...status },
  })
}

function pod(
  name: string,
  phase: 'Running' | 'Succeeded' | 'Failed',
  more: { index?: number; failures?: number; exit?: number; tracked?: boolean; deleted?: boolean } = {},
): PodObject {
  return makeObject(Pod, {
    metadata: {
      name,
      finalizers: more.tracked === false ? [] : [trackingFinalizer],
      annotations: {
        ...(more.index === undefined ? {} : { 'batch.kubernetes.io/job-completion-index': String(more.index) }),
        ...(more.failures === undefined ? {} : { 'batch.kubernetes.io/job-index-failure-count': String(more.failures) }),
      },
      ...(more.deleted ? { deletionTimestamp: ended } : {}),
    },
    spec: { containers: [{ name: 'main', image: 'x' }] },
    status: {
      phase,
      containerStatuses: [
        {
          name: 'main',
          image: '',
          imageID: '',
          ready: false,
          restartCount: 0,
          state: phase === 'Running' ? {} : { terminated: { exitCode: more.exit ?? 0, finishedAt: ended } },
        },
      ],
    },
  })
}

const names = (pods: readonly PodObject[]): string[] => pods.map(({ metadata }) => metadata.name)

describe('indexes', () => {
  test.each(['', '0', '0,1', '0-2', '1,3-5,7,8', '0-99999'])('%s reads back as it was written', (text) =>
    expect(formatIndexes(parseIndexes(text))).toBe(text),
  )
  test('beyond the limit there are none', () => expect(formatIndexes(parseIndexes('1-5,9', 4))).toBe('1-3'))
  test('sets', () => {
    const set = withIndexes(parseIndexes('0-2,5'), [3, 7, 4])
    expect([
      formatIndexes(set),
      countIndexes(set),
      hasIndex(set, 4),
      hasIndex(set, 6),
      formatIndexes(commonIndexes(set, parseIndexes('4-9'))),
    ]).toEqual(['0-5,7', 7, true, false, '4,5,7'])
    expect(firstMissing(3, 10, parseIndexes('0-2'), parseIndexes('4'))).toEqual([3, 5, 6])
    expect(firstMissing(9, 3, parseIndexes('1'))).toEqual([0, 2])
  })
})

describe('planJob', () => {
  const plan = (of: ReturnType<typeof job>, pods: PodObject[] = [], backoff?: JobBackoff) => {
    const { create, remove, end, release, status, lookAgainAfterMs } = planJob(of, pods, nowMs, backoff)
    return {
      create: create.length,
      remove: names(remove).length,
      end: names(end),
      release: names(release),
      uncounted: status.uncountedTerminatedPods,
      active: status.active,
      lookAgainAfterMs,
    }
  }

  test.each([
    ['makes as many as may run', job({ parallelism: 3, completions: 5 }), [], { create: 3, active: 3 }],
    ['no more than are wanted', job({ parallelism: 3, completions: 5 }, { succeeded: 4 }), [], { create: 1 }],
    ['none while suspended', job({ suspend: true }), [pod('a', 'Running')], { create: 0, remove: 1, active: 0 }],
    [
      'removes what is too much',
      job({ parallelism: 1, completions: 5 }),
      [pod('a', 'Running'), pod('b', 'Running')],
      { remove: 1, create: 0, active: 1 },
    ],
    [
      'a work queue takes no more once one has succeeded',
      job({ parallelism: 3 }, { succeeded: 1 }),
      [pod('a', 'Running')],
      { create: 0, remove: 0, active: 1 },
    ],
    [
      'writes ended pods down before it lets them go',
      job({ completions: 2 }),
      [pod('a', 'Succeeded')],
      { release: ['a'], uncounted: { succeeded: ['uid-a'] } },
    ],
    [
      'a deleted pod counts as failed',
      job({ backoffLimit: 9 }),
      [pod('a', 'Running', { deleted: true })],
      { release: ['a'], uncounted: { failed: ['uid-a'] }, create: 0 },
    ],
    [
      'but not where only failed ones are replaced',
      job({ podReplacementPolicy: 'Failed' }),
      [pod('a', 'Running', { deleted: true })],
      { release: [], create: 0, uncounted: {} },
    ],
    [
      'beyond the limit ends the rest',
      job({ backoffLimit: 0, parallelism: 2, completions: 2 }),
      [pod('a', 'Failed'), pod('b', 'Running')],
      { end: ['b'], create: 0, active: 0 },
    ],
  ])('%s', (_name, of, pods, wanted) => expect(plan(of, pods)).toMatchObject(wanted))

  test('what was let go of is counted', () => {
    const { status } = planJob(
      job({ completions: 3 }, { succeeded: 1, uncountedTerminatedPods: { succeeded: ['uid-a'], failed: ['uid-gone'] } }),
      [pod('a', 'Succeeded', { tracked: false })],
      nowMs,
      undefined,
    )
    expect([status.succeeded, status.failed, status.uncountedTerminatedPods]).toEqual([2, 1, {}])
  })

  test('failures hold new pods back, twice as long each time', () => {
    const waits = [1, 2, 3, 20].map((failures) => plan(job(), [], { failures, lastFailureMs: nowMs - 1_000 }).lookAgainAfterMs)
    expect(waits).toEqual([9_000, 19_000, 39_000, 599_000])
  })

  test('an index is made again with its count of failures, and its failed pod stays until then', () => {
    const of = job({ completionMode: 'Indexed', completions: 2, parallelism: 2, backoffLimitPerIndex: 3 }, { completedIndexes: '0' })
    const { create, release, status } = planJob(of, [pod('a', 'Failed', { index: 1, failures: 1 })], nowMs, {
      failures: 1,
      lastFailureMs: 0,
    })
    expect([create, names(release), status.failedIndexes]).toEqual([[], [], ''])
    const counted = job(of.spec as never, { completedIndexes: '0', uncountedTerminatedPods: { failed: ['uid-a'] } })
    const later = planJob(counted, [pod('a', 'Failed', { index: 1, failures: 1 })], nowMs + 20_000, undefined)
    expect(later.create).toEqual([{ index: 1, failures: { counted: 2, ignored: 0 } }])
  })

  test('of indexes that fail on their own each waits for itself', () => {
    const of = job({ completionMode: 'Indexed', completions: 2, parallelism: 2, backoffLimitPerIndex: 3 })
    const { create, lookAgainAfterMs } = planJob(of, [pod('a', 'Failed', { index: 1, failures: 0 })], nowMs, undefined)
    expect([create.map(({ index }) => index), lookAgainAfterMs]).toEqual([[0], 9_000])
  })

  test('two pods of one index are one too many', () => {
    const of = job({ completionMode: 'Indexed', completions: 3, parallelism: 3 })
    const { remove, create } = planJob(
      of,
      [pod('a', 'Running', { index: 0 }), pod('b', 'Running', { index: 0 }), pod('c', 'Running', { index: 9 })],
      nowMs,
      undefined,
    )
    expect([names(remove), create]).toEqual([['b', 'c'], []])
  })
})

describe('judgeFailure', () => {
  const failed = { ...pod('p', 'Failed', { exit: 42 }) }
  test.each([
    ['no policy', undefined, 'Count'],
    ['an exit code in the list', { rules: [{ action: 'Ignore', onExitCodes: { operator: 'In', values: [42] } }] }, 'Ignore'],
    ['an exit code not in the list', { rules: [{ action: 'FailJob', onExitCodes: { operator: 'NotIn', values: [1, 42] } }] }, 'Count'],
    [
      "another container's",
      { rules: [{ action: 'FailJob', onExitCodes: { operator: 'In', values: [42], containerName: 'other' } }] },
      'Count',
    ],
    [
      'the first rule that matches',
      {
        rules: [
          { action: 'Count', onExitCodes: { operator: 'In', values: [42] } },
          { action: 'FailJob', onExitCodes: { operator: 'In', values: [42] } },
        ],
      },
      'Count',
    ],
    ['a condition', { rules: [{ action: 'Ignore', onPodConditions: [{ type: 'DisruptionTarget', status: 'True' }] }] }, 'Count'],
  ] as const)('%s', (_name, policy, action) => expect(judgeFailure(policy as never, failed).action).toBe(action))
})

test.each([
  ['all of the listed', { rules: [{ succeededIndexes: '1-2' }] }, 'Matched rules at index 0'],
  ['some of the listed', { rules: [{ succeededIndexes: '1-9', succeededCount: 2 }] }, 'Matched rules at index 0'],
  ['any number', { rules: [{ succeededIndexes: '8' }, { succeededCount: 3 }] }, 'Matched rules at index 1'],
  ['not yet', { rules: [{ succeededIndexes: '0-5' }] }, undefined],
])('success by policy: %s', (_name, policy, wanted) => expect(successByPolicy(policy, parseIndexes('0-3'), 10)).toBe(wanted))
