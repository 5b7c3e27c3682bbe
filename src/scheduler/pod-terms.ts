// Terms of pod affinity, compiled: which pods one means, by namespace and labels (KEP-3633 for matchLabelKeys).
import type { Namespace, PodAffinityTerm } from '#api/generated/core-v1'
import { type Labels, labelMatcher } from '#api/label-selectors'

/** What terms and selectors look at: many pods have it in common. */
export interface Likeness {
  readonly namespace: string
  readonly labels: Labels
}

export interface Term {
  /** The node label whose values are the domains. */
  readonly key: string
  readonly matches: (other: Likeness) => boolean
}

/** `owner`: the pod that carries the term. */
export function compileTerm(term: PodAffinityTerm, owner: Likeness, namespaceNamed: (name: string) => Namespace | undefined): Term {
  const { labels } = owner
  const matchesSelector = term.labelSelector === undefined ? () => false : labelMatcher(term.labelSelector)
  const inNamespace = namespaceMatcher(term, owner, namespaceNamed)
  const equal = (term.matchLabelKeys ?? []).filter((key) => labels[key] !== undefined)
  const unequal = (term.mismatchLabelKeys ?? []).filter((key) => labels[key] !== undefined)
  return {
    key: term.topologyKey,
    matches: (other) =>
      inNamespace(other.namespace) &&
      matchesSelector(other.labels) &&
      equal.every((key) => other.labels[key] === labels[key]) &&
      unequal.every((key) => other.labels[key] !== labels[key]),
  }
}

function namespaceMatcher(
  term: PodAffinityTerm,
  owner: Likeness,
  namespaceNamed: (name: string) => Namespace | undefined,
): (namespace: string) => boolean {
  const names = term.namespaces ?? []
  if (names.length === 0 && term.namespaceSelector === undefined) return (namespace) => namespace === owner.namespace
  const selected = term.namespaceSelector === undefined ? () => false : labelMatcher(term.namespaceSelector)
  return (namespace) =>
    names.includes(namespace) || (term.namespaceSelector !== undefined && selected(namespaceNamed(namespace)?.metadata.labels))
}
