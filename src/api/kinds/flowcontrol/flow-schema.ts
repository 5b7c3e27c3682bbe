// FlowSchema of flowcontrol.apiserver.k8s.io/v1: which requests belong to which priority level.
import type { FieldError } from '../../errors.ts'
import type * as flowcontrolV1 from '../../generated/flowcontrol-v1.ts'
import { column, defineKind } from '../../kind.ts'
import { forbidden, invalid, invalidEach, notSupported, required, semanticEqual } from '../../validation/field-errors.ts'
import { nameIsDnsLabel, nameIsDnsSubdomain } from '../../validation/names.ts'
import { ageColumn, nameColumn, none } from '../columns.ts'
import { validateConditionTypes } from './conditions.ts'
import { mandatory, mandatorySchemas } from './mandatory.ts'

export type FlowSchema = flowcontrolV1.FlowSchema

const precedenceMax = 10000
const exemptName = 'exempt'
const distinguishers = ['ByNamespace', 'ByUser']
const verbs = ['create', 'delete', 'deletecollection', 'get', 'list', 'patch', 'proxy', 'update', 'watch']
// Subject kind, and the field that it wants.
const subjectFields = { ServiceAccount: 'serviceAccount', User: 'user', Group: 'group' } as const

function validate({ metadata, spec }: FlowSchema): FieldError[] {
  const { matchingPrecedence: precedence = 0, distinguisherMethod, priorityLevelConfiguration: level } = spec
  const path = 'spec.matchingPrecedence'
  const errors: FieldError[] = []
  if (precedence <= 0) errors.push(invalid(path, precedence, 'must be a positive value'))
  if (precedence > precedenceMax) errors.push(invalid(path, precedence, `must not be greater than ${precedenceMax}`))
  if (precedence === 1 && metadata.name !== exemptName) {
    errors.push(invalid(path, precedence, "only the schema named 'exempt' may have matchingPrecedence 1"))
  }
  if (distinguisherMethod !== undefined && !distinguishers.includes(distinguisherMethod.type)) {
    // Compat: shown as Kubernetes' internal structure.
    errors.push(notSupported('spec.distinguisherMethod.type', { Type: distinguisherMethod.type }, distinguishers))
  }
  const levelPath = 'spec.priorityLevelConfiguration.name'
  if (level.name === '') errors.push(required(levelPath, 'must reference a priority level'))
  else errors.push(...invalidEach(levelPath, level.name, nameIsDnsSubdomain(level.name, false)))
  for (const [i, rule] of (spec.rules ?? []).entries()) errors.push(...validateRule(rule, `spec.rules[${i}]`))
  const fixed = mandatory(mandatorySchemas, metadata.name)
  if (fixed !== undefined && !semanticEqual(spec, fixed)) {
    errors.push(invalid('spec', spec, `spec of '${metadata.name}' must equal the fixed value`))
  }
  return errors
}

function validateRule(rule: flowcontrolV1.PolicyRulesWithSubjects, path: string): FieldError[] {
  const { subjects, resourceRules = [], nonResourceRules = [] } = rule
  const errors: FieldError[] = []
  if (subjects.length === 0) errors.push(required(`${path}.subjects`, 'subjects must contain at least one value'))
  for (const [i, subject] of subjects.entries()) errors.push(...validateSubject(subject, `${path}.subjects[${i}]`))
  if (resourceRules.length === 0 && nonResourceRules.length === 0) {
    errors.push(required(path, 'at least one of resourceRules and nonResourceRules has to be non-empty'))
  }
  for (const [i, each] of resourceRules.entries()) errors.push(...validateResourceRule(each, `${path}.resourceRules[${i}]`))
  for (const [i, { verbs: wanted, nonResourceURLs: urls }] of nonResourceRules.entries()) {
    const at = `${path}.nonResourceRules[${i}]`
    errors.push(...validateVerbs(wanted, `${at}.verbs`))
    errors.push(...oneOrAll(urls, `${at}.nonResourceURLs`, 'nonResourceURLs must contain at least one value', 'non-resource URLs'))
    if (urls.includes('*')) continue
    for (const [j, url] of urls.entries()) errors.push(...validateUrlPath(url, `${at}.nonResourceURLs[${j}]`))
  }
  return errors
}

function validateUrlPath(url: string, path: string): FieldError[] {
  const star = url.indexOf('*')
  if (url === '') return [invalid(path, url, 'must not be empty')]
  if (!url.startsWith('/')) return [invalid(path, url, 'must start with slash')]
  if (url.includes(' ')) return [invalid(path, url, 'must not contain white-space')]
  if (url.includes('//')) return [invalid(path, url, 'must not contain double slash')]
  if (star >= 0 && (star < url.length - 1 || !url.endsWith('/*'))) return [invalid(path, url, 'wildcard can only do suffix matching')]
  return []
}

