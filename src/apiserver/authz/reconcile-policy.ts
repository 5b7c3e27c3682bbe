// Brings the default roles and bindings of this version into being, and into line: what is missing is added, what people added
// stays. Objects annotated `rbac.authorization.kubernetes.io/autoupdate: "false"` are left alone.
import { isApiError } from '#api/errors'
import type { PolicyRule, Subject } from '#api/generated/rbac-v1'
import type { Kind } from '#api/kind'
import { ClusterRole } from '#api/kinds/rbac/cluster-role'
import { ClusterRoleBinding } from '#api/kinds/rbac/cluster-role-binding'
import { Role } from '#api/kinds/rbac/role'
import { RoleBinding } from '#api/kinds/rbac/role-binding'
import type { KubeObject } from '#api/object'
import type { Client } from '#client/client'
import type { LocalReader } from '../request.ts'
import { aggregatedRules } from './aggregate-roles.ts'
import { clusterRoleBindings, clusterRoles, type DefaultBinding, roleBindings, roles } from './default-policy.ts'
import type { DefaultRole } from './policy-terms.ts'
import { compactRules, uncoveredRules } from './rules.ts'

const autoUpdate = 'rbac.authorization.kubernetes.io/autoupdate'
const defaultLabels = { 'kubernetes.io/bootstrapping': 'rbac-defaults' }
const concurrency = 16
// admin sums up edit, which sums up view.
const aggregationSteps = 3

type AnyRole = ClusterRole
type AnyBinding = ClusterRoleBinding

export interface DefaultPolicyDeps {
  readonly reader: LocalReader
  readonly client: Client
  /** Makes an object that is not there; a fresh cluster needs more than a hundred. */
  readonly create: <T extends KubeObject>(kind: Kind<T>, object: T) => Promise<unknown>
}

/** Writes what is missing, through the registry as everybody else. Rejects when a write fails for another reason than a race. */
export async function reconcileDefaultPolicy({ reader, client, create }: DefaultPolicyDeps): Promise<void> {
  const work: (() => Promise<unknown>)[] = []
  const plan = <T extends KubeObject>(kind: Kind<T>, namespace: string, wanted: T, change: (old: T) => T | 'replace' | undefined): void => {
    const name = wanted.metadata.name!
    const old = reader.get(kind, namespace, name)
    if (old === undefined) {
      work.push(() => create(kind, wanted))
      return
    }
    if (old.metadata.annotations?.[autoUpdate] === 'false') return
    const next = change(old)
    if (next === undefined) return
    if (next !== 'replace') work.push(() => client.update(kind, next as never))
    else {
      work.push(async () => {
        await client.delete(kind, { namespace, name })
        await client.create(kind, wanted as never)
      })
    }
  }
  for (const wanted of defaultClusterRoles()) {
    plan(ClusterRole, '', wanted, (old) => completedRole(old, wanted))
  }
  for (const role of roles) {
    plan<AnyRole>(Role as Kind<AnyRole>, role.namespace, roleObject(Role, role, role.namespace), (old) =>
      completedRole(old, roleObject(Role, role, role.namespace)),
    )
  }
  for (const binding of clusterRoleBindings) {
    plan(ClusterRoleBinding, '', bindingObject(ClusterRoleBinding, binding), (old) =>
      completedBinding(old, bindingObject(ClusterRoleBinding, binding)),
    )
  }
  for (const binding of roleBindings) {
    plan<AnyBinding>(RoleBinding as Kind<AnyBinding>, binding.namespace, bindingObject(RoleBinding, binding), (old) =>
      completedBinding(old, bindingObject(RoleBinding, binding)),
    )
  }
  await runAll(work)
}

async function runAll(work: (() => Promise<unknown>)[]): Promise<void> {
  const worker = async (): Promise<void> => {
    for (let next = work.shift(); next !== undefined; next = work.shift()) {
      try {
        await next()
      } catch (error) {
        // Another API server, or a person, was faster.
        if (!isApiError(error, 'AlreadyExists') && !isApiError(error, 'Conflict') && !isApiError(error, 'NotFound')) throw error
      }
    }
  }
  await Promise.all(Array.from({ length: concurrency }, worker))
}

