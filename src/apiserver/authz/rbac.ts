// RBAC over what the watch caches hold. Roles and bindings are compiled once per object and joined into an index by subject;
// a change makes the index anew when it is next asked. Decisions are remembered per user until then.
import type { PolicyRule, RoleRef, Subject } from '#api/generated/rbac-v1'
import { ClusterRole } from '#api/kinds/rbac/cluster-role'
import { ClusterRoleBinding } from '#api/kinds/rbac/cluster-role-binding'
import { Role } from '#api/kinds/rbac/role'
import { RoleBinding } from '#api/kinds/rbac/role-binding'
import { goQuote } from '#api/validation/text'
import type { LocalReader, User } from '../request.ts'
import { type Attributes, type Decision, type LocalAuthorizer, noOpinion } from './authorizer.ts'
import { type CompiledRule, compileRule, matchesPath, matchesResource } from './rules.ts'

/** Rules that somebody has, or the role that should have given them and is not there. */
export interface UserRules {
  readonly rules: readonly PolicyRule[]
  /** Texts of what could not be resolved. */
  readonly errors: readonly string[]
}

export interface RbacAuthorizer extends LocalAuthorizer {
  /** All rules of a user in a namespace (empty: cluster-wide ones alone). */
  rulesFor(user: User, namespace: string): UserRules
  /** The rules of a role that a binding in `namespace` refers to; undefined when it does not exist. */
  rulesOf(roleRef: RoleRef, namespace: string): readonly PolicyRule[] | undefined
}

// What one binding gives to one subject.
interface Grant {
  readonly rules: readonly CompiledRule[]
  readonly reason: string
  /** Text, when the role does not exist. */
  readonly error: string | undefined
}

interface Bindings {
  readonly users: Map<string, Grant[]>
  readonly groups: Map<string, Grant[]>
}

interface Index {
  readonly cluster: Bindings
  readonly namespaces: Map<string, Bindings>
}

// Allowed whatever the name, or only for certain ones.
interface Remembered {
  readonly always: Decision | undefined
  readonly named: readonly { readonly names: ReadonlySet<string>; readonly decision: Decision }[]
  readonly refused: Decision
}

// What was decided for one user, by namespace and then by what was asked.
interface KnownUser {
  size: number
  readonly byNamespace: Map<string, Map<string, Remembered>>
}

const rememberedMax = 2_000

function actionOfAttributes({ verb, group, version, resource, subresource }: Attributes): string {
  return `${verb}|${group}|${version}|${resource}|${subresource}`
}

export function createRbacAuthorizer(reader: LocalReader): RbacAuthorizer {
  const compiledRoles = new WeakMap<object, readonly CompiledRule[]>()
  let index: Index | undefined
  let remembered = new WeakMap<User, KnownUser>()
  const changed = (): void => {
    index = undefined
  }
  for (const kind of [Role, ClusterRole, RoleBinding, ClusterRoleBinding]) reader.onChange(kind, changed)

  const compiledRules = (role: { rules?: PolicyRule[] }): readonly CompiledRule[] => {
    let rules = compiledRoles.get(role)
    if (rules === undefined) {
      rules = (role.rules ?? []).map(compileRule)
      compiledRoles.set(role, rules)
    }
    return rules
  }
  const roleOf = (ref: RoleRef, namespace: string): { rules?: PolicyRule[] } | undefined =>
    ref.kind === 'ClusterRole' ? reader.get(ClusterRole, '', ref.name) : reader.get(Role, namespace, ref.name)
  const current = (): Index => {
    if (index === undefined) {
      index = buildIndex(reader, (ref, namespace) => {
        const role = roleOf(ref, namespace)
        return role === undefined ? undefined : compiledRules(role)
      })
      remembered = new WeakMap()
    }
    return index
  }
  const recall = (attributes: Attributes): Remembered => {
    const now = current()
    let known = remembered.get(attributes.user)
    if (known === undefined) {
      known = { size: 0, byNamespace: new Map() }
      remembered.set(attributes.user, known)
    }
    const { isResource, namespace, verb, path } = attributes
    let inNamespace = known.byNamespace.get(namespace)
    if (inNamespace === undefined) {
      inNamespace = new Map()
      known.byNamespace.set(namespace, inNamespace)
    }
    const key = isResource ? (attributes.action ?? actionOfAttributes(attributes)) : `${verb} ${path}`
    let found = inNamespace.get(key)
    if (found === undefined) {
      found = decide(grantsOf(now, attributes.user, namespace), attributes)
      if (++known.size > rememberedMax) remembered.delete(attributes.user)
      else inNamespace.set(key, found)
    }
    return found
  }

  return {
    name: 'rbac',
    authorize(attributes) {
      const { always, named, refused } = recall(attributes)
      if (always !== undefined) return always
      for (const { names, decision } of named) if (names.has(attributes.name)) return decision
      return refused
    },
    rulesFor(user, namespace) {
      const grants = grantsOf(current(), user, namespace)
      return {
        rules: grants.flatMap((grant) => grant.rules.map((compiled) => compiled.rule)),
        errors: grants.flatMap((grant) => (grant.error === undefined ? [] : [grant.error])),
      }
    },
    rulesOf(roleRef, namespace) {
      const role = roleOf(roleRef, namespace)
      return role === undefined ? undefined : (role.rules ?? [])
    },
  }
}

