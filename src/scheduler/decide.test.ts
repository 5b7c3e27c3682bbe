import { describe, expect, test } from 'vitest'
import { PodDisruptionBudget } from '#api/kinds/policy/pod-disruption-budget'
import { seededRandom } from '#base/random'
import { makeObject } from '#client/make-object.testing'
import { node, pod, stateOf } from './cluster.testing.ts'
import type { ClusterState } from './cluster-state.ts'
import { decide, explain, feasibleEnough } from './decide.ts'
import { podInfo } from './node-info.ts'
import { defaultPlugins } from './plugins/all.ts'
import { planPreemption } from './preempt.ts'

function run(state: ClusterState, of: ReturnType<typeof pod>, startAt = 0) {
  const snapshot = state.snapshot()
  return decide({
    pod: podInfo(of),
    snapshot,
    plugins: defaultPlugins(),
    random: seededRandom(1),
    nominatedOn: (name) => state.nominatedOn(name, of.spec.priority ?? 0, of.metadata.uid),
    startAt,
  })
}

const nodeOf = (result: ReturnType<typeof decide>): string | undefined =>
  result.decision.outcome === 'node' ? result.decision.node.node.metadata.name : undefined

describe('decide', () => {
  test('the emptier node wins', () => {
    expect(
      nodeOf(run(stateOf([node('a'), node('b')], [pod('q', { on: 'a', cpu: '2', memory: '4Gi' })]), pod('p', { cpu: '1', memory: '1Gi' }))),
    ).toBe('b')
  })

  test('says of every node why it does not do', () => {
    const nodes = [node('a', { spec: { unschedulable: true } }), node('b', { cpu: '1' }), node('c', { cpu: '1' })]
    const { decision } = run(stateOf(nodes), pod('p', { cpu: '2' }))
    if (decision.outcome !== 'none') throw new Error('it was placed')
    expect(explain(decision.rejections, 3)).toBe('0/3 nodes are available: 1 node(s) were unschedulable, 2 Insufficient cpu.')
    expect([...decision.plugins].sort()).toEqual(['NodeResourcesFit', 'NodeUnschedulable'])
  })

  test('rejections stand in the order of the nodes, wherever it began', () => {
    const { decision } = run(
      stateOf([node('a', { cpu: '1' }), node('b', { spec: { unschedulable: true } }), node('c', { cpu: '1' })]),
      pod('p', { cpu: '2' }),
      2,
    )
    expect(decision.outcome === 'none' && decision.rejections.map(({ plugin }) => plugin)).toEqual([
      'NodeResourcesFit',
      'NodeUnschedulable',
      'NodeResourcesFit',
    ])
  })

  test('no nodes at all', () => expect(explain([], 0)).toBe('no nodes available to schedule pods'))

  test('room that is kept for a more important pod is not given away', () => {
    const state = stateOf([node('a')])
    state.nominate(podInfo(pod('vip', { cpu: '3', priority: 10 })), 'a')
    expect(nodeOf(run(state, pod('p', { cpu: '2' })))).toBeUndefined()
    expect(nodeOf(run(state, pod('p', { cpu: '2', priority: 20 })))).toBe('a')
  })

  test('of equals all get their turn', () => {
    const state = stateOf(Array.from({ length: 4 }, (_, i) => node(`n${i}`)))
    const random = seededRandom(7)
    const chosen = new Set(
      Array.from({ length: 50 }, () =>
        nodeOf(
          decide({
            pod: podInfo(pod('p')),
            snapshot: state.snapshot(),
            plugins: defaultPlugins(),
            random,
            nominatedOn: () => [],
            startAt: 0,
          }),
        ),
      ),
    )
    expect(chosen.size).toBe(4)
  })

  test('of many nodes a share is looked at, and the next pod goes on from there', () => {
    const state = stateOf(Array.from({ length: 1_000 }, (_, i) => node(`n${i}`)))
    expect([run(state, pod('p')).examined, run(state, pod('p'), 900).examined]).toEqual([420, 420])
  })

  test.each([
    [50, 50],
    [100, 100],
    [200, 100],
    [1_000, 420],
    [5_000, 500],
    [10_000, 500],
  ])('of %i nodes %i are enough', (total, wanted) => expect(feasibleEnough(total)).toBe(wanted))

  test('an assumed pod counts until it is forgotten', () => {
    const state = stateOf([node('a')])
    state.assume(podInfo(pod('q', { cpu: '3' })), 'a')
    expect(nodeOf(run(state, pod('p', { cpu: '2' })))).toBeUndefined()
    state.forget('uid-q')
    expect(nodeOf(run(state, pod('p', { cpu: '2' })))).toBe('a')
  })
})

describe('preemption', () => {
  const plan = (state: ClusterState, of: ReturnType<typeof pod>, budgets: Parameters<typeof planPreemption>[0]['budgets'] = []) => {
    const { decision } = run(state, of)
    if (decision.outcome !== 'none') throw new Error('it was placed')
    const result = planPreemption({
      pod: podInfo(of),
      snapshot: state.snapshot(),
      plugins: defaultPlugins(),
      rejections: decision.rejections,
      budgets,
    })
    return typeof result === 'string'
      ? result
      : { node: result.node.node.metadata.name, victims: result.victims.map(({ pod: victim }) => victim.metadata.name) }
  }
  const vip = pod('vip', { cpu: '3', priority: 100 })

  test('takes as few as needed, the less important first', () => {
    const pods = [
      pod('low', { on: 'a', cpu: '2', priority: 1 }),
      pod('mid', { on: 'a', cpu: '1', priority: 5 }),
      pod('lowest', { on: 'a', cpu: '1', priority: 0 }),
    ]
    expect(plan(stateOf([node('a')], pods), vip)).toEqual({ node: 'a', victims: ['low', 'lowest'] })
  })

  test('prefers the node whose dearest victim is cheapest', () => {
    const pods = [pod('x', { on: 'a', cpu: '4', priority: 50 }), pod('y', { on: 'b', cpu: '4', priority: 10 })]
    expect(plan(stateOf([node('a'), node('b')], pods), vip)).toEqual({ node: 'b', victims: ['y'] })
  })

  test('breaks no budget when there is another way', () => {
    const pods = [pod('x', { on: 'a', cpu: '4', labels: { app: 'db' } }), pod('y', { on: 'b', cpu: '4', priority: 10 })]
    const budget = makeObject(PodDisruptionBudget, {
      metadata: { name: 'db' },
      spec: { selector: { matchLabels: { app: 'db' } } },
      status: { disruptionsAllowed: 0 },
    })
    expect(plan(stateOf([node('a'), node('b')], pods), vip, [budget])).toEqual({ node: 'b', victims: ['y'] })
  })

  test.each([
    [
      'equals are not preempted',
      pod('p', { cpu: '3' }),
      'preemption: 0/2 nodes are available: 1 No preemption victims found for incoming pod, 1 Preemption is not helpful for scheduling.',
    ],
    [
      'a pod that never preempts',
      pod('p', { cpu: '3', priority: 9, spec: { preemptionPolicy: 'Never' } }),
      'preemption: not eligible due to preemptionPolicy=Never.',
    ],
    [
      'what no node could hold',
      pod('p', { cpu: '50', priority: 9 }),
      'preemption: 0/2 nodes are available: 2 Preemption is not helpful for scheduling.',
    ],
  ])('%s', (_name, of, wanted) => {
    const state = stateOf([node('a'), node('b', { spec: { unschedulable: true } })], [pod('x', { on: 'a', cpu: '4' })])
    expect(plan(state, of)).toBe(wanted)
  })
})
