// VolumeAttributesClass of storage.k8s.io/v1.
import type * as storageV1 from '../../generated/storage-v1.ts'
import { defineKind } from '../../kind.ts'

export type VolumeAttributesClass = storageV1.VolumeAttributesClass

export const VolumeAttributesClass = defineKind<VolumeAttributesClass>('storage.k8s.io/v1/volumeattributesclasses')
