// Tells kubelets how long they may trust config maps and secrets that they have read, by the size of the cluster.
import type { Node as NodeObject } from '#api/generated/core-v1'
import { Node } from '#api/kinds/core/node'
import { type Controller, defineController } from '#client/controller'

const ttlAnnotation = 'node.alpha.kubernetes.io/ttl'

// Ranges overlap, so that a cluster at a bound does not change its mind with every node.
const steps = [
  { nodesMin: 0, nodesMax: 100, seconds: 0 },
  { nodesMin: 90, nodesMax: 500, seconds: 15 },
  { nodesMin: 450, nodesMax: 1_000, seconds: 30 },
  { nodesMin: 900, nodesMax: 2_000, seconds: 60 },
  { nodesMin: 1_800, nodesMax: Number.POSITIVE_INFINITY, seconds: 300 },
] as const

/** The step for a cluster of so many nodes that is at `step` now. */
export function stepFor(nodes: number, step: number): number {
  let next = step
  while (nodes > (steps[next]?.nodesMax ?? Number.POSITIVE_INFINITY)) next++
  while (nodes < (steps[next]?.nodesMin ?? 0)) next--
  return next
}

export function createTtlController(): Controller {
  let step = 0
  return defineController({
    name: 'ttl-controller',
    watches: [
      {
        kind: Node,
        // A change of the step is every node's.
        keysOf({ metadata: { name } }, _old, cache) {
          const nodes = cache.list(Node)
          const next = stepFor(nodes.length, step)
          if (next === step) return [name]
          step = next
          return nodes.map(({ metadata }) => metadata.name)
        },
        when: (node, old) => old === undefined || ttlOf(node as NodeObject) !== ttlOf(old as NodeObject),
      },
    ],
    concurrency: 5,
    async reconcile(name, { cache, client }) {
      const node = cache.get(Node, name)
      const wanted = String(steps[step]?.seconds ?? 0)
      if (node === undefined || ttlOf(node) === wanted) return
      await client.patch(Node, { namespace: '', name }, 'strategic', { metadata: { annotations: { [ttlAnnotation]: wanted } } })
      return
    },
  })
}

function ttlOf({ metadata }: NodeObject): string | undefined {
  return metadata.annotations?.[ttlAnnotation]
}
