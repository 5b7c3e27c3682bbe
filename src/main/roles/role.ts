// What every role of a cluster's process begins with: its config, its log, its pid file, its end.
import { setMaxListeners } from 'node:events'
import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { systemClock } from '#base/clock'
import { freshSeed, type Random, seededRandom } from '#base/random'
import type { ClusterConfig, ClusterPaths } from '#bootstrap/cluster-config'
import { rolePidFile } from '#bootstrap/keeper'
import { createHttpsTransport } from '#client/https-transport'
import { readKubeconfig } from '#client/kubeconfig'
import type { Transport } from '#client/transport'
import { runningProcess, writePidFile } from '#platform/daemon'
import { createLogger, type Logger, stderrSink } from '#platform/log'
import { setTitle, terminationSignal } from '#platform/process'
import { Failure } from '../failure.ts'

export interface Role {
  readonly log: Logger
  readonly random: Random
  readonly signal: AbortSignal
}

/** Names the process, writes its pid file, sets up its log (standard error, which the keeper sends to a file). */
export function beginRole(name: string, paths: ClusterPaths): Role {
  setTitle(name)
  mkdirSync(paths.run, { recursive: true, mode: 0o700 })
  takePidFile(name, paths)
  const signal = terminationSignal()
  setMaxListeners(0, signal)
  const log = createLogger({ sink: stderrSink, clock: systemClock, level: process.argv.includes('--verbose') ? 'debug' : 'info' })
  process.on('uncaughtException', (error) => {
    log.error('this process cannot go on', { error })
    process.exit(1)
  })
  return { log, random: seededRandom(freshSeed()), signal }
}

// A second process of a role would only take the first one's pid file, and then fail on its port or its store.
function takePidFile(name: string, paths: ClusterPaths): void {
  const pidFile = rolePidFile(paths, name)
  const other = runningProcess(pidFile)
  if (other !== undefined && other.pid !== process.pid) {
    throw new Failure(
      `the ${name} of the cluster in ${paths.dataDir} runs already, as process ${other.pid}: stop it first, or use another --data-dir`,
    )
  }
  writePidFile(pidFile)
}

/** A transport to the cluster's API server as the identity of one kubeconfig (`controllers`, `node`, …). */
export function transportAs(identity: string, config: ClusterConfig, paths: ClusterPaths): Transport {
  const access = readKubeconfig(join(paths.kubeconfigs, `${identity}.kubeconfig`))
  return createHttpsTransport({ ...access, server: `https://${config.nodeIp}:${config.apiPort}`, clock: systemClock })
}

/** Ends the process as `work` ends: 0 when it resolves, 1, with the reason in the log, when it rejects. */
export async function endWith(role: Role, work: Promise<void>): Promise<never> {
  try {
    await work
    process.exit(0)
  } catch (error) {
    role.log.error('this process cannot go on', { error })
    process.exit(1)
  }
}
