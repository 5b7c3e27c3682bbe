// Role of rbac.authorization.k8s.io/v1.
import type * as rbacV1 from '../../generated/rbac-v1.ts'
import { defineKind } from '../../kind.ts'

export type Role = rbacV1.Role

export const Role = defineKind<Role>('rbac.authorization.k8s.io/v1/roles')
