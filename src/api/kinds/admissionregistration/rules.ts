// Which requests admission looks at: the rules that webhooks and admission policies share.
import type { FieldError } from '../../errors.ts'
import type * as admissionV1 from '../../generated/admissionregistration-v1.ts'
import { validateLabelSelector } from '../../label-selectors.ts'
import { duplicate, invalid, invalidEach, notSupported, required, tooMany } from '../../validation/field-errors.ts'
import { checkLabelKey, checkPathSegment } from '../../validation/names.ts'

const operations = ['*', 'CONNECT', 'CREATE', 'DELETE', 'UPDATE']
const mutatingOperations = ['*', 'CONNECT', 'CREATE', 'UPDATE']
const scopes = ['*', 'Cluster', 'Namespaced']
const matchPolicies = ['Equivalent', 'Exact']
const failurePolicies = ['Fail', 'Ignore']
const matchConditionsMax = 64

export function setRuleDefaults(rules: readonly admissionV1.Rule[] | undefined): void {
  for (const rule of rules ?? []) rule.scope ??= '*'
}

export function setMatchResourcesDefaults(match: admissionV1.MatchResources | undefined): void {
  if (match === undefined) return
  match.matchPolicy ??= 'Equivalent'
  match.namespaceSelector ??= {}
  match.objectSelector ??= {}
  setRuleDefaults(match.resourceRules)
  setRuleDefaults(match.excludeResourceRules)
}

export function validateRule(rule: admissionV1.RuleWithOperations, path: string): FieldError[] {
  const { operations: wanted = [], apiGroups = [], apiVersions = [], resources = [], scope } = rule
  const errors = aloneIfWildcard(wanted, `${path}.operations`, 'operations')
  for (const [i, operation] of wanted.entries()) {
    if (!operations.includes(operation)) errors.push(notSupported(`${path}.operations[${i}]`, operation, operations))
  }
  errors.push(...aloneIfWildcard(apiGroups, `${path}.apiGroups`, 'API groups'))
  errors.push(...aloneIfWildcard(apiVersions, `${path}.apiVersions`, 'API versions'))
  for (const [i, version] of apiVersions.entries()) if (version === '') errors.push(required(`${path}.apiVersions[${i}]`))
  errors.push(...validateResources(resources, `${path}.resources`))
  if (scope !== undefined && !scopes.includes(scope)) errors.push(notSupported(`${path}.scope`, scope, scopes))
  return errors
}

function aloneIfWildcard(list: readonly string[], path: string, what: string): FieldError[] {
  if (list.length === 0) return [required(path)]
  if (list.length === 1 || !list.includes('*')) return []
  return [invalid(path, list, `if '*' is present, must not specify other ${what}`)]
}

function validateResources(resources: readonly string[], path: string): FieldError[] {
  if (resources.length === 0) return [required(path)]
  const errors: FieldError[] = []
  // What an earlier `pods/*` or `*/status` covers already.
  const allSubresourcesOf = new Set<string>()
  const ofAllResources = new Set<string>()
  for (const [i, entry] of resources.entries()) {
    if (entry === '') errors.push(required(`${path}[${i}]`))
    const slash = entry.indexOf('/')
    if (slash < 0) continue
    const [resource, subresource] = [entry.slice(0, slash), entry.slice(slash + 1)]
    if (allSubresourcesOf.has(resource)) {
      errors.push(invalid(`${path}[${i}]`, entry, `if '${resource}/*' is present, must not specify ${entry}`))
    }
    if (ofAllResources.has(subresource)) {
      errors.push(invalid(`${path}[${i}]`, entry, `if '*/${subresource}' is present, must not specify ${entry}`))
    }
    if (subresource === '*') allSubresourcesOf.add(resource)
    if (resource === '*') ofAllResources.add(subresource)
  }
  if (resources.length > 1 && resources.includes('*/*')) {
    errors.push(invalid(path, resources, "if '*/*' is present, must not specify other resources"))
  }
  // Only the last of those without subresources is looked at, as in Kubernetes.
  if (resources.includes('*') && resources.findLast((entry) => !entry.includes('/')) !== '*') {
    errors.push(invalid(path, resources, "if '*' is present, must not specify other resources without subresources"))
  }
  return errors
}

function validateNamedRule(rule: admissionV1.NamedRuleWithOperations, path: string): FieldError[] {
  const errors: FieldError[] = []
  const names = rule.resourceNames ?? []
  for (const [i, name] of names.entries()) {
    errors.push(...invalidEach(`${path}.resourceNames[${i}]`, name, checkPathSegment(name)))
    if (names.indexOf(name) < i) errors.push(duplicate(`${path}.resourceNames[${i}]`, name))
  }
  return [...errors, ...validateRule(rule, path)]
}

/** After defaults, so policy and selectors are there. */
export function validateMatchResources(match: admissionV1.MatchResources, path: string): FieldError[] {
  const errors = validateMatchPolicy(match.matchPolicy, `${path}.matchPolicy`)
  errors.push(...validateLabelSelector(match.namespaceSelector, `${path}.namespaceSelector`))
  errors.push(...validateLabelSelector(match.objectSelector, `${path}.objectSelector`))
  for (const field of ['resourceRules', 'excludeResourceRules'] as const) {
    for (const [i, rule] of (match[field] ?? []).entries()) errors.push(...validateNamedRule(rule, `${path}.${field}[${i}]`))
  }
  return errors
}

/** What mutating policies are about: not deletions, which leave nothing to change. `path` is that of the matched resources. */
export function validateMutatingOperations(match: admissionV1.MatchResources | undefined, path: string): FieldError[] {
  const wanted = (match?.resourceRules ?? []).flatMap((rule) => rule.operations ?? [])
  const refused = wanted.filter((operation) => !mutatingOperations.includes(operation))
  return refused.map((operation) => notSupported(`${path}.resourceRules.operations`, operation, mutatingOperations))
}

export function validateMatchPolicy(policy: string | undefined, path: string): FieldError[] {
  return policy !== undefined && !matchPolicies.includes(policy) ? [notSupported(path, policy, matchPolicies)] : []
}

export function validateFailurePolicy(policy: string | undefined, path: string): FieldError[] {
  return policy !== undefined && !failurePolicies.includes(policy) ? [notSupported(path, policy, failurePolicies)] : []
}

export function validateReinvocationPolicy(policy: string, path: string): FieldError[] {
  const policies = ['IfNeeded', 'Never']
  return policies.includes(policy) ? [] : [notSupported(path, policy, policies)]
}

export function validateMatchConditions(conditions: readonly admissionV1.MatchCondition[] | undefined, path: string): FieldError[] {
  const list = conditions ?? []
  const errors: FieldError[] = []
  if (list.length > matchConditionsMax) errors.push(tooMany(path, list.length, matchConditionsMax))
  const names = new Set<string>()
  for (const [i, { name, expression }] of list.entries()) {
    if (expression.trim() === '') errors.push(required(`${path}[${i}].expression`))
    if (name === '') errors.push(required(`${path}[${i}].name`))
    else errors.push(...invalidEach(`${path}[${i}].name`, name, checkLabelKey(name)))
    if (name !== '' && names.has(name)) errors.push(duplicate(`${path}[${i}].name`, name))
    names.add(name)
  }
  return errors
}
