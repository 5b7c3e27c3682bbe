// Resources: does the pod fit, which node is left with the most room, which with the best balance.
import type { NodeInfo } from '../node-info.ts'
import type { Rejection, SchedulerPlugin } from '../plugin.ts'

export const resourcesFit: SchedulerPlugin = {
  name: 'NodeResourcesFit',
  filter: ({ requests }) => {
    const wanted = Object.entries(requests).filter(([, amount]) => amount > 0)
    // Full nodes are alike: each finding is made once and shared.
    const known = new Map<string, Rejection>()
    const finding = (reasons: string[], resolvable: boolean): Rejection => {
      const key = `${reasons.join()} ${resolvable}`
      let found = known.get(key)
      if (found === undefined) {
        found = { reasons, resolvable }
        known.set(key, found)
      }
      return found
    }
    return ({ allocatable, requested, pods }) => {
      let reasons: string[] | undefined
      // What the node could not hold even when empty is not helped by removing pods.
      let resolvable = true
      if (pods.length + 1 > (allocatable['pods'] ?? 0)) reasons = ['Too many pods']
      for (const [name, amount] of wanted) {
        const room = allocatable[name] ?? 0
        if (amount <= room - (requested[name] ?? 0)) continue
        reasons ??= []
        reasons.push(`Insufficient ${name}`)
        if (amount > room) resolvable = false
      }
      return reasons === undefined ? undefined : finding(reasons, resolvable)
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
