// What becomes of a volume whose claim is gone: kept, deleted, or emptied by a pod and free again.
import { isApiError } from '#api/errors'
import type { Pod as PodObject, PersistentVolume as VolumeObject } from '#api/generated/core-v1'
import { PersistentVolume } from '#api/kinds/core/persistent-volume'
import { PersistentVolumeClaim } from '#api/kinds/core/persistent-volume-claim'
import { Pod } from '#api/kinds/core/pod'
import { keyText, type Manifest } from '#api/object'
import type { ReconcileContext } from '#client/controller'
import { canBeRecycled, deletionOf } from './plan-volume.ts'
import { podsUsing } from './pods-by-claim.ts'
import { setVolumePhase, setVolumePhaseWithEvent, unbind } from './writes.ts'

/** Removes a directory on the node that this process shares with it; absent where it does not. */
export type RemoveHostPath = (path: string) => Promise<void>

const inTreeFinalizer = 'kubernetes.io/pv-controller'
const recyclerNamespace = 'default'
const recyclerPrefix = 'recycler-for-'
// Of the images that `make images` builds: nothing from the internet.
const recyclerImage = 'navarch.local/busybox:1'
const recyclerScript = 'test -e /scrub && rm -rf /scrub/..?* /scrub/.[!.]* /scrub/* && test -z "$(ls -A /scrub)" || exit 1'
const recyclerSecondsMin = 60
const recyclerSecondsPerGibibyte = 30

/** The volume that a recycler pod works for. */
export function volumeOfRecycler({ metadata }: PodObject): string | undefined {
  if (metadata.namespace !== recyclerNamespace || !metadata.name.startsWith(recyclerPrefix)) return undefined
  return metadata.name.slice(recyclerPrefix.length)
}

export async function reclaim(given: VolumeObject, context: ReconcileContext, removeHostPath: RemoveHostPath | undefined): Promise<void> {
  let volume = given
  if (volume.status.phase !== 'Released' && volume.status.phase !== 'Failed') volume = await setVolumePhase(context, volume, 'Released')
  switch (volume.spec.persistentVolumeReclaimPolicy) {
    case 'Delete':
      return await remove(volume, context, removeHostPath)
    case 'Recycle':
      return await recycle(volume, context)
  }
}

async function remove(volume: VolumeObject, context: ReconcileContext, removeHostPath: RemoveHostPath | undefined): Promise<void> {
  const deletion = deletionOf(volume)
  if ('by' in deletion && deletion.by === 'external') return
  try {
    if ('error' in deletion) throw new Error(deletion.error)
    if (removeHostPath === undefined) {
      throw new Error(`error getting deleter volume plugin for volume "${volume.metadata.name}": no deletable volume plugin matched`)
    }
    await removeHostPath((deletion as { path: string }).path)
  } catch (error) {
    await setVolumePhaseWithEvent(context, volume, 'Failed', 'VolumeFailedDelete', (error as Error).message)
    return
  }
  const finalizers = volume.metadata.finalizers ?? []
  if (finalizers.includes(inTreeFinalizer)) {
    const metadata = { ...volume.metadata, finalizers: finalizers.filter((name) => name !== inTreeFinalizer) }
    await context.client.update(PersistentVolume, { ...volume, metadata } as Manifest<VolumeObject>)
  }
  await context.client.delete(PersistentVolume, { namespace: '', name: volume.metadata.name })
}

async function recycle(volume: VolumeObject, context: ReconcileContext): Promise<void> {
  const { cache, client, events } = context
  const { name } = volume.metadata
  const { namespace, name: claimName = '' } = volume.spec.claimRef ?? {}
  const claimKey = keyText(namespace, claimName)
  const users = podsUsing(cache, claimKey).map((pod) => `${pod.metadata.namespace}/${pod.metadata.name}`)
  // A claim of the same name that is there now has another volume: its pods do not use this one.
  if (users.length > 0 && cache.get(PersistentVolumeClaim, claimKey) === undefined) {
    events.record(volume, 'Normal', 'VolumeFailedRecycle', `Volume is used by pods: ${users.sort().join(',')}`)
    return
  }
  if (!canBeRecycled(volume)) {
    await setVolumePhaseWithEvent(context, volume, 'Failed', 'VolumeFailedRecycle', 'No recycler plugin found for the volume!')
    return
  }
  const key = { namespace: recyclerNamespace, name: `${recyclerPrefix}${name}` }
  const pod = cache.get(Pod, keyText(key.namespace, key.name))
  if (pod === undefined) {
    try {
      await client.create(Pod, recyclerPod(volume, key))
    } catch (error) {
      if (!isApiError(error, 'AlreadyExists')) throw error
    }
    return
  }
  const { phase, message } = pod.status
  if (phase !== 'Succeeded' && phase !== 'Failed') return
  if (pod.metadata.deletionTimestamp === undefined) await client.delete(Pod, key, { preconditions: { uid: pod.metadata.uid } })
  if (phase === 'Failed') {
    const why = `Recycle failed: failed to recycle volume: ${message || 'pod failed, pod.Status.Message unknown'}`
    await setVolumePhaseWithEvent(context, volume, 'Failed', 'VolumeFailedRecycle', why)
    return
  }
  events.record(volume, 'Normal', 'VolumeRecycled', 'Volume recycled')
  await unbind(context, volume)
}

function recyclerPod({ spec }: VolumeObject, metadata: { namespace: string; name: string }): Manifest<PodObject> {
  const gibibytes = Math.ceil(Number.parseFloat(spec.capacity?.['storage'] ?? '0'))
  const perSize = /Gi$/.test(spec.capacity?.['storage'] ?? '') ? recyclerSecondsPerGibibyte * gibibytes : 0
  const source = spec.nfs === undefined ? { hostPath: { path: spec.hostPath?.path ?? '' } } : { nfs: spec.nfs }
  return {
    metadata,
    spec: {
      activeDeadlineSeconds: Math.max(recyclerSecondsMin, perSize),
      restartPolicy: 'Never',
      volumes: [{ name: 'vol', ...source }],
      containers: [
        {
          name: 'pv-recycler',
          image: recyclerImage,
          command: ['/bin/sh'],
          args: ['-c', recyclerScript],
          volumeMounts: [{ name: 'vol', mountPath: '/scrub' }],
        },
      ],
    },
  }
}
