// Binding of the core group/v1.
import type * as coreV1 from '../../generated/core-v1.ts'
import { defineKind } from '../../kind.ts'

export type Binding = coreV1.Binding

export const Binding = defineKind<Binding>('core/v1/bindings')
