// Attribute-based access control: policies in a file, a line of JSON each (abac.authorization.kubernetes.io/v1beta1), any of which may
// allow something. What none allows is left to others.
import type { Attributes, Decision, LocalAuthorizer } from './authorizer.ts'

interface PolicySpec {
  readonly user?: string
  readonly group?: string
  readonly readonly?: boolean
  readonly apiGroup?: string
  readonly resource?: string
  readonly namespace?: string
  readonly nonResourcePath?: string
}

const allowed: Decision = { verdict: 'allow', reason: '' }
const unmatched: Decision = { verdict: 'none', reason: 'No policy matched.' }
const reading: ReadonlySet<string> = new Set(['get', 'list', 'watch'])

/** Throws an Error that names the line that is no policy. */
export function abacAuthorizer(text: string): LocalAuthorizer {
  const policies = readPolicies(text)
  return { name: 'ABAC', authorize: (attributes) => (policies.some((policy) => matches(policy, attributes)) ? allowed : unmatched) }
}

function readPolicies(text: string): PolicySpec[] {
  return text.split('\n').flatMap((line, index) => {
    const trimmed = line.trim()
    if (trimmed === '' || trimmed.startsWith('#')) return []
    let value: { apiVersion?: unknown; kind?: unknown; spec?: unknown }
    try {
      value = JSON.parse(trimmed) as typeof value
    } catch (error) {
      throw new Error(`line ${index + 1}: ${(error as Error).message}`)
    }
    const known = value?.apiVersion === 'abac.authorization.kubernetes.io/v1beta1' && value.kind === 'Policy'
    if (!known) throw new Error(`line ${index + 1}: it must be a Policy of abac.authorization.kubernetes.io/v1beta1`)
    return [(value.spec ?? {}) as PolicySpec]
  })
}

function matches(policy: PolicySpec, attributes: Attributes): boolean {
  if (!isAbout(policy, attributes.user)) return false
  if (policy.readonly && !reading.has(attributes.verb)) return false
  const { namespace = '', resource = '', apiGroup = '', nonResourcePath = '' } = policy
  if (!attributes.isResource) {
    if (nonResourcePath === '*' || nonResourcePath === attributes.path) return true
    return nonResourcePath.endsWith('*') && attributes.path.startsWith(nonResourcePath.slice(0, -1))
  }
  const fits = (said: string, asked: string): boolean => said === '*' || said === asked
  return fits(namespace, attributes.namespace) && fits(resource, attributes.resource) && fits(apiGroup, attributes.group)
}

function isAbout({ user = '', group = '' }: PolicySpec, { name, groups }: Attributes['user']): boolean {
  if (user !== '' && user !== '*' && user !== name) return false
  if (group !== '' && group !== '*' && !groups.includes(group)) return false
  return user !== '' || group !== ''
}
