import { describe, expect, test } from 'vitest'
import type { Manifest } from '../../object.ts'
import { created, createErrors, row, updateErrors } from '../testing.ts'
import { ClusterRole } from './cluster-role.ts'
import { ClusterRoleBinding } from './cluster-role-binding.ts'
import { Role } from './role.ts'
import { RoleBinding } from './role-binding.ts'

const pods = { apiGroups: [''], resources: ['pods'], verbs: ['get'] }
const rbac = 'rbac.authorization.k8s.io'

describe('roles', () => {
  test.each<[string, Manifest<Role>, string[]]>([
    ['rules on resources', { rules: [pods] }, []],
    ['names may have colons', { metadata: { name: 'system:reader' }, rules: [] }, []],
    [
      'rules say what may be done',
      { rules: [{ ...pods, verbs: [] }] },
      ['rules[0].verbs: Required value: verbs must contain at least one value'],
    ],
    [
      'and on what',
      { rules: [{ verbs: ['get'] }] },
      [
        'rules[0].apiGroups: Required value: resource rules must supply at least one api group',
        'rules[0].resources: Required value: resource rules must supply at least one resource',
      ],
    ],
    [
      'paths are no namespace’s',
      { rules: [{ verbs: ['get'], nonResourceURLs: ['/healthz'] }] },
      ['rules[0].nonResourceURLs: Invalid value: ["/healthz"]: namespaced rules cannot apply to non-resource URLs'],
    ],
  ])('%s', (_what, manifest, errors) => {
    expect(createErrors(Role, manifest)).toEqual(errors)
  })

  test('a cluster role is about paths or resources, not both in one rule', () => {
    expect(createErrors(ClusterRole, { rules: [{ verbs: ['get'], nonResourceURLs: ['/healthz'] }] })).toEqual([])
    expect(createErrors(ClusterRole, { rules: [{ ...pods, nonResourceURLs: ['/healthz'] }] })).toEqual([
      'rules[0].nonResourceURLs: Invalid value: ["/healthz"]: rules cannot apply to both regular resources and non-resource URLs',
    ])
  })

  test('a cluster role may be made of others, which it selects', () => {
    expect(createErrors(ClusterRole, { aggregationRule: {} })).toEqual([
      'aggregationRule.clusterRoleSelectors: Required value: at least one clusterRoleSelector required if aggregationRule is non-nil',
    ])
    const path = 'aggregationRule.clusterRoleSelectors[0]'
    const matchExpressions = [{ key: 'a', operator: 'In' as const }]
    expect(createErrors(ClusterRole, { aggregationRule: { clusterRoleSelectors: [{ matchExpressions }] } })).toEqual([
      `${path}.matchExpressions[0].values: Required value: must be specified when \`operator\` is 'In' or 'NotIn'`,
      `${path}: Invalid value: null: invalid label selector.`,
    ])
  })
})

describe('bindings', () => {
  const binding: Manifest<RoleBinding> = {
    subjects: [
      { kind: 'User', name: 'jane' },
      { kind: 'ServiceAccount', name: 'bot', namespace: 'default' },
    ],
    roleRef: { apiGroup: rbac, kind: 'Role', name: 'reader' },
  }

  test('subjects and the role get their groups', () => {
    const { subjects, roleRef } = created(RoleBinding, { ...binding, roleRef: { apiGroup: '', kind: 'Role', name: 'reader' } })
    expect(subjects!.map(({ apiGroup }) => apiGroup)).toEqual([rbac, undefined])
    expect(roleRef.apiGroup).toBe(rbac)
  })

  test.each<[string, Manifest<RoleBinding>, string[]]>([
    ['users and service accounts', binding, []],
    [
      'a role of some kind',
      { ...binding, roleRef: { apiGroup: rbac, kind: 'Group', name: 'reader' } },
      ['roleRef.kind: Unsupported value: "Group": supported values: "Role", "ClusterRole"'],
    ],
    ['with a name', { ...binding, roleRef: { apiGroup: rbac, kind: 'Role', name: '' } }, ['roleRef.name: Required value']],
    ['a service account without a namespace', { ...binding, subjects: [{ kind: 'ServiceAccount', name: 'bot' }] }, []],
    [
      'subjects are three kinds',
      { ...binding, subjects: [{ kind: 'Robot', name: 'bot' }] },
      ['subjects[0].kind: Unsupported value: "Robot": supported values: "ServiceAccount", "User", "Group"'],
    ],
  ])('%s', (_what, manifest, errors) => {
    expect(createErrors(RoleBinding, manifest)).toEqual(errors)
  })

  test('the role stays', () => {
    expect(updateErrors(RoleBinding, binding, { ...binding, roleRef: { apiGroup: rbac, kind: 'Role', name: 'writer' } })).toEqual([
      'roleRef: Invalid value: {"APIGroup":"rbac.authorization.k8s.io","Kind":"Role","Name":"writer"}: cannot change roleRef',
    ])
  })

  test('a cluster role binding binds cluster roles', () => {
    expect(createErrors(ClusterRoleBinding, { roleRef: { apiGroup: rbac, kind: 'Role', name: 'a' } })).toEqual([
      'roleRef.kind: Unsupported value: "Role": supported values: "ClusterRole"',
    ])
    const roleRef = { apiGroup: rbac, kind: 'ClusterRole', name: 'a' }
    expect(createErrors(ClusterRoleBinding, { roleRef, subjects: [{ kind: 'ServiceAccount', name: 'bot' }] })).toEqual([
      'subjects[0].namespace: Required value',
    ])
  })

  test('the table shows role and subjects', () => {
    expect(row(RoleBinding, created(RoleBinding, binding))).toMatchObject({
      Role: 'Role/reader',
      Users: 'jane',
      Groups: '',
      ServiceAccounts: 'default/bot',
    })
  })
})
