// `navarch kubectl …` and `navarch helm …`: the real clients, with this cluster's admin kubeconfig.
import { spawn } from 'node:child_process'
import { existsSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { clusterPaths } from '#bootstrap/cluster-config'
import { Failure } from '../failure.ts'

/** Runs the client with `args` and ends as it ends. */
export async function runClient(client: 'kubectl' | 'helm', args: readonly string[], options: { dataDir: string }): Promise<void> {
  const { adminKubeconfig } = clusterPaths(options.dataDir)
  if (!existsSync(adminKubeconfig))
    throw new Failure(`there is no cluster in ${options.dataDir}: run 'navarch up' first, or name its --data-dir`)
  const child = spawn(clientProgram(client), args, { stdio: 'inherit', env: { ...process.env, KUBECONFIG: adminKubeconfig } })
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => child.kill(signal))
  await new Promise<void>((resolve, reject) => {
    child.once('error', (error) => reject(new Failure(`cannot run ${client}: ${error.message}`)))
    child.once('close', (code, signal) => {
      process.exitCode = code ?? (signal === null ? 1 : 128)
      resolve()
    })
  })
}

/** The client that the installation brought, else the one on the search path. */
export function clientProgram(client: 'kubectl' | 'helm'): string {
  const here = dirname(fileURLToPath(import.meta.url))
  const own = [join(here, '../.cache/bin', client), join(here, '../../../.cache/bin', client)]
  return own.find((path) => existsSync(path)) ?? client
}
