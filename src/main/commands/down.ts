// `navarch down`: stops the cluster of a data directory; with --purge its data goes too.
import { existsSync } from 'node:fs'
import { rm } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import { systemClock } from '#base/clock'
import { clusterPaths, readClusterConfig } from '#bootstrap/cluster-config'
import { unmountBelow } from '#bootstrap/engine/leftovers'
import { Failure } from '../failure.ts'
import { stopCluster } from './stop-cluster.ts'

export async function down(options: { dataDir: string; purge?: boolean }): Promise<void> {
  const dataDir = resolve(options.dataDir)
  const say = (line: string): void => void process.stdout.write(`${line}\n`)
  if (!existsSync(dataDir)) return say(`there is no cluster in ${dataDir}`)
  const config = readClusterConfig(dataDir)
  if (config === undefined) {
    const foreign = options.purge && !existsSync(join(dataDir, 'pki'))
    if (foreign) throw new Failure(`${dataDir} does not look like a data directory of navarch: remove it yourself if it should go`)
    return say(`there is no cluster in ${dataDir}`)
  }
  await stopCluster(config, clusterPaths(dataDir), { clock: systemClock, log: say })
  if (!options.purge) return say(`cluster ${config.name} is down; its data stays in ${dataDir}`)
  await unmountBelow(dataDir)
  await rm(dataDir, { recursive: true, force: true })
  say(`cluster ${config.name} is down and its data is removed`)
}
