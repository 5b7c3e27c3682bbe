// RoleBinding of rbac.authorization.k8s.io/v1.
import type * as rbacV1 from '../../generated/rbac-v1.ts'
import { defineKind } from '../../kind.ts'
import { nameIsPathSegment } from '../../validation/names.ts'
import { bindingColumns, roleRefImmutable, setBindingDefaults, validateBinding } from './rules.ts'

export type RoleBinding = rbacV1.RoleBinding

export const RoleBinding = defineKind<RoleBinding>('rbac.authorization.k8s.io/v1/rolebindings', {
  validateName: nameIsPathSegment,
  setDefaults: setBindingDefaults,
  validate: (binding) => validateBinding(binding, ['Role', 'ClusterRole'], true),
  validateUpdate: roleRefImmutable,
  allowCreateOnUpdate: true,
  hasGeneration: false,
  columns: bindingColumns,
})
