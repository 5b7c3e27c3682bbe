// Who may do what: rules, bindings, nodes, and what nobody may grant.
import { describe, expect, test } from 'vitest'
import { isApiError } from '#api/errors'
import type { PolicyRule } from '#api/generated/rbac-v1'
import { PersistentVolume } from '#api/kinds/core/persistent-volume'
import { Pod } from '#api/kinds/core/pod'
import { ClusterRole } from '#api/kinds/rbac/cluster-role'
import { ClusterRoleBinding } from '#api/kinds/rbac/cluster-role-binding'
import { Role } from '#api/kinds/rbac/role'
import { RoleBinding } from '#api/kinds/rbac/role-binding'
import { ResourceSlice } from '#api/kinds/resource/resource-slice'
import { fakeReader } from '../fake-reader.testing.ts'
import { fakeRequest } from '../fake-request.testing.ts'
import { attributesOf, forbiddenError } from '../pipeline/authorize.ts'
import type { User } from '../request.ts'
import { aggregatedRules } from './aggregate-roles.ts'
import { type Attributes, mastersAuthorizer, unionAuthorizer } from './authorizer.ts'
import { clusterRoleBindings, clusterRoles } from './default-policy.ts'
import { rbacEscalation } from './escalation.ts'
import { createNodeAuthorizer } from './node.ts'
import { createRbacAuthorizer } from './rbac.ts'
import { completedBinding, completedRole } from './reconcile-policy.ts'
import { describeRule, uncoveredRules } from './rules.ts'

const jane: User = { name: 'jane', groups: ['dev', 'system:authenticated'] }

function ask(method: string, target: string, user: User = jane): Attributes {
  return attributesOf(fakeRequest(target, { method, user }))
}

function world() {
  const reader = fakeReader()
  reader.put(ClusterRole, {
    metadata: { name: 'reader' },
    rules: [
      { verbs: ['get', 'list'], apiGroups: [''], resources: ['pods', 'pods/log'] },
      { verbs: ['get'], apiGroups: [''], resources: ['configmaps'], resourceNames: ['one', 'two'] },
      { verbs: ['get'], apiGroups: ['*'], resources: ['*/scale'] },
      { verbs: ['get'], nonResourceURLs: ['/metrics', '/logs/*'] },
    ],
  })
  reader.put(Role, { metadata: { namespace: 'a', name: 'writer' }, rules: [{ verbs: ['*'], apiGroups: ['apps'], resources: ['*'] }] })
  reader.put(RoleBinding, {
    metadata: { namespace: 'a', name: 'jane-writes' },
    roleRef: { kind: 'Role', name: 'writer' },
    subjects: [{ kind: 'User', name: 'jane' }],
  })
  reader.put(ClusterRoleBinding, {
    metadata: { name: 'devs-read' },
    roleRef: { kind: 'ClusterRole', name: 'reader' },
    subjects: [
      { kind: 'Group', name: 'dev' },
      { kind: 'ServiceAccount', namespace: 'b', name: 'robot' },
    ],
  })
  return { reader, rbac: createRbacAuthorizer(reader) }
}

