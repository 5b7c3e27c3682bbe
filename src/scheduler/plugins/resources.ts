// Resources: does the pod fit, which node is left with the most room, which with the best balance.
import type { NodeInfo } from '../node-info.ts'
import type { Rejection, SchedulerPlugin } from '../plugin.ts'

export const resourcesFit: SchedulerPlugin = {
  name: 'NodeResourcesFit',
  filter: ({ requests }) => {
    const wanted = Object.entries(requests)
      .filter(([, amount]) => amount > 0)
      .map(([name, amount], i) => ({ name, amount, bit: 2 ** (i + 2) }))
    // Full nodes are alike: each finding, as a number of bits, is put into words once.
    const known = new Map<number, Rejection>()
    const inWords = (bits: number): Rejection => {
      const short = wanted.filter(({ bit }) => Math.floor(bits / bit) % 2 === 1).map(({ name }) => `Insufficient ${name}`)
      const reasons = bits % 2 === 1 ? ['Too many pods', ...short] : short
      const found = { reasons, resolvable: Math.floor(bits / 2) % 2 === 0 }
      known.set(bits, found)
      return found
    }
    return ({ allocatable, requested, pods }) => {
      let bits = pods.length + 1 > (allocatable['pods'] ?? 0) ? 1 : 0
      // What the node could not hold even when empty is not helped by removing pods.
      let hopeless = false
      for (const { name, amount, bit } of wanted) {
        const room = allocatable[name] ?? 0
        if (amount <= room - (requested[name] ?? 0)) continue
        bits += bit
        if (amount > room) hopeless = true
      }
      if (bits === 0) return undefined
      if (hopeless) bits += 2
      return known.get(bits) ?? inWords(bits)
    }
  },
  score:
    ({ scoredRequests }) =>
    (node) => {
      let sum = 0
      let count = 0
      for (const name of scored) {
        const used = usedShare(name, scoredRequests, node)
        if (used === undefined) continue
        count++
        if (used < 1) sum += (1 - used) * 100
      }
      return count === 0 ? 0 : sum / count
    },
  wakesOn: ['nodeAdded', 'nodeChanged', 'podRemoved', 'podChanged'],
}

export const balancedAllocation: SchedulerPlugin = {
  name: 'NodeResourcesBalancedAllocation',
  score: (pod) => {
    const { cpu = 0, memory = 0 } = pod.requests
    if (cpu === 0 && memory === 0) return undefined
    return (node) => {
      const a = usedShare('cpu', pod.scoredRequests, node)
      const b = usedShare('memory', pod.scoredRequests, node)
      if (a === undefined || b === undefined) return 0
      // Of two numbers the standard deviation is half their distance.
      return (1 - Math.abs(Math.min(a, 1) - Math.min(b, 1)) / 2) * 100
    }
  },
}

const scored = ['cpu', 'memory'] as const

/** How much of the node's amount would be asked for with the pod on it; undefined when it has none. */
function usedShare(
  name: 'cpu' | 'memory',
  more: { cpu: number; memory: number },
  { allocatable, scoredRequested }: NodeInfo,
): number | undefined {
  const room = allocatable[name] ?? 0
  return room > 0 ? (scoredRequested[name] + more[name]) / room : undefined
}
