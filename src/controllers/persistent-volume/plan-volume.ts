// What to do about a volume. Pure: the claim is the one that the volume names, as it is now.
import type { PersistentVolumeClaim as ClaimObject, PersistentVolume as VolumeObject } from '#api/generated/core-v1'
import { hasAnnotation, provisionedBy, volumeModeOf } from '#api/volumes'

export type VolumePlan =
  | { readonly do: 'phase'; readonly phase: 'Available' | 'Bound' }
  /** Its claim is gone: Released, then what the reclaim policy says. */
  | { readonly do: 'reclaim' }
  /** Its claim has another volume: it is free again, or reserved as before. */
  | { readonly do: 'unbind' }
  /** It is reserved for a claim that cannot use it. */
  | { readonly do: 'tellMismatch'; readonly claim: ClaimObject }
  /** The claim's turn to complete the binding. */
  | { readonly do: 'leaveToClaim' }

export function planVolume(volume: VolumeObject, claimNamed: ClaimObject | undefined): VolumePlan {
  const { claimRef } = volume.spec
  if (!claimRef?.uid) return { do: 'phase', phase: 'Available' }
  // Another claim of the same name is not the one that the volume was bound to.
  const claim = claimNamed?.metadata.uid === claimRef.uid ? claimNamed : undefined
  if (claim === undefined) return { do: 'reclaim' }
  if (!claim.spec.volumeName) {
    return volumeModeOf(claim) === volumeModeOf(volume) ? { do: 'leaveToClaim' } : { do: 'tellMismatch', claim }
  }
  if (claim.spec.volumeName === volume.metadata.name) return { do: 'phase', phase: 'Bound' }
  const wasMade = hasAnnotation(volume, provisionedBy) && volume.spec.persistentVolumeReclaimPolicy === 'Delete'
  return wasMade ? { do: 'reclaim' } : { do: 'unbind' }
}

/** How a volume that was made for its claim goes; the text is why it cannot. */
export type Deletion = { readonly by: 'external' } | { readonly by: 'hostPath'; readonly path: string } | { readonly error: string }

export function deletionOf(volume: VolumeObject): Deletion {
  const maker = volume.metadata.annotations?.[provisionedBy]
  const isForeign = maker !== undefined && !maker.startsWith('kubernetes.io/')
  if (isForeign || hasAnnotation(volume, 'pv.kubernetes.io/migrated-to') || volume.spec.csi !== undefined) return { by: 'external' }
  const path = volume.spec.hostPath?.path
  if (path !== undefined) {
    // Compat: Kubernetes deletes only below /tmp, since this way of deleting is for tests.
    if (path.startsWith('/tmp/') && path.length > '/tmp/'.length) return { by: 'hostPath', path }
    return { error: `host_path deleter only supports /tmp/.+ but received provided ${path}` }
  }
  return { error: `error getting deleter volume plugin for volume "${volume.metadata.name}": no deletable volume plugin matched` }
}

export function canBeRecycled({ spec }: VolumeObject): boolean {
  return spec.hostPath !== undefined || spec.nfs !== undefined
}
