// Pod of the core group/v1.
import type * as coreV1 from '../../generated/core-v1.ts'
import { defineKind } from '../../kind.ts'

export type Pod = coreV1.Pod

export const Pod = defineKind<Pod>('core/v1/pods')
