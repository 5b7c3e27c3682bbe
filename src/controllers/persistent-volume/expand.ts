// The volume expander: a claim that asks for more than it has. What only is a directory of the node grows by saying so; the volumes
// of others are grown by those.
import type { PersistentVolumeClaim as ClaimObject, PersistentVolume as VolumeObject } from '#api/generated/core-v1'
import { PersistentVolume } from '#api/kinds/core/persistent-volume'
import { PersistentVolumeClaim } from '#api/kinds/core/persistent-volume-claim'
import type { Manifest } from '#api/object'
import { compareQuantities, parseQuantity } from '#api/quantity'
import { requestOf } from '#api/volumes'
import { defineController } from '#client/controller'
import { watchKind } from '../watches.ts'

function storageOf(amounts: Readonly<Record<string, string>> | undefined) {
  return parseQuantity(amounts?.['storage'] ?? '0')
}

/** Whether a bound claim asks for more than its status says it has. */
export function wantsMore(claim: ClaimObject): boolean {
  return claim.status.phase === 'Bound' && compareQuantities(requestOf(claim), storageOf(claim.status.capacity)) > 0
}

export const volumeExpandController = defineController({
  name: 'volume_expand',
  watches: [
    watchKind(PersistentVolumeClaim, (now, old) => {
      const claim = now as ClaimObject
      const before = old as ClaimObject | undefined
      return wantsMore(claim) && (before === undefined || before.metadata.resourceVersion !== claim.metadata.resourceVersion)
    }),
  ],
  async reconcile(key, { cache, client, events }) {
    const claim = cache.get(PersistentVolumeClaim, key)
    if (claim === undefined || !wantsMore(claim) || !claim.spec.volumeName) return
    const volume = cache.get(PersistentVolume, claim.spec.volumeName)
    if (volume === undefined) return
    if (volume.spec.claimRef?.uid !== claim.metadata.uid) {
      throw new Error(`persistent Volume is not bound to PVC being updated : ${key}`)
    }
    const { hostPath, csi } = volume.spec
    if (hostPath === undefined) {
      const type = csi === undefined ? 'Warning' : 'Normal'
      events.record(claim, type, 'ExternalExpanding', 'waiting for an external controller to expand this PVC')
      return
    }
    const storage = claim.spec.resources.requests?.['storage'] as string
    if (compareQuantities(storageOf(volume.spec.capacity), parseQuantity(storage)) < 0) {
      const spec = { ...volume.spec, capacity: { ...volume.spec.capacity, storage } }
      await client.update(PersistentVolume, { ...volume, spec } as Manifest<VolumeObject>)
    }
    const status = { ...claim.status, capacity: { ...claim.status.capacity, storage } }
    await client.updateStatus(PersistentVolumeClaim, { ...claim, status } as Manifest<ClaimObject>)
    return
  },
})
