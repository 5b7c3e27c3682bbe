// PodTemplate of the core group/v1.
import type * as coreV1 from '../../generated/core-v1.ts'
import { defineKind } from '../../kind.ts'

export type PodTemplate = coreV1.PodTemplate

export const PodTemplate = defineKind<PodTemplate>('core/v1/podtemplates')
