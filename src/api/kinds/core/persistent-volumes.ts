// What PersistentVolumes and their claims show of themselves, and what they are warned of.
import type { PersistentVolumeClaimSpec } from '../../generated/core-v1.ts'
import { quantityMilliValue } from '../../quantity.ts'

const shortModes: Readonly<Record<string, string>> = {
  ReadWriteOnce: 'RWO',
  ReadOnlyMany: 'ROX',
  ReadWriteMany: 'RWX',
  ReadWriteOncePod: 'RWOP',
}

export const betaStorageClassAnnotation = 'volume.beta.kubernetes.io/storage-class'

/** `RWO,ROX`, in a fixed order, each once. */
export function shortAccessModes(modes: readonly string[] | undefined): string {
  return Object.entries(shortModes)
    .filter(([mode]) => modes?.includes(mode))
    .map(([, short]) => short)
    .join(',')
}

/** The class by annotation, which once was the only way, else by field. */
export function storageClassOf(object: {
  metadata: { annotations?: Record<string, string> }
  spec: { storageClassName?: string }
}): string {
  return object.metadata.annotations?.[betaStorageClassAnnotation] ?? object.spec.storageClassName ?? ''
}

/** The annotation was the first way to name a class. */
export function classAnnotationWarnings({ annotations }: { annotations?: Record<string, string> }): string[] {
  if (annotations === undefined || !Object.hasOwn(annotations, betaStorageClassAnnotation)) return []
  return [`metadata.annotations[${betaStorageClassAnnotation}]: deprecated since v1.8; use "storageClassName" attribute instead`]
}

/** Storage comes in whole bytes. */
export function claimWarnings({ resources }: Pick<PersistentVolumeClaimSpec, 'resources'>, path: string): string[] {
  const warnings: string[] = []
  for (const field of ['requests', 'limits'] as const) {
    const amount = resources?.[field]?.['storage']
    if (amount === undefined || quantityMilliValue(amount) % 1000 === 0) continue
    warnings.push(`${path}.resources.${field}[storage]: fractional byte value "${amount}" is invalid, must be an integer`)
  }
  return warnings
}
