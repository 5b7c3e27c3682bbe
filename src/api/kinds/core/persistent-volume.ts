// PersistentVolume of the core group/v1.
import type * as coreV1 from '../../generated/core-v1.ts'
import { defineKind } from '../../kind.ts'

export type PersistentVolume = coreV1.PersistentVolume

export const PersistentVolume = defineKind<PersistentVolume>('core/v1/persistentvolumes')
