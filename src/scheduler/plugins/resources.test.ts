import { describe, expect, test } from 'vitest'
import { filtered, node, pod, scored, stateOf } from '../cluster.testing.ts'
import { podInfo } from '../node-info.ts'
import { balancedAllocation, resourcesFit } from './resources.ts'

describe('NodeResourcesFit', () => {
  test.each([
    ['fits', pod('p', { cpu: '1' }), [], 'ok'],
    ['too much cpu', pod('p', { cpu: '3' }), [pod('q', { on: 'a', cpu: '2' })], 'Insufficient cpu'],
    ['too much of everything', pod('p', { cpu: '5', memory: '9Gi' }), [], 'Insufficient cpu,Insufficient memory'],
    ['too many pods', pod('p'), [pod('q', { on: 'a' }), pod('r', { on: 'a' })], 'Too many pods'],
    [
      'what the node does not have',
      pod('p', { spec: { containers: [{ name: 'm', image: 'x', resources: { requests: { 'example.com/gpu': '1' } } }] } }),
      [],
      'Insufficient example.com/gpu',
    ],
    ['nothing asked fits a full node', pod('p'), [pod('q', { on: 'a', cpu: '4' })], 'ok'],
  ])('%s', (_name, of, pods, wanted) => {
    expect(filtered(resourcesFit, of, stateOf([node('a', { pods: '2' })], pods).snapshot())).toEqual({ a: wanted })
  })

  test('only what other pods hold can be freed', () => {
    const snapshot = stateOf([node('a')], [pod('q', { on: 'a', cpu: '3' })]).snapshot()
    const resolvable = (cpu: string) => resourcesFit.filter?.(podInfo(pod('p', { cpu })), snapshot)?.(snapshot.nodes[0]!)?.resolvable
    expect([resolvable('2'), resolvable('5')]).toEqual([true, false])
  })

  test('the emptiest node scores highest', () => {
    const snapshot = stateOf([node('a'), node('b')], [pod('q', { on: 'a', cpu: '2', memory: '4Gi' })]).snapshot()
    expect(scored(resourcesFit, pod('p', { cpu: '1', memory: '2Gi' }), snapshot)).toEqual({ a: 25, b: 75 })
  })
})

test('the node that is left in better balance scores higher', () => {
  const snapshot = stateOf([node('a'), node('b')], [pod('q', { on: 'a', cpu: '2', memory: '0' })]).snapshot()
  expect(scored(balancedAllocation, pod('p', { cpu: '1', memory: '2Gi' }), snapshot)).toEqual({ a: 75, b: 100 })
  expect(scored(balancedAllocation, pod('p'), snapshot)).toBeUndefined()
})

test('a pod that leaves gives back what it held', () => {
  const state = stateOf([node('a')], [pod('q', { on: 'a', cpu: '2' }), pod('r', { on: 'a', cpu: '1' })])
  state.removePod('uid-q')
  expect(state.snapshot().nodes[0]?.requested).toMatchObject({ cpu: 1_000 })
})
