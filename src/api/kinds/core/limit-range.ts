// LimitRange of the core group/v1.
import type * as coreV1 from '../../generated/core-v1.ts'
import { defineKind } from '../../kind.ts'

export type LimitRange = coreV1.LimitRange

export const LimitRange = defineKind<LimitRange>('core/v1/limitranges')
