// Secret of the core group/v1.
import type * as coreV1 from '../../generated/core-v1.ts'
import { defineKind } from '../../kind.ts'

export type Secret = coreV1.Secret

export const Secret = defineKind<Secret>('core/v1/secrets')
