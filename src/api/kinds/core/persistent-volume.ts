// PersistentVolume of the core group.
import { timestamp } from '#base/clock'
import type { FieldError } from '../../errors.ts'
import type * as coreV1 from '../../generated/core-v1.ts'
import { column, defineKind } from '../../kind.ts'
import { canonicalQuantity, isQuantity, parseQuantity, quantitySign, quantityValue } from '../../quantity.ts'
import { forbidden, immutable, invalid, invalidEach, notSupported, required, semanticEqual } from '../../validation/field-errors.ts'
import { goDiff } from '../../validation/go-diff.ts'
import { nameIsDnsSubdomain } from '../../validation/names.ts'
import { ageColumn, nameColumn, unset } from '../columns.ts'
import { validateAccessModes, validateVolumeMode } from './claim-spec.ts'
import { classAnnotationWarnings, shortAccessModes, storageClassOf } from './persistent-volumes.ts'
import { roundToMilli } from './pod-defaults.ts'
import { validateNodeSelector } from './pod-scheduling.ts'
import { nodeTermWarnings } from './pod-warnings.ts'
import { persistentSources, validateSources } from './volume-sources.ts'

export type PersistentVolume = coreV1.PersistentVolume

const reclaimPolicies = ['Delete', 'Recycle', 'Retain']

function setDefaults(volume: PersistentVolume): void {
  volume.spec ??= {}
  volume.status ??= {}
  volume.status.phase ||= 'Pending'
  const { spec } = volume
  spec.persistentVolumeReclaimPolicy ||= 'Retain'
  spec.volumeMode ??= 'Filesystem'
  if (spec.hostPath !== undefined) spec.hostPath.type ??= ''
  if (spec.iscsi !== undefined) spec.iscsi.iscsiInterface ||= 'default'
  if (spec.rbd !== undefined) {
    spec.rbd.pool ||= 'rbd'
    spec.rbd.user ||= 'admin'
    spec.rbd.keyring ||= '/etc/ceph/keyring'
  }
  roundToMilli(spec.capacity)
}

/** `inline`: the volume of an attachment, which has no capacity, class or claim. */
export function validateVolumeSpec(spec: coreV1.PersistentVolumeSpec, path: string, inline: boolean): FieldError[] {
  const errors: FieldError[] = []
  if (inline) errors.push(...validateInline(spec, path))
  if ((spec.accessModes ?? []).length === 0) errors.push(required(`${path}.accessModes`))
  errors.push(...validateAccessModes(spec.accessModes, `${path}.accessModes`))
  if (!inline) errors.push(...validateCapacity(spec.capacity, `${path}.capacity`))
  const policy = spec.persistentVolumeReclaimPolicy
  if (policy && !inline && !reclaimPolicies.includes(policy)) {
    errors.push(notSupported(`${path}.persistentVolumeReclaimPolicy`, policy, reclaimPolicies))
  }
  if (spec.nodeAffinity !== undefined && !inline) {
    const at = `${path}.nodeAffinity.required`
    if (spec.nodeAffinity.required === undefined) errors.push(required(at, 'must specify required node constraints'))
    else errors.push(...validateNodeSelector(spec.nodeAffinity.required, at))
  }
  const sources = validateSources(spec, path, persistentSources)
  errors.push(...sources.errors)
  if (spec.local !== undefined && spec.nodeAffinity === undefined) {
    errors.push(required(`${path}.nodeAffinity`, 'Local volume requires node affinity'))
  }
  if (sources.count === 0) errors.push(required(path, 'must specify a volume type'))
  if (spec.hostPath !== undefined && /^\/+\.?$/.test(spec.hostPath.path) && policy === 'Recycle') {
    errors.push(forbidden(`${path}.persistentVolumeReclaimPolicy`, "may not be 'recycle' for a hostPath mount of '/'"))
  }
  return [...errors, ...validateClasses(spec, path, inline)]
}

