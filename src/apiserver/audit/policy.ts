// Audit policies (audit.k8s.io/v1 Policy): which requests are told of, at which level and which stages. The first rule that fits a
// request decides; without one nothing is told.
import { nameIsDnsSubdomain } from '#api/validation/names'
import { goQuote } from '#api/validation/text'
import type { RequestInfo, User } from '../request.ts'
import { parseYaml } from '../verbs/yaml.ts'

export const auditLevels = ['None', 'Metadata', 'Request', 'RequestResponse'] as const
export type AuditLevel = (typeof auditLevels)[number]

export const auditStages = ['RequestReceived', 'ResponseStarted', 'ResponseComplete', 'Panic'] as const
export type AuditStage = (typeof auditStages)[number]

interface GroupResources {
  readonly group?: string
  readonly resources?: readonly string[]
  readonly resourceNames?: readonly string[]
}

export interface AuditRule {
  readonly level: AuditLevel
  readonly users?: readonly string[]
  readonly userGroups?: readonly string[]
  readonly verbs?: readonly string[]
  readonly resources?: readonly GroupResources[]
  /** The empty text stands for what is in no namespace. */
  readonly namespaces?: readonly string[]
  readonly nonResourceURLs?: readonly string[]
  readonly omitStages?: readonly AuditStage[]
  readonly omitManagedFields?: boolean
}

export interface AuditPolicy {
  readonly rules: readonly AuditRule[]
  readonly omitStages?: readonly AuditStage[]
  readonly omitManagedFields?: boolean
}

/** What is to be told of one request. */
export interface AuditDecision {
  readonly level: AuditLevel
  readonly stages: ReadonlySet<AuditStage>
  readonly omitManagedFields: boolean
}

/** Who did what to which object and how it ended, and nothing else: for servers that have a log and no policy. */
export const metadataPolicy: AuditPolicy = { rules: [{ level: 'Metadata' }], omitStages: ['RequestReceived'] }

const silence: AuditDecision = { level: 'None', stages: new Set(), omitManagedFields: false }

/** Decides by a policy that was checked. */
export function compileAuditPolicy({
  rules,
  omitStages = [],
  omitManagedFields = false,
}: AuditPolicy): (user: User, info: RequestInfo, path: string) => AuditDecision {
  const compiled = rules.map((rule) => {
    const omitted = new Set([...omitStages, ...(rule.omitStages ?? [])])
    const decision: AuditDecision = {
      level: rule.level,
      stages: new Set(auditStages.filter((stage) => !omitted.has(stage))),
      omitManagedFields: rule.omitManagedFields ?? omitManagedFields,
    }
    return { rule, decision }
  })
  return (user, info, path) => {
    for (const { rule, decision } of compiled) if (ruleMatches(rule, user, info, path)) return decision
    return silence
  }
}

const some = (list: readonly unknown[] | undefined): list is readonly unknown[] => list !== undefined && list.length > 0

function ruleMatches(rule: AuditRule, { name, groups }: User, info: RequestInfo, path: string): boolean {
  const { users, userGroups, verbs, resources, namespaces, nonResourceURLs } = rule
  if (some(users) && !users.includes(name)) return false
  if (some(userGroups) && !groups.some((group) => userGroups.includes(group))) return false
  if (some(verbs) && !verbs.includes(info.verb)) return false
  if (some(namespaces) || some(resources)) {
    if (!info.isResource || (some(namespaces) && !namespaces.includes(info.namespace))) return false
    return !some(resources) || resources.some((each) => resourcesMatch(each as GroupResources, info))
  }
  if (some(nonResourceURLs)) return !info.isResource && (nonResourceURLs as readonly string[]).some((url) => pathMatches(url, path))
  return true
}

function resourcesMatch({ group = '', resources, resourceNames }: GroupResources, info: RequestInfo): boolean {
  if (group !== info.group && group !== '*') return false
  if (!some(resources)) return true
  if (some(resourceNames) && !resourceNames.includes(info.name)) return false
  const { resource, subresource } = info
  const whole = subresource === '' ? resource : `${resource}/${subresource}`
  return resources.some(
    (wanted) => wanted === '*' || wanted === whole || wanted === `${resource}/*` || (subresource !== '' && wanted === `*/${subresource}`),
  )
}

function pathMatches(url: string, path: string): boolean {
  return url === '*' || url === path || (url.endsWith('*') && path.startsWith(url.replace(/\*+$/, '')))
}

