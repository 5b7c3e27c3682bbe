// ClusterRole of rbac.authorization.k8s.io/v1.
import type { FieldError } from '../../errors.ts'
import type * as rbacV1 from '../../generated/rbac-v1.ts'
import { defineKind } from '../../kind.ts'
import { validateLabelSelector } from '../../label-selectors.ts'
import { invalid, required } from '../../validation/field-errors.ts'
import { nameIsPathSegment } from '../../validation/names.ts'
import { defaultColumns } from '../columns.ts'
import { validateRules } from './rules.ts'

export type ClusterRole = rbacV1.ClusterRole

function validate({ rules, aggregationRule }: ClusterRole): FieldError[] {
  const errors = validateRules(rules, false)
  if (aggregationRule === undefined) return errors
  const path = 'aggregationRule.clusterRoleSelectors'
  const selectors = aggregationRule.clusterRoleSelectors ?? []
  if (selectors.length === 0) errors.push(required(path, 'at least one clusterRoleSelector required if aggregationRule is non-nil'))
  for (const [i, selector] of selectors.entries()) {
    const complaints = validateLabelSelector(selector, `${path}[${i}]`)
    if (complaints.length > 0) errors.push(...complaints, invalid(`${path}[${i}]`, null, 'invalid label selector.'))
  }
  return errors
}

export const ClusterRole = defineKind<ClusterRole>('rbac.authorization.k8s.io/v1/clusterroles', {
  validateName: nameIsPathSegment,
  validate,
  allowCreateOnUpdate: true,
  hasGeneration: false,
  columns: defaultColumns,
})
