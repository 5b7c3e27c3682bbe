// Which flow schema a request belongs to: the first, in order of precedence and then of name, one of whose rules names both its
// user and what it asks for.
import type * as flowcontrolV1 from '#api/generated/flowcontrol-v1'
import type { RequestInfo, User } from '../request.ts'

type Rule = flowcontrolV1.PolicyRulesWithSubjects

/** Whether one of the schema's rules is about this request. */
export function schemaMatches(rules: readonly Rule[], user: User, info: RequestInfo, path: string): boolean {
  return rules.some(
    ({ subjects, resourceRules, nonResourceRules }) =>
      subjects.some((subject) => subjectMatches(subject, user)) &&
      (info.isResource
        ? (resourceRules ?? []).some((rule) => resourceRuleMatches(rule, info))
        : (nonResourceRules ?? []).some((rule) => pathRuleMatches(rule, info.verb, path))),
  )
}

function subjectMatches({ kind, user, group, serviceAccount }: flowcontrolV1.Subject, { name, groups }: User): boolean {
  if (kind === 'User') return user !== undefined && (user.name === '*' || user.name === name)
  if (kind === 'Group') return group !== undefined && (group.name === '*' || groups.includes(group.name))
  if (serviceAccount === undefined) return false
  const prefix = `system:serviceaccount:${serviceAccount.namespace}:`
  return serviceAccount.name === '*' ? name.startsWith(prefix) : name === `${prefix}${serviceAccount.name}`
}

function holds(list: readonly string[] | undefined, value: string): boolean {
  return list !== undefined && (list.includes(value) || list.includes('*'))
}

function resourceRuleMatches(rule: flowcontrolV1.ResourcePolicyRule, info: RequestInfo): boolean {
  const resource = info.subresource === '' ? info.resource : `${info.resource}/${info.subresource}`
  return (
    holds(rule.verbs, info.verb) &&
    holds(rule.resources, resource) &&
    holds(rule.apiGroups, info.group) &&
    (info.namespace === '' ? rule.clusterScope === true : holds(rule.namespaces, info.namespace))
  )
}

// A path stands for itself and for all below it, with and without an asterisk at its end.
function pathRuleMatches({ verbs, nonResourceURLs }: flowcontrolV1.NonResourcePolicyRule, verb: string, path: string): boolean {
  if (!holds(verbs, verb)) return false
  return nonResourceURLs.some((url) => {
    if (url === '*' || url === path) return true
    const prefix = url.endsWith('*') ? url.slice(0, -1) : url
    return path.startsWith(prefix.endsWith('/') ? prefix : `${prefix}/`)
  })
}
