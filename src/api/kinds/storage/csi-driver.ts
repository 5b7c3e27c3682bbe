// CSIDriver of storage.k8s.io/v1.
import type * as storageV1 from '../../generated/storage-v1.ts'
import { defineKind } from '../../kind.ts'

export type CSIDriver = storageV1.CSIDriver

export const CSIDriver = defineKind<CSIDriver>('storage.k8s.io/v1/csidrivers')
