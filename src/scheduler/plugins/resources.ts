// Resources: does the pod fit, which node is left with the most room, which with the best balance.
import type { NodeInfo } from '../node-info.ts'
import type { SchedulerPlugin } from '../plugin.ts'

export const resourcesFit: SchedulerPlugin = {
  name: 'NodeResourcesFit',
  filter:
    ({ requests }) =>
    ({ allocatable, requested, pods }) => {
      const reasons: string[] = []
      // What the node could not hold even when empty is not helped by removing pods.
      let resolvable = true
      if (pods.length + 1 > (allocatable['pods'] ?? 0)) reasons.push('Too many pods')
      for (const [name, amount] of Object.entries(requests)) {
        if (amount === 0) continue
        const room = allocatable[name] ?? 0
        if (amount <= room - (requested[name] ?? 0)) continue
        reasons.push(`Insufficient ${name}`)
        if (amount > room) resolvable = false
      }
      return reasons.length > 0 ? { reasons, resolvable } : undefined
    },
  score: (pod) => (node) => {
    const shares = usedShares(pod.scoredRequests, node).map((used) => (used > 1 ? 0 : (1 - used) * 100))
    return shares.length === 0 ? 0 : shares.reduce((sum, share) => sum + share, 0) / shares.length
  },
  wakesOn: ['nodeAdded', 'nodeChanged', 'podRemoved', 'podChanged'],
}

export const balancedAllocation: SchedulerPlugin = {
  name: 'NodeResourcesBalancedAllocation',
  score: (pod) => {
    const { cpu = 0, memory = 0 } = pod.requests
    if (cpu === 0 && memory === 0) return undefined
    return (node) => {
      const shares = usedShares(pod.scoredRequests, node).map((used) => Math.min(used, 1))
      if (shares.length < 2) return 0
      const mean = shares.reduce((sum, share) => sum + share, 0) / shares.length
      const deviation = Math.sqrt(shares.reduce((sum, share) => sum + (share - mean) ** 2, 0) / shares.length)
      return (1 - deviation) * 100
    }
  },
}

function usedShares(more: { cpu: number; memory: number }, { allocatable, scoredRequested }: NodeInfo): number[] {
  const shares: number[] = []
  for (const name of ['cpu', 'memory'] as const) {
    const room = allocatable[name] ?? 0
    if (room > 0) shares.push((scoredRequested[name] + more[name]) / room)
  }
  return shares
}
