// Namespace of the core group/v1.
import type * as coreV1 from '../../generated/core-v1.ts'
import { defineKind } from '../../kind.ts'

export type Namespace = coreV1.Namespace

export const Namespace = defineKind<Namespace>('core/v1/namespaces')
