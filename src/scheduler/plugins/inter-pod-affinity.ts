// Pod affinity and anti-affinity: near these pods, away from those, by the domains of a node label.
import type { PodAffinityTerm } from '#api/generated/core-v1'
import type { NodeInfo, PodInfo } from '../node-info.ts'
import type { SchedulerPlugin, Snapshot } from '../plugin.ts'
import { compileTerm, type Term } from '../pod-terms.ts'

/** How many pods stand in which domain, in parts that are added up when a node is looked at. */
interface Counted {
  readonly key: string
  readonly weight: number
  readonly parts: readonly ReadonlyMap<string, number>[]
}

function countAt({ key, parts }: Counted, { node }: NodeInfo): number {
  const domain = node.metadata.labels?.[key]
  if (domain === undefined) return 0
  let sum = 0
  for (const part of parts) sum += part.get(domain) ?? 0
  return sum
}

function countGroups(key: string, snapshot: Snapshot, matches: Term['matches'], weight = 1): Counted {
  const parts: ReadonlyMap<string, number>[] = []
  for (const group of snapshot.groups) if (matches(group)) parts.push(group.domains(key))
  return { key, weight, parts }
}

function termsOf(terms: readonly PodAffinityTerm[] | undefined, { likeness }: PodInfo, snapshot: Snapshot): Term[] {
  return (terms ?? []).map((term) => compileTerm(term, likeness, snapshot.namespace))
}

const rejections = {
  affinity: { reasons: ["node(s) didn't match pod affinity rules"], resolvable: false },
  antiAffinity: { reasons: ["node(s) didn't match pod anti-affinity rules"], resolvable: true },
  existing: { reasons: ["node(s) didn't satisfy existing pods anti-affinity rules"], resolvable: true },
}

export const interPodAffinity: SchedulerPlugin = {
  name: 'InterPodAffinity',
  weight: 2,
  readsCluster: true,
  filter(info, snapshot) {
    const { podAffinity, podAntiAffinity } = info.pod.spec.affinity ?? {}
    const affinity = termsOf(podAffinity?.requiredDuringSchedulingIgnoredDuringExecution, info, snapshot)
    const anti = termsOf(podAntiAffinity?.requiredDuringSchedulingIgnoredDuringExecution, info, snapshot)
    const repelled: Counted[] = []
    for (const { repels, key, matches, counts } of snapshot.terms.values())
      if (repels && matches(info.likeness)) repelled.push({ key, weight: 1, parts: [counts] })
    if (affinity.length === 0 && anti.length === 0 && repelled.length === 0) return undefined
    // A pod counts as near only if it is meant by all of the terms.
    const near = affinity.map(({ key }) => countGroups(key, snapshot, (other) => affinity.every(({ matches }) => matches(other))))
    const away = anti.map(({ key, matches }) => countGroups(key, snapshot, matches))
    // The first of a group that wants to be near its like may go anywhere.
    const first =
      affinity.length > 0 &&
      near.every(({ parts }) => parts.every(({ size }) => size === 0)) &&
      affinity.every(({ matches }) => matches(info.likeness))
    return (node) => {
      for (const counted of near) {
        if (node.node.metadata.labels?.[counted.key] === undefined) return rejections.affinity
        if (!first && countAt(counted, node) === 0) return rejections.affinity
      }
      for (const counted of away) if (countAt(counted, node) > 0) return rejections.antiAffinity
      for (const counted of repelled) if (countAt(counted, node) > 0) return rejections.existing
      return undefined
    }
  },
  score(info, snapshot, feasible) {
    const wishes: Counted[] = []
    const { podAffinity, podAntiAffinity } = info.pod.spec.affinity ?? {}
    const wish = (term: PodAffinityTerm, weight: number): void => {
      const { key, matches } = compileTerm(term, info.likeness, snapshot.namespace)
      wishes.push(countGroups(key, snapshot, matches, weight))
    }
    for (const { weight, podAffinityTerm } of podAffinity?.preferredDuringSchedulingIgnoredDuringExecution ?? [])
      wish(podAffinityTerm, weight)
    for (const { weight, podAffinityTerm } of podAntiAffinity?.preferredDuringSchedulingIgnoredDuringExecution ?? [])
      wish(podAffinityTerm, -weight)
    for (const { repels, weight, key, matches, counts } of snapshot.terms.values())
      if (!repels && matches(info.likeness)) wishes.push({ key, weight, parts: [counts] })
    if (wishes.every(({ parts }) => parts.length === 0)) return undefined
    const raw = (node: NodeInfo): number => {
      let sum = 0
      for (const counted of wishes) sum += countAt(counted, node) * counted.weight
      return sum
    }
    // Repulsion gives numbers below zero: the least becomes nought.
    let least = Number.POSITIVE_INFINITY
    for (const node of feasible) least = Math.min(least, raw(node))
    return (node) => raw(node) - least
  },
  normalize: 'highest',
  wakesOn: ['nodeAdded', 'nodeChanged', 'podAdded', 'podRemoved', 'podChanged', 'namespaceChanged'],
}
