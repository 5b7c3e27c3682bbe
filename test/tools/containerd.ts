// A containerd of a test's own.
import { rm } from 'node:fs/promises'
import { systemClock as clock } from '#base/clock'
import type { Engine } from '#bootstrap/engine/engine'
import { unmountBelow } from '#bootstrap/engine/leftovers'
import { startPrivateContainerd, stopPrivateContainerd } from '#bootstrap/engine/private-containerd'
import { checkTestDir } from './names.ts'

/** An engine that runs for tests. */
export interface TestEngine {
  readonly dir: string
  readonly engine: Engine
  /** The directory where a CNI configuration is looked for; only containerd has one. */
  readonly cniConfigs?: string
  readonly pid: number
  /** Ends it with all its containers and deletes its directory. */
  stop(): Promise<void>
}

/** Starts containerd with everything below `dir`. What an earlier run left in `dir` is removed first. */
export async function startContainerd({ dir }: { readonly dir: string }): Promise<TestEngine> {
  checkTestDir(dir)
  const options = { dataDir: dir, clock, log: (line: string) => console.error(`containerd: ${line}`) }
  const stop = async (): Promise<void> => {
    await stopPrivateContainerd(options)
    await unmountBelow(dir)
    await rm(dir, { recursive: true, force: true })
  }
  await stop()
  const { endpoint, process, paths } = await startPrivateContainerd(options)
  return { dir, engine: { kind: 'containerd', endpoint, private: true }, cniConfigs: paths.cniConfigs, pid: process.pid, stop }
}
