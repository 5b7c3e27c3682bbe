// VolumeAttachment of storage.k8s.io/v1.
import type * as storageV1 from '../../generated/storage-v1.ts'
import { defineKind } from '../../kind.ts'

export type VolumeAttachment = storageV1.VolumeAttachment

export const VolumeAttachment = defineKind<VolumeAttachment>('storage.k8s.io/v1/volumeattachments')
