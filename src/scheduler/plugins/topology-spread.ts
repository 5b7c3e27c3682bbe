// Pod topology spread (KEP-895, KEP-3022, KEP-3094): pods of one selector evenly over zones, hosts or any other label.
import type { TopologySpreadConstraint } from '#api/generated/core-v1'
import { type Labels, labelMatcher } from '#api/label-selectors'
import { matchesRequiredNode } from '#api/node-selectors'
import { labelHostname } from '#api/nodes'
import { findUntolerated } from '#api/taints'
import type { NodeInfo, PodInfo } from '../node-info.ts'
import type { SchedulerPlugin, Snapshot } from '../plugin.ts'

interface Constraint {
  readonly key: string
  readonly maxSkew: number
  readonly minDomains: number
  readonly matches: (labels: Labels | undefined) => boolean
  /** Whether the node counts, by the constraint's policies. */
  readonly includes: (node: NodeInfo) => boolean
  readonly selfMatch: 0 | 1
}

function constraintOf(constraint: TopologySpreadConstraint, { pod }: PodInfo): Constraint {
  const { labelSelector, matchLabelKeys = [], nodeAffinityPolicy = 'Honor', nodeTaintsPolicy = 'Ignore' } = constraint
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
    includes: ({ node }) =>
      (nodeAffinityPolicy === 'Ignore' || matchesRequiredNode(pod, node)) &&
      (nodeTaintsPolicy === 'Ignore' ||
        findUntolerated(
          (node.spec.taints ?? []).filter(({ effect }) => effect !== 'PreferNoSchedule'),
          pod.spec.tolerations,
        ) === undefined),
    selfMatch: matches(labels) ? 1 : 0,
  }
}

/**
 * Matching pods of the pod's namespace per domain, over the nodes that count and carry the key: every constraint's, or, where
 * the constraints are only the default, each one's own.
 */
function countDomains(
  constraints: readonly Constraint[],
  { pod }: PodInfo,
  { nodes }: Snapshot,
  keys: 'all' | 'own' = 'all',
): Map<string, number>[] {
  const counts = constraints.map(() => new Map<string, number>())
  for (const info of nodes) {
    const labels = info.node.metadata.labels
    if (keys === 'all' && constraints.some(({ key }) => labels?.[key] === undefined)) continue
    constraints.forEach(({ key, matches, includes }, i) => {
      if (labels?.[key] === undefined || !includes(info)) return
      const domain = labels?.[key] ?? ''
      let count = counts[i]?.get(domain) ?? 0
      for (const other of info.pods) {
        const { metadata } = other.pod
        if (metadata.namespace === pod.metadata.namespace && metadata.deletionTimestamp === undefined && matches(metadata.labels)) count++
      }
      counts[i]?.set(domain, count)
    })
  }
  return counts
}

function constraintsOf(info: PodInfo, when: TopologySpreadConstraint['whenUnsatisfiable']): Constraint[] {
  return (info.pod.spec.topologySpreadConstraints ?? [])
    .filter(({ whenUnsatisfiable }) => whenUnsatisfiable === when)
    .map((constraint) => constraintOf(constraint, info))
}

export const topologySpread: SchedulerPlugin = {
  name: 'PodTopologySpread',
  weight: 2,
  filter(info, snapshot) {
    const constraints = constraintsOf(info, 'DoNotSchedule')
    if (constraints.length === 0) return undefined
    const counts = countDomains(constraints, info, snapshot)
    const minima = counts.map((domains, i) => (domains.size < (constraints[i]?.minDomains ?? 1) ? 0 : Math.min(...domains.values())))
    return ({ node }) => {
      for (const [i, { key, maxSkew, selfMatch }] of constraints.entries()) {
        const domain = node.metadata.labels?.[key]
        if (domain === undefined)
          return { reasons: ["node(s) didn't match pod topology spread constraints (missing required label)"], resolvable: false }
        const count = counts[i]?.get(domain) ?? 0
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
    const counts = countDomains(constraints, info, snapshot, own ? 'all' : 'own')
    // Domains weigh by the logarithm of their number, so that hosts do not drown zones.
    const weights = constraints.map(({ key }) => Math.log(new Set(feasible.map(({ node }) => node.metadata.labels?.[key])).size + 2))
    return ({ node }) =>
      constraints.reduce((sum, { key, maxSkew }, i) => {
        const domain = node.metadata.labels?.[key]
        if (domain === undefined) return own ? sum + 1_000 : sum
        return sum + (counts[i]?.get(domain) ?? 0) * (weights[i] ?? 1) + (maxSkew - 1)
      }, 0)
  },
  normalize: 'reversed',
  wakesOn: ['nodeAdded', 'nodeChanged', 'podAdded', 'podRemoved', 'podChanged'],
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
