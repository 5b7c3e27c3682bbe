// PersistentVolumeClaim of the core group.
import type { FieldError } from '../../errors.ts'
import type * as coreV1 from '../../generated/core-v1.ts'
import { column, defineKind } from '../../kind.ts'
import { compareQuantities, isQuantity, parseQuantity, quantityValue } from '../../quantity.ts'
import { forbidden, immutable, invalid, invalidEach, notSupported, required, semanticEqual } from '../../validation/field-errors.ts'
import { goDiff } from '../../validation/go-diff.ts'
import { checkLabelKey } from '../../validation/names.ts'
import { ageColumn, nameColumn, unset } from '../columns.ts'
import { setClaimSpecDefaults, validateClaimSpec } from './claim-spec.ts'
import {
  betaStorageClassAnnotation,
  claimWarnings,
  classAnnotationWarnings,
  shortAccessModes,
  storageClassOf,
} from './persistent-volumes.ts'
import { roundToMilli } from './pod-defaults.ts'
import { isNativeResource } from './resource-names.ts'

export type PersistentVolumeClaim = coreV1.PersistentVolumeClaim

// dataSource and dataSourceRef mean the same for a source in the claim's own namespace: each fills the other.
function normalizeDataSources(spec: coreV1.PersistentVolumeClaimSpec): void {
  if (spec.dataSource !== undefined && spec.dataSourceRef === undefined) spec.dataSourceRef = { ...spec.dataSource }
  else if (spec.dataSourceRef !== undefined && !spec.dataSourceRef.namespace && spec.dataSource === undefined) {
    const { apiGroup, kind, name } = spec.dataSourceRef
    spec.dataSource = { ...(apiGroup !== undefined && { apiGroup }), kind, name }
  }
}

function compareAmounts(a: string | undefined, b: string | undefined): number {
  const parse = (text: string | undefined) => parseQuantity(text !== undefined && isQuantity(text) ? text : '0')
  return compareQuantities(parse(a), parse(b))
}

function validateUpdate(claim: PersistentVolumeClaim, old: PersistentVolumeClaim): FieldError[] {
  const errors: FieldError[] = []
  const bound = claim.status.phase === 'Bound'
  const spec: coreV1.PersistentVolumeClaimSpec = { ...claim.spec, resources: { ...claim.spec.resources } }
  const before: coreV1.PersistentVolumeClaimSpec = { ...old.spec }
  if (!before.volumeName && spec.volumeName) before.volumeName = spec.volumeName
  errors.push(...takeBackClass(claim, old, spec))
  if (bound) {
    if (spec.resources.requests !== undefined) {
      spec.resources.requests = { ...spec.resources.requests }
      const size = old.spec.resources.requests?.['storage']
      if (size !== undefined) spec.resources.requests['storage'] = size
    }
    if (before.volumeAttributesClassName === undefined) delete spec.volumeAttributesClassName
    else spec.volumeAttributesClassName = before.volumeAttributesClassName
  }
  if (!semanticEqual(spec, before)) {
    const diff = goDiff('core.PersistentVolumeClaimSpec', before, spec)
    const detail = 'spec is immutable after creation except resources.requests and volumeAttributesClassName for bound claims'
    errors.push(forbidden('spec', `${detail}\n${diff}`))
  }
  const size = claim.spec.resources.requests?.['storage']
  const shrinks = compareAmounts(size, old.spec.resources.requests?.['storage']) < 0
  if (shrinks && compareAmounts(size, old.status.capacity?.['storage']) <= 0) {
    errors.push(forbidden('spec.resources.requests.storage', 'field can not be less than status.capacity'))
  }
  errors.push(...immutable('volumeMode', claim.spec.volumeMode, old.spec.volumeMode))
  return [...errors, ...validateAttributesClassUpdate(claim.spec.volumeAttributesClassName, old)]
}

// The class may be given once, and may move from the annotation, which was the first way to name it, to the field.
function takeBackClass(claim: PersistentVolumeClaim, old: PersistentVolumeClaim, spec: coreV1.PersistentVolumeClaimSpec): FieldError[] {
  const [annotation, oldAnnotation] = [claim, old].map(({ metadata }) => metadata.annotations?.[betaStorageClassAnnotation])
  const given = old.spec.storageClassName === undefined && spec.storageClassName !== undefined
  const moves = given && spec.storageClassName === oldAnnotation && (annotation === undefined || annotation === oldAnnotation)
  const errors: FieldError[] = []
  if (!moves && (annotation ?? '') !== (oldAnnotation ?? '')) {
    errors.push(invalid(`metadata.annotations.${betaStorageClassAnnotation}`, annotation ?? '', 'field is immutable'))
  }
  if (moves || (given && (oldAnnotation === undefined || spec.storageClassName === oldAnnotation))) delete spec.storageClassName
  return errors
}

