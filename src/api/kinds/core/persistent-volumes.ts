// What PersistentVolumes and their claims show of themselves.

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
