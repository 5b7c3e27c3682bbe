import { describe, expect, test } from 'vitest'
import { filtered, node, pod, scored, stateOf } from '../cluster.testing.ts'
import { podInfo } from '../node-info.ts'
import {
  imageLocality,
  nodeAffinity,
  nodeDeclaredFeatures,
  nodeName,
  nodePorts,
  nodeUnschedulable,
  schedulingGates,
  taintToleration,
} from './node-filters.ts'

const taint = (key: string, effect: 'NoSchedule' | 'PreferNoSchedule' | 'NoExecute') => ({ spec: { taints: [{ key, effect, value: '' }] } })
const port = (hostPort: number, hostIP?: string) => ({
  spec: {
    containers: [
      {
        name: 'main',
        image: 'x',
        ports: [{ containerPort: 80, hostPort, protocol: 'TCP' as const, ...(hostIP === undefined ? {} : { hostIP }) }],
      },
    ],
  },
})

describe('filters', () => {
  test.each([
    [
      'only the node that was asked for',
      nodeName,
      pod('p', { on: 'b' }),
      [node('a'), node('b')],
      [],
      { a: "node(s) didn't match the requested node name", b: 'ok' },
    ],
    [
      'only nodes that declare what the pod needs of them',
      nodeDeclaredFeatures,
      pod('p', {
        spec: { containers: [{ name: 'main', image: 'x', restartPolicyRules: [{ action: 'RestartAllContainers' }] }] },
      }),
      [node('a', { status: { declaredFeatures: ['RestartAllContainersOnContainerExits'] } }), node('b')],
      [],
      { a: 'ok', b: "node(s) didn't match Pod's required features" },
    ],
    [
      'a cordoned node takes no pods',
      nodeUnschedulable,
      pod('p'),
      [node('a', { spec: { unschedulable: true } }), node('b')],
      [],
      { a: 'node(s) were unschedulable', b: 'ok' },
    ],
    [
      'unless they tolerate that',
      nodeUnschedulable,
      pod('p', { spec: { tolerations: [{ operator: 'Exists' }] } }),
      [node('a', { spec: { unschedulable: true } })],
      [],
      { a: 'ok' },
    ],
    [
      'taints keep pods away, preferences do not',
      taintToleration,
      pod('p'),
      [node('a', taint('gpu', 'NoSchedule')), node('b', taint('gpu', 'NoExecute')), node('c', taint('gpu', 'PreferNoSchedule'))],
      [],
      { a: 'node(s) had untolerated taint(s)', b: 'node(s) had untolerated taint(s)', c: 'ok' },
    ],
    [
      'node selector and affinity must both hold',
      nodeAffinity,
      pod('p', {
        spec: {
          nodeSelector: { disk: 'ssd' },
          affinity: {
            nodeAffinity: {
              requiredDuringSchedulingIgnoredDuringExecution: {
                nodeSelectorTerms: [{ matchExpressions: [{ key: 'zone', operator: 'In', values: ['1'] }] }],
              },
            },
          },
        },
      }),
      [
        node('a', { labels: { disk: 'ssd', zone: '1' } }),
        node('b', { labels: { disk: 'ssd', zone: '2' } }),
        node('c', { labels: { zone: '1' } }),
      ],
      [],
      { a: 'ok', b: "node(s) didn't match Pod's node affinity/selector", c: "node(s) didn't match Pod's node affinity/selector" },
    ],
    [
      'host ports are taken once per address',
      nodePorts,
      pod('p', port(80, '10.0.0.1')),
      [node('a'), node('b'), node('c')],
      [pod('q', { on: 'a', ...port(80) }), pod('r', { on: 'b', ...port(80, '10.0.0.2') })],
      { a: "node(s) didn't have free ports for the requested pod ports", b: 'ok', c: 'ok' },
    ],
  ])('%s', (_name, plugin, of, nodes, pods, wanted) => {
    expect(filtered(plugin, of, stateOf(nodes, pods).snapshot())).toEqual(wanted)
  })
})

describe('scores', () => {
  test('intolerable preferences count against a node', () => {
    expect(scored(taintToleration, pod('p'), stateOf([node('a', taint('x', 'PreferNoSchedule')), node('b')]).snapshot())).toEqual({
      a: 1,
      b: 0,
    })
  })
  test('preferred node affinity adds its weights', () => {
    const term = (weight: number, key: string) => ({ weight, preference: { matchExpressions: [{ key, operator: 'Exists' as const }] } })
    const of = pod('p', {
      spec: { affinity: { nodeAffinity: { preferredDuringSchedulingIgnoredDuringExecution: [term(5, 'x'), term(3, 'y')] } } },
    })
    expect(
      scored(nodeAffinity, of, stateOf([node('a', { labels: { x: '', y: '' } }), node('b', { labels: { y: '' } }), node('c')]).snapshot()),
    ).toEqual({ a: 8, b: 3, c: 0 })
  })
  test('a node that holds the image is preferred; without any there is no opinion', () => {
    const images = { status: { allocatable: { cpu: '4' }, images: [{ names: ['navarch.local/app:1'], sizeBytes: 800 * 1024 * 1024 }] } }
    const { a, b } = scored(imageLocality, pod('p'), stateOf([node('a', images), node('b')]).snapshot()) ?? {}
    expect([(a ?? 0) > 30, b]).toEqual([true, 0])
    expect(scored(imageLocality, pod('p'), stateOf([node('b')]).snapshot())).toBeUndefined()
  })
})

test('a gated pod is not tried', () => {
  const gated = podInfo(pod('p', { spec: { schedulingGates: [{ name: 'a' }, { name: 'b' }] } }))
  expect([schedulingGates.preEnqueue?.(gated), schedulingGates.preEnqueue?.(podInfo(pod('q')))]).toEqual([
    'waiting for scheduling gates: [a b]',
    undefined,
  ])
})
