// subPath mounts: a part of a volume, bound to a place of the agent's own before the engine gets to see it, so that the
// container that owns the volume cannot exchange it for a link in between.
import { mkdir, open, rm } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import type { Mounter } from './mounter.ts'
import { openBeneath } from './open-beneath.ts'

export interface SubPathRequest {
  /** The volume's directory or file on the host. */
  readonly volumePath: string
  readonly subPath: string
  /** Where to bind it: `<pod dir>/volume-subpaths/<volume>/<container>/<index>`. */
  readonly target: string
  /** Missing directories are made; not in volumes that are read-only. */
  readonly create: boolean
}

/** Binds the sub-path to its target, which is made. Returns the target. Safe to repeat: a bind that is there stays. */
export async function bindSubPath(mounter: Mounter, request: SubPathRequest): Promise<string> {
  const { volumePath, subPath, target } = request
  const { handle, stats } = await openBeneath(volumePath, subPath, { create: request.create })
  try {
    await mounter.unmount(target)
    await rm(target, { recursive: true, force: true })
    if (stats.isDirectory()) await mkdir(target, { recursive: true, mode: 0o750 })
    else {
      await mkdir(dirname(target), { recursive: true, mode: 0o750 })
      await (await open(target, 'w', 0o640)).close()
    }
    await mounter.bind(`/proc/${process.pid}/fd/${handle.fd}`, target)
    return target
  } finally {
    await handle.close()
  }
}

export function subPathTarget(podDir: string, volume: string, container: string, index: number): string {
  return join(podDir, 'volume-subpaths', volume, container, String(index))
}