describe('RBAC', () => {
  test.each([
    ['GET', '/api/v1/namespaces/x/pods/p', true],
    ['GET', '/api/v1/namespaces/x/pods', true],
    ['GET', '/api/v1/namespaces/x/pods?watch=1', false],
    ['GET', '/api/v1/namespaces/x/pods/p/log', true],
    ['GET', '/api/v1/namespaces/x/pods/p/exec', false],
    ['DELETE', '/api/v1/namespaces/x/pods/p', false],
    ['GET', '/api/v1/namespaces/x/configmaps/one', true],
    ['GET', '/api/v1/namespaces/x/configmaps/three', false],
    ['GET', '/api/v1/namespaces/x/configmaps', false],
    ['GET', '/apis/apps/v1/namespaces/x/deployments/d/scale', true],
    ['GET', '/apis/apps/v1/namespaces/x/deployments/d', false],
    ['DELETE', '/apis/apps/v1/namespaces/a/deployments/d', true],
    ['PATCH', '/apis/apps/v1/namespaces/a/deployments/d/status', true],
    ['GET', '/metrics', true],
    ['GET', '/metrics/x', false],
    ['GET', '/logs/kubelet', true],
    ['GET', '/logs', false],
  ])('%s %s: %s', (method, target, allowed) => {
    const { rbac } = world()
    const decision = rbac.authorize(ask(method, target))
    expect(decision.verdict).toBe(allowed ? 'allow' : 'none')
    // Remembered decisions are the same.
    expect(rbac.authorize(ask(method, target))).toEqual(decision)
  })

  test('the reason names binding, role and subject', () => {
    const { rbac } = world()
    expect(rbac.authorize(ask('GET', '/api/v1/pods')).reason).toBe(
      'RBAC: allowed by ClusterRoleBinding "devs-read" of ClusterRole "reader" to Group "dev"',
    )
    expect(rbac.authorize(ask('GET', '/apis/apps/v1/namespaces/a/deployments')).reason).toBe(
      'RBAC: allowed by RoleBinding "jane-writes/a" of Role "writer" to User "jane"',
    )
    const robot = { name: 'system:serviceaccount:b:robot', groups: [] }
    expect(rbac.authorize(ask('GET', '/api/v1/pods', robot)).reason).toContain('to ServiceAccount "robot/b"')
  })

  test('MUSTHOLD 5: rights in one namespace do not reach another, nor the cluster', () => {
    const { rbac } = world()
    for (const target of ['/apis/apps/v1/namespaces/b/deployments/d', '/apis/apps/v1/deployments']) {
      expect(rbac.authorize(ask('GET', target)).verdict).toBe('none')
    }
  })

  test('a change of roles or bindings counts at once', () => {
    const { reader, rbac } = world()
    const deletion = ask('DELETE', '/apis/apps/v1/namespaces/a/deployments/d')
    expect(rbac.authorize(deletion).verdict).toBe('allow')
    reader.put(Role, { metadata: { namespace: 'a', name: 'writer' }, rules: [] })
    expect(rbac.authorize(deletion).verdict).toBe('none')
    reader.remove(Role, 'a', 'writer')
    expect(rbac.authorize(deletion).reason).toBe('RBAC: role.rbac.authorization.k8s.io "writer" not found')
  })

  test('the refusal is worded as everywhere', () => {
    const { rbac } = world()
    const text = (method: string, target: string, user = jane): string => {
      const attributes = ask(method, target, user)
      return forbiddenError(attributes, rbac.authorize(attributes).reason).message
    }
    expect(text('GET', '/api/v1/namespaces/y/secrets')).toBe(
      'secrets is forbidden: User "jane" cannot list resource "secrets" in API group "" in the namespace "y"',
    )
    expect(text('POST', '/api/v1/namespaces/y/pods/p/exec')).toBe(
      'pods "p" is forbidden: User "jane" cannot create resource "pods/exec" in API group "" in the namespace "y"',
    )
    expect(text('DELETE', '/api/v1/nodes/n')).toBe(
      'nodes "n" is forbidden: User "jane" cannot delete resource "nodes" in API group "" at the cluster scope',
    )
    expect(text('GET', '/apis/apps/v1/deployments', { name: '<b>', groups: [] })).toBe(
      'deployments.apps is forbidden: User "&lt;b&gt;" cannot list resource "deployments" in API group "apps" at the cluster scope',
    )
    expect(text('GET', '/configz')).toBe('forbidden: User "jane" cannot get path "/configz"')
  })

  test('members of system:masters may do everything', () => {
    const union = unionAuthorizer([mastersAuthorizer, world().rbac])
    expect(union.authorize(ask('DELETE', '/api/v1/nodes/n', { name: 'root', groups: ['system:masters'] })).verdict).toBe('allow')
    expect(union.authorize(ask('DELETE', '/api/v1/nodes/n', { name: 'system:masters', groups: [] })).verdict).toBe('none')
  })
})

