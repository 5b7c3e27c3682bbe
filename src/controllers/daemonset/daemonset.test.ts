// DaemonSets: plans in tables, and life in a whole cluster.
import { describe, expect, test } from 'vitest'
import type { DaemonSetSpec } from '#api/generated/apps-v1'
import type { Node as NodeObject, Pod as PodObject } from '#api/generated/core-v1'
import { ControllerRevision } from '#api/kinds/apps/controller-revision'
import { DaemonSet } from '#api/kinds/apps/daemon-set'
import { Node } from '#api/kinds/core/node'
import { Pod } from '#api/kinds/core/pod'
import type { Manifest } from '#api/object'
import { makeObject } from '#client/make-object.testing'
import { startTestCluster, type TestCluster } from '../cluster.testing.ts'
import { daemonPod, nodeOfDaemon } from './placement.ts'
import { planDaemonSet } from './plan-daemon-set.ts'

const nowMs = Date.UTC(2026, 0, 1, 1)
const base = (spec: Manifest<DaemonSetSpec> = {}) => ({
  metadata: { name: 'agent', namespace: 'default' },
  spec: {
    selector: { matchLabels: { app: 'agent' } },
    template: { metadata: { labels: { app: 'agent' } }, spec: { containers: [{ name: 'agent', image: 'navarch.local/agent:1' }] } },
    ...spec,
  },
})
const node = (name: string, taints: object[] = [], labels = {}): NodeObject =>
  makeObject(Node, { metadata: { name, labels }, spec: { taints: taints as never } })
const pod = (name: string, on: string, { hash = 'new', ready = true, phase = 'Running', deleted = false } = {}): PodObject =>
  makeObject(Pod, {
    metadata: {
      name,
      labels: { app: 'agent', 'controller-revision-hash': hash },
      ...(deleted ? { deletionTimestamp: '2026-01-01T00:00:00Z' } : {}),
    },
    spec: { nodeName: on, containers: [{ name: 'agent', image: 'x' }] },
    status: {
      phase: phase as 'Running',
      conditions: [{ type: 'Ready', status: ready ? 'True' : 'False', lastTransitionTime: '2026-01-01T00:00:00Z' }],
    },
  })
const three = ['a', 'b', 'c'].map((name) => node(name))
const rolling = (rollingUpdate: object) => base({ updateStrategy: { type: 'RollingUpdate', rollingUpdate } })
const old = { hash: 'old' }

describe('planDaemonSet', () => {
  test.each<[string, ReturnType<typeof base>, NodeObject[], PodObject[], { create: string[]; remove: string[] }]>([
    ['a pod for each node', base(), three, [pod('1', 'a')], { create: ['b', 'c'], remove: [] }],
    [
      'not where it is not tolerated',
      base(),
      [node('a', [{ key: 'gpu', effect: 'NoSchedule' }]), node('b')],
      [],
      { create: ['b'], remove: [] },
    ],
    [
      'what runs may stay under NoSchedule',
      base(),
      [node('a', [{ key: 'gpu', effect: 'NoSchedule' }])],
      [pod('1', 'a')],
      { create: [], remove: [] },
    ],
    ['but not under NoExecute', base(), [node('a', [{ key: 'gpu', effect: 'NoExecute' }])], [pod('1', 'a')], { create: [], remove: ['1'] }],
    [
      "a node's troubles are tolerated",
      base(),
      [
        node('a', [
          { key: 'node.kubernetes.io/unreachable', effect: 'NoExecute' },
          { key: 'node.kubernetes.io/unschedulable', effect: 'NoSchedule' },
        ]),
      ],
      [],
      { create: ['a'], remove: [] },
    ],
    [
      'only selected nodes',
      base({
        template: {
          metadata: { labels: { app: 'agent' } },
          spec: { nodeSelector: { disk: 'ssd' }, containers: [{ name: 'a', image: 'x' }] },
        },
      }),
      [node('a', [], { disk: 'ssd' }), node('b')],
      [pod('1', 'b')],
      { create: ['a'], remove: ['1'] },
    ],
    ['one is enough', base(), [node('a')], [pod('1', 'a'), pod('2', 'a')], { create: [], remove: ['2'] }],
    ['an ended pod goes before it is made anew', base(), [node('a')], [pod('1', 'a', { phase: 'Failed' })], { create: [], remove: ['1'] }],
    ['while one goes none is made', base(), [node('a')], [pod('1', 'a', { deleted: true })], { create: [], remove: [] }],
    [
      'rolls one by one',
      rolling({ maxUnavailable: 1 }),
      three,
      [pod('1', 'a', old), pod('2', 'b', old), pod('3', 'c', old)],
      { create: [], remove: ['1'] },
    ],
    [
      'waits for what is not ready',
      rolling({ maxUnavailable: 1 }),
      three,
      [pod('1', 'a', { ready: false }), pod('2', 'b', old), pod('3', 'c', old)],
      { create: [], remove: [] },
    ],
    [
      'an old pod that does not work anyway goes at once',
      rolling({ maxUnavailable: 1 }),
      three,
      [pod('1', 'a', { ...old, ready: false }), pod('2', 'b', old), pod('3', 'c', old)],
      { create: [], remove: ['1'] },
    ],
    [
      'a share at a time',
      rolling({ maxUnavailable: '50%' }),
      three,
      [pod('1', 'a', old), pod('2', 'b', old), pod('3', 'c', old)],
      { create: [], remove: ['1', '2'] },
    ],
    [
      'surges',
      rolling({ maxSurge: 1, maxUnavailable: 0 }),
      three,
      [pod('1', 'a', old), pod('2', 'b', old), pod('3', 'c', old)],
      { create: ['a'], remove: [] },
    ],
    [
      'lets the old go when the new is available',
      rolling({ maxSurge: 1, maxUnavailable: 0 }),
      [node('a')],
      [pod('1', 'a', old), pod('2', 'a')],
      { create: [], remove: ['1'] },
    ],
    [
      'and not before',
      rolling({ maxSurge: 1, maxUnavailable: 0 }),
      [node('a')],
      [pod('1', 'a', old), pod('2', 'a', { ready: false })],
      { create: [], remove: [] },
    ],
    [
      'replaces nothing on delete only',
      base({ updateStrategy: { type: 'OnDelete' } }),
      [node('a')],
      [pod('1', 'a', old)],
      { create: [], remove: [] },
    ],
  ])('%s', (_name, manifest, nodes, pods, wanted) => {
    const { create, remove } = planDaemonSet({ set: makeObject(DaemonSet, manifest as never), nodes, pods, hash: 'new', nowMs })
    expect({ create, remove: remove.map(({ metadata }) => metadata.name) }).toEqual(wanted)
  })

  test('status', () => {
    const nodes = [...three, node('tainted', [{ key: 'x', effect: 'NoSchedule' }])]
    const pods = [pod('1', 'a'), pod('2', 'b', { ready: false, hash: 'old' }), pod('4', 'tainted')]
    expect(planDaemonSet({ set: makeObject(DaemonSet, base() as never), nodes, pods, hash: 'new', nowMs }).status).toEqual({
      currentNumberScheduled: 2,
      desiredNumberScheduled: 3,
      numberMisscheduled: 1,
      numberReady: 1,
      numberAvailable: 1,
      numberUnavailable: 2,
      updatedNumberScheduled: 1,
      observedGeneration: 1,
    })
  })

  test('a pod is pinned to its node in every alternative', () => {
    const set = makeObject(DaemonSet, base() as never)
    const made = daemonPod(set, 'a', 'new') as PodObject
    expect(nodeOfDaemon({ ...made, spec: { ...made.spec } })).toBe('a')
  })
})

