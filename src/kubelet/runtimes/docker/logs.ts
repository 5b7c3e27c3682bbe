// The log pumps of all running containers: one each, from start to the last line, and again after a restart.
import { access, mkdir, readdir, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { Clock } from '#base/clock'
import type { Logger } from '#platform/log'
import { type LogPump, startLogPump } from './log-pump.ts'
import type { ContainerMeta } from './marks.ts'

export interface DockerLogs {
  /** Begins (or goes on) copying a container's output. Resolves when the file may be renamed. */
  follow(containerId: string, meta: ContainerMeta): Promise<void>
  reopen(containerId: string): Promise<void>
  /** The container has exited: resolves when all its output is in its file (or cannot be put there for now). */
  complete(containerId: string): Promise<void>
  /** Whether an earlier run completed it. */
  isComplete(containerId: string): Promise<boolean>
  /** The container is removed: nothing of it is kept here. */
  forget(containerId: string): Promise<void>
  /** Removes what is kept for containers other than these. */
  forgetAllBut(containerIds: ReadonlySet<string>): Promise<void>
  stop(): Promise<void>
}

export interface DockerLogsOptions {
  /** Docker's root directory, where its own logs lie. */
  readonly dockerRoot: string
  /** Holds the positions of rotated files. */
  readonly dir: string
  readonly clock: Clock
  readonly log: Logger
}

const completeMsMax = 2_000

/** No pumps yet. */
export async function openDockerLogs({ dockerRoot, dir, clock, log }: DockerLogsOptions): Promise<DockerLogs> {
  await mkdir(dir, { recursive: true, mode: 0o700 })
  const pumps = new Map<string, LogPump>()
  const checkpointPath = (id: string): string => join(dir, id)
  const donePath = (id: string): string => join(dir, `${id}.done`)
  return {
    async follow(containerId, meta) {
      if (pumps.has(containerId)) return
      const source = join(dockerRoot, 'containers', containerId, `${containerId}-json.log`)
      const pump = startLogPump({ source, path: meta.logPath, checkpointPath: checkpointPath(containerId), clock, log })
      pumps.set(containerId, pump)
      await pump.ready
    },
    async reopen(containerId) {
      await pumps.get(containerId)?.reopen()
    },
    async complete(containerId) {
      const pump = pumps.get(containerId)
      if (pump === undefined) return
      const waiting = new AbortController()
      const finished = pump.finish().then(() => true)
      // A full disk must not hold up the news of an exit.
      const late = clock.sleep(completeMsMax, waiting.signal).then(
        () => false,
        () => false,
      )
      const done = await Promise.race([finished, late])
      waiting.abort()
      if (!done || pumps.get(containerId) !== pump) return
      pumps.delete(containerId)
      await writeFile(donePath(containerId), '')
    },
    isComplete: (containerId) =>
      access(donePath(containerId)).then(
        () => true,
        () => false,
      ),
    async forget(containerId) {
      const pump = pumps.get(containerId)
      pumps.delete(containerId)
      await pump?.stop()
      await rm(checkpointPath(containerId), { force: true })
      await rm(donePath(containerId), { force: true })
    },
    async forgetAllBut(containerIds) {
      for (const name of await readdir(dir)) if (!containerIds.has(name.split('.')[0] ?? '')) await rm(join(dir, name), { force: true })
    },
    async stop() {
      await Promise.all([...pumps.values()].map((pump) => pump.stop()))
    },
  }
}