/** Reads a policy file, YAML or JSON. Throws an Error that says what is wrong with it. */
export function parseAuditPolicy(text: string): AuditPolicy {
  const { value } = parseYaml(text, false)
  if (typeof value !== 'object' || value === null || Array.isArray(value)) throw new Error('an audit policy is an object with rules')
  const policy = value as Partial<AuditPolicy> & { apiVersion?: unknown; kind?: unknown }
  if (policy.apiVersion !== 'audit.k8s.io/v1' || policy.kind !== 'Policy') {
    throw new Error('an audit policy begins with "apiVersion: audit.k8s.io/v1" and "kind: Policy"')
  }
  const errors = [...stageErrors(policy.omitStages, 'omitStages'), ...shapeErrors(policy)]
  if (errors.length === 0) for (const [i, rule] of policy.rules!.entries()) errors.push(...ruleErrors(rule, `rules[${i}]`))
  if (errors.length > 0) throw new Error(errors.length === 1 ? errors[0] : `[${errors.join(', ')}]`)
  if (policy.rules!.length === 0) throw new Error('loaded illegal policy with 0 rules')
  return policy as AuditPolicy
}

function shapeErrors({ rules, omitManagedFields }: Partial<AuditPolicy>): string[] {
  if (!Array.isArray(rules) || rules.some((rule) => typeof rule !== 'object' || rule === null)) return ['rules: must be a list of objects']
  return omitManagedFields === undefined || typeof omitManagedFields === 'boolean' ? [] : ['omitManagedFields: must be true or false']
}

const listFields = ['users', 'userGroups', 'verbs', 'namespaces', 'nonResourceURLs'] as const

function ruleErrors(rule: AuditRule, path: string): string[] {
  const isTexts = (list: unknown): boolean => list === undefined || (Array.isArray(list) && list.every((item) => typeof item === 'string'))
  const errors = listFields.flatMap((field) => (isTexts(rule[field]) ? [] : [`${path}.${field}: must be a list of texts`]))
  if (rule.resources !== undefined && !Array.isArray(rule.resources)) errors.push(`${path}.resources: must be a list`)
  if (errors.length > 0) return errors
  if (!rule.level) errors.push(`${path}.level: Required value`)
  else if (!auditLevels.includes(rule.level)) {
    errors.push(
      `${path}.level: Unsupported value: ${goQuote(String(rule.level))}: supported values: ${auditLevels.map(goQuote).join(', ')}`,
    )
  }
  for (const [i, url] of (rule.nonResourceURLs ?? []).entries()) {
    const at = `${path}.nonResourceURLs[${i}]: Invalid value: ${goQuote(url)}`
    if (url === '*') continue
    if (!url.startsWith('/')) errors.push(`${at}: non-resource URL rules must begin with a '/' character`)
    if (url.slice(0, -1).includes('*')) errors.push(`${at}: non-resource URL wildcards '*' must be the final character of the rule`)
  }
  for (const each of rule.resources ?? []) errors.push(...resourceErrors(each, `${path}.resources`, isTexts))
  errors.push(...stageErrors(rule.omitStages, `${path}.omitStages`))
  if (some(rule.nonResourceURLs) && (some(rule.resources) || some(rule.namespaces))) {
    const shown = JSON.stringify(rule.nonResourceURLs)
    errors.push(`${path}.nonResourceURLs: Invalid value: ${shown}: rules cannot apply to both regular resources and non-resource URLs`)
  }
  return errors
}

function resourceErrors(
  { group = '', resources, resourceNames }: GroupResources,
  path: string,
  isTexts: (list: unknown) => boolean,
): string[] {
  if (!isTexts(resources) || !isTexts(resourceNames)) return [`${path}: resources and resourceNames must be lists of texts`]
  const errors: string[] = []
  const wrong = group === '' || group === '*' ? [] : nameIsDnsSubdomain(group, false)
  if (wrong.length > 0) errors.push(`${path}.group: Invalid value: ${goQuote(group)}: ${wrong.join(',')}`)
  if (some(resourceNames) && !some(resources)) {
    errors.push(
      `${path}.resourceNames: Invalid value: ${JSON.stringify(resourceNames)}: using resourceNames requires at least one resource`,
    )
  }
  return errors
}

function stageErrors(stages: readonly AuditStage[] | undefined, path: string): string[] {
  if (stages === undefined) return []
  if (!Array.isArray(stages)) return [`${path}: must be a list of stages`]
  return stages.flatMap((stage, i) =>
    auditStages.includes(stage)
      ? []
      : [`${path}[${i}]: Invalid value: ${goQuote(String(stage))}: allowed stages are ${auditStages.join(',')}`],
  )
}
