// RBAC's policy rules: what one allows, and whether some rules cover others. Pure.
import type { PolicyRule } from '#api/generated/rbac-v1'
import { goQuote } from '#api/validation/text'
import type { Attributes } from './authorizer.ts'

/** A rule made ready for matching. */
export interface CompiledRule {
  readonly verbs: ReadonlySet<string>
  readonly groups: ReadonlySet<string>
  readonly resources: ReadonlySet<string>
  /** Undefined: any name. */
  readonly names: ReadonlySet<string> | undefined
  readonly paths: readonly string[]
  readonly rule: PolicyRule
}

export function compileRule(rule: PolicyRule): CompiledRule {
  const names = rule.resourceNames ?? []
  return {
    verbs: new Set(rule.verbs),
    groups: new Set(rule.apiGroups),
    resources: new Set(rule.resources),
    names: names.length === 0 ? undefined : new Set(names),
    paths: rule.nonResourceURLs ?? [],
    rule,
  }
}

function verbMatches({ verbs }: CompiledRule, verb: string): boolean {
  return verbs.has(verb) || verbs.has('*')
}

/** Whether the rule is about this verb on this resource; names are looked at separately. */
export function matchesResource(rule: CompiledRule, { verb, group, resource, subresource }: Attributes): boolean {
  if (!verbMatches(rule, verb) || !(rule.groups.has(group) || rule.groups.has('*'))) return false
  const { resources } = rule
  if (resources.has('*')) return true
  if (subresource === '') return resources.has(resource)
  return resources.has(`${resource}/${subresource}`) || resources.has(`*/${subresource}`)
}

/** Whether the rule allows this verb on this path: an exact one, or one below a trailing `*`. */
export function matchesPath(rule: CompiledRule, verb: string, path: string): boolean {
  return verbMatches(rule, verb) && rule.paths.some((pattern) => pathCovers(pattern, path))
}

function pathCovers(pattern: string, path: string): boolean {
  return pattern === '*' || pattern === path || (pattern.endsWith('*') && path.startsWith(pattern.slice(0, -1)))
}

/** The parts of `wanted` that `held` does not cover; none: whoever holds the one may grant the other. */
export function uncoveredRules(held: readonly PolicyRule[], wanted: readonly PolicyRule[]): PolicyRule[] {
  const compiled = held.map(compileRule)
  return wanted.flatMap(atomsOf).filter((atom) => !compiled.some((rule) => covers(rule, atom)))
}

/** A rule about one verb and one resource (of any or one name) or one path. */
function atomsOf({ verbs, apiGroups = [], resources = [], resourceNames = [], nonResourceURLs = [] }: PolicyRule): PolicyRule[] {
  const atoms: PolicyRule[] = []
  for (const verb of verbs) {
    for (const group of apiGroups) {
      for (const resource of resources) {
        const atom = { verbs: [verb], apiGroups: [group], resources: [resource] }
        if (resourceNames.length === 0) atoms.push(atom)
        else for (const name of resourceNames) atoms.push({ ...atom, resourceNames: [name] })
      }
    }
    for (const path of nonResourceURLs) atoms.push({ verbs: [verb], nonResourceURLs: [path] })
  }
  return atoms
}

function covers(rule: CompiledRule, atom: PolicyRule): boolean {
  if (!verbMatches(rule, atom.verbs[0]!)) return false
  const path = atom.nonResourceURLs?.[0]
  if (path !== undefined) return rule.paths.some((pattern) => pathCovers(pattern, path))
  const group = atom.apiGroups![0]!
  const resource = atom.resources![0]!
  if (!rule.groups.has(group) && !rule.groups.has('*')) return false
  const slash = resource.indexOf('/')
  const known = rule.resources.has('*') || rule.resources.has(resource) || (slash >= 0 && rule.resources.has(`*${resource.slice(slash)}`))
  if (!known) return false
  const name = atom.resourceNames?.[0]
  return rule.names === undefined || (name !== undefined && rule.names.has(name))
}

/** Rules with the verbs of the same thing put together, as messages and reviews show them. */
export function compactRules(rules: readonly PolicyRule[]): PolicyRule[] {
  const merged = new Map<string, PolicyRule>()
  for (const rule of rules) {
    const { verbs, ...subject } = rule
    const key = JSON.stringify(subject)
    const found = merged.get(key)
    if (found === undefined) merged.set(key, { ...rule, verbs: [...verbs] })
    else for (const verb of verbs) if (!found.verbs.includes(verb)) found.verbs.push(verb)
  }
  return [...merged.values()]
}

/** A rule in one line, in the order and notation of Kubernetes' messages. */
export function describeRule({ apiGroups, resources, nonResourceURLs, resourceNames, verbs }: PolicyRule): string {
  const parts: [string, readonly string[] | undefined][] = [
    ['APIGroups', apiGroups],
    ['Resources', resources],
    ['NonResourceURLs', nonResourceURLs],
    ['ResourceNames', resourceNames],
    ['Verbs', verbs],
  ]
  const shown = parts.filter(([, values]) => values !== undefined && values.length > 0)
  return `{${shown.map(([name, values]) => `${name}:${quotedList(values!)}`).join(', ')}}`
}

/** Go's %q of a list of strings. */
export function quotedList(values: readonly string[]): string {
  return `[${values.map(goQuote).join(' ')}]`
}
