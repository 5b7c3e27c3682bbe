// Admission policies with their bindings, and which of them a form of write concerns: the same for policies that validate and
// those that mutate.
import type { MatchResources, ParamRef, ValidatingAdmissionPolicySpec } from '#api/generated/admissionregistration-v1'
import type { Kind } from '#api/kind'
import type { KubeObject } from '#api/object'
import type { KindCatalog, LocalReader } from '../../request.ts'
import { isExemptFromAdmission, namesMatch, ruleMatches } from '../matching/rules.ts'
import { compileSelectors, type Selectors, selectorsMatch } from '../matching/selectors.ts'
import { equivalentKinds, requestedKind, resourceOf } from '../matching/versions.ts'
import type { AdmissionRequest } from '../plugin.ts'

/** What both kinds of policies have. */
export interface AnyPolicy extends KubeObject {
  spec: Pick<ValidatingAdmissionPolicySpec, 'paramKind' | 'matchConstraints' | 'failurePolicy' | 'matchConditions' | 'variables'>
}

export interface AnyBinding extends KubeObject {
  spec: { policyName?: string; paramRef?: ParamRef; matchResources?: MatchResources }
}

/** Match resources, ready to be asked. */
interface Matcher {
  readonly resources: MatchResources | undefined
  readonly selectors: Selectors
}

interface Bound<B> {
  readonly binding: B
  readonly matcher: Matcher
}

interface Entry<P, B> {
  readonly policy: P
  readonly matcher: Matcher
  readonly bindings: readonly Bound<B>[]
}

/** A policy that a write concerns, in the version in which it wants to see it, with the bindings that say so too. */
export interface PolicyMatch<P, B> {
  readonly policy: P
  readonly kind: Kind
  readonly bindings: readonly B[]
}

export interface PolicyIndex<P, B> {
  /** By name of policy and binding. Throws NotFound when a namespace must be looked at and is not there. */
  matching(request: AdmissionRequest): readonly PolicyMatch<P, B>[]
}

const none: readonly never[] = []

// Reviews: who asks whether something is allowed must get an answer, and a policy that asks must not ask itself.
const excludedGroups = new Set(['authentication.k8s.io', 'authorization.k8s.io'])

export function createPolicyIndex<P extends AnyPolicy, B extends AnyBinding>(
  policies: Kind<P>,
  bindings: Kind<B>,
  { reader, catalog }: { readonly reader: LocalReader; readonly catalog: KindCatalog },
): PolicyIndex<P, B> {
  let entries: readonly Entry<P, B>[] | undefined
  let watching = false
  const forget = (): void => {
    entries = undefined
  }
  const current = (): readonly Entry<P, B>[] => {
    // The caches are made after admission, so they are first asked when there is something to admit.
    if (!watching) {
      watching = true
      reader.onChange(policies, forget)
      reader.onChange(bindings, forget)
    }
    entries ??= collect(reader.list(policies), reader.list(bindings))
    return entries
  }
  return {
    matching(request) {
      const all = current()
      if (all.length === 0 || request.origin === undefined) return none
      const { group, resource } = request.kind
      if (isExemptFromAdmission(group, resource) || excludedGroups.has(group)) return none
      return all.flatMap((entry) => matchOf(entry, request, catalog, reader) ?? [])
    },
  }
}

function byName(a: KubeObject, b: KubeObject): number {
  return a.metadata.name < b.metadata.name ? -1 : 1
}

// Policies without bindings do nothing.
function collect<P extends AnyPolicy, B extends AnyBinding>(policies: readonly P[], bindings: readonly B[]): Entry<P, B>[] {
  const bound = new Map<string, Bound<B>[]>()
  for (const binding of [...bindings].sort(byName)) {
    const { policyName = '', matchResources } = binding.spec
    const list = bound.get(policyName) ?? []
    list.push({ binding, matcher: matcherOf(matchResources) })
    bound.set(policyName, list)
  }
  return [...policies].sort(byName).flatMap((policy) => {
    const own = bound.get(policy.metadata.name)
    return own === undefined ? [] : [{ policy, matcher: matcherOf(policy.spec.matchConstraints), bindings: own }]
  })
}

function matcherOf(resources: MatchResources | undefined): Matcher {
  return { resources, selectors: compileSelectors(resources?.namespaceSelector, resources?.objectSelector) }
}

function matchOf<P extends AnyPolicy, B extends AnyBinding>(
  { policy, matcher, bindings }: Entry<P, B>,
  request: AdmissionRequest,
  catalog: KindCatalog,
  reader: LocalReader,
): PolicyMatch<P, B> | undefined {
  const kind = matchedKind(matcher, request, catalog, reader)
  if (kind === undefined) return undefined
  const own = bindings.filter(
    (one) => one.matcher.resources === undefined || matchedKind(one.matcher, request, catalog, reader) !== undefined,
  )
  return own.length === 0 ? undefined : { policy, kind, bindings: own.map(({ binding }) => binding) }
}

/** The version in which the matcher means the write; undefined: not at all. */
function matchedKind(
  { resources, selectors }: Matcher,
  request: AdmissionRequest,
  catalog: KindCatalog,
  reader: LocalReader,
): Kind | undefined {
  if (resources === undefined) return undefined
  const requested = requestedKind(request, catalog)
  const kinds = resources.matchPolicy === 'Exact' ? [requested] : equivalentKinds(requested, catalog)
  const meant = (rules: MatchResources['resourceRules']): Kind | undefined =>
    kinds.find((kind) => {
      const subject = { ...resourceOf(kind), operation: request.operation, subresource: request.subresource, namespaced: kind.namespaced }
      return (rules ?? []).some((rule) => ruleMatches(rule, subject) && namesMatch(rule, request.name))
    })
  if (meant(resources.excludeResourceRules) !== undefined) return undefined
  const noRules = (resources.resourceRules ?? []).length === 0
  const kind = noRules ? requested : meant(resources.resourceRules)
  if (kind === undefined) return undefined
  return selectorsMatch(selectors, request, reader) ? kind : undefined
}