function validateInline(spec: coreV1.PersistentVolumeSpec, path: string): FieldError[] {
  const detail = 'may not be specified in the context of inline volumes'
  const errors: FieldError[] = []
  if (spec.claimRef !== undefined) errors.push(forbidden(`${path}.claimRef`, detail))
  if (Object.keys(spec.capacity ?? {}).length > 0) errors.push(forbidden(`${path}.capacity`, detail))
  if (spec.csi === undefined) errors.push(required(`${path}.csi`, 'has to be specified in the context of inline volumes'))
  if (spec.persistentVolumeReclaimPolicy && spec.persistentVolumeReclaimPolicy !== 'Retain') {
    errors.push(forbidden(`${path}.persistentVolumeReclaimPolicy`, 'may only be Retain in the context of inline volumes'))
  }
  if (spec.nodeAffinity !== undefined) errors.push(forbidden(`${path}.nodeAffinity`, detail))
  if (spec.storageClassName) errors.push(forbidden(`${path}.storageClassName`, detail))
  if (spec.volumeMode !== undefined && spec.volumeMode !== 'Filesystem') {
    errors.push(forbidden(`${path}.volumeMode`, 'may not specify volumeMode other than Filesystem in the context of inline volumes'))
  }
  return errors
}

function validateCapacity(capacity: Record<string, string> = {}, path: string): FieldError[] {
  const errors: FieldError[] = []
  const names = Object.keys(capacity)
  if (names.length === 0) errors.push(required(path))
  if (capacity['storage'] === undefined || names.length > 1) {
    errors.push(notSupported(path, names.length === 0 ? null : capacity, ['storage']))
  }
  for (const [name, amount] of Object.entries(capacity)) {
    if (!isQuantity(amount)) continue
    const at = `${path}[${name}]`
    if (quantityValue(amount) < 0) errors.push(invalid(at, quantityValue(amount), 'must be a valid resource quantity'))
    if (quantitySign(parseQuantity(amount)) <= 0) errors.push(invalid(at, canonicalQuantity(amount), 'must be greater than zero'))
  }
  return errors
}

function validateClasses(spec: coreV1.PersistentVolumeSpec, path: string, inline: boolean): FieldError[] {
  const errors: FieldError[] = []
  const { storageClassName, volumeAttributesClassName } = spec
  if (!inline) {
    if (storageClassName)
      errors.push(...invalidEach(`${path}.storageClassName`, storageClassName, nameIsDnsSubdomain(storageClassName, false)))
    errors.push(...validateVolumeMode(spec.volumeMode, `${path}.volumeMode`))
  }
  if (volumeAttributesClassName === undefined) return errors
  const at = `${path}.volumeAttributesClassName`
  if (volumeAttributesClassName === '') errors.push(required(at, 'an empty string is disallowed'))
  else errors.push(...invalidEach(at, volumeAttributesClassName, nameIsDnsSubdomain(volumeAttributesClassName, false)))
  if (spec.csi === undefined) errors.push(required(`${path}.csi`, 'has to be specified when using volumeAttributesClassName'))
  return errors
}

function sourceOf(spec: coreV1.PersistentVolumeSpec): object {
  const fields = persistentSources.map(({ field }) => field)
  return Object.fromEntries(Object.entries(spec).filter(([name]) => fields.includes(name)))
}

function validateUpdate({ spec }: PersistentVolume, old: PersistentVolume): FieldError[] {
  const errors: FieldError[] = []
  const before = sourceOf(old.spec)
  let after = sourceOf(spec)
  if (old.spec.csi !== undefined && old.spec.csi.controllerExpandSecretRef === undefined && spec.csi !== undefined) {
    const { controllerExpandSecretRef: _, ...csi } = spec.csi
    after = { ...after, csi }
  }
  if (!semanticEqual(after, before)) {
    const diff = goDiff('core.PersistentVolumeSource', before, after)
    errors.push(forbidden('spec.persistentvolumesource', `spec.persistentvolumesource is immutable after creation\n${diff}`))
  }
  errors.push(...immutable('volumeMode', spec.volumeMode, old.spec.volumeMode))
  if (old.spec.nodeAffinity !== undefined && !semanticEqual(spec.nodeAffinity, old.spec.nodeAffinity)) {
    errors.push(invalid('nodeAffinity', spec.nodeAffinity, 'field is immutable, except for updating from beta label to GA'))
  }
  if (old.spec.volumeAttributesClassName !== undefined && spec.volumeAttributesClassName === undefined) {
    errors.push(forbidden('spec.volumeAttributesClassName', 'update from non-nil value to nil is forbidden'))
  }
  return errors
}

