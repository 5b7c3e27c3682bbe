// The spec of a PersistentVolumeClaim: in claims, in templates of StatefulSets and in ephemeral volumes of pods.
import type { FieldError } from '../../errors.ts'
import type { PersistentVolumeClaimSpec, TypedObjectReference } from '../../generated/core-v1.ts'
import type { ObjectMeta } from '../../generated/meta-v1.ts'
import { validateLabelSelector } from '../../label-selectors.ts'
import { canonicalQuantity, isQuantity, parseQuantity, quantitySign } from '../../quantity.ts'
import { forbidden, invalid, invalidEach, notSupported, required } from '../../validation/field-errors.ts'
import { checkDns1123Subdomain, nameIsDnsLabel, nameIsDnsSubdomain } from '../../validation/names.ts'
import { validateAnnotations, validateLabels } from '../../validation/object-meta.ts'

const accessModes = ['ReadOnlyMany', 'ReadWriteMany', 'ReadWriteOnce', 'ReadWriteOncePod']
const volumeModes = ['Block', 'Filesystem']

export function setClaimSpecDefaults(spec: PersistentVolumeClaimSpec): void {
  spec.resources ??= {}
  spec.volumeMode ??= 'Filesystem'
}

/** Modes are known ones, and ReadWriteOncePod stands alone. */
export function validateAccessModes(modes: readonly string[] | undefined, path: string): FieldError[] {
  const errors: FieldError[] = []
  for (const mode of modes ?? []) if (!accessModes.includes(mode)) errors.push(notSupported(path, mode, accessModes))
  const known = new Set((modes ?? []).filter((mode) => accessModes.includes(mode)))
  if (known.has('ReadWriteOncePod') && known.size > 1) errors.push(forbidden(path, 'may not use ReadWriteOncePod with other access modes'))
  return errors
}

export function validateVolumeMode(mode: string | undefined, path: string): FieldError[] {
  return mode === undefined || volumeModes.includes(mode) ? [] : [notSupported(path, mode, volumeModes)]
}

export function validateClaimSpec(spec: PersistentVolumeClaimSpec, path: string): FieldError[] {
  const errors: FieldError[] = []
  if ((spec.accessModes ?? []).length === 0) errors.push(required(`${path}.accessModes`, 'at least 1 access mode is required'))
  errors.push(...validateLabelSelector(spec.selector, `${path}.selector`))
  errors.push(...validateAccessModes(spec.accessModes, `${path}.accessModes`))
  errors.push(...validateStorageRequest(spec.resources.requests?.['storage'], `${path}.resources[storage]`))
  if (spec.storageClassName) {
    errors.push(...invalidEach(`${path}.storageClassName`, spec.storageClassName, nameIsDnsSubdomain(spec.storageClassName, false)))
  }
  errors.push(...validateVolumeMode(spec.volumeMode, `${path}.volumeMode`))
  if (spec.dataSource !== undefined) errors.push(...validateDataSource(spec.dataSource, `${path}.dataSource`))
  if (spec.dataSourceRef !== undefined) errors.push(...validateDataSource(spec.dataSourceRef, `${path}.dataSourceRef`))
  errors.push(...validateDataSources(spec, path))
  if (spec.volumeAttributesClassName) {
    const name = spec.volumeAttributesClassName
    errors.push(...invalidEach(`${path}.volumeAttributesClassName`, name, nameIsDnsSubdomain(name, false)))
  }
  return errors
}

function validateStorageRequest(amount: string | undefined, path: string): FieldError[] {
  if (amount === undefined) return [required(path)]
  if (!isQuantity(amount) || quantitySign(parseQuantity(amount)) > 0) return []
  return [invalid(path, canonicalQuantity(amount), 'must be greater than zero')]
}

function validateDataSource(source: TypedObjectReference, path: string): FieldError[] {
  const errors: FieldError[] = []
  if (!source.name) errors.push(required(`${path}.name`))
  if (!source.kind) errors.push(required(`${path}.kind`))
  const group = source.apiGroup ?? ''
  if (group === '' && source.kind !== 'PersistentVolumeClaim') {
    errors.push(invalid(path, source.kind, "must be 'PersistentVolumeClaim' when referencing the default apiGroup"))
  }
  if (group !== '') errors.push(...invalidEach(`${path}.apiGroup`, group, checkDns1123Subdomain(group)))
  if (source.namespace) errors.push(...invalidEach(`${path}.namespace`, source.namespace, nameIsDnsLabel(source.namespace, false)))
  return errors
}

function validateDataSources({ dataSource, dataSourceRef }: PersistentVolumeClaimSpec, path: string): FieldError[] {
  if (dataSource === undefined || dataSourceRef === undefined) return []
  // Compat: the rejected value is the path itself, as an empty structure.
  if (dataSourceRef.namespace) return [invalid(path, {}, 'may not be specified when dataSourceRef.namespace is specified')]
  const same =
    dataSource.apiGroup === dataSourceRef.apiGroup && dataSource.kind === dataSourceRef.kind && dataSource.name === dataSourceRef.name
  return same ? [] : [invalid(path, {}, 'must match dataSourceRef')]
}

/** Metadata in a template: labels and annotations only. */
export function validateTemplateMeta(meta: Partial<ObjectMeta> | undefined, path: string): FieldError[] {
  const errors = validateAnnotations(meta?.annotations, `${path}.annotations`)
  errors.push(...validateLabels(meta?.labels, `${path}.labels`))
  for (const [name, value] of Object.entries(meta ?? {})) {
    if (name === 'labels' || name === 'annotations' || !value || (Array.isArray(value) && value.length === 0)) continue
    errors.push(forbidden(`${path}.${name}`, 'cannot be set'))
  }
  return errors
}