describe('a DaemonSet', () => {
  const settled = (cluster: TestCluster, count: number) =>
    cluster.until(async () => {
      const set = await cluster.get(DaemonSet, 'agent')
      const { numberAvailable, updatedNumberScheduled, observedGeneration } = set?.status ?? {}
      return numberAvailable === count && updatedNumberScheduled === count && observedGeneration === set?.metadata.generation
        ? set
        : undefined
    })

  test('follows the nodes, rolls and keeps its history', async () => {
    const cluster = await startTestCluster()
    await cluster.addNode('node-1')
    await cluster.create(DaemonSet, base())
    await settled(cluster, 1)
    await cluster.addNode('node-2')
    await settled(cluster, 2)
    expect((await cluster.list(Pod)).map(({ spec }) => spec.nodeName).sort()).toEqual(['node-1', 'node-2'])
    const template = { spec: { containers: [{ name: 'agent', image: 'navarch.local/agent:2' }] } }
    await cluster.client.patch(DaemonSet, { namespace: 'default', name: 'agent' }, 'strategic', { spec: { template } })
    await settled(cluster, 2)
    await cluster.until(async () => (await cluster.list(Pod)).every(({ spec }) => spec.containers[0]?.image === 'navarch.local/agent:2'))
    expect((await cluster.list(ControllerRevision)).map(({ revision }) => revision).sort()).toEqual([1, 2])
    await cluster.client.patch(Node, { namespace: '', name: 'node-2' }, 'merge', { metadata: { labels: { x: 'y' } } })
    await cluster.client.patch(DaemonSet, { namespace: 'default', name: 'agent' }, 'merge', {
      spec: { template: { spec: { nodeSelector: { x: 'y' } } } },
    })
    await settled(cluster, 1)
    await cluster.until(async () => (await cluster.list(Pod)).length === 1)
    expect(cluster.failures).toEqual([])
  })

  test('of two revisions with one template the newer stays, and its pods are not made anew', async () => {
    const cluster = await startTestCluster()
    await cluster.addNode('node-1')
    await cluster.create(DaemonSet, base())
    await settled(cluster, 1)
    const [first] = await cluster.list(ControllerRevision)
    const { labels, ownerReferences = [] } = first!.metadata
    const metadata = {
      name: 'agent-twin',
      namespace: 'default',
      labels: { ...labels, 'controller-revision-hash': 'twin' },
      ownerReferences,
    }
    const [before] = await cluster.list(Pod)
    await cluster.create(ControllerRevision, { metadata, data: first!.data, revision: 2 } as Manifest<typeof first & object>)
    await cluster.until(async () => (await cluster.list(ControllerRevision)).length === 1)
    const [after] = await cluster.list(Pod)
    expect([after?.metadata.uid, after?.metadata.labels?.['controller-revision-hash']]).toEqual([before?.metadata.uid, 'twin'])
  })
})
