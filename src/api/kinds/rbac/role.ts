// Role of rbac.authorization.k8s.io/v1.
import type * as rbacV1 from '../../generated/rbac-v1.ts'
import { defineKind } from '../../kind.ts'
import { nameIsPathSegment } from '../../validation/names.ts'
import { defaultColumns } from '../columns.ts'
import { validateRules } from './rules.ts'

export type Role = rbacV1.Role

export const Role = defineKind<Role>('rbac.authorization.k8s.io/v1/roles', {
  validateName: nameIsPathSegment,
  validate: ({ rules }) => validateRules(rules, true),
  allowCreateOnUpdate: true,
  hasGeneration: false,
  columns: defaultColumns,
})
