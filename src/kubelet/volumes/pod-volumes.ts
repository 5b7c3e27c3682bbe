// The volumes of the pods on this node: set up before the first container, kept up to date while the pod lives, taken down
// after the last container has gone. What the API fills lives in memory, never on the disk.
import { chmod, mkdir, readdir, rm, stat } from 'node:fs/promises'
import { join } from 'node:path'
import type { ConfigMap, Pod, Secret, Volume } from '#api/generated/core-v1'
import { parseQuantity, quantityValue } from '#api/quantity'
import { podLimits } from '#api/resources'
import { claimNameOf } from '#api/volumes'
import type { Clock } from '#base/clock'
import type { DownwardContext } from '../downward.ts'
import { holdsFiles, writeAtomically } from './atomic-files.ts'
import type { Claims } from './claims.ts'
import { prepareHostPath } from './host-path.ts'
import type { Mounter } from './mounter.ts'
import { giveToGroup } from './ownership.ts'
import { volumePayload } from './payload.ts'
import type { Tokens } from './tokens.ts'
import { VolumeError } from './volume-error.ts'

export interface VolumesDeps {
  readonly mounter: Mounter
  readonly clock: Clock
  readonly tokens: Tokens
  /** Persistent: emptyDir volumes and what belongs to single pods. `<podsDir>/<uid>`. */
  readonly podsDir: string
  /** In memory: `<memoryDir>/<uid>`. */
  readonly memoryDir: string
  configMap(podUid: string, namespace: string, name: string): Promise<ConfigMap | undefined>
  secret(podUid: string, namespace: string, name: string): Promise<Secret | undefined>
  /** A volume could not be brought up to date and stays as it was. */
  onStale(pod: Pod, volumeName: string, error: unknown): void
  /** Volumes by claim. */
  readonly claims: Claims
}

export interface MountedVolume {
  readonly hostPath: string
  /** Mounted read-only whatever the mount says. */
  readonly readOnly: boolean
}

export interface PodVolumes {
  /** Sets up, or brings up to date, every volume of the pod. Throws VolumeError. */
  setUp(pod: Pod, downward: DownwardContext): Promise<ReadonlyMap<string, MountedVolume>>
  /** Removes everything of the pod: mounts first, then files. */
  tearDown(podUid: string): Promise<void>
  podDir(podUid: string): string
}

