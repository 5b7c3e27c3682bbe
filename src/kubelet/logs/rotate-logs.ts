// Keeps container logs within bounds: a log that has grown too big is renamed, the engine opens a new one, and older ones are
// compressed, then removed (KEP-1490, as the kubelet's container log manager does it).
import { createReadStream, createWriteStream } from 'node:fs'
import { rename, rm, stat } from 'node:fs/promises'
import { pipeline } from 'node:stream/promises'
import { createGzip } from 'node:zlib'
import type { Clock } from '#base/clock'
import type { Log } from '../deps.ts'
import type { ContainerRuntime, ContainerStatus } from '../runtimes/runtime.ts'
import { rotatedFiles, rotationStamp } from './log-files.ts'

export interface RotateDeps {
  readonly runtime: ContainerRuntime
  readonly clock: Clock
  readonly log: Log
  readonly maxBytes: number
  /** Files of one container, the current one included. */
  readonly maxFiles: number
}

/** Looks at each running container's log once and rotates those that have grown too big. */
export async function rotateLogs(deps: RotateDeps, containers: readonly ContainerStatus[]): Promise<void> {
  for (const container of containers) {
    if (container.state !== 'running' || container.logPath === '') continue
    try {
      const info = await stat(container.logPath).catch(() => undefined)
      if (info !== undefined && info.size >= deps.maxBytes) await rotate(deps, container)
    } catch (error) {
      deps.log.warn('rotating a container log failed', { container: container.name, error: String(error) })
    }
  }
}

async function rotate({ runtime, clock, maxFiles }: RotateDeps, { id, logPath }: ContainerStatus): Promise<void> {
  const older = await rotatedFiles(logPath)
  // Room for the one that is rotated now, and for the current one.
  const surplus = older.slice(0, Math.max(0, older.length - (maxFiles - 2)))
  for (const path of surplus) await rm(path, { force: true })
  for (const path of older.slice(surplus.length)) if (!path.endsWith('.gz')) await compress(path)
  const rotated = `${logPath}.${rotationStamp(clock.now())}`
  await rename(logPath, rotated)
  try {
    await runtime.reopenLog(id)
  } catch (error) {
    // The engine still writes to the renamed file: put it back.
    await rename(rotated, logPath)
    throw error
  }
}

async function compress(path: string): Promise<void> {
  const temporary = `${path}.tmp`
  try {
    await pipeline(createReadStream(path), createGzip(), createWriteStream(temporary, { mode: 0o640 }))
    await rename(temporary, `${path}.gz`)
    await rm(path, { force: true })
  } finally {
    await rm(temporary, { force: true })
  }
}
