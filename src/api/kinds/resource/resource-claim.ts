// ResourceClaim of resource.k8s.io/v1.
import type * as resourceV1 from '../../generated/resource-v1.ts'
import { defineKind } from '../../kind.ts'

export type ResourceClaim = resourceV1.ResourceClaim

export const ResourceClaim = defineKind<ResourceClaim>('resource.k8s.io/v1/resourceclaims')
