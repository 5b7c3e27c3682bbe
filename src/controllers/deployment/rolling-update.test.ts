import { describe, expect, test } from 'vitest'
import type { Deployment as DeploymentObject, ReplicaSet as ReplicaSetObject } from '#api/generated/apps-v1'
import { Deployment } from '#api/kinds/apps/deployment'
import { ReplicaSet } from '#api/kinds/apps/replica-set'
import { makeObject } from '#client/make-object.testing'
import { boundsOf, maxReplicasAnnotation, newSetReplicas, scaledValue, scaleProportionally, shrinkOldSets } from './rolling-update.ts'

const template = { metadata: { labels: { app: 'web' } }, spec: { containers: [{ name: 'web', image: 'web' }] } }
const selector = { matchLabels: { app: 'web' } }

function deploymentOf(replicas: number, maxSurge: number | string = 0, maxUnavailable: number | string = 0): DeploymentObject {
  return makeObject(Deployment, {
    metadata: { name: 'web' },
    spec: { replicas, selector, template, strategy: { type: 'RollingUpdate', rollingUpdate: { maxSurge, maxUnavailable } } },
  })
}

function setOf(name: string, replicas: number, available = replicas, more: { created?: string; max?: number } = {}): ReplicaSetObject {
  return makeObject(ReplicaSet, {
    metadata: {
      name,
      creationTimestamp: more.created ?? '2026-01-01T00:00:00Z',
      ...(more.max === undefined ? {} : { annotations: { [maxReplicasAnnotation]: String(more.max) } }),
    },
    spec: { replicas, selector, template },
    status: { replicas, availableReplicas: available },
  })
}

const scales = (all: { set: ReplicaSetObject; replicas: number }[]): Record<string, number> =>
  Object.fromEntries(all.map(({ set, replicas }) => [set.metadata.name, replicas]))

test.each([
  ['25%', 10, 'up', 3],
  ['25%', 10, 'down', 2],
  [2, 10, 'up', 2],
  ['100%', 7, 'down', 7],
] as const)('%s of %i rounded %s is %i', (value, total, round, wanted) => {
  expect(scaledValue(value, total, round)).toBe(wanted)
})

describe('boundsOf', () => {
  test.each([
    ['percentages round apart', deploymentOf(10, '25%', '25%'), { maxSurge: 3, maxUnavailable: 2 }],
    ['both nothing: one may be unavailable', deploymentOf(1, '0%', '10%'), { maxSurge: 0, maxUnavailable: 1 }],
    ['no more can be unavailable than there are', deploymentOf(2, 1, 5), { maxSurge: 1, maxUnavailable: 2 }],
  ])('%s', (_name, deployment, wanted) => expect(boundsOf(deployment)).toEqual(wanted))
})

describe('newSetReplicas', () => {
  test.each([
    ['a first set gets all at once', deploymentOf(10, 2), [], undefined, 10],
    ['grows by the surge', deploymentOf(10, 2), [setOf('old', 10)], setOf('new', 0), 2],
    ['stands while the surge is used up', deploymentOf(10, 2), [setOf('old', 10)], setOf('new', 2), 2],
    ['takes over what the old ones gave up', deploymentOf(10, 2), [setOf('old', 8)], setOf('new', 2), 4],
    ['never beyond the wish', deploymentOf(10, 20), [setOf('old', 3)], setOf('new', 9), 10],
  ] as const)('%s', (_name, deployment, olds, newSet, wanted) => {
    expect(newSetReplicas(deployment, newSet === undefined ? olds : [...olds, newSet], newSet)).toBe(wanted)
  })
})

describe('shrinkOldSets', () => {
  test.each([
    ['nothing may go while the new pods are not available', deploymentOf(10, 2), [setOf('old', 10)], setOf('new', 2, 0), {}],
    ['as many go as new ones are available', deploymentOf(10, 2), [setOf('old', 10)], setOf('new', 2, 2), { old: 8 }],
    ['what may be unavailable goes at once', deploymentOf(10, 0, 3), [setOf('old', 10)], setOf('new', 0), { old: 7 }],
    [
      'unhealthy pods go first, whatever their set',
      deploymentOf(4, 1, 1),
      [setOf('a', 3, 3), setOf('b', 1, 0, { created: '2026-01-02T00:00:00Z' })],
      setOf('new', 1, 0),
      { b: 0 },
    ],
    [
      'the oldest set shrinks first',
      deploymentOf(4, 2, 0),
      [setOf('young', 2, 2, { created: '2026-01-02T00:00:00Z' }), setOf('aged', 2)],
      setOf('new', 2),
      { aged: 0 },
    ],
  ])('%s', (_name, deployment, olds, newSet, wanted) => {
    expect(scales(shrinkOldSets(deployment, olds, newSet))).toEqual(wanted)
  })
})

describe('scaleProportionally', () => {
  test.each([
    [
      'growth is shared in proportion',
      deploymentOf(20, 0, 1),
      [setOf('a', 5, 5, { max: 10 }), setOf('b', 5, 5, { max: 10 })],
      { a: 10, b: 10 },
    ],
    ['shrinking too', deploymentOf(5, 0, 1), [setOf('a', 8, 8, { max: 10 }), setOf('b', 2, 2, { max: 10 })], { a: 4, b: 1 }],
    [
      'what rounding leaves goes to the largest',
      deploymentOf(11, 0, 1),
      [setOf('a', 7, 7, { max: 10 }), setOf('b', 3, 3, { max: 10 })],
      { a: 8, b: 3 },
    ],
    ['to nothing', deploymentOf(0, 5, 1), [setOf('a', 8, 8, { max: 15 }), setOf('b', 2, 2, { max: 15 })], { a: 0, b: 0 }],
    ['sets without pods stay without', deploymentOf(4, 0, 1), [setOf('a', 2, 2, { max: 2 }), setOf('b', 0, 0, { max: 2 })], { a: 4 }],
  ])('%s', (_name, deployment, sets, wanted) => expect(scales(scaleProportionally(deployment, sets))).toEqual(wanted))
})
