// ResourceQuota of the core group/v1.
import type * as coreV1 from '../../generated/core-v1.ts'
import { defineKind } from '../../kind.ts'

export type ResourceQuota = coreV1.ResourceQuota

export const ResourceQuota = defineKind<ResourceQuota>('core/v1/resourcequotas')
