// ResourceClaim of resource.k8s.io/v1: devices that somebody asks for, and what was found.
import type * as resourceV1 from '../../generated/resource-v1.ts'
import { column, defineKind } from '../../kind.ts'
import { immutable } from '../../validation/field-errors.ts'
import { ageColumn, nameColumn } from '../columns.ts'
import { dropDeallocatedDevices, validateClaimStatus } from './claim-status.ts'
import { setClaimDefaults, validateClaimSpec } from './device-claims.ts'

export type ResourceClaim = resourceV1.ResourceClaim

function stateCell({ metadata, status }: ResourceClaim): string {
  const states: string[] = []
  if (metadata.deletionTimestamp !== undefined) states.push('deleted')
  if (status.allocation !== undefined) {
    states.push('allocated')
    if ((status.reservedFor ?? []).length > 0) states.push('reserved')
  } else if (metadata.deletionTimestamp === undefined) states.push('pending')
  return states.join(',')
}

export const ResourceClaim = defineKind<ResourceClaim>('resource.k8s.io/v1/resourceclaims', {
  setDefaults: ({ spec }) => setClaimDefaults(spec),
  validateCreate: ({ spec }) => validateClaimSpec(spec, 'spec'),
  validateUpdate: ({ spec }, old) => immutable('spec', spec, old.spec),
  prepareForStatusUpdate: dropDeallocatedDevices,
  validateStatusUpdate: validateClaimStatus,
  hasGeneration: false,
  columns: [nameColumn, column<ResourceClaim>('State', stateCell), ageColumn],
})
