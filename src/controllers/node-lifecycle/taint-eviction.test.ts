import { describe, expect, test } from 'vitest'
import type { Toleration } from '#api/generated/core-v1'
import { Event } from '#api/kinds/core/event'
import { Node } from '#api/kinds/core/node'
import { Pod } from '#api/kinds/core/pod'
import { startTestCluster, type TestCluster } from '../cluster.testing.ts'

const for60: Toleration = { key: 'evict', operator: 'Exists', effect: 'NoExecute', tolerationSeconds: 60 }

async function run(cluster: TestCluster, name: string, tolerations: Toleration[]): Promise<void> {
  await cluster.create(Pod, {
    metadata: { name, namespace: 'default' },
    spec: { nodeName: 'node-1', tolerations, containers: [{ name: 'c', image: 'navarch.local/web:1' }] },
  })
  await cluster.until(async () => (await cluster.get(Pod, name))?.status.phase === 'Running')
}

const taint = (cluster: TestCluster, taints: object[]): Promise<unknown> =>
  cluster.client.patch(Node, { namespace: '', name: 'node-1' }, 'merge', { spec: { taints } })

async function pass(cluster: TestCluster, seconds: number): Promise<void> {
  const end = cluster.clock.now() + seconds * 1_000
  await cluster.until(() => cluster.clock.now() >= end, { withinMs: seconds * 2_000 })
}

const told = async (cluster: TestCluster): Promise<string[]> =>
  (await cluster.client.list(Event)).items.filter(({ reason }) => reason === 'TaintManagerEviction').map(({ message }) => message ?? '')

const evicting = { key: 'evict', effect: 'NoExecute' }

describe('a NoExecute taint', () => {
  test('takes pods that do not tolerate it at once, those that do for a while after that', async () => {
    const cluster = await startTestCluster()
    await cluster.addNode('node-1')
    await run(cluster, 'never', [])
    await run(cluster, 'while', [for60])
    await run(cluster, 'always', [{ operator: 'Exists' }])
    await taint(cluster, [evicting])
    await cluster.until(async () => (await cluster.get(Pod, 'never')) === undefined)
    await pass(cluster, 50)
    expect(await cluster.get(Pod, 'while')).toBeDefined()
    await pass(cluster, 20)
    expect([await cluster.get(Pod, 'while'), (await cluster.get(Pod, 'always'))?.status.phase]).toEqual([undefined, 'Running'])
    expect(await told(cluster)).toEqual(['Marking for deletion Pod default/never', 'Marking for deletion Pod default/while'])
  })

  test('that goes in time takes nobody, and says so', async () => {
    const cluster = await startTestCluster()
    await cluster.addNode('node-1')
    await run(cluster, 'while', [for60])
    await taint(cluster, [evicting])
    await pass(cluster, 30)
    await taint(cluster, [])
    await pass(cluster, 60)
    expect((await cluster.get(Pod, 'while'))?.status.phase).toBe('Running')
    expect(await told(cluster)).toEqual(['Cancelling deletion of Pod default/while'])
  })

  test('gives a pod that comes later its whole time', async () => {
    const cluster = await startTestCluster()
    await cluster.addNode('node-1')
    await taint(cluster, [{ ...evicting, timeAdded: '2025-12-31T00:00:00Z' }])
    await run(cluster, 'late', [for60])
    await pass(cluster, 50)
    expect((await cluster.get(Pod, 'late'))?.status.phase).toBe('Running')
    await cluster.until(async () => (await cluster.get(Pod, 'late')) === undefined)
  })
})

test('nodes that come, fall silent and go are told of, and so are their pods', async () => {
  const cluster = await startTestCluster()
  const node = await cluster.addNode('node-1')
  await run(cluster, 'web', [{ operator: 'Exists' }])
  node.silence()
  await cluster.until(async () => (await cluster.get(Node, 'node-1'))?.status.conditions?.some(({ status }) => status === 'Unknown'))
  const events = async (): Promise<string[]> => {
    const { items } = await cluster.client.list(Event)
    return items
      .filter(({ source }) => source?.component === 'node-controller')
      .map(({ reason, message, involvedObject }) => `${involvedObject.name} ${reason}: ${message}`)
      .sort()
  }
  await cluster.until(async () => (await events()).length === 3)
  await cluster.client.delete(Node, { namespace: '', name: 'node-1' })
  await cluster.until(async () => (await events()).length === 4)
  expect(await events()).toEqual([
    'node-1 NodeNotReady: Node node-1 status is now: NodeNotReady',
    'node-1 RegisteredNode: Node node-1 event: Registered Node node-1 in Controller',
    'node-1 RemovingNode: Node node-1 event: Removing Node node-1 from Controller',
    'web NodeNotReady: Node is not ready',
  ])
})
