// Volumes on demand where control plane and node share a machine: a claim of a class whose provisioner is ours gets a directory of
// the node. It meets the persistent-volume binder at the API, as everybody's provisioner does, by its annotations.
import { isApiError } from '#api/errors'
import type { PersistentVolumeClaim as ClaimObject, PersistentVolume as VolumeObject } from '#api/generated/core-v1'
import type { StorageClass as ClassObject } from '#api/generated/storage-v1'
import { Node } from '#api/kinds/core/node'
import { PersistentVolume } from '#api/kinds/core/persistent-volume'
import { PersistentVolumeClaim } from '#api/kinds/core/persistent-volume-claim'
import { storageClassOf } from '#api/kinds/core/persistent-volumes'
import { StorageClass } from '#api/kinds/storage/storage-class'
import type { Manifest } from '#api/object'
import { provisionedBy, selectedNode, storageProvisioner } from '#api/volumes'
import { type Controller, defineController, type ReconcileContext } from '#client/controller'
import { watchKind } from '../watches.ts'

/** What classes name as their provisioner. */
export const localProvisioner = 'navarch.local/directory'

export interface LocalVolumes {
  /** Where the directories lie. */
  readonly directory: string
  /** Makes a directory that anybody may write to. */
  make(path: string): Promise<void>
  /** Removes it with all that it holds. */
  remove(path: string): Promise<void>
}

const hostnameLabel = 'kubernetes.io/hostname'

/** A claim that waits for us. */
function isOurs({ metadata, spec }: ClaimObject): boolean {
  return metadata.annotations?.[storageProvisioner] === localProvisioner && !spec.volumeName && metadata.deletionTimestamp === undefined
}

/** A volume of ours that nobody needs any more. */
function isLeftOver({ metadata, spec, status }: VolumeObject): boolean {
  const isOwn = metadata.annotations?.[provisionedBy] === localProvisioner && metadata.deletionTimestamp === undefined
  return isOwn && status.phase === 'Released' && spec.persistentVolumeReclaimPolicy === 'Delete'
}

/** The volume for a claim, on a node with this value of the hostname label. Throws when it cannot be. Pure. */
export function localVolume(claim: ClaimObject, storageClass: ClassObject, host: string, directory: string): Manifest<VolumeObject> {
  const { name, namespace = '', uid } = claim.metadata
  if (claim.spec.volumeMode === 'Block') throw new Error('a directory is no block device')
  if (claim.spec.dataSource !== undefined || claim.spec.dataSourceRef !== undefined) throw new Error('a directory begins empty')
  const volumeName = `pvc-${uid}`
  const inHost = { key: hostnameLabel, operator: 'In' as const, values: [host] }
  return {
    metadata: { name: volumeName, annotations: { [provisionedBy]: localProvisioner } },
    spec: {
      capacity: { storage: claim.spec.resources.requests?.['storage'] ?? '0' },
      accessModes: claim.spec.accessModes ?? [],
      persistentVolumeReclaimPolicy: storageClass.reclaimPolicy ?? 'Delete',
      storageClassName: storageClass.metadata.name,
      volumeMode: 'Filesystem',
      local: { path: `${directory}/${volumeName}` },
      nodeAffinity: { required: { nodeSelectorTerms: [{ matchExpressions: [inHost] }] } },
      claimRef: { apiVersion: 'v1', kind: 'PersistentVolumeClaim', namespace, name, uid },
    },
  } as Manifest<VolumeObject>
}

export function createLocalVolumesController(volumes: LocalVolumes): Controller {
  return defineController({
    name: localProvisioner,
    watches: [
      watchKind(PersistentVolumeClaim, (claim) => isOurs(claim as ClaimObject)),
      watchKind(PersistentVolume, (volume) => isLeftOver(volume as VolumeObject)),
    ],
    reads: [StorageClass, Node],
    async reconcile(key, context) {
      if (key.includes('/')) await provision(key, volumes, context)
      else await remove(key, volumes, context)
      return
    },
  })
}

async function provision(key: string, { directory, make }: LocalVolumes, context: ReconcileContext): Promise<void> {
  const { cache, client, events } = context
  const claim = cache.get(PersistentVolumeClaim, key)
  if (claim === undefined || !isOurs(claim)) return
  const storageClass = cache.get(StorageClass, storageClassOf(claim))
  const host = hostOf(claim, context)
  if (storageClass?.provisioner !== localProvisioner || host === undefined) return
  if (cache.get(PersistentVolume, `pvc-${claim.metadata.uid}`) !== undefined) return
  events.record(claim, 'Normal', 'Provisioning', `External provisioner is provisioning volume for claim "${key}"`)
  try {
    const volume = localVolume(claim, storageClass, host, directory)
    await make(volume.spec?.local?.path as string)
    await client.create(PersistentVolume, volume)
    events.record(claim, 'Normal', 'ProvisioningSucceeded', `Successfully provisioned volume ${volume.metadata?.name}`)
  } catch (error) {
    if (isApiError(error, 'AlreadyExists')) return
    const message = `failed to provision volume with StorageClass "${storageClass.metadata.name}": ${(error as Error).message}`
    events.record(claim, 'Warning', 'ProvisioningFailed', message)
    throw error
  }
}

/** The node that the pod was given, else, for a class that does not wait for pods, the one that there is. */
function hostOf(claim: ClaimObject, { cache }: ReconcileContext): string | undefined {
  const name = claim.metadata.annotations?.[selectedNode]
  const node = name === undefined ? cache.list(Node)[0] : cache.get(Node, name)
  return node?.metadata.labels?.[hostnameLabel] ?? node?.metadata.name
}

async function remove(name: string, volumes: LocalVolumes, { cache, client, events }: ReconcileContext): Promise<void> {
  const volume = cache.get(PersistentVolume, name)
  if (volume === undefined || !isLeftOver(volume)) return
  const path = volume.spec.local?.path ?? ''
  // Only what was made here, whatever somebody wrote into the volume since.
  if (path !== `${volumes.directory}/${name}`) {
    events.record(volume, 'Warning', 'VolumeFailedDelete', `${path} is no directory of ${localProvisioner}`)
    return
  }
  await volumes.remove(path)
  await client.delete(PersistentVolume, { namespace: '', name })
}
