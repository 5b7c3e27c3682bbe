// ServiceAccount of the core group.
import type * as coreV1 from '../../generated/core-v1.ts'
import { defineKind } from '../../kind.ts'
import { ageColumn, nameColumn } from '../columns.ts'

export type ServiceAccount = coreV1.ServiceAccount

const mountableOnly = 'kubernetes.io/enforce-mountable-secrets'

export const ServiceAccount = defineKind<ServiceAccount>('core/v1/serviceaccounts', {
  warnings({ metadata }, old) {
    const isNew = metadata.annotations?.[mountableOnly] !== undefined && old?.metadata.annotations?.[mountableOnly] === undefined
    const advice = 'deprecated in v1.32+; prefer separate namespaces to isolate access to mounted secrets'
    return isNew ? [`metadata.annotations[${mountableOnly}]: ${advice}`] : []
  },
  columns: [nameColumn, ageColumn],
})