// Roles that sum up others are made with their sums, so that they are right from the first moment.
function defaultClusterRoles(): AnyRole[] {
  const all = clusterRoles.map((role) => roleObject(ClusterRole, role))
  for (let step = 0; step < aggregationSteps; step++) {
    for (const role of all) if (role.aggregationRule !== undefined) role.rules = aggregatedRules(role, all)
  }
  return all
}

function roleObject(kind: Kind, role: DefaultRole, namespace = ''): AnyRole {
  const labels: Record<string, string> = { ...defaultLabels }
  if (role.aggregatesTo !== undefined) labels[`rbac.authorization.k8s.io/aggregate-to-${role.aggregatesTo}`] = 'true'
  const selector = { matchLabels: { [`rbac.authorization.k8s.io/aggregate-to-${role.aggregates}`]: 'true' } }
  return {
    apiVersion: kind.apiVersion,
    kind: kind.kind,
    metadata: metadataOf(role.name, namespace, labels),
    ...(role.aggregates === undefined ? { rules: [...role.rules] } : { aggregationRule: { clusterRoleSelectors: [selector] } }),
  }
}

function bindingObject(kind: Kind, { name, namespace, roleKind, role, subjects }: DefaultBinding): AnyBinding {
  return {
    apiVersion: kind.apiVersion,
    kind: kind.kind,
    metadata: metadataOf(name, namespace, defaultLabels),
    roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind: roleKind, name: role },
    ...(subjects.length === 0 ? {} : { subjects: [...subjects] }),
  }
}

function metadataOf(name: string, namespace: string, labels: Record<string, string>): KubeObject['metadata'] {
  const metadata = { name, ...(namespace === '' ? {} : { namespace }), labels, annotations: { [autoUpdate]: 'true' } }
  // The rest is the registry's to give.
  return metadata as unknown as KubeObject['metadata']
}

/** `old` with what it lacks of `wanted`; undefined when it lacks nothing. */
export function completedRole(old: AnyRole, wanted: AnyRole): AnyRole | undefined {
  const missing: PolicyRule[] = wanted.aggregationRule === undefined ? uncoveredRules(old.rules ?? [], wanted.rules ?? []) : []
  const metadata = completedMetadata(old, wanted)
  const aggregation = old.aggregationRule === undefined && wanted.aggregationRule !== undefined ? wanted.aggregationRule : undefined
  if (missing.length === 0 && metadata === undefined && aggregation === undefined) return undefined
  return {
    ...old,
    metadata: metadata ?? old.metadata,
    ...(missing.length === 0 ? {} : { rules: [...(old.rules ?? []), ...compactRules(missing)] }),
    ...(aggregation === undefined ? {} : { aggregationRule: aggregation }),
  }
}

/** `old` with the subjects it lacks; 'replace' when it binds another role, which cannot be changed. */
export function completedBinding(old: AnyBinding, wanted: AnyBinding): AnyBinding | 'replace' | undefined {
  if (old.roleRef.kind !== wanted.roleRef.kind || old.roleRef.name !== wanted.roleRef.name) return 'replace'
  const same = (a: Subject, b: Subject): boolean => a.kind === b.kind && a.name === b.name && (a.namespace ?? '') === (b.namespace ?? '')
  const missing = (wanted.subjects ?? []).filter((subject) => !(old.subjects ?? []).some((held) => same(held, subject)))
  const metadata = completedMetadata(old, wanted)
  if (missing.length === 0 && metadata === undefined) return undefined
  return {
    ...old,
    metadata: metadata ?? old.metadata,
    ...(missing.length === 0 ? {} : { subjects: [...(old.subjects ?? []), ...missing] }),
  }
}

function completedMetadata(old: KubeObject, wanted: KubeObject): KubeObject['metadata'] | undefined {
  const lacks = (have: Record<string, string> | undefined, want: Record<string, string> | undefined): boolean =>
    Object.entries(want ?? {}).some(([key, value]) => have?.[key] !== value)
  const { labels, annotations } = wanted.metadata
  if (!lacks(old.metadata.labels, labels) && !lacks(old.metadata.annotations, annotations)) return undefined
  return {
    ...old.metadata,
    labels: { ...old.metadata.labels, ...labels },
    annotations: { ...old.metadata.annotations, ...annotations },
  }
}
