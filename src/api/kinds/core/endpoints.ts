// Endpoints of the core group/v1.
import type * as coreV1 from '../../generated/core-v1.ts'
import { defineKind } from '../../kind.ts'

export type Endpoints = coreV1.Endpoints

export const Endpoints = defineKind<Endpoints>('core/v1/endpoints')
