// ComponentStatus of the core group/v1.
import type * as coreV1 from '../../generated/core-v1.ts'
import { defineKind } from '../../kind.ts'

export type ComponentStatus = coreV1.ComponentStatus

export const ComponentStatus = defineKind<ComponentStatus>('core/v1/componentstatuses')
