// DefaultStorageClass: a claim that names no class gets the default one, the newest if there are several.
import { PersistentVolumeClaim } from '#api/kinds/core/persistent-volume-claim'
import { StorageClass } from '#api/kinds/storage/storage-class'
import type { LocalReader } from '../request.ts'
import type { AdmissionPlugin } from './plugin.ts'

const annotations = ['storageclass.kubernetes.io/is-default-class', 'storageclass.beta.kubernetes.io/is-default-class']
const legacyClassAnnotation = 'volume.beta.kubernetes.io/storage-class'

export function defaultStorageClass({ reader }: { reader: LocalReader }): AdmissionPlugin {
  return {
    name: 'DefaultStorageClass',
    handles: (operation, kind, subresource) => operation === 'CREATE' && kind.id === PersistentVolumeClaim.id && subresource === '',
    admit({ object }) {
      const claim = object as PersistentVolumeClaim
      if (claim.spec.storageClassName !== undefined || claim.metadata.annotations?.[legacyClassAnnotation] !== undefined) return
      const defaults = reader.list(StorageClass).filter((c) => annotations.some((name) => c.metadata.annotations?.[name] === 'true'))
      const [newest] = [...defaults].sort((a, b) => order(a, b))
      if (newest !== undefined) claim.spec.storageClassName = newest.metadata.name
    },
  }
}

function order({ metadata: a }: StorageClass, { metadata: b }: StorageClass): number {
  if (a.creationTimestamp !== b.creationTimestamp) return a.creationTimestamp < b.creationTimestamp ? 1 : -1
  return a.name < b.name ? -1 : 1
}