describe('covering', () => {
  const rule = (verbs: string, group: string, resources: string, names?: string): PolicyRule => ({
    verbs: verbs.split(' '),
    apiGroups: [group],
    resources: resources.split(' '),
    ...(names === undefined ? {} : { resourceNames: names.split(' ') }),
  })
  test.each([
    ['the same', [rule('get list', '', 'pods')], rule('get', '', 'pods'), 0],
    ['a verb more', [rule('get', '', 'pods')], rule('get delete', '', 'pods'), 1],
    ['all verbs of some', [rule('get list watch', '', 'pods')], rule('*', '', 'pods'), 1],
    ['joined from two', [rule('get', '', 'pods'), rule('get', '', 'secrets')], rule('get', '', 'pods secrets'), 0],
    ['all names of some', [rule('get', '', 'secrets', 'a')], rule('get', '', 'secrets'), 1],
    ['some names of all', [rule('get', '', 'secrets')], rule('get', '', 'secrets', 'a b'), 0],
    ['a subresource of the resource', [rule('get', '', 'pods')], rule('get', '', 'pods/exec'), 1],
    ['a subresource of all', [rule('get', '', '*/scale')], rule('get', '', 'pods/scale'), 0],
    ['all resources of some', [rule('get', '', 'pods')], rule('get', '', '*'), 1],
    ['another group', [rule('get', 'apps', 'pods')], rule('get', '', 'pods'), 1],
    ['everything', [rule('*', '*', '*')], rule('escalate', 'x', 'y/z', 'n'), 0],
  ])('%s', (_, held, wanted, missing) => {
    expect(uncoveredRules(held, [wanted])).toHaveLength(missing)
  })

  test('paths cover by prefix', () => {
    const held = [{ verbs: ['get'], nonResourceURLs: ['/logs/*', '/x'] }]
    expect(uncoveredRules(held, [{ verbs: ['get'], nonResourceURLs: ['/logs/a', '/logs/*', '/x', '/x/*'] }])).toEqual([
      { verbs: ['get'], nonResourceURLs: ['/x/*'] },
    ])
  })

  test('a rule reads as in Kubernetes’ messages', () => {
    expect(describeRule(rule('get', '', 'pods', 'a b'))).toBe(
      '{APIGroups:[""], Resources:["pods"], ResourceNames:["a" "b"], Verbs:["get"]}',
    )
  })
})

describe('escalation', () => {
  async function validate(
    kind: typeof ClusterRole | typeof Role | typeof RoleBinding,
    object: object,
    options: { user?: User; old?: object; name?: string } = {},
  ): Promise<void> {
    const { reader, rbac } = world()
    const { user = jane, old, name = 'new' } = options
    const plugin = rbacEscalation(() => ({ rbac, authorizer: rbac }))
    reader.put(ClusterRole, {
      metadata: { name: 'binder' },
      rules: [
        { verbs: ['bind'], apiGroups: ['rbac.authorization.k8s.io'], resources: ['clusterroles'], resourceNames: ['admin'] },
        { verbs: ['escalate'], apiGroups: ['rbac.authorization.k8s.io'], resources: ['roles'] },
      ],
    })
    reader.put(ClusterRole, { metadata: { name: 'admin' }, rules: [{ verbs: ['*'], apiGroups: ['*'], resources: ['*'] }] })
    reader.put(ClusterRoleBinding, {
      metadata: { name: 'binder' },
      roleRef: { kind: 'ClusterRole', name: 'binder' },
      subjects: [{ kind: 'User', name: 'betty' }],
    })
    return plugin.validate?.({
      operation: old === undefined ? 'CREATE' : 'UPDATE',
      kind: kind as never,
      subresource: '',
      namespace: kind === ClusterRole ? '' : 'a',
      name,
      object: { metadata: { name }, ...object } as never,
      old: old as never,
      user,
      dryRun: false,
      warn: () => undefined,
      annotate: () => undefined,
    })
  }
  const betty: User = { name: 'betty', groups: [] }
  const deletePods = { rules: [{ verbs: ['delete'], apiGroups: [''], resources: ['pods'] }] }
  const bindTo = (roleName: string) => ({ roleRef: { kind: 'ClusterRole', name: roleName }, subjects: [{ kind: 'User', name: 'x' }] })

  test('MUSTHOLD 10: a role with more than its writer has is refused, in Kubernetes’ words', async () => {
    await expect(validate(ClusterRole, deletePods)).rejects.toThrow(
      'clusterroles.rbac.authorization.k8s.io "new" is forbidden: user "jane" (groups=["dev" "system:authenticated"]) is attempting to grant RBAC permissions not currently held:\n{APIGroups:[""], Resources:["pods"], Verbs:["delete"]}',
    )
    await expect(validate(Role, deletePods)).rejects.toThrow('is forbidden')
  })

  test('MUSTHOLD 10: a role with no more than its writer has is fine', async () => {
    expect(await validate(ClusterRole, { rules: [{ verbs: ['get'], apiGroups: [''], resources: ['pods'] }] })).toBeUndefined()
    expect(await validate(Role, { rules: [{ verbs: ['delete'], apiGroups: ['apps'], resources: ['deployments'] }] })).toBeUndefined()
  })

  test('MUSTHOLD 10: rights of one namespace do not make cluster-wide ones', async () => {
    await expect(
      validate(ClusterRole, { rules: [{ verbs: ['delete'], apiGroups: ['apps'], resources: ['deployments'] }] }),
    ).rejects.toThrow('not currently held')
  })

  test('MUSTHOLD 10: a binding gives only what its writer has, or may bind', async () => {
    expect(await validate(RoleBinding, bindTo('reader'))).toBeUndefined()
    await expect(validate(RoleBinding, bindTo('admin'))).rejects.toThrow('not currently held')
    expect(await validate(RoleBinding, bindTo('admin'), { user: betty })).toBeUndefined()
    await expect(validate(RoleBinding, bindTo('reader'), { user: betty })).rejects.toThrow('not currently held')
  })

  test('MUSTHOLD 10: a role that does not exist cannot be bound by who lacks bind', async () => {
    try {
      await validate(RoleBinding, bindTo('missing'))
      expect.unreachable()
    } catch (error) {
      expect(isApiError(error, 'NotFound')).toBe(true)
    }
  })

  test('MUSTHOLD 10: aggregation takes everything to grant, and so does taking it away to hide it', async () => {
    const aggregationRule = { clusterRoleSelectors: [{ matchLabels: { a: 'b' } }] }
    await expect(validate(ClusterRole, { aggregationRule })).rejects.toThrow('must have cluster-admin privileges to use an aggregationRule')
    await expect(validate(ClusterRole, { rules: [] }, { old: { aggregationRule } })).rejects.toThrow('must have cluster-admin privileges')
  })

  test('escalate lets a role grow; what does not change is not asked about', async () => {
    expect(await validate(Role, deletePods, { user: betty })).toBeUndefined()
    expect(await validate(ClusterRole, deletePods, { old: deletePods })).toBeUndefined()
    expect(await validate(ClusterRole, deletePods, { user: { name: 'root', groups: ['system:masters'] } })).toBeUndefined()
  })
})

