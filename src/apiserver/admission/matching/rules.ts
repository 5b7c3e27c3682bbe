// Which writes the rules of webhooks and admission policies mean.
import type { NamedRuleWithOperations, RuleWithOperations } from '#api/generated/admissionregistration-v1'
import type { Operation } from '../plugin.ts'

/** A resource in one of its versions, as rules name it. */
export interface ResourceVersion {
  readonly group: string
  readonly version: string
  readonly resource: string
}

/** The part of a write that rules look at, but for its name. */
export interface RuleSubject extends ResourceVersion {
  readonly operation: Operation
  readonly subresource: string
  readonly namespaced: boolean
}

/** Whether a rule means this write. Names (`resourceNames`) are left to `namesMatch`: they differ from write to write. */
export function ruleMatches(rule: RuleWithOperations, subject: RuleSubject): boolean {
  return (
    listed(rule.operations, subject.operation) &&
    listed(rule.apiGroups, subject.group) &&
    listed(rule.apiVersions, subject.version) &&
    scopeMatches(rule.scope, subject.namespaced) &&
    (rule.resources ?? []).some((entry) => resourceMatches(entry, subject))
  )
}

/** Whether a policy's rule, which may be for some names only, means an object of this name. */
export function namesMatch({ resourceNames = [] }: NamedRuleWithOperations, name: string): boolean {
  return resourceNames.length === 0 || resourceNames.includes(name)
}

function listed(list: readonly string[] | undefined, value: string): boolean {
  return list?.some((entry) => entry === '*' || entry === value) ?? false
}

function scopeMatches(scope: string | undefined, namespaced: boolean): boolean {
  return scope === undefined || scope === '*' || scope === (namespaced ? 'Namespaced' : 'Cluster')
}

// `pods`, `pods/status`, `pods/*`, `*/scale`, `*` (all resources, no subresource), `*/*`.
function resourceMatches(entry: string, { resource, subresource }: RuleSubject): boolean {
  const slash = entry.indexOf('/')
  const wanted = slash < 0 ? entry : entry.slice(0, slash)
  const wantedSub = slash < 0 ? '' : entry.slice(slash + 1)
  return (wanted === '*' || wanted === resource) && (wantedSub === '*' || wantedSub === subresource)
}

/** Configurations of admission itself: no webhook and no policy may keep anybody from mending them. */
export function isExemptFromAdmission(group: string, resource: string): boolean {
  return group === 'admissionregistration.k8s.io' && exempt.has(resource)
}

const exempt = new Set([
  'mutatingadmissionpolicies',
  'mutatingadmissionpolicybindings',
  'mutatingwebhookconfigurations',
  'validatingadmissionpolicies',
  'validatingadmissionpolicybindings',
  'validatingwebhookconfigurations',
])
