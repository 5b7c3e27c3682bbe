// Pod topology spread (KEP-895, KEP-3022, KEP-3094): pods of one selector evenly over zones, hosts or any other label.
import type { TopologySpreadConstraint } from '#api/generated/core-v1'
import { type Labels, labelMatcher } from '#api/label-selectors'
import { requiredNodeMatcher } from '#api/node-selectors'
import { labelHostname } from '#api/nodes'
import { findUntolerated } from '#api/taints'
import type { NodeInfo, PodInfo } from '../node-info.ts'
import type { SchedulerPlugin, Snapshot } from '../plugin.ts'
import type { PodGroup } from '../tally.ts'

interface Constraint {
  readonly key: string
  readonly maxSkew: number
  readonly minDomains: number
  readonly matches: (labels: Labels | undefined) => boolean
  /** Whether the node counts, by the constraint's policies; undefined: every node does. */
  readonly includes: ((node: NodeInfo) => boolean) | undefined
  readonly selfMatch: 0 | 1
}

function constraintOf(constraint: TopologySpreadConstraint, { pod }: PodInfo): Constraint {
  const { labelSelector, matchLabelKeys = [] } = constraint
  const labels = pod.metadata.labels ?? {}
  const same: Record<string, string> = {}
  for (const key of matchLabelKeys) if (labels[key] !== undefined) same[key] = labels[key]
  const matchesSelector = labelMatcher(labelSelector)
  const matches = (other: Labels | undefined): boolean =>
    matchesSelector(other) && Object.entries(same).every(([key, value]) => other?.[key] === value)
  return {
    key: constraint.topologyKey,
    maxSkew: constraint.maxSkew,
    minDomains: constraint.minDomains ?? 1,
    matches,
    includes: inclusionOf(constraint, pod),
    selfMatch: matches(labels) ? 1 : 0,
  }
}

function inclusionOf(
  { nodeAffinityPolicy = 'Honor', nodeTaintsPolicy = 'Ignore' }: TopologySpreadConstraint,
  { spec }: PodInfo['pod'],
): Constraint['includes'] {
  const required = spec.affinity?.nodeAffinity?.requiredDuringSchedulingIgnoredDuringExecution
  const asksNodes = nodeAffinityPolicy === 'Honor' && (required !== undefined || spec.nodeSelector !== undefined)
  if (!asksNodes && nodeTaintsPolicy === 'Ignore') return undefined
  const matches = asksNodes ? requiredNodeMatcher({ spec }) : () => true
  return ({ node }) => matches(node) && (nodeTaintsPolicy === 'Ignore' || findUntolerated(node.spec.taints, spec.tolerations) === undefined)
}

function matchingGroups({ matches }: Constraint, { likeness }: PodInfo, { groups }: Snapshot): PodGroup[] {
  const found: PodGroup[] = []
  for (const group of groups) if (!group.terminating && group.namespace === likeness.namespace && matches(group.labels)) found.push(group)
  return found
}

function countOn(node: NodeInfo, groups: readonly PodGroup[]): number {
  let sum = 0
  for (const group of groups) sum += group.nodes.get(node.node.metadata.name) ?? 0
  return sum
}

/** Matching pods per domain; domains without any count as well. */
interface Count {
  at(domain: string): number
  readonly domains: number
  least(): number
}

/**
 * Matching pods of the pod's namespace per domain, over the nodes that count and carry the key: every constraint's, or, where
 * the constraints are only the default, each one's own.
 */
function countDomains(constraints: readonly Constraint[], info: PodInfo, snapshot: Snapshot, keys: 'all' | 'own' = 'all'): Count[] {
  return constraints.map((constraint) => {
    const parts = matchingGroups(constraint, info, snapshot)
    const others = keys === 'all' ? constraints.filter((other) => other !== constraint) : []
    if (constraint.includes === undefined && others.length === 0) return countAll(constraint, parts, snapshot)
    return countSome(constraint, others, parts, snapshot)
  })
}

/** Every node counts: the counts that are kept anyway will do. */
function countAll({ key }: Constraint, groups: readonly PodGroup[], snapshot: Snapshot): Count {
  const parts = groups.map((group) => group.domains(key))
  const domains = snapshot.domains(key)
  const at = (domain: string): number => {
    let sum = 0
    for (const part of parts) sum += part.get(domain) ?? 0
    return sum
  }
  return {
    at,
    domains: domains.size,
    least() {
      let least = Number.POSITIVE_INFINITY
      for (const domain of domains.keys()) {
        least = Math.min(least, at(domain))
        if (least === 0) break
      }
      return least
    },
  }
}

