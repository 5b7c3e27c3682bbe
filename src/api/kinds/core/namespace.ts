// Namespace of the core group.
import type { FieldError } from '../../errors.ts'
import type * as coreV1 from '../../generated/core-v1.ts'
import { column, defineKind } from '../../kind.ts'
import { invalid, invalidEach } from '../../validation/field-errors.ts'
import { checkLabelKey, nameIsDnsLabel } from '../../validation/names.ts'
import { validateStandardFinalizer } from '../../validation/object-meta.ts'
import { ageColumn, nameColumn } from '../columns.ts'

export type Namespace = coreV1.Namespace

export const namespaceNameLabel = 'kubernetes.io/metadata.name'
/** The finalizer in spec that holds a namespace until all that is in it is gone. */
export const namespaceFinalizer = 'kubernetes'

function labelWithName({ metadata }: Namespace): void {
  if (metadata.name) metadata.labels = { ...metadata.labels, [namespaceNameLabel]: metadata.name }
}

/** Finalizers in spec; `indexed` says where the complaint is. */
function validateSpecFinalizers({ spec }: Namespace, indexed: boolean): FieldError[] {
  return (spec.finalizers ?? []).flatMap((finalizer, i) => {
    const path = indexed ? `spec.finalizers[${i}]` : 'spec.finalizers'
    return [...invalidEach(path, finalizer, checkLabelKey(finalizer)), ...validateStandardFinalizer(finalizer, path)]
  })
}

/** The `finalize` subresource: the only way to change the finalizers in spec. */
export function validateNamespaceFinalize(namespace: Namespace): FieldError[] {
  return validateSpecFinalizers(namespace, true)
}

export const Namespace = defineKind<Namespace>('core/v1/namespaces', {
  validateName: nameIsDnsLabel,
  setDefaults(namespace) {
    namespace.spec ??= {}
    namespace.status ??= {}
    namespace.status.phase ||= 'Active'
    labelWithName(namespace)
  },
  prepareForCreate(namespace) {
    namespace.status = { phase: 'Active' }
    const finalizers = namespace.spec.finalizers ?? []
    namespace.spec.finalizers = finalizers.includes(namespaceFinalizer) ? finalizers : [...finalizers, namespaceFinalizer]
    labelWithName(namespace)
  },
  prepareForUpdate(namespace, old, { subresource }) {
    namespace.status = old.status
    if (subresource !== 'finalize') namespace.spec = old.spec
  },
  validateCreate: (namespace) => validateSpecFinalizers(namespace, false),
  validateUpdate: (namespace, _, { subresource }) => (subresource === 'finalize' ? validateNamespaceFinalize(namespace) : []),
  validateStatusUpdate({ metadata, status }) {
    if (metadata.deletionTimestamp === undefined && status.phase !== 'Active') {
      return [invalid('status.Phase', status.phase, "may only be 'Active' if `deletionTimestamp` is empty")]
    }
    if (metadata.deletionTimestamp !== undefined && status.phase !== 'Terminating') {
      return [invalid('status.Phase', status.phase, "may only be 'Terminating' if `deletionTimestamp` is not empty")]
    }
    return []
  },
  hasGeneration: false,
  columns: [nameColumn, column<Namespace>('Status', ({ status }) => status.phase ?? ''), ageColumn],
  selectableFields: { 'status.phase': ({ status }) => status.phase ?? '' },
})