describe('the Node authorizer', () => {
  const node: User = { name: 'system:node:n1', groups: ['system:nodes', 'system:authenticated'] }
  const reader = fakeReader()
  const pod = (name: string, nodeName: string, spec: object, metadata: object = {}) =>
    reader.put(Pod, { metadata: { namespace: 'a', name, ...metadata }, spec: { nodeName, containers: [], ...spec } } as never)
  pod('own', 'n1', {
    serviceAccountName: 'web',
    imagePullSecrets: [{ name: 'pull' }],
    containers: [
      {
        name: 'c',
        envFrom: [{ configMapRef: { name: 'from' } }],
        env: [{ name: 'X', valueFrom: { secretKeyRef: { name: 'env', key: 'k' } } }],
      },
    ],
    volumes: [
      { name: 'v', secret: { secretName: 'volume' } },
      { name: 'p', projected: { sources: [{ configMap: { name: 'projected' } }] } },
      { name: 'c', persistentVolumeClaim: { claimName: 'claim' } },
      { name: 'e', ephemeral: {} },
    ],
  })
  pod('other', 'n2', { serviceAccountName: 'db', volumes: [{ name: 'v', secret: { secretName: 'theirs' } }] })
  pod(
    'mirror',
    'n1',
    { volumes: [{ name: 'v', secret: { secretName: 'stolen' } }] },
    { annotations: { 'kubernetes.io/config.mirror': 'x' } },
  )
  reader.put(PersistentVolume, {
    metadata: { name: 'pv' },
    spec: { claimRef: { namespace: 'a', name: 'claim' }, csi: { nodeStageSecretRef: { namespace: 'csi', name: 'stage' } } },
  } as never)
  reader.put(ResourceSlice, { metadata: { name: 's1' }, spec: { nodeName: 'n1' } } as never)
  reader.put(ResourceSlice, { metadata: { name: 's2' }, spec: { nodeName: 'n2' } } as never)
  const authorizer = createNodeAuthorizer(reader)
  const slices = '/apis/resource.k8s.io/v1/resourceslices'
  const a = '/api/v1/namespaces/a'

  test.each([
    ['GET', `${a}/secrets/volume`, true],
    ['GET', `${a}/secrets/env`, true],
    ['GET', `${a}/secrets/pull`, true],
    ['GET', `${a}/secrets?watch=1&fieldSelector=metadata.name%3Dvolume`, true],
    ['GET', '/api/v1/namespaces/csi/secrets/stage', true],
    ['GET', `${a}/configmaps/from`, true],
    ['GET', `${a}/configmaps/projected`, true],
    ['GET', `${a}/persistentvolumeclaims/claim`, true],
    ['GET', `${a}/persistentvolumeclaims/own-e`, true],
    ['GET', '/api/v1/persistentvolumes/pv', true],
    ['POST', `${a}/serviceaccounts/web/token`, true],
    ['GET', '/apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases/n1', true],
    ['POST', '/apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases', true],
    ['GET', '/api/v1/nodes/n1', true],
    ['GET', '/api/v1/nodes?watch=1&fieldSelector=metadata.name%3Dn1', true],
    ['PATCH', '/api/v1/nodes/n1/status', true],
    ['GET', `${slices}/s1`, true],
    ['POST', slices, true],
    ['GET', `${slices}?fieldSelector=spec.nodeName%3Dn1`, true],
    ['PATCH', `${a}/persistentvolumeclaims/claim/status`, true],
    ['GET', '/api/v1/pods?watch=1&fieldSelector=spec.nodeName%3Dn1', true],
    ['GET', `${a}/pods/own`, true],
    ['PATCH', `${a}/pods/own/status`, true],
    ['GET', '/api/v1/services?watch=1', true],
    ['POST', '/apis/authentication.k8s.io/v1/tokenreviews', true],
  ])('%s %s: allowed', (method, target) => {
    expect(authorizer.authorize(ask(method, target, node)).verdict).toBe('allow')
  })

  test.each([
    ['GET', `${a}/secrets/theirs`],
    ['GET', `${a}/secrets/stolen`],
    ['GET', `${a}/secrets`],
    ['GET', '/api/v1/namespaces/b/secrets/volume'],
    ['PUT', `${a}/secrets/volume`],
    ['DELETE', `${a}/configmaps/from`],
    ['POST', `${a}/serviceaccounts/db/token`],
    ['GET', '/apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases/n2'],
    ['GET', '/apis/coordination.k8s.io/v1/namespaces/kube-system/leases/n1'],
    ['GET', '/api/v1/nodes/n2'],
    ['GET', '/api/v1/nodes/n1/status'],
    ['GET', `${slices}/s2`],
    ['DELETE', `${slices}/s2`],
    ['GET', slices],
    ['GET', `${a}/persistentvolumeclaims/claim/status`],
    ['GET', '/api/v1/nodes'],
    ['DELETE', '/api/v1/nodes/n1'],
    ['GET', '/api/v1/pods'],
    ['GET', '/api/v1/pods?fieldSelector=spec.nodeName%3Dn2'],
    ['GET', `${a}/pods/other`],
    ['POST', `${a}/pods/own/exec`],
    ['GET', '/api/v1/nodes/n2/proxy/x'],
    ['POST', '/apis/apps/v1/namespaces/a/deployments'],
  ])('MUSTHOLD 15: %s %s: not allowed', (method, target) => {
    expect(authorizer.authorize(ask(method, target, node)).verdict).toBe('none')
  })

  test('MUSTHOLD 15: a name without the group is no node', () => {
    expect(authorizer.authorize(ask('GET', `${a}/secrets/volume`, { name: 'system:node:n1', groups: [] })).verdict).toBe('none')
  })

  test('MUSTHOLD 15: a node loses a secret with the pod that used it', () => {
    const secret = ask('GET', `${a}/secrets/brief`, node)
    pod('brief', 'n1', { volumes: [{ name: 'v', secret: { secretName: 'brief' } }] })
    expect(authorizer.authorize(secret).verdict).toBe('allow')
    reader.remove(Pod, 'a', 'brief')
    expect(authorizer.authorize(secret).verdict).toBe('none')
  })

  test.each([
    ['GET', `${a}/secrets/theirs`, "no relationship found between node 'n1' and this object"],
    ['PUT', `${a}/secrets/volume`, 'can only read resources of this type'],
    ['GET', '/api/v1/secrets', 'can only read namespaced object of this type'],
    ['GET', `${a}/secrets`, 'No Object name found'],
    ['GET', '/api/v1/nodes', "node 'n1' cannot read all nodes, only its own Node object"],
    ['GET', '/api/v1/nodes/n2', "node 'n1' cannot read 'n2', only its own Node object"],
    ['GET', '/api/v1/pods', 'can only list/watch pods with spec.nodeName field selector'],
    ['GET', `${a}/persistentvolumeclaims`, 'can only get individual resources of this type'],
    [
      'GET',
      '/apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases',
      'can only get, create, update, patch, or delete a node lease',
    ],
    [
      'GET',
      '/apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases/n2',
      'can only access node lease with the same name as the requesting node',
    ],
  ])('%s %s is refused in words: %s', (method, target, reason) => {
    expect(authorizer.authorize(ask(method, target, node))).toEqual({ verdict: 'none', reason })
  })

  test('a node without a name is told that it is unknown', () => {
    const nameless: User = { name: 'system:node:', groups: ['system:nodes'] }
    expect(authorizer.authorize(ask('GET', '/api/v1/nodes', nameless)).reason).toBe('unknown node for user "system:node:"')
  })
})

