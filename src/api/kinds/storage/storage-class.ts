// StorageClass of storage.k8s.io/v1.
import type * as storageV1 from '../../generated/storage-v1.ts'
import { defineKind } from '../../kind.ts'

export type StorageClass = storageV1.StorageClass

export const StorageClass = defineKind<StorageClass>('storage.k8s.io/v1/storageclasses')
