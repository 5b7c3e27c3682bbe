// PersistentVolumeClaimResize: a claim grows only when it is bound and its class allows it.
import { PersistentVolumeClaim } from '#api/kinds/core/persistent-volume-claim'
import { storageClassOf } from '#api/kinds/core/persistent-volumes'
import { StorageClass } from '#api/kinds/storage/storage-class'
import { compareQuantities, parseQuantity } from '#api/quantity'
import type { LocalReader } from '../request.ts'
import { type AdmissionPlugin, admissionForbidden } from './plugin.ts'

export function persistentVolumeClaimResize({ reader }: { reader: LocalReader }): AdmissionPlugin {
  return {
    name: 'PersistentVolumeClaimResize',
    handles: (operation, kind, subresource) => operation === 'UPDATE' && kind.id === PersistentVolumeClaim.id && subresource === '',
    validate(request) {
      const claim = request.object as PersistentVolumeClaim
      const old = request.old as PersistentVolumeClaim
      const size = claim.spec.resources?.requests?.['storage'] ?? '0'
      const before = old.spec.resources?.requests?.['storage'] ?? '0'
      if (compareQuantities(parseQuantity(size), parseQuantity(before)) <= 0) return
      if (old.status?.phase !== 'Bound') throw admissionForbidden(request, 'Only bound persistent volume claims can be expanded')
      const name = storageClassOf(claim)
      const kept = name !== '' && name === storageClassOf(old)
      if (kept && reader.get(StorageClass, '', name)?.allowVolumeExpansion === true) return
      const why = 'only dynamically provisioned pvc can be resized and the storageclass that provisions the pvc must support resize'
      throw admissionForbidden(request, why)
    },
  }
}
