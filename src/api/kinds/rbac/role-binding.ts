// RoleBinding of rbac.authorization.k8s.io/v1.
import type * as rbacV1 from '../../generated/rbac-v1.ts'
import { defineKind } from '../../kind.ts'

export type RoleBinding = rbacV1.RoleBinding

export const RoleBinding = defineKind<RoleBinding>('rbac.authorization.k8s.io/v1/rolebindings')
