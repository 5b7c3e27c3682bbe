// Generic ephemeral volumes (KEP-1698): each gets a claim of its own, which the pod owns and takes along when it goes.
import type { PersistentVolumeClaim as ClaimObject, Pod as PodObject, Volume } from '#api/generated/core-v1'
import { PersistentVolumeClaim } from '#api/kinds/core/persistent-volume-claim'
import { Pod } from '#api/kinds/core/pod'
import { keyOf, keyText, type Manifest } from '#api/object'
import { claimNameOf, notMadeFor } from '#api/volumes'
import type { Client } from '#client/client'
import { defineController } from '#client/controller'
import { ownerReference } from '../owned-objects.ts'
import { podsByClaim } from '../persistent-volume/pods-by-claim.ts'
import { watchKind } from '../watches.ts'

const hasEphemeral = (pod: PodObject): boolean => pod.spec.volumes?.some(({ ephemeral }) => ephemeral !== undefined) ?? false

/** The claim for an ephemeral volume of the pod. */
export function claimFor(pod: PodObject, volume: Volume & { ephemeral: NonNullable<Volume['ephemeral']> }): Manifest<ClaimObject> {
  const { metadata: { annotations, labels } = {}, spec } = volume.ephemeral.volumeClaimTemplate!
  return {
    metadata: {
      name: claimNameOf(pod, volume)!,
      namespace: pod.metadata.namespace ?? '',
      ownerReferences: [ownerReference(Pod, pod)],
      ...(annotations === undefined ? {} : { annotations }),
      ...(labels === undefined ? {} : { labels }),
    },
    spec,
  } as Manifest<ClaimObject>
}

export const ephemeralVolumeController = defineController({
  name: 'ephemeral_volume',
  watches: [
    // Volumes of pods do not change.
    watchKind(Pod, (pod, old) => old === undefined && hasEphemeral(pod as PodObject)),
    {
      kind: PersistentVolumeClaim,
      keysOf: (claim, _old, cache) => cache.informer(Pod).byIndex(podsByClaim, keyOf(claim)).filter(hasEphemeral).map(keyOf),
      // Only a deletion is news.
      when: () => false,
    },
  ],
  async reconcile(key, { cache, client, events }) {
    const pod = cache.get(Pod, key)
    if (pod === undefined || pod.metadata.deletionTimestamp !== undefined) return
    for (const volume of pod.spec.volumes ?? []) {
      if (volume.ephemeral === undefined) continue
      const name = claimNameOf(pod, volume) as string
      const claim = cache.get(PersistentVolumeClaim, keyText(pod.metadata.namespace, name))
      try {
        const foreign = claim === undefined ? undefined : notMadeFor(pod, claim)
        if (foreign !== undefined) throw new Error(foreign)
        if (claim === undefined) await create(name, claimFor(pod, { ...volume, ephemeral: volume.ephemeral }), client)
      } catch (error) {
        const message = `ephemeral volume ${volume.name}: ${(error as Error).message}`
        events.record(pod, 'Warning', 'FailedBinding', message)
        throw new Error(`pod ${key}, ${message}`)
      }
    }
    return
  },
})

async function create(name: string, claim: Manifest<ClaimObject>, client: Client): Promise<void> {
  try {
    await client.create(PersistentVolumeClaim, claim)
  } catch (error) {
    throw new Error(`create PVC ${name}: ${(error as Error).message}`, { cause: error })
  }
}