function validateSubject(subject: flowcontrolV1.Subject, path: string): FieldError[] {
  const { kind } = subject
  if (!Object.hasOwn(subjectFields, kind)) return [notSupported(`${path}.kind`, kind, Object.keys(subjectFields).sort())]
  const errors = validateOwnField(subject, path)
  for (const [other, field] of Object.entries(subjectFields)) {
    if (other === kind || subject[field] === undefined) continue
    errors.push(forbidden(`${path}.${field}`, `${field} is forbidden when subject kind is not '${other}'`))
  }
  return errors
}

function validateOwnField(subject: flowcontrolV1.Subject, path: string): FieldError[] {
  const { kind, serviceAccount } = subject
  const field = subjectFields[kind as keyof typeof subjectFields]
  const at = `${path}.${field}`
  const value = subject[field]
  if (value === undefined) return [required(at, `${field} is required when subject kind is '${kind}'`)]
  if (field === 'serviceAccount') return validateServiceAccount(serviceAccount!, at)
  return value.name === '' ? [required(`${at}.name`)] : []
}

function validateServiceAccount({ name, namespace }: flowcontrolV1.ServiceAccountSubject, path: string): FieldError[] {
  const errors: FieldError[] = []
  if (name === '') errors.push(required(`${path}.name`))
  else if (name !== '*') errors.push(...invalidEach(`${path}.name`, name, nameIsDnsSubdomain(name, false)))
  if (namespace === '') errors.push(required(`${path}.namespace`, 'must specify namespace for service account'))
  else errors.push(...invalidEach(`${path}.namespace`, namespace, nameIsDnsLabel(namespace, false)))
  return errors
}

function validateResourceRule(rule: flowcontrolV1.ResourcePolicyRule, path: string): FieldError[] {
  const errors = validateVerbs(rule.verbs, `${path}.verbs`)
  errors.push(...oneOrAll(rule.apiGroups, `${path}.apiGroups`, 'resource rules must supply at least one api group', 'api groups'))
  errors.push(...oneOrAll(rule.resources, `${path}.resources`, 'resource rules must supply at least one resource', 'resources'))
  const namespaces = rule.namespaces ?? []
  const at = `${path}.namespaces`
  if (namespaces.length === 0) {
    if (rule.clusterScope === true) return errors
    return [...errors, required(at, 'resource rules that are not cluster scoped must supply at least one namespace')]
  }
  if (namespaces.includes('*')) return [...errors, ...oneOrAll(namespaces, at, '', 'namespaces')]
  for (const [i, name] of namespaces.entries()) {
    const problems = nameIsDnsLabel(name, false)
    errors.push(
      ...invalidEach(
        `${at}[${i}]`,
        name,
        problems.map((problem) => `${namespaceRule}${problem}`),
      ),
    )
  }
  return errors
}

const namespaceRule = "each member of this list must be '*' or a DNS-1123 label; "

function validateVerbs(wanted: readonly string[], path: string): FieldError[] {
  const errors = oneOrAll(wanted, path, 'verbs must contain at least one value', 'verbs')
  if (errors.length > 0 || wanted.includes('*') || wanted.every((verb) => verbs.includes(verb))) return errors
  return [notSupported(path, wanted, verbs)]
}

function oneOrAll(list: readonly string[], path: string, missing: string, what: string): FieldError[] {
  if (list.length === 0) return [required(path, missing)]
  return list.length > 1 && list.includes('*') ? [invalid(path, list, `if '*' is present, must not specify other ${what}`)] : []
}

export const FlowSchema = defineKind<FlowSchema>('flowcontrol.apiserver.k8s.io/v1/flowschemas', {
  setDefaults({ spec }) {
    spec.matchingPrecedence ||= 1000
  },
  validate,
  validateStatusUpdate: ({ status }) => validateConditionTypes(status.conditions),
  columns: [
    nameColumn,
    column<FlowSchema>('PriorityLevel', ({ spec }) => spec.priorityLevelConfiguration.name),
    column<FlowSchema>('MatchingPrecedence', ({ spec }) => spec.matchingPrecedence ?? 0),
    column<FlowSchema>('DistinguisherMethod', ({ spec }) => spec.distinguisherMethod?.type ?? none),
    ageColumn,
    column<FlowSchema>('MissingPL', ({ status }) => status.conditions?.find(({ type }) => type === 'Dangling')?.status ?? '?'),
  ],
})
