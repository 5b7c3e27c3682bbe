// ResourceSlice of resource.k8s.io/v1.
import type * as resourceV1 from '../../generated/resource-v1.ts'
import { defineKind } from '../../kind.ts'

export type ResourceSlice = resourceV1.ResourceSlice

export const ResourceSlice = defineKind<ResourceSlice>('resource.k8s.io/v1/resourceslices')
