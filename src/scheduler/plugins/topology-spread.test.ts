import { describe, expect, test } from 'vitest'
import type { TopologySpreadConstraint } from '#api/generated/core-v1'
import { filtered, node, pod, scored, stateOf } from '../cluster.testing.ts'
import { topologySpread } from './topology-spread.ts'

const nodes = [
  node('a1', { labels: { zone: 'a' } }),
  node('b1', { labels: { zone: 'b' } }),
  node('c1', { labels: { zone: 'c' } }),
  node('none'),
]
const web = { labels: { app: 'web' } }
const constraint = (more: Partial<TopologySpreadConstraint> = {}): TopologySpreadConstraint => ({
  topologyKey: 'zone',
  maxSkew: 1,
  whenUnsatisfiable: 'DoNotSchedule',
  labelSelector: { matchLabels: { app: 'web' } },
  ...more,
})
const spread = (...constraints: TopologySpreadConstraint[]) => pod('p', { ...web, spec: { topologySpreadConstraints: constraints } })
const running = (on: string, count: number, more: object = {}) =>
  Array.from({ length: count }, (_, i) => pod(`${on}-${i}`, { on, ...web, ...more }))
const skewed = "node(s) didn't match pod topology spread constraints"
const noKey = `${skewed} (missing required label)`

describe('filter', () => {
  test.each([
    [
      'no domain may lead by more than the skew',
      spread(constraint()),
      [...running('a1', 1), ...running('b1', 1)],
      { a1: skewed, b1: skewed, c1: 'ok', none: noKey },
    ],
    [
      'a greater skew allows more',
      spread(constraint({ maxSkew: 2 })),
      [...running('a1', 1), ...running('b1', 2)],
      { a1: 'ok', b1: skewed, c1: 'ok', none: noKey },
    ],
    [
      'pods that the selector does not match do not count',
      spread(constraint()),
      [pod('x', { on: 'a1' })],
      { a1: 'ok', b1: 'ok', c1: 'ok', none: noKey },
    ],
    [
      'nor those of other namespaces',
      spread(constraint()),
      running('a1', 1, { namespace: 'x' }),
      { a1: 'ok', b1: 'ok', c1: 'ok', none: noKey },
    ],
    [
      'too few domains count as an empty one',
      spread(constraint({ minDomains: 4 })),
      ['a1', 'b1', 'c1'].flatMap((on) => running(on, 1)),
      { a1: skewed, b1: skewed, c1: skewed, none: noKey },
    ],
    [
      'nodes that the pod may not use do not count',
      pod('p', { ...web, spec: { nodeSelector: { zone: 'a' }, topologySpreadConstraints: [constraint()] } }),
      running('a1', 3),
      { a1: 'ok', b1: 'ok', c1: 'ok', none: noKey },
    ],
  ])('%s', (_name, of, pods, wanted) => {
    const result = filtered(topologySpread, of, stateOf(nodes, pods).snapshot())
    // Of nodes that other filters exclude, this one's opinion does not matter.
    if (of.spec.nodeSelector !== undefined) expect(result['a1']).toBe(wanted.a1)
    else expect(result).toEqual(wanted)
  })
})

describe('score', () => {
  test('fuller domains are worse', () => {
    const scores = scored(
      topologySpread,
      spread(constraint({ whenUnsatisfiable: 'ScheduleAnyway' })),
      stateOf(nodes.slice(0, 3), [...running('a1', 2), ...running('b1', 1)]).snapshot(),
    )!
    expect([scores['a1']! > scores['b1']!, scores['b1']! > scores['c1']!]).toEqual([true, true])
  })
  test("a workload's pods are spread over hosts without being asked", () => {
    const owned = pod('p', web)
    const of = {
      ...owned,
      metadata: {
        ...owned.metadata,
        ownerReferences: [{ apiVersion: 'apps/v1', kind: 'ReplicaSet', name: 'web', uid: 'u', controller: true }],
      },
    }
    const scores = scored(topologySpread, of, stateOf(nodes.slice(0, 3), running('a1', 2)).snapshot())!
    expect(scores['a1']! > scores['b1']!).toBe(true)
    expect(scored(topologySpread, owned, stateOf(nodes).snapshot())).toBeUndefined()
  })
})
