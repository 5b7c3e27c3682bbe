import { describe, expect, test } from 'vitest'
import type { Pod as PodObject } from '#api/generated/core-v1'
import { ReplicaSet } from '#api/kinds/apps/replica-set'
import { Pod } from '#api/kinds/core/pod'
import type { Manifest } from '#api/object'
import { makeObject } from '#client/make-object.testing'
import { planReplicaSet, withFailure } from './replicaset.ts'

const nowMs = Date.UTC(2026, 0, 1, 1)

function setOf(replicas: number, more: object = {}) {
  return makeObject(ReplicaSet, {
    metadata: { name: 'web', generation: 3 },
    spec: {
      replicas,
      selector: { matchLabels: { app: 'web' } },
      template: { metadata: { labels: { app: 'web' } }, spec: { containers: [{ name: 'web', image: 'web' }] } },
      ...more,
    },
  })
}

function pod(
  name: string,
  { ready, ...status }: Manifest<PodObject['status']> & { ready?: string } = {},
  metadata: object = {},
): PodObject {
  const conditions = ready === undefined ? [] : [{ type: 'Ready', status: 'True' as const, lastTransitionTime: ready }]
  return makeObject(Pod, {
    metadata: { name, labels: { app: 'web' }, ...metadata },
    spec: { containers: [{ name: 'web', image: 'web' }] },
    status: { phase: 'Running', conditions, ...status },
  })
}

const early = '2026-01-01T00:00:00Z'

describe('planReplicaSet', () => {
  const cases: [
    string,
    ReturnType<typeof setOf>,
    PodObject[],
    { create: number; remove: string[]; lookAgainAfterMs: number | undefined },
  ][] = [
    ['makes what is missing', setOf(3), [pod('a')], { create: 2, remove: [], lookAgainAfterMs: undefined }],
    [
      'counts neither ended pods nor those on their way out',
      setOf(2),
      [pod('a', { phase: 'Failed' }), pod('b', {}, { deletionTimestamp: early })],
      { create: 2, remove: [], lookAgainAfterMs: undefined },
    ],
    [
      'removes the surplus, pods that are not ready first',
      setOf(1),
      [pod('a', { ready: early }), pod('b')],
      { create: 0, remove: ['b'], lookAgainAfterMs: undefined },
    ],
    ['makes at most five hundred at once', setOf(2_000), [], { create: 500, remove: [], lookAgainAfterMs: undefined }],
    [
      'looks again when the next pod has been ready long enough',
      setOf(2, { minReadySeconds: 60 }),
      [pod('a', { ready: '2026-01-01T00:59:30Z' }), pod('b', { ready: early })],
      { create: 0, remove: [], lookAgainAfterMs: 30_000 },
    ],
  ]
  test.each(cases)('%s', (_name, set, pods, wanted) => {
    const { create, remove, lookAgainAfterMs } = planReplicaSet(set, pods, nowMs)
    expect({ create, remove: remove.map(({ metadata }) => metadata.name), lookAgainAfterMs }).toEqual(wanted)
  })

  test('a set that is being deleted neither makes nor removes pods', () => {
    const set = makeObject(ReplicaSet, { ...structuredClone(setOf(5)), metadata: { name: 'web', deletionTimestamp: early } })
    expect(planReplicaSet(set, [pod('a')], nowMs)).toMatchObject({ create: 0, remove: [] })
  })

  test('status counts what is there, ready, available and fully labelled, and what is on its way out', () => {
    const pods = [
      pod('ready', { ready: early }),
      pod('starting', { phase: 'Pending' }),
      pod('going', { ready: early }, { deletionTimestamp: early }),
      pod('other', {}, { labels: { team: 'x' } }),
    ]
    expect(planReplicaSet(setOf(3), pods, nowMs).status).toEqual({
      replicas: 3,
      fullyLabeledReplicas: 2,
      readyReplicas: 1,
      availableReplicas: 1,
      terminatingReplicas: 1,
      observedGeneration: 3,
    })
  })
})

describe('ReplicaFailure', () => {
  const failure = { reason: 'FailedCreate', message: 'quota' } as const
  const standing = { type: 'ReplicaFailure', status: 'True', lastTransitionTime: early, reason: 'FailedCreate', message: 'earlier' }
  test.each([
    [
      'appears with the failure',
      undefined,
      failure,
      [{ type: 'ReplicaFailure', status: 'True', lastTransitionTime: '2026-01-01T01:00:00Z', ...failure }],
    ],
    ['stays as it is while the reason is the same', [standing], failure, [standing]],
    ['goes with the failure', [standing], undefined, undefined],
  ])('%s', (_name, before, now, after) => {
    expect(withFailure(before, now, nowMs)).toEqual(after)
  })
})
