// ServiceAccount of the core group/v1.
import type * as coreV1 from '../../generated/core-v1.ts'
import { defineKind } from '../../kind.ts'

export type ServiceAccount = coreV1.ServiceAccount

export const ServiceAccount = defineKind<ServiceAccount>('core/v1/serviceaccounts')