function decide(grants: readonly Grant[], attributes: Attributes): Remembered {
  const named: { names: ReadonlySet<string>; decision: Decision }[] = []
  for (const { rules, reason } of grants) {
    for (const rule of rules) {
      const matches = attributes.isResource ? matchesResource(rule, attributes) : matchesPath(rule, attributes.verb, attributes.path)
      if (!matches) continue
      const decision: Decision = { verdict: 'allow', reason }
      if (rule.names === undefined || !attributes.isResource) return { always: decision, named, refused: noOpinion }
      named.push({ names: rule.names, decision })
    }
  }
  const errors = grants.flatMap((grant) => (grant.error === undefined ? [] : [grant.error]))
  const text = errors.length > 1 ? `[${errors.join(', ')}]` : errors[0]
  return { always: undefined, named, refused: text === undefined ? noOpinion : { verdict: 'none', reason: `RBAC: ${text}` } }
}

function grantsOf({ cluster, namespaces }: Index, user: User, namespace: string): Grant[] {
  const grants: Grant[] = []
  const collect = ({ users, groups }: Bindings): void => {
    const own = users.get(user.name)
    if (own !== undefined) grants.push(...own)
    for (const group of user.groups) {
      const shared = groups.get(group)
      if (shared !== undefined) grants.push(...shared)
    }
  }
  collect(cluster)
  const local = namespace === '' ? undefined : namespaces.get(namespace)
  if (local !== undefined) collect(local)
  return grants
}

function buildIndex(reader: LocalReader, resolve: (ref: RoleRef, namespace: string) => readonly CompiledRule[] | undefined): Index {
  const index: Index = { cluster: noBindings(), namespaces: new Map() }
  for (const { metadata, roleRef, subjects } of reader.list(ClusterRoleBinding)) {
    const from = `ClusterRoleBinding ${goQuote(metadata.name ?? '')}`
    addGrants(index.cluster, from, roleRef, subjects, '', resolve(roleRef, ''))
  }
  for (const { metadata, roleRef, subjects } of reader.list(RoleBinding)) {
    const namespace = metadata.namespace ?? ''
    let local = index.namespaces.get(namespace)
    if (local === undefined) {
      local = noBindings()
      index.namespaces.set(namespace, local)
    }
    const from = `RoleBinding ${goQuote(`${metadata.name}/${namespace}`)}`
    addGrants(local, from, roleRef, subjects, namespace, resolve(roleRef, namespace))
  }
  return index
}

function noBindings(): Bindings {
  return { users: new Map(), groups: new Map() }
}

function addGrants(
  bindings: Bindings,
  from: string,
  roleRef: RoleRef,
  subjects: readonly Subject[] | undefined,
  namespace: string,
  rules: readonly CompiledRule[] | undefined,
): void {
  const kindName = roleRef.kind === 'ClusterRole' ? 'clusterrole' : 'role'
  const error = rules === undefined ? `${kindName}.rbac.authorization.k8s.io ${goQuote(roleRef.name)} not found` : undefined
  for (const subject of subjects ?? []) {
    const subjectNamespace = subject.namespace === undefined || subject.namespace === '' ? namespace : subject.namespace
    const grant: Grant = {
      rules: rules ?? [],
      error,
      reason: `RBAC: allowed by ${from} of ${roleRef.kind} ${goQuote(roleRef.name)} to ${describeSubject(subject, subjectNamespace)}`,
    }
    if (subject.kind === 'User') add(bindings.users, subject.name, grant)
    else if (subject.kind === 'Group') add(bindings.groups, subject.name, grant)
    else if (subject.kind === 'ServiceAccount' && subjectNamespace !== '') {
      add(bindings.users, `system:serviceaccount:${subjectNamespace}:${subject.name}`, grant)
    }
  }
}

function add(map: Map<string, Grant[]>, key: string, grant: Grant): void {
  const found = map.get(key)
  if (found === undefined) map.set(key, [grant])
  else found.push(grant)
}

function describeSubject({ kind, name }: Subject, namespace: string): string {
  return kind === 'ServiceAccount' ? `ServiceAccount ${goQuote(`${name}/${namespace}`)}` : `${kind} ${goQuote(name)}`
}
