// Counts over the whole cluster, kept as pods and nodes come and go, so that one decision costs as much as there are kinds of pods
// and not as there are pods: how many pods alike stand in which domain, what standing pods wish of others, who holds which image.
import type { Namespace, PodAffinityTerm } from '#api/generated/core-v1'
import type { Labels } from '#api/label-selectors'
import type { NodeInfo, PodInfo } from './node-info.ts'
import { compileTerm, type Likeness, type Term } from './pod-terms.ts'

/** Pods of one namespace and the same labels. */
export interface PodGroup extends Likeness {
  readonly terminating: boolean
  /** How many of them stand on which node, by its name. */
  readonly nodes: ReadonlyMap<string, number>
  /** How many of them stand in which domain of a node label. */
  domains(key: string): ReadonlyMap<string, number>
}

/** What a standing pod's term says of a new one: `repels` is required, the others are wishes of a weight, negative ones too. */
export interface StandingTerm extends Term {
  readonly repels: boolean
  readonly weight: number
  /** How many pods with this term stand in which domain. */
  readonly counts: ReadonlyMap<string, number>
}

// A required affinity of an existing pod counts as a wish of this weight (HardPodAffinityWeight).
const hardAffinityWeight = 1

interface Group extends PodGroup {
  readonly nodes: Map<string, number>
  readonly byKey: Map<string, Map<string, number>>
}

interface CountedTerm extends StandingTerm {
  readonly counts: Map<string, number>
  pods: number
}

export class Tally {
  readonly #namespaceNamed: (name: string) => Namespace | undefined
  readonly #labels = new Map<string, Labels>()
  readonly #groups = new Map<string, Group>()
  readonly #terms = new Map<string, CountedTerm>()
  readonly #nodesByDomain = new Map<string, Map<string, number>>()
  readonly #imageHolders = new Map<string, number>()

  constructor(namespaceNamed: (name: string) => Namespace | undefined) {
    this.#namespaceNamed = namespaceNamed
  }

  get groups(): Iterable<PodGroup> {
    return this.#groups.values()
  }

  get terms(): ReadonlyMap<string, StandingTerm> {
    return this.#terms
  }

  imageHolders(image: string): number {
    return this.#imageHolders.get(image) ?? 0
  }

  /** How many nodes are in which domain of this label. Counted when first asked for. */
  domains(key: string): ReadonlyMap<string, number> {
    let domains = this.#nodesByDomain.get(key)
    if (domains === undefined) {
      domains = new Map()
      for (const labels of this.#labels.values()) count(domains, labels[key], 1)
      this.#nodesByDomain.set(key, domains)
    }
    return domains
  }

  /** A node, with the pods on it. */
  addNode(info: NodeInfo): void {
    const { name, labels = {} } = info.node.metadata
    this.#labels.set(name, labels)
    for (const [key, domains] of this.#nodesByDomain) count(domains, labels[key], 1)
    for (const image of info.images.keys()) count(this.#imageHolders, image, 1)
    for (const pod of info.pods) this.addPod(pod, name)
  }

  removeNode(info: NodeInfo): void {
    const { name } = info.node.metadata
    const labels = this.#labels.get(name) ?? {}
    for (const pod of info.pods) this.removePod(pod, name)
    for (const image of info.images.keys()) count(this.#imageHolders, image, -1)
    for (const [key, domains] of this.#nodesByDomain) count(domains, labels[key], -1)
    this.#labels.delete(name)
  }

  addPod(info: PodInfo, node: string): void {
    this.#count(info, node, 1)
  }

  removePod(info: PodInfo, node: string): void {
    this.#count(info, node, -1)
  }

  #count(info: PodInfo, node: string, change: 1 | -1): void {
    const labels = this.#labels.get(node) ?? {}
    const group = this.#groups.get(info.groupKey) ?? this.#newGroup(info)
    count(group.nodes, node, change)
    for (const [key, domains] of group.byKey) count(domains, labels[key], change)
    if (group.nodes.size === 0) this.#groups.delete(info.groupKey)
    if (info.hasAffinity) for (const [key, make] of this.#termsOf(info)) this.#countTerm(key, make, labels, change)
  }

  #newGroup(info: PodInfo): Group {
    const nodes = new Map<string, number>()
    const byKey = new Map<string, Map<string, number>>()
    const group: Group = {
      namespace: info.likeness.namespace,
      labels: info.likeness.labels,
      terminating: info.pod.metadata.deletionTimestamp !== undefined,
      nodes,
      byKey,
      domains: (key) => {
        let domains = byKey.get(key)
        if (domains === undefined) {
          domains = new Map()
          for (const [node, pods] of nodes) count(domains, this.#labels.get(node)?.[key], pods)
          byKey.set(key, domains)
        }
        return domains
      },
    }
    this.#groups.set(info.groupKey, group)
    return group
  }

  #termsOf(info: PodInfo): [string, () => CountedTerm][] {
    const { podAffinity, podAntiAffinity } = info.pod.spec.affinity ?? {}
    const terms: [string, () => CountedTerm][] = []
    const note = (term: PodAffinityTerm, repels: boolean, weight: number): void => {
      const owner = (term.matchLabelKeys ?? term.mismatchLabelKeys) === undefined ? info.likeness.namespace : info.groupKey
      const key = `${repels} ${weight} ${owner} ${JSON.stringify(term)}`
      terms.push([key, () => ({ ...compileTerm(term, info.likeness, this.#namespaceNamed), repels, weight, counts: new Map(), pods: 0 })])
    }
    for (const term of podAntiAffinity?.requiredDuringSchedulingIgnoredDuringExecution ?? []) note(term, true, 0)
    for (const term of podAffinity?.requiredDuringSchedulingIgnoredDuringExecution ?? []) note(term, false, hardAffinityWeight)
    for (const { weight, podAffinityTerm } of podAffinity?.preferredDuringSchedulingIgnoredDuringExecution ?? [])
      note(podAffinityTerm, false, weight)
    for (const { weight, podAffinityTerm } of podAntiAffinity?.preferredDuringSchedulingIgnoredDuringExecution ?? [])
      note(podAffinityTerm, false, -weight)
    return terms
  }

  #countTerm(key: string, make: () => CountedTerm, labels: Labels, change: 1 | -1): void {
    const term = this.#terms.get(key) ?? make()
    term.pods += change
    if (term.pods > 0) this.#terms.set(key, term)
    else this.#terms.delete(key)
    count(term.counts, labels[term.key], change)
  }
}

/** Adds to a count that goes when it is nought. Without a value there is nothing to count. */
function count(counts: Map<string, number>, value: string | undefined, change: number): void {
  if (value === undefined) return
  const sum = (counts.get(value) ?? 0) + change
  if (sum === 0) counts.delete(value)
  else counts.set(value, sum)
}
