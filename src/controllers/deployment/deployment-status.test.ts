import { describe, expect, test } from 'vitest'
import type { DeploymentCondition, Deployment as DeploymentObject, DeploymentStatus } from '#api/generated/apps-v1'
import { Deployment } from '#api/kinds/apps/deployment'
import { ReplicaSet } from '#api/kinds/apps/replica-set'
import type { Manifest } from '#api/object'
import { makeObject } from '#client/make-object.testing'
import { condition, countStatus, isComplete, progress, setCondition } from './deployment-status.ts'

const nowMs = Date.UTC(2026, 0, 1, 0, 10)
const now = '2026-01-01T00:10:00Z'
const earlier = '2026-01-01T00:00:00Z'
const selector = { matchLabels: { app: 'web' } }
const template = { metadata: { labels: { app: 'web' } }, spec: { containers: [{ name: 'web', image: 'web' }] } }

function deploymentOf(status: Manifest<DeploymentStatus> = {}, more: object = {}): DeploymentObject {
  return makeObject(Deployment, { metadata: { name: 'web' }, spec: { replicas: 4, selector, template, ...more }, status })
}

function setOf(name: string, replicas: number, available: number, conditions: object[] = []) {
  return makeObject(ReplicaSet, {
    metadata: { name },
    spec: { replicas, selector, template },
    status: { replicas, readyReplicas: available, availableReplicas: available, conditions: conditions as never },
  })
}

const short = (conditions: readonly DeploymentCondition[] | undefined): string[] =>
  (conditions ?? []).map(({ type, status, reason, message }) => `${type}=${status} ${reason}: ${message}`)

describe('countStatus', () => {
  test('adds up all sets', () => {
    const newSet = setOf('new', 2, 1)
    expect(countStatus(deploymentOf(), [setOf('old', 3, 3), newSet], newSet, nowMs)).toMatchObject({
      observedGeneration: 1,
      replicas: 5,
      updatedReplicas: 2,
      readyReplicas: 4,
      availableReplicas: 4,
      unavailableReplicas: 1,
    })
  })
  test.each([
    [3, 'Available=True MinimumReplicasAvailable: Deployment has minimum availability.'],
    [2, 'Available=False MinimumReplicasUnavailable: Deployment does not have minimum availability.'],
  ])('%i of four available', (available, wanted) => {
    const set = setOf('new', 4, available)
    expect(short(countStatus(deploymentOf(), [set], set, nowMs).conditions)).toEqual([wanted])
  })
})

describe('progress', () => {
  const progressing = (reason: string, updated = earlier): DeploymentCondition => ({
    ...condition('Progressing', 'True', reason, 'x', Date.parse(earlier)),
    lastUpdateTime: updated,
  })
  const set = setOf('web-1', 4, 2)
  const run = (deployment: DeploymentObject, next: DeploymentStatus) => progress(deployment, next, [set], set, nowMs)

  test('complete', () => {
    const counts = { replicas: 4, updatedReplicas: 4, availableReplicas: 4, observedGeneration: 1 }
    const { status } = run(deploymentOf(), { ...counts, conditions: [progressing('ReplicaSetUpdated')] })
    expect(isComplete(deploymentOf(), status)).toBe(true)
    expect(short(status.conditions)).toEqual(['Progressing=True NewReplicaSetAvailable: ReplicaSet "web-1" has successfully progressed.'])
  })

  test('progress renews the time of update and keeps that of transition', () => {
    const { status } = run(deploymentOf({ availableReplicas: 1 }), {
      availableReplicas: 2,
      conditions: [progressing('NewReplicaSetCreated')],
    })
    expect(status.conditions).toEqual([
      {
        type: 'Progressing',
        status: 'True',
        reason: 'ReplicaSetUpdated',
        message: 'ReplicaSet "web-1" is progressing.',
        lastUpdateTime: now,
        lastTransitionTime: earlier,
      },
    ])
  })

  test('without progress until the deadline it has timed out', () => {
    const { status } = run(deploymentOf({}, { progressDeadlineSeconds: 599 }), { conditions: [progressing('ReplicaSetUpdated')] })
    expect(short(status.conditions)).toEqual(['Progressing=False ProgressDeadlineExceeded: ReplicaSet "web-1" has timed out progressing.'])
  })

  test('before the deadline it is looked at again', () => {
    const { status, lookAgainAfterMs } = run(deploymentOf(), { conditions: [progressing('ReplicaSetUpdated', '2026-01-01T00:05:00Z')] })
    expect([short(status.conditions), lookAgainAfterMs]).toEqual([['Progressing=True ReplicaSetUpdated: x'], 301_000])
  })

  test("a set's failure becomes the Deployment's, and goes with it", () => {
    const failing = setOf('web-1', 4, 0, [{ type: 'ReplicaFailure', status: 'True', reason: 'FailedCreate', message: 'quota' }])
    const { status } = progress(deploymentOf(), {}, [failing], failing, nowMs)
    expect(short(status.conditions)).toEqual(['ReplicaFailure=True FailedCreate: quota'])
    expect(short(progress(deploymentOf(), status, [set], set, nowMs).status.conditions)).toEqual([])
  })
})

describe('setCondition', () => {
  const before = condition('Available', 'True', 'A', 'a', Date.parse(earlier))
  test('an equal one stays', () => expect(setCondition([before], condition('Available', 'True', 'A', 'b', nowMs))).toEqual([before]))
  test('another reason keeps the time of transition', () => {
    expect(setCondition([before], condition('Available', 'True', 'B', 'b', nowMs))[0]).toMatchObject({
      reason: 'B',
      lastTransitionTime: earlier,
    })
  })
  test('another status moves it', () => {
    expect(setCondition([before], condition('Available', 'False', 'B', 'b', nowMs))[0]).toMatchObject({ lastTransitionTime: now })
  })
})
