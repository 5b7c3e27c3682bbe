// CSIStorageCapacity of storage.k8s.io/v1.
import type * as storageV1 from '../../generated/storage-v1.ts'
import { defineKind } from '../../kind.ts'

export type CSIStorageCapacity = storageV1.CSIStorageCapacity

export const CSIStorageCapacity = defineKind<CSIStorageCapacity>('storage.k8s.io/v1/csistoragecapacities')
