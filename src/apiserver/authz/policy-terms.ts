// The words in which the default roles are written: short, because there are many.
import type { PolicyRule } from '#api/generated/rbac-v1'

/** A cluster role and who has it, before they become objects. */
export interface DefaultRole {
  readonly name: string
  readonly rules: readonly PolicyRule[]
  /** `rbac.authorization.k8s.io/aggregate-to-<this>`: the role is added to that one. */
  readonly aggregatesTo?: string
  /** The role is the sum of those that aggregate to this. */
  readonly aggregates?: string
}

export const core = ''
export const everyGroup = '*'

export const read = 'get list watch'
export const write = 'create delete deletecollection patch update'
export const readWrite = 'create delete deletecollection get list patch update watch'

/** A rule about resources: groups, resources, verbs and names are separated by spaces; the core group alone is the empty text, beside others `core`. */
export function on(groups: string, resources: string, verbs: string, names = ''): PolicyRule {
  const rule: PolicyRule = {
    verbs: verbs.split(' '),
    apiGroups: groups.split(' ').map((group) => (group === 'core' ? '' : group)),
    resources: resources.split(' '),
  }
  if (names !== '') rule.resourceNames = names.split(' ')
  return rule
}

/** A rule about paths. */
export function paths(verbs: string, urls: string): PolicyRule {
  return { verbs: verbs.split(' '), nonResourceURLs: urls.split(' ') }
}

export const eventsRule: PolicyRule = on('core events.k8s.io', 'events', 'create patch update')
