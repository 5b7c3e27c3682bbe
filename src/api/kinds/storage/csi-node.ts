// CSINode of storage.k8s.io/v1.
import type * as storageV1 from '../../generated/storage-v1.ts'
import { defineKind } from '../../kind.ts'

export type CSINode = storageV1.CSINode

export const CSINode = defineKind<CSINode>('storage.k8s.io/v1/csinodes')
