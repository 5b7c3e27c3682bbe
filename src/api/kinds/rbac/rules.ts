// What roles and bindings of rbac.authorization.k8s.io share: rules, references and subjects.
import type { FieldError } from '../../errors.ts'
import type * as rbacV1 from '../../generated/rbac-v1.ts'
import { type Column, column } from '../../kind.ts'
import type { KubeObject } from '../../object.ts'
import { invalid, invalidEach, notSupported, required } from '../../validation/field-errors.ts'
import { checkPathSegment, nameIsDnsSubdomain } from '../../validation/names.ts'
import { ageColumn, nameColumn } from '../columns.ts'

export const rbacGroup = 'rbac.authorization.k8s.io'

export function validateRules(rules: readonly rbacV1.PolicyRule[] | undefined, namespaced: boolean): FieldError[] {
  return (rules ?? []).flatMap((rule, i) => validateRule(rule, namespaced, `rules[${i}]`))
}

function validateRule(rule: rbacV1.PolicyRule, namespaced: boolean, path: string): FieldError[] {
  const { verbs = [], apiGroups = [], resources = [], resourceNames = [], nonResourceURLs = [] } = rule
  const errors: FieldError[] = []
  if (verbs.length === 0) errors.push(required(`${path}.verbs`, 'verbs must contain at least one value'))
  if (nonResourceURLs.length > 0) {
    const at = `${path}.nonResourceURLs`
    if (namespaced) errors.push(invalid(at, nonResourceURLs, 'namespaced rules cannot apply to non-resource URLs'))
    if (apiGroups.length > 0 || resources.length > 0 || resourceNames.length > 0) {
      errors.push(invalid(at, nonResourceURLs, 'rules cannot apply to both regular resources and non-resource URLs'))
    }
    return errors
  }
  if (apiGroups.length === 0) errors.push(required(`${path}.apiGroups`, 'resource rules must supply at least one api group'))
  if (resources.length === 0) errors.push(required(`${path}.resources`, 'resource rules must supply at least one resource'))
  return errors
}

export interface BindingLike extends KubeObject {
  subjects?: rbacV1.Subject[]
  roleRef: rbacV1.RoleRef
}

export function setBindingDefaults(binding: BindingLike): void {
  binding.roleRef ??= { kind: '', name: '' }
  binding.roleRef.apiGroup ||= rbacGroup
  for (const subject of binding.subjects ?? []) {
    if (subject.kind === 'User' || subject.kind === 'Group') subject.apiGroup ||= rbacGroup
  }
}

/** `namespaced`: a service account without a namespace is one of the binding's. */
export function validateBinding({ roleRef, subjects }: BindingLike, roleKinds: readonly string[], namespaced: boolean): FieldError[] {
  const errors: FieldError[] = []
  if (roleRef.apiGroup !== rbacGroup) errors.push(notSupported('roleRef.apiGroup', roleRef.apiGroup ?? '', [rbacGroup]))
  if (!roleKinds.includes(roleRef.kind)) errors.push(notSupported('roleRef.kind', roleRef.kind ?? '', roleKinds))
  if (!roleRef.name) errors.push(required('roleRef.name'))
  else errors.push(...invalidEach('roleRef.name', roleRef.name, checkPathSegment(roleRef.name)))
  return [...errors, ...(subjects ?? []).flatMap((subject, i) => validateSubject(subject, namespaced, `subjects[${i}]`))]
}

function validateSubject({ kind, name, namespace, apiGroup = '' }: rbacV1.Subject, namespaced: boolean, path: string): FieldError[] {
  const errors: FieldError[] = []
  if (!name) errors.push(required(`${path}.name`))
  if (kind === 'ServiceAccount') {
    if (name) errors.push(...invalidEach(`${path}.name`, name, nameIsDnsSubdomain(name, false)))
    if (apiGroup !== '') errors.push(notSupported(`${path}.apiGroup`, apiGroup, ['']))
    if (!namespaced && !namespace) errors.push(required(`${path}.namespace`))
  } else if (kind === 'User' || kind === 'Group') {
    if (apiGroup !== rbacGroup) errors.push(notSupported(`${path}.apiGroup`, apiGroup, [rbacGroup]))
  } else errors.push(notSupported(`${path}.kind`, kind ?? '', ['ServiceAccount', 'User', 'Group']))
  return errors
}

export function roleRefImmutable({ roleRef }: BindingLike, old: BindingLike): FieldError[] {
  const same = (['apiGroup', 'kind', 'name'] as const).every((field) => roleRef[field] === old.roleRef[field])
  // Compat: shown as Kubernetes' internal structure.
  const shown = { APIGroup: roleRef.apiGroup, Kind: roleRef.kind, Name: roleRef.name }
  return same ? [] : [invalid('roleRef', shown, 'cannot change roleRef')]
}

function subjectsCell(binding: BindingLike, kind: string): string {
  const subjects = (binding.subjects ?? []).filter((subject) => subject.kind === kind)
  return subjects.map(({ name, namespace }) => (kind === 'ServiceAccount' ? `${namespace ?? ''}/${name}` : name)).join(', ')
}

export const bindingColumns: readonly Column<BindingLike>[] = [
  nameColumn,
  column<BindingLike>('Role', ({ roleRef }) => `${roleRef.kind}/${roleRef.name}`),
  ageColumn,
  column<BindingLike>('Users', (binding) => subjectsCell(binding, 'User'), { priority: 1 }),
  column<BindingLike>('Groups', (binding) => subjectsCell(binding, 'Group'), { priority: 1 }),
  column<BindingLike>('ServiceAccounts', (binding) => subjectsCell(binding, 'ServiceAccount'), { priority: 1 }),
]