function countSome({ key, includes }: Constraint, others: readonly Constraint[], groups: readonly PodGroup[], { nodes }: Snapshot): Count {
  const counts = new Map<string, number>()
  for (const info of nodes) {
    const { labels, name } = info.node.metadata
    const domain = labels?.[key]
    if (domain === undefined || others.some((other) => labels?.[other.key] === undefined) || includes?.(info) === false) continue
    let count = counts.get(domain) ?? 0
    for (const group of groups) count += group.nodes.get(name) ?? 0
    counts.set(domain, count)
  }
  return { at: (domain) => counts.get(domain) ?? 0, domains: counts.size, least: () => Math.min(...counts.values()) }
}

function constraintsOf(info: PodInfo, when: TopologySpreadConstraint['whenUnsatisfiable']): Constraint[] {
  return (info.pod.spec.topologySpreadConstraints ?? [])
    .filter(({ whenUnsatisfiable }) => whenUnsatisfiable === when)
    .map((constraint) => constraintOf(constraint, info))
}

export const topologySpread: SchedulerPlugin = {
  name: 'PodTopologySpread',
  weight: 2,
  readsCluster: true,
  filter(info, snapshot) {
    const constraints = constraintsOf(info, 'DoNotSchedule')
    if (constraints.length === 0) return undefined
    const counts = countDomains(constraints, info, snapshot)
    const minima = counts.map((count, i) => (count.domains < (constraints[i]?.minDomains ?? 1) ? 0 : count.least()))
    return ({ node }) => {
      for (const [i, { key, maxSkew, selfMatch }] of constraints.entries()) {
        const domain = node.metadata.labels?.[key]
        if (domain === undefined)
          return { reasons: ["node(s) didn't match pod topology spread constraints (missing required label)"], resolvable: false }
        const count = counts[i]?.at(domain) ?? 0
        if (count + selfMatch - (minima[i] ?? 0) > maxSkew)
          return { reasons: ["node(s) didn't match pod topology spread constraints"], resolvable: true }
      }
      return undefined
    }
  },
  score(info, snapshot, feasible) {
    const own = (info.pod.spec.topologySpreadConstraints ?? []).length > 0
    const constraints = own ? constraintsOf(info, 'ScheduleAnyway') : defaultConstraints(info)
    if (constraints.length === 0) return undefined
    // A host's count is that of the node itself; which other nodes count does not matter.
    const hosts = constraints.map((constraint) =>
      constraint.key === labelHostname ? matchingGroups(constraint, info, snapshot) : undefined,
    )
    const wider = constraints.filter(({ key }) => key !== labelHostname)
    const widerCounts = countDomains(wider, info, snapshot, own ? 'all' : 'own')
    const counts = constraints.map((constraint) => widerCounts[wider.indexOf(constraint)])
    // Domains weigh by the logarithm of their number, so that hosts do not drown zones.
    const weights = constraints.map(({ key }) => Math.log(domainsAmong(feasible, key) + 2))
    return (node) => {
      let sum = 0
      for (const [i, { key, maxSkew }] of constraints.entries()) {
        const domain = node.node.metadata.labels?.[key]
        if (domain === undefined) {
          if (own) sum += 1_000
          continue
        }
        const groups = hosts[i]
        const count = groups === undefined ? (counts[i]?.at(domain) ?? 0) : countOn(node, groups)
        sum += count * (weights[i] ?? 1) + (maxSkew - 1)
      }
      return sum
    }
  },
  normalize: 'reversed',
  wakesOn: ['nodeAdded', 'nodeChanged', 'podAdded', 'podRemoved', 'podChanged'],
}

function domainsAmong(nodes: readonly NodeInfo[], key: string): number {
  if (key === labelHostname) return nodes.length
  const domains = new Set<string>()
  for (const { node } of nodes) domains.add(node.metadata.labels?.[key] ?? '')
  return domains.size
}

// Labels by which the pods of one workload differ.
const ownLabels = ['statefulset.kubernetes.io/pod-name', 'apps.kubernetes.io/pod-index', 'batch.kubernetes.io/job-completion-index']

/** Without constraints of its own, a workload's pods are spread softly over hosts and zones (the default constraints). */
function defaultConstraints(info: PodInfo): Constraint[] {
  const { pod } = info
  const owner = pod.metadata.ownerReferences?.find(({ controller }) => controller)
  if (owner === undefined || pod.metadata.labels === undefined) return []
  const labels = Object.fromEntries(Object.entries(pod.metadata.labels).filter(([name]) => !ownLabels.includes(name)))
  const shared: TopologySpreadConstraint[] = [
    { topologyKey: labelHostname, maxSkew: 3, whenUnsatisfiable: 'ScheduleAnyway', labelSelector: { matchLabels: labels } },
    { topologyKey: 'topology.kubernetes.io/zone', maxSkew: 5, whenUnsatisfiable: 'ScheduleAnyway', labelSelector: { matchLabels: labels } },
  ]
  return shared.map((constraint) => constraintOf(constraint, info))
}