export function createPodVolumes(deps: VolumesDeps): PodVolumes {
  const podDir = (podUid: string): string => join(deps.podsDir, podUid)
  const memoryDir = (podUid: string): string => join(deps.memoryDir, podUid)
  const mountedTmpfs = new Set<string>()

  /** Files from the API. What is there already stays when the API cannot be asked, or no longer has it: the pod goes on with it. */
  async function setUpFiles(pod: Pod, volume: Volume, downward: DownwardContext): Promise<MountedVolume | undefined> {
    const { uid, namespace = '' } = pod.metadata
    const directory = join(memoryDir(uid), 'volumes', volume.name)
    const mounted: MountedVolume = { hostPath: directory, readOnly: true }
    try {
      const payload = await volumePayload(pod, volume, {
        configMap: (name) => deps.configMap(uid, namespace, name),
        secret: (name) => deps.secret(uid, namespace, name),
        token: (audience, seconds) => deps.tokens.get(pod, audience, seconds),
        downward,
      })
      if (payload === undefined) return undefined
      const { fsGroup } = pod.spec.securityContext ?? {}
      writeAtomically(directory, payload, fsGroup === undefined ? {} : { fsGroup }, deps.clock.now())
      return mounted
    } catch (error) {
      if (!holdsFiles(directory)) throw error
      deps.onStale(pod, volume.name, error)
      return mounted
    }
  }

  async function setUpOne(pod: Pod, volume: Volume, downward: DownwardContext): Promise<MountedVolume> {
    const files = await setUpFiles(pod, volume, downward)
    if (files !== undefined) return files
    if (volume.hostPath !== undefined) {
      await prepareHostPath(volume.hostPath)
      return { hostPath: volume.hostPath.path, readOnly: false }
    }
    if (volume.emptyDir !== undefined) return await setUpEmptyDir(pod, volume)
    if (claimNameOf(pod, volume) === undefined) throw new Error(`no volume plugin matched`)
    const isNew = !deps.claims.isKnown(pod.metadata.uid, volume.name)
    const { path, readOnly, managesOwnership } = await deps.claims.resolve(pod, volume)
    if (isNew && managesOwnership && !readOnly) await applyGroup(pod, path)
    return { hostPath: path, readOnly }
  }

  async function setUpEmptyDir(pod: Pod, volume: Volume): Promise<MountedVolume> {
    const { medium, sizeLimit } = volume.emptyDir!
    const directory = join(podDir(pod.metadata.uid), 'volumes', 'kubernetes.io~empty-dir', volume.name)
    const known = await stat(directory).catch(() => undefined)
    if (known === undefined) {
      await mkdir(directory, { recursive: true, mode: 0o777 })
      await chmod(directory, 0o777)
    }
    if (medium === 'Memory' || medium?.startsWith('HugePages')) await mountMemory(pod, directory, sizeLimit)
    if (known === undefined || medium === 'Memory') await applyGroup(pod, directory)
    return { hostPath: directory, readOnly: false }
  }

  async function mountMemory(pod: Pod, directory: string, sizeLimit: string | undefined): Promise<void> {
    if (mountedTmpfs.has(directory)) return
    const mounted = await deps.mounter.mountsBelow(directory)
    if (!mounted.includes(directory)) {
      const limit = podLimits(pod)['memory']
      const sizes = [sizeLimit === undefined ? 0 : quantityValue(parseQuantity(sizeLimit)), limit === undefined ? 0 : quantityValue(limit)]
      const sizeBytes = Math.min(...sizes.filter((s) => s > 0))
      await deps.mounter.tmpfs(directory, { mode: '0777', ...(Number.isFinite(sizeBytes) ? { sizeBytes } : {}) })
    }
    mountedTmpfs.add(directory)
  }

  async function applyGroup(pod: Pod, directory: string): Promise<void> {
    const { fsGroup, fsGroupChangePolicy } = pod.spec.securityContext ?? {}
    if (fsGroup !== undefined) await giveToGroup(directory, fsGroup, fsGroupChangePolicy === 'OnRootMismatch')
  }

  return {
    podDir,
    async setUp(pod, downward) {
      const used = usedVolumes(pod)
      const result = new Map<string, MountedVolume>()
      for (const volume of pod.spec.volumes ?? []) {
        if (!used.has(volume.name)) continue
        try {
          result.set(volume.name, await setUpOne(pod, volume, downward))
        } catch (error) {
          if (error instanceof VolumeError) throw error
          const why = error instanceof Error ? error.message : String(error)
          throw new VolumeError(`MountVolume.SetUp failed for volume ${JSON.stringify(volume.name)} : ${why}`, { cause: error })
        }
      }
      return result
    },
    async tearDown(podUid) {
      deps.claims.forget(podUid)
      for (const directory of [podDir(podUid), memoryDir(podUid)]) {
        const mounts = await deps.mounter.mountsBelow(directory)
        for (const mount of mounts) {
          await deps.mounter.unmount(mount)
          mountedTmpfs.delete(mount)
        }
        const left = mounts.length === 0 ? [] : await deps.mounter.mountsBelow(directory)
        // Never delete through a mount that would not go.
        if (left.length > 0) throw new Error(`still mounted: ${left.join(', ')}`)
        await rm(directory, { recursive: true, force: true })
      }
    },
  }
}

/** Volumes that some container mounts. The others are not set up, as in Kubernetes. */
function usedVolumes(pod: Pod): Set<string> {
  const { containers, initContainers = [], ephemeralContainers = [] } = pod.spec
  const all = [...containers, ...initContainers, ...ephemeralContainers]
  return new Set(all.flatMap((c) => [...(c.volumeMounts ?? []).map((m) => m.name), ...(c.volumeDevices ?? []).map((d) => d.name)]))
}

/** Uids of pods that have something below the directory. */
export async function podDirectories(directory: string): Promise<string[]> {
  try {
    return (await readdir(directory, { withFileTypes: true })).filter((e) => e.isDirectory()).map((e) => e.name)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return []
    throw error
  }
}
