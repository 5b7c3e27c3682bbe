// The persistent-volume binder: claims get volumes, volumes whose claims are gone are reclaimed. Keys of claims bear a
// namespace, keys of volumes do not; one worker takes them all, so that no two claims choose one volume.
import { isApiError } from '#api/errors'
import type { PersistentVolumeClaim as ClaimObject, Pod as PodObject, PersistentVolume as VolumeObject } from '#api/generated/core-v1'
import { PersistentVolume } from '#api/kinds/core/persistent-volume'
import { PersistentVolumeClaim } from '#api/kinds/core/persistent-volume-claim'
import { storageClassOf } from '#api/kinds/core/persistent-volumes'
import { Pod } from '#api/kinds/core/pod'
import { StorageClass } from '#api/kinds/storage/storage-class'
import { type KeyText, type KubeObject, keyOf, keyText, type Manifest, parseKey } from '#api/object'
import { isPodTerminal } from '#api/pods'
import { betaStorageProvisioner, isFullyBound, migratedTo, storageProvisioner } from '#api/volumes'
import { type Cache, type Controller, defineController, type ReconcileContext, type Watch } from '#client/controller'
import { watchKind } from '../watches.ts'
import { type ClaimPlan, type PlannedEvent, planClaim } from './plan-claim.ts'
import { planVolume } from './plan-volume.ts'
import { claimKeysOf, podsWaitingFor } from './pods-by-claim.ts'
import { type RemoveHostPath, reclaim, volumeOfRecycler } from './reclaim.ts'
import { bind, setClaimStatus, setVolumePhase, unbind } from './writes.ts'

export interface PersistentVolumeConfig {
  /** For volumes that are to be deleted with their claims; absent: they fail, since nobody can. */
  readonly removeHostPath?: RemoveHostPath
}

export function createPersistentVolumeController({ removeHostPath }: PersistentVolumeConfig): Controller {
  return defineController({
    name: 'persistentvolume-controller',
    watches: [watchKind(PersistentVolumeClaim), claimsToVolumes, watchKind(PersistentVolume), volumesToClaims, classes, pods],
    concurrency: 1,
    async reconcile(key, context) {
      if (key.includes('/')) await syncClaim(key, context)
      else await syncVolume(key, context, removeHostPath)
      return undefined
    },
  })
}

/** A claim's change concerns the volume that it has. */
const claimsToVolumes: Watch = {
  kind: PersistentVolumeClaim,
  keysOf(object) {
    const { volumeName } = (object as ClaimObject).spec
    return volumeName ? [volumeName] : []
  },
}

/** Claims that wait for a volume of the class. */
function pendingOf(cache: Cache, className: string): KeyText[] {
  return cache
    .list(PersistentVolumeClaim)
    .filter((claim) => !isFullyBound(claim) && storageClassOf(claim) === className)
    .map(keyOf)
}

/** A volume concerns the claim that it names; one that becomes free, those that wait for one like it. */
const volumesToClaims: Watch = {
  kind: PersistentVolume,
  keysOf(object, old, cache, change) {
    const volume = object as VolumeObject
    const { claimRef } = volume.spec
    if (claimRef !== undefined) return [keyText(claimRef.namespace, claimRef.name ?? '')]
    if (change === 'deleted') return []
    const before = old as VolumeObject | undefined
    const isNews = before?.status.phase !== volume.status.phase || before?.metadata.generation !== volume.metadata.generation
    const alike = isNews || JSON.stringify(before?.metadata.labels) !== JSON.stringify(volume.metadata.labels)
    const named = cache.list(PersistentVolumeClaim).filter(({ spec }) => spec.volumeName === volume.metadata.name)
    return [...(alike ? pendingOf(cache, storageClassOf(volume)) : []), ...named.map(keyOf)]
  },
}

/** A class concerns the claims that wait for it, and those that wait for any. */
const classes: Watch = {
  kind: StorageClass,
  keysOf: (object: KubeObject, _old, cache, change) =>
    change === 'deleted' ? [] : [...pendingOf(cache, object.metadata.name), ...pendingOf(cache, '')],
}

const pods: Watch = {
  kind: Pod,
  keysOf(object, _old, cache, change) {
    const pod = object as PodObject
    const recycled = volumeOfRecycler(pod)
    const released = change === 'deleted' || isPodTerminal(pod) ? recycledVolumes(pod, cache) : []
    const waiting = claimKeysOf(pod).filter((key) => {
      const claim = cache.get(PersistentVolumeClaim, key)
      return claim !== undefined && !isFullyBound(claim)
    })
    return [...waiting, ...released, ...(recycled === undefined ? [] : [recycled])]
  },
  when: (object, old) => {
    const pod = object as PodObject
    const before = old as PodObject | undefined
    if (volumeOfRecycler(pod) !== undefined) return true
    if (claimKeysOf(pod).length === 0) return false
    return before === undefined || before.spec.nodeName !== pod.spec.nodeName || isPodTerminal(before) !== isPodTerminal(pod)
  },
}

