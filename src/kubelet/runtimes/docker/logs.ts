// The log pumps of all running containers: one each, from start to the last line, and again after a restart.
import { mkdir, readdir, rm } from 'node:fs/promises'
import { join } from 'node:path'
import type { Clock } from '#base/clock'
import type { Logger } from '#platform/log'
import type { DockerClient } from './client.ts'
import { type LogPump, startLogPump } from './log-pump.ts'
import type { ContainerMeta } from './marks.ts'

export interface DockerLogs {
  /** Begins (or goes on) copying a container's output. Resolves when the file may be renamed. */
  follow(containerId: string, meta: ContainerMeta): Promise<void>
  isFollowing(containerId: string): boolean
  reopen(containerId: string): Promise<void>
  /** Waits until an exited container's output is complete in its file, but not for ever. */
  complete(containerId: string): Promise<void>
  /** The container is removed: nothing of it is kept here. */
  forget(containerId: string): Promise<void>
  /** Removes what is kept for containers other than these. */
  forgetAllBut(containerIds: ReadonlySet<string>): Promise<void>
  stop(): Promise<void>
}

const completeMsMax = 2_000

/** No pumps yet. `dir` holds the positions of rotated files. */
export async function openDockerLogs({
  client,
  dir,
  clock,
  log,
}: {
  client: DockerClient
  dir: string
  clock: Clock
  log: Logger
}): Promise<DockerLogs> {
  await mkdir(dir, { recursive: true, mode: 0o700 })
  const pumps = new Map<string, LogPump>()
  const checkpointPath = (id: string): string => join(dir, id)
  return {
    async follow(containerId, meta) {
      if (pumps.has(containerId)) return
      const pump = startLogPump({
        client,
        containerId,
        path: meta.logPath,
        checkpointPath: checkpointPath(containerId),
        tty: meta.tty,
        clock,
        log,
      })
      pumps.set(containerId, pump)
      void pump.done.then(() => {
        if (pumps.get(containerId) === pump) pumps.delete(containerId)
      })
      await pump.ready
    },
    isFollowing: (containerId) => pumps.has(containerId),
    async reopen(containerId) {
      await pumps.get(containerId)?.reopen()
    },
    async complete(containerId) {
      const pump = pumps.get(containerId)
      if (pump === undefined) return
      const waiting = new AbortController()
      const late = clock.sleep(completeMsMax, waiting.signal).catch(() => undefined)
      await Promise.race([pump.done, late])
      waiting.abort()
    },
    async forget(containerId) {
      const pump = pumps.get(containerId)
      pumps.delete(containerId)
      await pump?.stop()
      await rm(checkpointPath(containerId), { force: true })
    },
    async forgetAllBut(containerIds) {
      for (const name of await readdir(dir)) if (!containerIds.has(name)) await rm(join(dir, name), { force: true })
    },
    async stop() {
      await Promise.all([...pumps.values()].map((pump) => pump.stop()))
    },
  }
}
