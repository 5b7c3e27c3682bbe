// ResourceClaimTemplate of resource.k8s.io/v1: claims that are made for each pod.
import type * as resourceV1 from '../../generated/resource-v1.ts'
import { defineKind } from '../../kind.ts'
import { immutable } from '../../validation/field-errors.ts'
import { ageColumn, nameColumn } from '../columns.ts'
import { validateTemplateMeta } from '../core/claim-spec.ts'
import { setClaimDefaults, validateClaimSpec } from './device-claims.ts'

export type ResourceClaimTemplate = resourceV1.ResourceClaimTemplate

export const ResourceClaimTemplate = defineKind<ResourceClaimTemplate>('resource.k8s.io/v1/resourceclaimtemplates', {
  setDefaults: ({ spec }) => setClaimDefaults(spec.spec),
  validate: ({ spec }) => [...validateTemplateMeta(spec.metadata, 'spec.metadata'), ...validateClaimSpec(spec.spec, 'spec.spec')],
  validateUpdate: ({ spec }, old) => immutable('spec', spec, old.spec),
  hasGeneration: false,
  columns: [nameColumn, ageColumn],
})
