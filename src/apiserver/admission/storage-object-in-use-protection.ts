// StorageObjectInUseProtection: claims, volumes and volume attributes classes in use are not removed under their users.
import { PersistentVolume } from '#api/kinds/core/persistent-volume'
import { PersistentVolumeClaim } from '#api/kinds/core/persistent-volume-claim'
import { VolumeAttributesClass } from '#api/kinds/storage/volume-attributes-class'
import type { AdmissionPlugin } from './plugin.ts'

const finalizers: Readonly<Record<string, string>> = {
  [PersistentVolumeClaim.id]: 'kubernetes.io/pvc-protection',
  [PersistentVolume.id]: 'kubernetes.io/pv-protection',
  [VolumeAttributesClass.id]: 'kubernetes.io/vac-protection',
}

export const storageObjectInUseProtection: AdmissionPlugin = {
  name: 'StorageObjectInUseProtection',
  handles: (operation, kind, subresource) => operation === 'CREATE' && subresource === '' && finalizers[kind.id] !== undefined,
  admit({ object, kind }) {
    const { metadata } = object!
    const finalizer = finalizers[kind.id]!
    if (!metadata.finalizers?.includes(finalizer)) metadata.finalizers = [...(metadata.finalizers ?? []), finalizer]
  },
}
