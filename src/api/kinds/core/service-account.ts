// ServiceAccount of the core group.
import type * as coreV1 from '../../generated/core-v1.ts'
import { defineKind } from '../../kind.ts'
import { ageColumn, nameColumn } from '../columns.ts'

export type ServiceAccount = coreV1.ServiceAccount

export const ServiceAccount = defineKind<ServiceAccount>('core/v1/serviceaccounts', {
  columns: [nameColumn, ageColumn],
})
