import { describe, expect, test } from 'vitest'
import type { StatefulSetSpec } from '#api/generated/apps-v1'
import type { Pod as PodObject } from '#api/generated/core-v1'
import { StatefulSet } from '#api/kinds/apps/stateful-set'
import { Pod } from '#api/kinds/core/pod'
import type { Manifest } from '#api/object'
import { makeObject } from '#client/make-object.testing'
import { planStatefulSet } from './plan-stateful-set.ts'

const nowMs = Date.UTC(2026, 0, 1, 1)
const setOf = (replicas: number, spec: Manifest<StatefulSetSpec> = {}, status: object = {}) =>
  makeObject(StatefulSet, {
    metadata: { name: 'db' },
    spec: {
      replicas,
      selector: { matchLabels: { app: 'db' } },
      template: { metadata: { labels: { app: 'db' } }, spec: { containers: [{ name: 'db', image: 'x' }] } },
      ...spec,
    },
    status: { replicas: 0, ...status },
  })

type Traits = { ready?: boolean; phase?: string; revision?: string; deleted?: boolean; since?: string }

function pod(
  ordinal: number,
  { ready = true, phase = 'Running', revision = 'v1', deleted = false, since = '2026-01-01T00:00:00Z' }: Traits = {},
): PodObject {
  return makeObject(Pod, {
    metadata: {
      name: `db-${ordinal}`,
      labels: { 'controller-revision-hash': revision },
      ...(deleted ? { deletionTimestamp: '2026-01-01T00:00:00Z' } : {}),
    },
    spec: { containers: [] },
    status: { phase: phase as 'Running', conditions: [{ type: 'Ready', status: ready ? 'True' : 'False', lastTransitionTime: since }] },
  })
}

const plan = (set: ReturnType<typeof setOf>, pods: PodObject[], updateRevision = 'v1') =>
  planStatefulSet({ set, pods, currentRevision: 'v1', updateRevision, nowMs })
const steps = (...args: Parameters<typeof plan>): { create: string[]; remove: string[] } => {
  const { create, remove } = plan(...args)
  return {
    create: create.map(({ ordinal, revision }) => `${ordinal} ${revision}`),
    remove: remove.map(({ pod: of, why }) => `${of.metadata.name} ${why}`),
  }
}
const parallel = { podManagementPolicy: 'Parallel' as const }
const rolling = (rollingUpdate: object) => ({ updateStrategy: { type: 'RollingUpdate' as const, rollingUpdate } })

describe('planStatefulSet', () => {
  test.each<[string, Parameters<typeof plan>, { create?: string[]; remove?: string[] }]>([
    ['begins with the first', [setOf(3), []], { create: ['0 update'] }],
    ['waits until it is ready', [setOf(3), [pod(0, { ready: false })]], {}],
    ['goes on then', [setOf(3), [pod(0)]], { create: ['1 update'] }],
    ['or makes all at once', [setOf(3, parallel), []], { create: ['0 update', '1 update', '2 update'] }],
    ['waits until a pod has been ready long enough', [setOf(3, { minReadySeconds: 60 }), [pod(0, { since: '2026-01-01T00:59:30Z' })]], {}],
    ['fills a gap before it goes on', [setOf(3), [pod(0), pod(2)]], { create: ['1 update'] }],
    ['counts from where it is told', [setOf(2, { ordinals: { start: 5 } }), [pod(5), pod(4)]], { create: ['6 update'] }],
    ['removes the last first', [setOf(1), [pod(0), pod(1), pod(2)]], { remove: ['db-2 scaled'] }],
    ['waits for it to be gone', [setOf(1), [pod(0), pod(1), pod(2, { deleted: true })]], {}],
    ['removes no second one while another does not work', [setOf(1), [pod(0, { ready: false }), pod(1)]], {}],
    ['but the one that does not work', [setOf(1), [pod(0), pod(1, { ready: false })]], { remove: ['db-1 scaled'] }],
    ['removes all at once', [setOf(1, parallel), [pod(0), pod(1), pod(2)]], { remove: ['db-2 scaled', 'db-1 scaled'] }],
    ['an ended pod goes, to be made anew', [setOf(1), [pod(0, { phase: 'Failed', ready: false })]], { remove: ['db-0 ended'] }],
    ['rolls from the last', [setOf(2), [pod(0), pod(1)], 'v2'], { remove: ['db-1 updated'] }],
    ['waits for the new one', [setOf(2, parallel), [pod(0), pod(1, { revision: 'v2', ready: false })], 'v2'], {}],
    ['goes on then to the first', [setOf(2), [pod(0), pod(1, { revision: 'v2' })], 'v2'], { remove: ['db-0 updated'] }],
    ['stops at the partition', [setOf(2, rolling({ partition: 1 })), [pod(0), pod(1, { revision: 'v2' })], 'v2'], {}],
    [
      'more at a time where it may',
      [setOf(3, rolling({ maxUnavailable: 2 })), [pod(0), pod(1), pod(2)], 'v2'],
      { remove: ['db-2 updated', 'db-1 updated'] },
    ],
    ['nothing by itself on delete', [setOf(1, { updateStrategy: { type: 'OnDelete' } }), [pod(0)], 'v2'], {}],
    ['below the partition the old revision is made again', [setOf(2, rolling({ partition: 1 })), [], 'v2'], { create: ['0 current'] }],
    [
      'in the middle of a rollout as well',
      [setOf(3, {}, { currentReplicas: 1 }), [pod(1, { revision: 'v2' }), pod(2, { revision: 'v2' })], 'v2'],
      { create: ['0 current'] },
    ],
  ])('%s', (_name, args, wanted) => expect(steps(...args)).toEqual({ create: [], remove: [], ...wanted }))

  test('a complete rollout makes its revision the current one', () => {
    const { status } = plan(setOf(2), [pod(0, { revision: 'v2' }), pod(1, { revision: 'v2' })], 'v2')
    expect(status).toMatchObject({
      currentRevision: 'v2',
      updateRevision: 'v2',
      currentReplicas: 2,
      updatedReplicas: 2,
      readyReplicas: 2,
      availableReplicas: 2,
    })
  })

  test('counts in the middle of one', () => {
    const { status } = plan(setOf(3), [pod(0), pod(1), pod(2, { revision: 'v2', ready: false })], 'v2')
    expect(status).toMatchObject({
      currentRevision: 'v1',
      updateRevision: 'v2',
      currentReplicas: 2,
      updatedReplicas: 1,
      replicas: 3,
      readyReplicas: 2,
    })
  })

  test('looks again when the next pod has been ready long enough', () => {
    expect(plan(setOf(1, { minReadySeconds: 60 }), [pod(0, { since: '2026-01-01T00:59:30Z' })]).lookAgainAfterMs).toBe(30_000)
  })
})
