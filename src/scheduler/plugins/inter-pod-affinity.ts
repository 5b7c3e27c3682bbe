// Pod affinity and anti-affinity (KEP-3633 for matchLabelKeys): near these pods, away from those, by the domains of a node label.
import type { PodAffinityTerm } from '#api/generated/core-v1'
import { type Labels, labelMatcher } from '#api/label-selectors'
import type { NodeInfo, PodInfo } from '../node-info.ts'
import type { SchedulerPlugin, Snapshot } from '../plugin.ts'

interface Term {
  readonly key: string
  readonly matches: (other: PodInfo) => boolean
}

function termOf(term: PodAffinityTerm, owner: PodInfo, snapshot: Snapshot): Term {
  const labels = owner.pod.metadata.labels ?? {}
  const matchesSelector = term.labelSelector === undefined ? () => false : labelMatcher(term.labelSelector)
  const inNamespace = namespaceMatcher(term, owner, snapshot)
  const equal = (term.matchLabelKeys ?? []).filter((key) => labels[key] !== undefined)
  const unequal = (term.mismatchLabelKeys ?? []).filter((key) => labels[key] !== undefined)
  return {
    key: term.topologyKey,
    matches({ pod }) {
      const other: Labels = pod.metadata.labels ?? {}
      return (
        inNamespace(pod.metadata.namespace ?? '') &&
        matchesSelector(other) &&
        equal.every((key) => other[key] === labels[key]) &&
        unequal.every((key) => other[key] !== labels[key])
      )
    },
  }
}

function namespaceMatcher(term: PodAffinityTerm, owner: PodInfo, snapshot: Snapshot): (namespace: string) => boolean {
  const names = term.namespaces ?? []
  if (names.length === 0 && term.namespaceSelector === undefined) return (namespace) => namespace === owner.pod.metadata.namespace
  const selected = term.namespaceSelector === undefined ? () => false : labelMatcher(term.namespaceSelector)
  return (namespace) =>
    names.includes(namespace) || (term.namespaceSelector !== undefined && selected(snapshot.namespace(namespace)?.metadata.labels))
}

/** How many pods match, by `key=value` of their nodes' labels. */
type Domains = Map<string, number>

function domainOf({ node }: NodeInfo, key: string): string | undefined {
  const value = node.metadata.labels?.[key]
  return value === undefined ? undefined : `${key}=${value}`
}

function add(domains: Domains, domain: string | undefined, amount: number): void {
  if (domain !== undefined) domains.set(domain, (domains.get(domain) ?? 0) + amount)
}

