// Service of the core group/v1.
import type * as coreV1 from '../../generated/core-v1.ts'
import { defineKind } from '../../kind.ts'

export type Service = coreV1.Service

export const Service = defineKind<Service>('core/v1/services')
