// The writes that bind and unbind claims and volumes. Each returns the object as it is afterwards; what is so already is not written.
import type { PersistentVolumeClaim as ClaimObject, PersistentVolume as VolumeObject } from '#api/generated/core-v1'
import { PersistentVolume } from '#api/kinds/core/persistent-volume'
import { PersistentVolumeClaim } from '#api/kinds/core/persistent-volume-claim'
import type { Manifest } from '#api/object'
import { compareQuantities, parseQuantity } from '#api/quantity'
import { bindCompleted, boundByController, boundVolume, hasAnnotation } from '#api/volumes'
import type { ReconcileContext } from '#client/controller'

type Writes = Pick<ReconcileContext, 'client' | 'events'>
type VolumePhase = NonNullable<VolumeObject['status']['phase']>
type ClaimPhase = NonNullable<ClaimObject['status']['phase']>

const preResizeCapacity = 'volume.alpha.kubernetes.io/pre-resize-capacity'

export async function setVolumePhase(
  { client }: Pick<Writes, 'client'>,
  volume: VolumeObject,
  phase: VolumePhase,
  message = '',
): Promise<VolumeObject> {
  if (volume.status.phase === phase) return volume
  const status = { ...volume.status, phase, message }
  if (message === '') delete (status as { message?: string }).message
  return await client.updateStatus(PersistentVolume, { ...volume, status } as Manifest<VolumeObject>)
}

/** The event is told once, with the change. */
export async function setVolumePhaseWithEvent(
  writes: Writes,
  volume: VolumeObject,
  phase: VolumePhase,
  reason: string,
  message: string,
): Promise<void> {
  if (volume.status.phase === phase) return
  const written = await setVolumePhase(writes, volume, phase, message)
  writes.events.record(written, 'Warning', reason, message)
}

/** `volume`: the claim's own; what the claim has follows from it, or is nothing. */
export async function setClaimStatus(
  { client }: Pick<Writes, 'client'>,
  claim: ClaimObject,
  phase: ClaimPhase,
  volume?: VolumeObject,
): Promise<ClaimObject> {
  const status = claimStatus(claim, phase, volume)
  if (status === undefined) return claim
  return await client.updateStatus(PersistentVolumeClaim, { ...claim, status } as Manifest<ClaimObject>)
}

/** The status that is to be written; undefined: it is so already. Pure. */
export function claimStatus(claim: ClaimObject, phase: ClaimPhase, volume: VolumeObject | undefined): ClaimObject['status'] | undefined {
  const before = claim.status
  const status: ClaimObject['status'] = { ...before, phase }
  if (volume === undefined) {
    delete status.accessModes
    delete status.capacity
    delete status.currentVolumeAttributesClassName
  } else {
    if (volume.spec.accessModes !== undefined) status.accessModes = volume.spec.accessModes
    // Of a claim that is bound already the size may differ on purpose: the file system is not yet as big as its disk.
    if (before.phase !== phase) {
      const capacity = capacityFor(claim, volume)
      if (capacity !== undefined) status.capacity = capacity
    }
    const className = volume.spec.volumeAttributesClassName
    if (before.phase === 'Pending' && phase === 'Bound' && before.currentVolumeAttributesClassName !== className) {
      if (className === undefined) delete status.currentVolumeAttributesClassName
      else status.currentVolumeAttributesClassName = className
    }
  }
  return JSON.stringify(sorted(status)) === JSON.stringify(sorted(before)) ? undefined : status
}

function sorted(status: object): [string, unknown][] {
  return Object.entries(status).sort(([a], [b]) => (a < b ? -1 : 1))
}

function capacityFor({ status }: ClaimObject, { metadata, spec }: VolumeObject): Record<string, string> | undefined {
  const storage = spec.capacity?.['storage']
  if (storage === undefined) throw new Error(`PersistentVolume ${JSON.stringify(metadata.name)} is without a storage capacity`)
  const beforeResize = metadata.annotations?.[preResizeCapacity]
  if (beforeResize !== undefined) return { ...status.capacity, storage: beforeResize }
  const known = status.capacity?.['storage']
  return known === undefined || compareQuantities(parseQuantity(known), parseQuantity(storage)) !== 0 ? spec.capacity : undefined
}

/** Volume first, then claim: whoever stops in between leaves what the next look completes. */
export async function bind(writes: Writes, volume: VolumeObject, claim: ClaimObject): Promise<void> {
  const { client } = writes
  const bound = boundVolume(volume, claim)
  const own = bound === undefined ? volume : await client.update(PersistentVolume, bound as Manifest<VolumeObject>)
  const marked = await setVolumePhase(writes, own, 'Bound')
  const wanted = boundClaim(claim, marked.metadata.name)
  const written = wanted === undefined ? claim : await client.update(PersistentVolumeClaim, wanted as Manifest<ClaimObject>)
  await setClaimStatus(writes, written, 'Bound', marked)
}

function boundClaim(claim: ClaimObject, volumeName: string): ClaimObject | undefined {
  const isNew = claim.spec.volumeName !== volumeName
  if (!isNew && hasAnnotation(claim, bindCompleted)) return undefined
  const annotations = { ...claim.metadata.annotations }
  if (isNew && !hasAnnotation(claim, boundByController)) annotations[boundByController] = 'yes'
  if (!hasAnnotation(claim, bindCompleted)) annotations[bindCompleted] = 'yes'
  return { ...claim, metadata: { ...claim.metadata, annotations }, spec: { ...claim.spec, volumeName } }
}

/** Free again; a reservation that the user made stays, for whoever has that name. */
export async function unbind(writes: Writes, volume: VolumeObject): Promise<void> {
  const spec = { ...volume.spec }
  const metadata = { ...volume.metadata }
  if (hasAnnotation(volume, boundByController)) {
    delete spec.claimRef
    const { [boundByController]: _, ...annotations } = volume.metadata.annotations ?? {}
    if (Object.keys(annotations).length > 0) metadata.annotations = annotations
    else delete metadata.annotations
  } else {
    const { uid: _, ...claimRef } = spec.claimRef ?? {}
    spec.claimRef = claimRef
  }
  const written = await writes.client.update(PersistentVolume, { ...volume, metadata, spec } as Manifest<VolumeObject>)
  await setVolumePhase(writes, written, 'Available')
}
