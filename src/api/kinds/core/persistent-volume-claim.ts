// PersistentVolumeClaim of the core group/v1.
import type * as coreV1 from '../../generated/core-v1.ts'
import { defineKind } from '../../kind.ts'

export type PersistentVolumeClaim = coreV1.PersistentVolumeClaim

export const PersistentVolumeClaim = defineKind<PersistentVolumeClaim>('core/v1/persistentvolumeclaims')
