// What is mounted into a container: its volumes, /etc/hosts, and the file for its last words.
import { randomBytes } from 'node:crypto'
import { chmod, mkdir, open } from 'node:fs/promises'
import { join } from 'node:path'
import type { Container, VolumeMount } from '#api/generated/core-v1'
import type { EnvEntry } from '../env.ts'
import { expandStrictly } from '../expand.ts'
import type { Mount } from '../runtimes/runtime.ts'
import type { Mounter } from '../volumes/mounter.ts'
import type { MountedVolume } from '../volumes/pod-volumes.ts'
import { bindSubPath, subPathTarget } from '../volumes/sub-paths.ts'

export interface MountInput {
  readonly container: Container
  readonly volumes: ReadonlyMap<string, MountedVolume>
  readonly env: readonly EnvEntry[]
  readonly podDir: string
  readonly mounter: Mounter
  /** The pod's hosts file on the host. */
  readonly hostsFile: string
}

export interface ContainerMounts {
  readonly mounts: readonly Mount[]
  /** The host's side of the termination message file. */
  readonly messageFile: string
}

/** Throws when a volume or sub-path is not what it should be. */
export async function containerMounts(input: MountInput): Promise<ContainerMounts> {
  const { container } = input
  const mounts: Mount[] = []
  for (const [index, mount] of (container.volumeMounts ?? []).entries()) mounts.push(await volumeMount(input, mount, index))
  if (!mounts.some((m) => m.containerPath === '/etc/hosts')) {
    mounts.push({ hostPath: input.hostsFile, containerPath: '/etc/hosts', readOnly: false, propagation: 'private' })
  }
  const { terminationMessagePath } = container
  if (terminationMessagePath === '' || terminationMessagePath === undefined) return { mounts, messageFile: '' }
  const messageFile = await makeMessageFile(join(input.podDir, 'containers', container.name))
  mounts.push({ hostPath: messageFile, containerPath: terminationMessagePath, readOnly: false, propagation: 'private' })
  return { mounts, messageFile }
}

const propagations = { None: 'private', HostToContainer: 'hostToContainer', Bidirectional: 'bidirectional' } as const

async function volumeMount(input: MountInput, mount: VolumeMount, index: number): Promise<Mount> {
  const { container, env, mounter, podDir, volumes } = input
  const volume = volumes.get(mount.name)
  if (volume === undefined)
    throw new Error(`cannot find volume ${JSON.stringify(mount.name)} to mount into container ${JSON.stringify(container.name)}`)
  const readOnly = volume.readOnly || mount.readOnly === true
  const values = new Map(env.map((e) => [e.name, e.value]))
  const subPath = mount.subPathExpr ? expandStrictly(mount.subPathExpr, (name) => values.get(name)) : (mount.subPath ?? '')
  let { hostPath } = volume
  if (subPath !== '') {
    const target = subPathTarget(podDir, mount.name, container.name, index)
    try {
      hostPath = await bindSubPath(mounter, { volumePath: hostPath, subPath, target, create: !volume.readOnly })
    } catch (error) {
      const why = error instanceof Error ? error.message : String(error)
      throw new Error(
        `failed to prepare subPath for volumeMount ${JSON.stringify(mount.name)} of container ${JSON.stringify(container.name)}: ${why}`,
      )
    }
  }
  const recursive = mount.readOnly && (mount.recursiveReadOnly === 'Enabled' || mount.recursiveReadOnly === 'IfPossible')
  return {
    hostPath,
    containerPath: mount.mountPath.startsWith('/') ? mount.mountPath : `/${mount.mountPath}`,
    readOnly,
    ...(recursive ? { recursiveReadOnly: true } : {}),
    propagation: propagations[mount.mountPropagation ?? 'None'],
  }
}

/** A fresh file for each run, so that a restarted container does not repeat the words of the one before. */
async function makeMessageFile(directory: string): Promise<string> {
  await mkdir(directory, { recursive: true, mode: 0o750 })
  const path = join(directory, randomBytes(4).toString('hex'))
  await (await open(path, 'wx', 0o666)).close()
  // Whoever the container runs as may write it.
  await chmod(path, 0o666)
  return path
}
