import { expect, test } from 'vitest'
import { Node } from '#api/kinds/core/node'
import { startTestCluster } from '../cluster.testing.ts'
import { stepFor } from './ttl.ts'

test.each([
  [0, 0, 0],
  [100, 0, 0],
  [101, 0, 1],
  [90, 1, 1],
  [89, 1, 0],
  [5_000, 0, 4],
  [1_799, 4, 3],
  [1, 4, 0],
])('%i nodes, from step %i, are step %i', (nodes, from, to) => {
  expect(stepFor(nodes, from)).toBe(to)
})

test('a node of a small cluster is told to trust nothing that it has read', async () => {
  const cluster = await startTestCluster()
  await cluster.addNode('node-1')
  await cluster.until(async () => (await cluster.get(Node, 'node-1'))?.metadata.annotations?.['node.alpha.kubernetes.io/ttl'] === '0')
  expect(cluster.failures).toEqual([])
})
