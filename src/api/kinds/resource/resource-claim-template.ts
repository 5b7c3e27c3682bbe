// ResourceClaimTemplate of resource.k8s.io/v1.
import type * as resourceV1 from '../../generated/resource-v1.ts'
import { defineKind } from '../../kind.ts'

export type ResourceClaimTemplate = resourceV1.ResourceClaimTemplate

export const ResourceClaimTemplate = defineKind<ResourceClaimTemplate>('resource.k8s.io/v1/resourceclaimtemplates')
