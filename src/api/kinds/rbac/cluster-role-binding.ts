// ClusterRoleBinding of rbac.authorization.k8s.io/v1.
import type * as rbacV1 from '../../generated/rbac-v1.ts'
import { defineKind } from '../../kind.ts'
import { nameIsPathSegment } from '../../validation/names.ts'
import { bindingColumns, roleRefImmutable, setBindingDefaults, validateBinding } from './rules.ts'

export type ClusterRoleBinding = rbacV1.ClusterRoleBinding

export const ClusterRoleBinding = defineKind<ClusterRoleBinding>('rbac.authorization.k8s.io/v1/clusterrolebindings', {
  validateName: nameIsPathSegment,
  setDefaults: setBindingDefaults,
  validate: (binding) => validateBinding(binding, ['ClusterRole'], false),
  validateUpdate: roleRefImmutable,
  allowCreateOnUpdate: true,
  hasGeneration: false,
  columns: bindingColumns,
})