// KEP-3751: a volume that has a class keeps one.
function validateAttributesClassUpdate(name: string | undefined, { spec, status }: PersistentVolumeClaim): FieldError[] {
  if (name === spec.volumeAttributesClassName || status.currentVolumeAttributesClassName === undefined || name) return []
  const what = name === undefined ? 'nil' : 'empty string'
  const detail = `update to ${what} is forbidden when status.currentVolumeAttributesClassName is not nil`
  return [forbidden('spec.volumeAttributesClassName', detail)]
}

const resizeStatuses = [
  'ControllerResizeInProgress',
  'ControllerResizeInfeasible',
  'NodeResizeInProgress',
  'NodeResizeInfeasible',
  'NodeResizePending',
]

function validateResourceKey(name: string, path: string): FieldError[] {
  const errors = invalidEach(path, name, checkLabelKey(name))
  return errors.length > 0 || !isNativeResource(name) || name === 'storage' ? errors : [notSupported(path, name, ['storage'])]
}

function validateNotNegative(amount: string, path: string): FieldError[] {
  return isQuantity(amount) && quantityValue(amount) < 0 ? [invalid(path, quantityValue(amount), 'must be a valid resource quantity')] : []
}

function validateStatusUpdate({ spec, status }: PersistentVolumeClaim): FieldError[] {
  const errors: FieldError[] = []
  if ((spec.accessModes ?? []).length === 0) errors.push(required('Spec.accessModes'))
  for (const [name, amount] of Object.entries(status.capacity ?? {})) {
    errors.push(...validateNotNegative(amount, `status.capacity[${name}]`))
  }
  const path = 'status.allocatedResourceStatuses'
  for (const [name, state] of Object.entries(status.allocatedResourceStatuses ?? {})) {
    errors.push(...validateResourceKey(name, path))
    if (!resizeStatuses.includes(state)) errors.push(notSupported(path, name, resizeStatuses))
  }
  for (const [name, amount] of Object.entries(status.allocatedResources ?? {})) {
    const ofKey = validateResourceKey(name, 'status.allocatedResources')
    errors.push(...(ofKey.length > 0 ? ofKey : validateNotNegative(amount, `status.allocatedResources[${name}]`)))
  }
  return errors
}

// Sources that only dataSourceRef can name are left out of dataSource, where old servers would have ignored them; those of other
// namespaces are off (KEP-3294).
function dropUnknownSources(spec: coreV1.PersistentVolumeClaimSpec, old: coreV1.PersistentVolumeClaimSpec | undefined): void {
  if (spec.dataSourceRef?.namespace && old?.dataSourceRef === undefined) delete spec.dataSourceRef
  if (old?.dataSource !== undefined || old?.dataSourceRef !== undefined || spec.dataSourceRef !== undefined) return
  const { kind, apiGroup = '' } = spec.dataSource ?? { kind: '' }
  const isKnown =
    (kind === 'PersistentVolumeClaim' && apiGroup === '') || (kind === 'VolumeSnapshot' && apiGroup === 'snapshot.storage.k8s.io')
  if (!isKnown) delete spec.dataSource
}

export const PersistentVolumeClaim = defineKind<PersistentVolumeClaim>('core/v1/persistentvolumeclaims', {
  setDefaults(claim) {
    claim.spec ??= {} as coreV1.PersistentVolumeClaimSpec
    claim.status ??= {}
    claim.status.phase ||= 'Pending'
    setClaimSpecDefaults(claim.spec)
    roundToMilli(claim.spec.resources.requests)
    roundToMilli(claim.spec.resources.limits)
  },
  prepareForCreate(claim) {
    claim.status = { phase: 'Pending' }
    dropUnknownSources(claim.spec, undefined)
    normalizeDataSources(claim.spec)
  },
  prepareForUpdate(claim, old) {
    claim.status = old.status
    dropUnknownSources(claim.spec, old.spec)
    normalizeDataSources(claim.spec)
  },
  validate: ({ spec }) => validateClaimSpec(spec, 'spec'),
  validateUpdate,
  warnings: ({ metadata, spec }) => [...classAnnotationWarnings(metadata), ...claimWarnings(spec, 'spec')],
  validateStatusUpdate,
  hasGeneration: false,
  columns: [
    nameColumn,
    column<PersistentVolumeClaim>('Status', ({ metadata, status }) => (metadata.deletionTimestamp ? 'Terminating' : (status.phase ?? ''))),
    column<PersistentVolumeClaim>('Volume', ({ spec }) => spec.volumeName ?? ''),
    column<PersistentVolumeClaim>('Capacity', ({ spec, status }) => (spec.volumeName ? (status.capacity?.['storage'] ?? '0') : '')),
    column<PersistentVolumeClaim>('Access Modes', ({ spec, status }) => (spec.volumeName ? shortAccessModes(status.accessModes) : '')),
    column<PersistentVolumeClaim>('StorageClass', storageClassOf),
    column<PersistentVolumeClaim>('VolumeAttributesClass', ({ spec }) => spec.volumeAttributesClassName ?? unset),
    ageColumn,
    column<PersistentVolumeClaim>('VolumeMode', ({ spec }) => spec.volumeMode ?? unset, { priority: 1 }),
  ],
})
