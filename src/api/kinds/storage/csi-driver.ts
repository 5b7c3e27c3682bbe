// CSIDriver of storage.k8s.io/v1: what a volume driver can do and wants.
import type { FieldError } from '../../errors.ts'
import type * as storageV1 from '../../generated/storage-v1.ts'
import { type Column, column, defineKind } from '../../kind.ts'
import { duplicate, immutable, invalid, notSupported, required, semanticEqual } from '../../validation/field-errors.ts'
import { ageColumn, nameColumn, none, unset } from '../columns.ts'

export type CSIDriver = storageV1.CSIDriver

const fsGroupPolicies = ['File', 'None', 'ReadWriteOnceWithFSType']
const lifecycleModes = ['Persistent', 'Ephemeral']
const tokenSecondsMin = 600
const tokenSecondsMax = 2 ** 32
const updatePeriodSecondsMin = 10

function setDefaults({ spec }: CSIDriver): void {
  spec.attachRequired ??= true
  spec.podInfoOnMount ??= false
  spec.storageCapacity ??= false
  spec.fsGroupPolicy ??= 'ReadWriteOnceWithFSType'
  if ((spec.volumeLifecycleModes ?? []).length === 0) spec.volumeLifecycleModes = ['Persistent']
  spec.requiresRepublish ??= false
  spec.seLinuxMount ??= false
}

function validate({ spec }: CSIDriver): FieldError[] {
  const errors: FieldError[] = []
  if (spec.attachRequired === undefined) errors.push(required('spec.attachedRequired'))
  for (const field of ['podInfoOnMount', 'storageCapacity'] as const) if (spec[field] === undefined) errors.push(required(`spec.${field}`))
  if (spec.fsGroupPolicy !== undefined && !fsGroupPolicies.includes(spec.fsGroupPolicy)) {
    errors.push(notSupported('spec.fsGroupPolicy', spec.fsGroupPolicy, fsGroupPolicies))
  }
  errors.push(...validateTokenRequests(spec))
  for (const mode of spec.volumeLifecycleModes ?? []) {
    if (!lifecycleModes.includes(mode)) errors.push(notSupported('spec.volumeLifecycleModes', mode, lifecycleModes))
  }
  if (spec.seLinuxMount === undefined) errors.push(required('spec.seLinuxMount'))
  const period = spec.nodeAllocatableUpdatePeriodSeconds
  if (period !== undefined && period < updatePeriodSecondsMin) {
    const detail = `must be greater than or equal to ${updatePeriodSecondsMin} seconds`
    errors.push(invalid('spec.nodeAllocatableUpdatePeriodSeconds', period, detail))
  }
  const inSecrets = spec.serviceAccountTokenInSecrets
  if (inSecrets !== undefined && (spec.tokenRequests ?? []).length === 0) {
    const detail = 'serviceAccountTokenInSecrets is set but no tokenRequests are specified'
    errors.push(invalid('spec.serviceAccountTokenInSecrets', inSecrets, detail))
  }
  return errors
}

function validateTokenRequests({ tokenRequests }: storageV1.CSIDriverSpec): FieldError[] {
  const errors: FieldError[] = []
  const audiences = new Set<string>()
  for (const [i, { audience, expirationSeconds }] of (tokenRequests ?? []).entries()) {
    const path = `spec.tokenRequests[${i}]`
    if (audiences.has(audience)) {
      errors.push(duplicate(`${path}.audience`, audience))
      continue
    }
    audiences.add(audience)
    if (expirationSeconds === undefined) continue
    if (expirationSeconds < tokenSecondsMin) {
      errors.push(invalid(`${path}.expirationSeconds`, expirationSeconds, 'may not specify a duration less than 10 minutes'))
    }
    if (expirationSeconds > tokenSecondsMax) {
      errors.push(invalid(`${path}.expirationSeconds`, expirationSeconds, 'may not specify a duration larger than 2^32 seconds'))
    }
  }
  return errors
}

// Pods that wait for a driver: an alpha feature, not enabled.
function dropDisabledFields({ spec }: CSIDriver, old?: CSIDriver): void {
  if (old?.spec.preventPodSchedulingIfMissing === undefined) delete spec.preventPodSchedulingIfMissing
}

function prepareForUpdate(driver: CSIDriver, old: CSIDriver): void {
  dropDisabledFields(driver, old)
  // Compat: a driver has no generation before its first change.
  if (!semanticEqual(driver.spec, old.spec)) driver.metadata.generation = (old.metadata.generation ?? 0) + 1
}

function warnings({ spec }: CSIDriver, old: CSIDriver | undefined): string[] {
  if ((spec.tokenRequests ?? []).length === 0 || spec.serviceAccountTokenInSecrets !== undefined) return []
  if (old !== undefined && semanticEqual(spec.tokenRequests, old.spec.tokenRequests)) return []
  const advice = 'if supported by this CSI driver, set to true to prevent possible logging of tokens in volume attributes'
  return [`spec.serviceAccountTokenInSecrets is unset; ${advice}`]
}

function flagColumn(name: string, read: (spec: storageV1.CSIDriverSpec) => boolean | undefined, byDefault = false): Column<CSIDriver> {
  return column<CSIDriver>(name, ({ spec }) => read(spec) ?? byDefault, { type: 'boolean' })
}

export const CSIDriver = defineKind<CSIDriver>('storage.k8s.io/v1/csidrivers', {
  setDefaults,
  prepareForCreate: (driver) => dropDisabledFields(driver),
  prepareForUpdate,
  validate,
  validateUpdate: ({ spec }, old) => [
    ...immutable('spec.attachedRequired', spec.attachRequired, old.spec.attachRequired),
    ...immutable('spec.volumeLifecycleModes', spec.volumeLifecycleModes, old.spec.volumeLifecycleModes),
  ],
  warnings,
  allowUnconditionalUpdate: false,
  hasGeneration: false,
  columns: [
    nameColumn,
    flagColumn('AttachRequired', (spec) => spec.attachRequired, true),
    flagColumn('PodInfoOnMount', (spec) => spec.podInfoOnMount),
    flagColumn('StorageCapacity', (spec) => spec.storageCapacity),
    column<CSIDriver>('TokenRequests', ({ spec }) => spec.tokenRequests?.map(({ audience }) => audience).join(',') ?? unset),
    flagColumn('RequiresRepublish', (spec) => spec.requiresRepublish),
    column<CSIDriver>('Modes', ({ spec }) => spec.volumeLifecycleModes?.join(',') || none),
    ageColumn,
  ],
})