describe('the default policy', () => {
  const named = (name: string) => ({ metadata: { name }, rules: [...clusterRoles.find((role) => role.name === name)!.rules] })

  test('view gives no secrets and no exec; edit gives both; admin manages roles', () => {
    const all = clusterRoles.map(({ name, rules, aggregates, aggregatesTo }) => ({
      apiVersion: '',
      kind: '',
      metadata: { name, labels: aggregatesTo === undefined ? {} : { [`to-${aggregatesTo}`]: 'y' } },
      rules: [...rules],
      ...(aggregates === undefined ? {} : { aggregationRule: { clusterRoleSelectors: [{ matchLabels: { [`to-${aggregates}`]: 'y' } }] } }),
    }))
    const sum = (name: string): PolicyRule[] => {
      const role = all.find((candidate) => candidate.metadata.name === name)!
      return aggregatedRules(role as never, all as never)
    }
    const view = sum('view')
    const may = (rules: PolicyRule[], verb: string, group: string, resource: string) =>
      uncoveredRules(rules, [{ verbs: [verb], apiGroups: [group], resources: [resource] }]).length === 0
    expect(may(view, 'get', '', 'pods')).toBe(true)
    expect(may(view, 'get', '', 'secrets')).toBe(false)
    expect(may(view, 'get', '', 'pods/exec')).toBe(false)
    all.find((role) => role.metadata.name === 'view')!.rules = view
    const edit = sum('edit')
    expect(may(edit, 'create', '', 'pods/exec')).toBe(true)
    expect(may(edit, 'get', '', 'secrets')).toBe(true)
    expect(may(edit, 'create', 'rbac.authorization.k8s.io', 'roles')).toBe(false)
    all.find((role) => role.metadata.name === 'edit')!.rules = edit
    expect(may(sum('admin'), 'create', 'rbac.authorization.k8s.io', 'roles')).toBe(true)
  })

  test('every binding names a role that exists, and names are unique', () => {
    const names = clusterRoles.map((role) => role.name)
    expect(new Set(names).size).toBe(names.length)
    expect(clusterRoleBindings.filter((binding) => !names.includes(binding.role))).toEqual([])
  })

  test('reconciling adds what is missing and keeps what people added', () => {
    const wanted = named('system:discovery') as never
    const old = { metadata: { name: 'system:discovery' }, rules: [{ verbs: ['get'], nonResourceURLs: ['/api', '/mine'] }] } as never
    const next = completedRole(old, wanted)!
    expect(next.rules?.[0]).toEqual({ verbs: ['get'], nonResourceURLs: ['/api', '/mine'] })
    expect(uncoveredRules(next.rules!, (wanted as ClusterRole).rules!)).toEqual([])
    expect(completedRole(next, wanted)).toBeUndefined()
  })

  test('a binding that names another role is replaced, one that lacks subjects gets them', () => {
    const wanted = {
      metadata: { name: 'b' },
      roleRef: { kind: 'ClusterRole', name: 'r' },
      subjects: [{ kind: 'Group', name: 'g' }],
    } as never
    expect(completedBinding({ metadata: {}, roleRef: { kind: 'ClusterRole', name: 'x' } } as never, wanted)).toBe('replace')
    const next = completedBinding(
      { metadata: {}, roleRef: { kind: 'ClusterRole', name: 'r' }, subjects: [{ kind: 'User', name: 'u' }] } as never,
      wanted,
    )
    expect(next).toMatchObject({ subjects: [{ name: 'u' }, { name: 'g' }] })
  })
})