const outdatedTypes = [
  ['cephfs', 'deprecated in v1.28, non-functional in v1.31+'],
  ['photonPersistentDisk', 'deprecated in v1.11, non-functional in v1.16+'],
  ['scaleIO', 'deprecated in v1.16, non-functional in v1.22+'],
  ['storageos', 'deprecated in v1.22, non-functional in v1.25+'],
  ['glusterfs', 'deprecated in v1.25, non-functional in v1.26+'],
  ['rbd', 'deprecated in v1.28, non-functional in v1.31+'],
] as const

function warnings({ metadata, spec }: PersistentVolume): string[] {
  const found = classAnnotationWarnings(metadata)
  const mountOptions = 'volume.beta.kubernetes.io/mount-options'
  if (metadata.annotations?.[mountOptions] !== undefined) {
    found.push(`metadata.annotations[${mountOptions}]: deprecated since v1.31; use "mountOptions" attribute instead`)
  }
  if (spec.persistentVolumeReclaimPolicy === 'Recycle') {
    const instead = 'Instead, the recommended approach is to use dynamic provisioning.'
    found.push(`spec.persistentVolumeReclaimPolicy: The Recycle reclaim policy is deprecated. ${instead}`)
  }
  for (const [i, term] of (spec.nodeAffinity?.required?.nodeSelectorTerms ?? []).entries()) {
    found.push(...nodeTermWarnings(term, `spec.nodeAffinity.required.nodeSelectorTerms[${i}]`, false))
  }
  for (const [type, problem] of outdatedTypes) {
    if (spec[type] !== undefined) found.push(`spec.${type === 'storageos' ? 'storageOS' : type}: ${problem}`)
  }
  return found
}

export const PersistentVolume = defineKind<PersistentVolume>('core/v1/persistentvolumes', {
  setDefaults,
  prepareForCreate(volume, { nowMs }) {
    volume.status = { phase: 'Pending', lastPhaseTransitionTime: timestamp(nowMs) }
  },
  validate: ({ spec }) => validateVolumeSpec(spec, 'spec', false),
  validateUpdate,
  warnings,
  prepareForStatusUpdate({ status }, { status: old }, { nowMs }) {
    if (status.phase !== old.phase) {
      const isTold = status.lastPhaseTransitionTime !== undefined && status.lastPhaseTransitionTime !== old.lastPhaseTransitionTime
      if (!isTold) status.lastPhaseTransitionTime = timestamp(nowMs)
    } else if (status.lastPhaseTransitionTime === undefined && old.lastPhaseTransitionTime !== undefined) {
      status.lastPhaseTransitionTime = old.lastPhaseTransitionTime
    }
  },
  hasGeneration: false,
  columns: [
    nameColumn,
    column<PersistentVolume>('Capacity', ({ spec }) => spec.capacity?.['storage'] ?? '0'),
    column<PersistentVolume>('Access Modes', ({ spec }) => shortAccessModes(spec.accessModes)),
    column<PersistentVolume>('Reclaim Policy', ({ spec }) => spec.persistentVolumeReclaimPolicy ?? ''),
    column<PersistentVolume>('Status', ({ metadata, status }) => (metadata.deletionTimestamp ? 'Terminating' : (status.phase ?? ''))),
    column<PersistentVolume>('Claim', ({ spec }) => (spec.claimRef ? `${spec.claimRef.namespace ?? ''}/${spec.claimRef.name ?? ''}` : '')),
    column<PersistentVolume>('StorageClass', storageClassOf),
    column<PersistentVolume>('VolumeAttributesClass', ({ spec }) => spec.volumeAttributesClassName ?? unset),
    column<PersistentVolume>('Reason', ({ status }) => status.reason ?? ''),
    ageColumn,
    column<PersistentVolume>('VolumeMode', ({ spec }) => spec.volumeMode ?? unset, { priority: 1 }),
  ],
})
