// StorageClass of storage.k8s.io/v1: how volumes are made for claims.
import type { FieldError } from '../../errors.ts'
import type { TopologySelectorTerm } from '../../generated/core-v1.ts'
import type * as storageV1 from '../../generated/storage-v1.ts'
import { canonicalJson } from '../../hash.ts'
import { column, defineKind } from '../../kind.ts'
import { duplicate, immutable, notSupported, required } from '../../validation/field-errors.ts'
import { validateLabelName } from '../../validation/object-meta.ts'
import { ageColumn, unset } from '../columns.ts'
import { deprecatedLabel } from '../core/node-labels.ts'
import { validateParameters, validateProvisioner } from './class-checks.ts'

export type StorageClass = storageV1.StorageClass

const defaultAnnotations = ['storageclass.kubernetes.io/is-default-class', 'storageclass.beta.kubernetes.io/is-default-class']

/** Claims that name no class get this one. */
export function isDefaultStorageClass({ metadata }: Pick<StorageClass, 'metadata'>): boolean {
  return defaultAnnotations.some((annotation) => metadata.annotations?.[annotation] === 'true')
}

function validate(storageClass: StorageClass): FieldError[] {
  const { provisioner, parameters, reclaimPolicy, volumeBindingMode, allowedTopologies } = storageClass
  const errors = validateProvisioner(provisioner, 'provisioner')
  errors.push(...validateParameters(parameters, 'parameters', true))
  if (reclaimPolicy && !['Delete', 'Retain'].includes(reclaimPolicy)) {
    errors.push(notSupported('reclaimPolicy', reclaimPolicy, ['Delete', 'Retain']))
  }
  const modes = ['Immediate', 'WaitForFirstConsumer']
  if (volumeBindingMode === undefined) errors.push(required('volumeBindingMode'))
  else if (!modes.includes(volumeBindingMode)) errors.push(notSupported('volumeBindingMode', volumeBindingMode, modes))
  return [...errors, ...validateTopologies(allowedTopologies ?? [])]
}

function validateTopologies(terms: readonly TopologySelectorTerm[]): FieldError[] {
  const errors: FieldError[] = []
  const seen: string[] = []
  for (const [i, term] of terms.entries()) {
    const path = `allowedTopologies[${i}].matchLabelExpressions`
    errors.push(...validateTopologyTerm(term, path))
    const values = Object.fromEntries((term.matchLabelExpressions ?? []).map(({ key, values }) => [key, [...new Set(values)].sort()]))
    const text = canonicalJson(values)
    const alike = seen.filter((other) => other === text)
    // Compat: Kubernetes compares with as many empty terms as there are terms, too.
    const empty = text === '{}' ? terms : []
    for (const _ of [...empty, ...alike]) errors.push(duplicate(path, ''))
    seen.push(text)
  }
  return errors
}

function validateTopologyTerm(term: TopologySelectorTerm, path: string): FieldError[] {
  const errors: FieldError[] = []
  const keys = new Set<string>()
  for (const [i, { key, values }] of (term.matchLabelExpressions ?? []).entries()) {
    const at = `${path}[${i}]`
    if (values.length === 0) errors.push(required(`${at}.values`))
    for (const [j, value] of values.entries()) {
      if (values.indexOf(value) < j) errors.push(duplicate(`${at}.values[${j}]`, value))
    }
    errors.push(...validateLabelName(key, `${at}.key`))
    if (keys.has(key)) errors.push(duplicate(`${at}.key`, key))
    keys.add(key)
  }
  return errors
}

function validateUpdate(storageClass: StorageClass, old: StorageClass): FieldError[] {
  const fixed = ['parameters', 'provisioner', 'reclaimPolicy', 'volumeBindingMode'] as const
  return fixed.flatMap((field) => immutable(field, storageClass[field], old[field]))
}

function warnings({ allowedTopologies }: StorageClass): string[] {
  const found: string[] = []
  for (const [i, { matchLabelExpressions }] of (allowedTopologies ?? []).entries()) {
    for (const [j, { key }] of (matchLabelExpressions ?? []).entries()) {
      const problem = deprecatedLabel(key)
      if (problem !== undefined) found.push(`allowedTopologies[${i}].matchLabelExpressions[${j}].key: ${problem}`)
    }
  }
  return found
}

export const StorageClass = defineKind<StorageClass>('storage.k8s.io/v1/storageclasses', {
  setDefaults(storageClass) {
    storageClass.reclaimPolicy ??= 'Delete'
    storageClass.volumeBindingMode ??= 'Immediate'
  },
  validate,
  validateUpdate,
  warnings,
  columns: [
    column<StorageClass>('Name', (object) => `${object.metadata.name}${isDefaultStorageClass(object) ? ' (default)' : ''}`, {
      format: 'name',
    }),
    column<StorageClass>('Provisioner', ({ provisioner }) => provisioner),
    column<StorageClass>('ReclaimPolicy', ({ reclaimPolicy }) => reclaimPolicy ?? 'Delete'),
    column<StorageClass>('VolumeBindingMode', ({ volumeBindingMode }) => volumeBindingMode ?? unset),
    column<StorageClass>('AllowVolumeExpansion', ({ allowVolumeExpansion }) => allowVolumeExpansion === true),
    ageColumn,
  ],
})
