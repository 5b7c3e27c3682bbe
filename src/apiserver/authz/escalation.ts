// Nobody grants what they do not have: writes of roles and bindings are checked against the writer's own rules, unless the
// writer holds `escalate` on the role, or `bind` on the role that is bound. Stands among the admission plugins, behind all that
// may still change the object. Aggregation counts as everything, since what will be aggregated cannot be known.

import { isDeepStrictEqual } from 'node:util'
import { type ApiError, forbidden, notFound } from '#api/errors'
import type { AggregationRule, PolicyRule, RoleRef } from '#api/generated/rbac-v1'
import { goQuote } from '#api/validation/text'
import type { AdmissionPlugin, AdmissionRequest } from '../admission/plugin.ts'
import type { User } from '../request.ts'
import type { Authorizer } from './authorizer.ts'
import type { RbacAuthorizer, UserRules } from './rbac.ts'
import { compactRules, describeRule, quotedList, uncoveredRules } from './rules.ts'

export interface EscalationDeps {
  readonly rbac: RbacAuthorizer
  /** All authorizers together: who asks whether a user may `escalate` or `bind`. */
  readonly authorizer: Authorizer
}

interface AnyRole {
  readonly rules?: PolicyRule[]
  readonly aggregationRule?: AggregationRule
}

interface AnyBinding {
  readonly roleRef: RoleRef
  readonly subjects?: unknown
}

const rbacGroup = 'rbac.authorization.k8s.io'
const everything: readonly PolicyRule[] = [
  { verbs: ['*'], apiGroups: ['*'], resources: ['*'] },
  { verbs: ['*'], nonResourceURLs: ['*'] },
]

/** `deps` is asked with each write: the plugin is made before what it asks. */
export function rbacEscalation(deps: () => EscalationDeps): AdmissionPlugin {
  const may = async (user: User, verb: string, resource: string, namespace: string, name: string): Promise<boolean> => {
    const target = { group: rbacGroup, version: '*', namespace, resource, subresource: '', name, path: '' }
    return (await deps().authorizer.authorize({ user, isResource: true, verb, ...target })).verdict === 'allow'
  }

  return {
    name: 'RBACEscalation',
    handles: (operation, kind, subresource) =>
      kind.group === rbacGroup && subresource === '' && (operation === 'CREATE' || operation === 'UPDATE'),
    async validate(request) {
      const { user, kind, namespace, name } = request
      if (user.groups.includes('system:masters')) return
      const { rbac } = deps()
      if (kind.resource === 'roles' || kind.resource === 'clusterroles') {
        const role = request.object as unknown as AnyRole
        const old = request.old as unknown as AnyRole | undefined
        if (unchanged(role, old) || (await may(user, 'escalate', kind.resource, namespace, name))) return
        checkRole(request, role, old, rbac.rulesFor(user, namespace))
      } else {
        const { roleRef, subjects } = request.object as unknown as AnyBinding
        const old = request.old as unknown as AnyBinding | undefined
        if (old !== undefined && isDeepStrictEqual([roleRef, subjects], [old.roleRef, old.subjects])) return
        const resource = roleRef.kind === 'ClusterRole' ? 'clusterroles' : 'roles'
        if (await may(user, 'bind', resource, namespace, roleRef.name)) return
        const rules = rbac.rulesOf(roleRef, namespace)
        if (rules === undefined) throw notFound({ group: rbacGroup, resource }, roleRef.name)
        refuseUnheld(request, rbac.rulesFor(user, namespace), rules)
      }
    },
  }
}

function unchanged(role: AnyRole, old: AnyRole | undefined): boolean {
  return old !== undefined && isDeepStrictEqual([role.rules ?? [], role.aggregationRule], [old.rules ?? [], old.aggregationRule])
}

function checkRole(request: AdmissionRequest, role: AnyRole, old: AnyRole | undefined, held: UserRules): void {
  const aggregates = role.aggregationRule !== undefined || old?.aggregationRule !== undefined
  if (aggregates && uncoveredRules(held.rules, everything).length > 0) {
    throw refusal(request, 'must have cluster-admin privileges to use an aggregationRule')
  }
  refuseUnheld(request, held, role.rules ?? [])
}

function refuseUnheld(request: AdmissionRequest, held: UserRules, wanted: readonly PolicyRule[]): void {
  const missing = uncoveredRules(held.rules, wanted)
  if (missing.length === 0) return
  const { name, groups } = request.user
  const lines = [...new Set(compactRules(missing).map(describeRule))].sort()
  const unresolved = held.errors.length === 0 ? '' : `; resolution errors: [${held.errors.join(', ')}]`
  throw refusal(
    request,
    `user ${goQuote(name)} (groups=${quotedList(groups)}) is attempting to grant RBAC permissions not currently held:\n${lines.join('\n')}${unresolved}`,
  )
}

function refusal({ kind, name, object }: AdmissionRequest, message: string): ApiError {
  return forbidden(kind, name === '' ? (object?.metadata.name ?? '') : name, message)
}