/** Volumes that wait to be recycled until this pod has ended. */
function recycledVolumes(pod: PodObject, cache: Cache): string[] {
  const keys = new Set(claimKeysOf(pod))
  return cache
    .list(PersistentVolume)
    .filter(({ spec: { claimRef, persistentVolumeReclaimPolicy } }) => {
      return persistentVolumeReclaimPolicy === 'Recycle' && keys.has(keyText(claimRef?.namespace, claimRef?.name ?? ''))
    })
    .map(({ metadata }) => metadata.name)
}

async function syncClaim(key: KeyText, context: ReconcileContext): Promise<void> {
  const { cache } = context
  const claim = cache.get(PersistentVolumeClaim, key)
  if (claim === undefined) return
  const plan = planClaim(claim, {
    volume: (name) => cache.get(PersistentVolume, name),
    volumes: cache.list(PersistentVolume),
    classes: cache.list(StorageClass),
    waitingPods: () => podsWaitingFor(cache, claim),
  })
  await act(claim, plan, context)
}

async function act(claim: ClaimObject, plan: ClaimPlan, context: ReconcileContext): Promise<void> {
  const { client, events } = context
  const tell = (event: PlannedEvent | undefined): void => {
    if (event !== undefined) events.record(claim, event.type, event.reason, event.message)
  }
  switch (plan.do) {
    case 'bind':
      return await bind(context, plan.volume, claim)
    case 'wait':
      tell(plan.event)
      if (plan.error !== undefined) throw new Error(plan.error)
      await setClaimStatus(context, claim, 'Pending')
      return
    case 'lose':
      if (claim.status.phase === 'Lost') return
      await setClaimStatus(context, claim, 'Lost')
      tell(plan.event)
      return
    case 'assignClass':
      await client.update(PersistentVolumeClaim, {
        ...claim,
        spec: { ...claim.spec, storageClassName: plan.name },
      } as Manifest<ClaimObject>)
      return
    case 'provision': {
      const { provisioner, migrated } = plan
      await markProvisioner(claim, provisioner, migrated, context)
      const message = `Waiting for a volume to be created either by the external provisioner '${provisioner}' or manually by the system administrator. If volume creation is delayed, please verify that the provisioner is running and correctly registered.`
      return tell({ type: 'Normal', reason: 'ExternalProvisioning', message })
    }
    case 'refuse':
      return tell(plan.event)
  }
}

/** Tells the external provisioner that it is its turn. */
async function markProvisioner(claim: ClaimObject, provisioner: string, migrated: boolean, { client }: ReconcileContext): Promise<void> {
  if (claim.metadata.annotations?.[storageProvisioner] === provisioner) return
  const annotations = {
    ...claim.metadata.annotations,
    [betaStorageProvisioner]: provisioner,
    [storageProvisioner]: provisioner,
    ...(migrated ? { [migratedTo]: provisioner } : {}),
  }
  await client.update(PersistentVolumeClaim, { ...claim, metadata: { ...claim.metadata, annotations } } as Manifest<ClaimObject>)
}

async function syncVolume(name: string, context: ReconcileContext, removeHostPath: RemoveHostPath | undefined): Promise<void> {
  const { cache, events } = context
  const volume = cache.get(PersistentVolume, name)
  if (volume === undefined) return
  const plan = planVolume(volume, await claimOf(volume, context))
  switch (plan.do) {
    case 'phase':
      await setVolumePhase(context, volume, plan.phase)
      return
    case 'reclaim':
      return await reclaim(volume, context, removeHostPath)
    case 'unbind':
      return await unbind(context, volume)
    case 'leaveToClaim':
      return await syncClaim(keyText(volume.spec.claimRef?.namespace, volume.spec.claimRef?.name ?? ''), context)
    case 'tellMismatch': {
      const claimName = JSON.stringify(plan.claim.metadata.name)
      const own = `Cannot bind PersistentVolume to requested PersistentVolumeClaim ${claimName} due to incompatible volumeMode.`
      const theirs = `Cannot bind PersistentVolume ${JSON.stringify(name)} to requested PersistentVolumeClaim due to incompatible volumeMode.`
      events.record(volume, 'Warning', 'VolumeMismatch', own)
      events.record(plan.claim, 'Warning', 'VolumeMismatch', theirs)
    }
  }
}

/** The claim that the volume names. Before a volume is given up the API is asked: the cache may not know of the claim yet. */
async function claimOf(volume: VolumeObject, { cache, client }: ReconcileContext): Promise<ClaimObject | undefined> {
  const { claimRef, persistentVolumeReclaimPolicy: policy } = volume.spec
  if (!claimRef?.uid) return undefined
  const key = keyText(claimRef.namespace, claimRef.name ?? '')
  const cached = cache.get(PersistentVolumeClaim, key)
  if (cached?.metadata.uid === claimRef.uid) return cached
  const isGivenUp = volume.status.phase === 'Released' || volume.status.phase === 'Failed'
  if (isGivenUp && policy === 'Retain') return undefined
  try {
    return await client.get(PersistentVolumeClaim, parseKey(key))
  } catch (error) {
    if (isApiError(error, 'NotFound')) return undefined
    throw error
  }
}