export const interPodAffinity: SchedulerPlugin = {
  name: 'InterPodAffinity',
  weight: 2,
  filter(info, snapshot) {
    const { podAffinity, podAntiAffinity } = info.pod.spec.affinity ?? {}
    const affinity = (podAffinity?.requiredDuringSchedulingIgnoredDuringExecution ?? []).map((term) => termOf(term, info, snapshot))
    const anti = (podAntiAffinity?.requiredDuringSchedulingIgnoredDuringExecution ?? []).map((term) => termOf(term, info, snapshot))
    const repelled = existingAntiAffinity(info, snapshot)
    if (affinity.length === 0 && anti.length === 0 && repelled.size === 0) return undefined
    const near: Domains = new Map()
    const away: Domains = new Map()
    if (affinity.length > 0 || anti.length > 0) {
      for (const node of snapshot.nodes) {
        for (const other of node.pods) {
          if (affinity.length > 0 && affinity.every(({ matches }) => matches(other)))
            for (const { key } of affinity) add(near, domainOf(node, key), 1)
          for (const { key, matches } of anti) if (matches(other)) add(away, domainOf(node, key), 1)
        }
      }
    }
    // The first of a group that wants to be near its like may go anywhere.
    const first = affinity.length > 0 && near.size === 0 && affinity.every(({ matches }) => matches(info))
    return (node) => {
      const met = affinity.every(({ key }) => {
        const domain = domainOf(node, key)
        return domain !== undefined && (first || (near.get(domain) ?? 0) > 0)
      })
      if (!met) return { reasons: ["node(s) didn't match pod affinity rules"], resolvable: false }
      if (anti.some(({ key }) => (away.get(domainOf(node, key) ?? '') ?? 0) > 0)) {
        return { reasons: ["node(s) didn't match pod anti-affinity rules"], resolvable: true }
      }
      for (const domain of repelled) {
        const [key = ''] = domain.split('=')
        if (domainOf(node, key) === domain)
          return { reasons: ["node(s) didn't satisfy existing pods anti-affinity rules"], resolvable: true }
      }
      return undefined
    }
  },
  score(info, snapshot) {
    const weights: Domains = new Map()
    const { podAffinity, podAntiAffinity } = info.pod.spec.affinity ?? {}
    const wishes = [
      ...(podAffinity?.preferredDuringSchedulingIgnoredDuringExecution ?? []).map(({ weight, podAffinityTerm }) => ({
        weight,
        term: termOf(podAffinityTerm, info, snapshot),
      })),
      ...(podAntiAffinity?.preferredDuringSchedulingIgnoredDuringExecution ?? []).map(({ weight, podAffinityTerm }) => ({
        weight: -weight,
        term: termOf(podAffinityTerm, info, snapshot),
      })),
    ]
    if (wishes.length > 0) {
      for (const node of snapshot.nodes) {
        for (const other of node.pods)
          for (const { weight, term } of wishes) if (term.matches(other)) add(weights, domainOf(node, term.key), weight)
      }
    }
    for (const node of snapshot.withAffinity)
      for (const other of node.pods) if (other.hasAffinity) addWishesOf(other, info, node, snapshot, weights)
    if (weights.size === 0) return undefined
    const keys = [...new Set([...weights.keys()].map((domain) => domain.split('=')[0] ?? ''))]
    const raw = (node: NodeInfo): number => keys.reduce((sum, key) => sum + (weights.get(domainOf(node, key) ?? '') ?? 0), 0)
    // Repulsion gives numbers below zero: the least becomes nought.
    const least = Math.min(...snapshot.nodes.map(raw))
    return (node) => raw(node) - least
  },
  normalize: 'highest',
  wakesOn: ['nodeAdded', 'nodeChanged', 'podAdded', 'podRemoved', 'podChanged', 'namespaceChanged'],
}

/** Domains from which existing pods keep this one away. */
function existingAntiAffinity(info: PodInfo, snapshot: Snapshot): Set<string> {
  const repelled = new Set<string>()
  for (const node of snapshot.withRequiredAntiAffinity) {
    for (const other of node.pods) {
      if (!other.hasRequiredAntiAffinity) continue
      for (const term of other.pod.spec.affinity?.podAntiAffinity?.requiredDuringSchedulingIgnoredDuringExecution ?? []) {
        const domain = domainOf(node, term.topologyKey)
        if (domain !== undefined && termOf(term, other, snapshot).matches(info)) repelled.add(domain)
      }
    }
  }
  return repelled
}

// A required affinity of an existing pod counts as a wish of this weight (HardPodAffinityWeight).
const hardAffinityWeight = 1

/** What pods that run already wish of the new one. */
function addWishesOf(other: PodInfo, info: PodInfo, node: NodeInfo, snapshot: Snapshot, weights: Domains): void {
  const { podAffinity, podAntiAffinity } = other.pod.spec.affinity ?? {}
  const wish = (term: PodAffinityTerm, weight: number): void => {
    if (termOf(term, other, snapshot).matches(info)) add(weights, domainOf(node, term.topologyKey), weight)
  }
  for (const term of podAffinity?.requiredDuringSchedulingIgnoredDuringExecution ?? []) wish(term, hardAffinityWeight)
  for (const { weight, podAffinityTerm } of podAffinity?.preferredDuringSchedulingIgnoredDuringExecution ?? [])
    wish(podAffinityTerm, weight)
  for (const { weight, podAffinityTerm } of podAntiAffinity?.preferredDuringSchedulingIgnoredDuringExecution ?? [])
    wish(podAffinityTerm, -weight)
}
