// Volumes by claim: what a pod's claim is bound to, and where that lies on this node. hostPath and local volumes lie here; those
// of others are for plugins that this agent does not have. What was found stays for the pod's life, also while the API is away.
import { stat } from 'node:fs/promises'
import type { PersistentVolumeClaim as ClaimObject, Node, Pod, Volume, PersistentVolume as VolumeObject } from '#api/generated/core-v1'
import { PersistentVolume } from '#api/kinds/core/persistent-volume'
import { PersistentVolumeClaim } from '#api/kinds/core/persistent-volume-claim'
import { claimNameOf, isReachable, notMadeFor, volumeModeOf } from '#api/volumes'
import type { Client } from '#client/client'
import { prepareHostPath } from './host-path.ts'
import { VolumeError } from './volume-error.ts'

export interface ClaimedVolume {
  /** A directory, or a device for a volume of mode Block. */
  readonly path: string
  readonly readOnly: boolean
  /** The pod's fsGroup is to own the files. */
  readonly managesOwnership: boolean
}

export interface Claims {
  /** Throws VolumeError, in Kubernetes' words. */
  resolve(pod: Pod, volume: Volume): Promise<ClaimedVolume>
  /** Whether the volume was found for the pod before: then all is as it was. */
  isKnown(podUid: string, volumeName: string): boolean
  forget(podUid: string): void
}

export interface ClaimsDeps {
  readonly client: Client
  /** The node as the API has it; undefined: not yet known. */
  readonly node: () => Node | undefined
}

const protection = 'kubernetes.io/pvc-protection'

export function createClaims({ client, node }: ClaimsDeps): Claims {
  const byPod = new Map<string, Map<string, ClaimedVolume>>()

  async function boundClaim(namespace: string, name: string): Promise<ClaimObject> {
    const claim = await client.get(PersistentVolumeClaim, { namespace, name }).catch((error: Error) => {
      throw new Error(`failed to fetch PVC from API server: ${error.message}`, { cause: error })
    })
    const { deletionTimestamp, finalizers = [] } = claim.metadata
    if (deletionTimestamp !== undefined && !finalizers.includes(protection)) throw new Error('PVC is being deleted')
    if (claim.status.phase !== 'Bound') throw new Error('PVC is not bound')
    if (!claim.spec.volumeName) throw new Error('PVC has empty pvc.Spec.VolumeName')
    return claim
  }

  async function boundVolume(claim: ClaimObject): Promise<VolumeObject> {
    const name = claim.spec.volumeName ?? ''
    const volume = await client.get(PersistentVolume, { namespace: '', name }).catch((error: Error) => {
      throw new Error(`failed to fetch PV ${name} from API server: ${error.message}`, { cause: error })
    })
    const { claimRef } = volume.spec
    if (claimRef === undefined) {
      throw new Error(`found PV object ${name} but it has a nil pv.Spec.ClaimRef indicating it is not yet bound to the claim`)
    }
    const { uid } = claim.metadata
    if (claimRef.uid === uid) return volume
    throw new Error(`found PV object ${name} but its pv.Spec.ClaimRef.UID ${claimRef.uid ?? ''} does not point to claim.UID ${uid}`)
  }

  async function find(pod: Pod, volume: Volume): Promise<ClaimedVolume> {
    const claimName = claimNameOf(pod, volume) as string
    const { namespace = '' } = pod.metadata
    let found: VolumeObject
    try {
      const claim = await boundClaim(namespace, claimName)
      const foreign = volume.ephemeral === undefined ? undefined : notMadeFor(pod, claim)
      if (foreign !== undefined) throw unprocessed(volume.name, foreign)
      found = await boundVolume(claim)
    } catch (error) {
      if (error instanceof VolumeError) throw error
      throw unprocessed(volume.name, `error processing PVC ${namespace}/${claimName}: ${(error as Error).message}`, error)
    }
    checkUse(pod, volume, found)
    const here = node()
    if (here === undefined || !isReachable(found, here)) {
      throw failed('NodeAffinity check', found, here === undefined ? 'node is not known yet' : 'no matching NodeSelectorTerms')
    }
    return { ...(await locate(found)), readOnly: volume.persistentVolumeClaim?.readOnly ?? false }
  }

  return {
    async resolve(pod, volume) {
      const { uid } = pod.metadata
      const known = byPod.get(uid)?.get(volume.name)
      if (known !== undefined) return known
      const found = await find(pod, volume)
      const own = byPod.get(uid)
      if (own === undefined) byPod.set(uid, new Map([[volume.name, found]]))
      else own.set(volume.name, found)
      return found
    },
    isKnown: (podUid, volumeName) => byPod.get(podUid)?.has(volumeName) ?? false,
    forget: (podUid) => void byPod.delete(podUid),
  }
}

function unprocessed(volumeName: string, why: string, cause?: unknown): VolumeError {
  const lists = `unmounted volumes=[${volumeName}], unattached volumes=[], failed to process volumes=[${volumeName}]`
  return new VolumeError(`Unable to attach or mount volumes: ${lists}: ${why}`, { cause })
}

function failed(step: string, { metadata, spec }: VolumeObject, why: string): VolumeError {
  const what = spec.volumeMode === 'Block' ? 'MapVolume' : 'MountVolume'
  return new VolumeError(`${what}.${step} failed for volume ${JSON.stringify(metadata.name)} : ${why}`)
}

/** A container mounts files or takes a device, whatever the volume is. */
function checkUse({ spec }: Pod, { name }: Volume, found: VolumeObject): void {
  const mode = volumeModeOf(found)
  const containers = [...spec.containers, ...(spec.initContainers ?? []), ...(spec.ephemeralContainers ?? [])]
  if (mode !== 'Filesystem' && containers.some(({ volumeMounts }) => volumeMounts?.some((mount) => mount.name === name))) {
    throw unprocessed(name, `volume ${name} has volumeMode ${mode}, but is specified in volumeMounts`)
  }
  if (mode !== 'Block' && containers.some(({ volumeDevices }) => volumeDevices?.some((device) => device.name === name))) {
    throw unprocessed(name, `volume ${name} has volumeMode ${mode}, but is specified in volumeDevices`)
  }
}

async function locate(found: VolumeObject): Promise<Pick<ClaimedVolume, 'path' | 'managesOwnership'>> {
  const { hostPath, local } = found.spec
  const isBlock = volumeModeOf(found) === 'Block'
  if (hostPath !== undefined) {
    if (isBlock) throw failed('SetUp', found, 'no block volume plugin matched')
    try {
      await prepareHostPath(hostPath)
    } catch (error) {
      throw failed('SetUp', found, (error as Error).message)
    }
    return { path: hostPath.path, managesOwnership: false }
  }
  if (local === undefined) throw failed('SetUp', found, 'no volume plugin matched')
  const { path } = local
  const stats = await stat(path).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT')
      throw failed(`New${isBlock ? 'BlockVolumeMapper' : 'Mounter'} initialization`, found, `path ${JSON.stringify(path)} does not exist`)
    throw failed('SetUp', found, error.message)
  })
  if (isBlock) {
    if (!stats.isBlockDevice()) throw failed('NewBlockVolumeMapper initialization', found, `${path} is not a block device`)
    return { path, managesOwnership: false }
  }
  if (stats.isDirectory()) return { path, managesOwnership: true }
  // Formatting somebody's disk is not for an agent that cannot ask.
  const why = stats.isBlockDevice()
    ? `${path} is a block device: mount its file system on a directory and name that, or use volumeMode Block`
    : 'only directory and block device are supported'
  throw failed('NewMounter initialization', found, why)
}
