// `navarch server`: the control plane, or parts of it, in the foreground.
import { existsSync } from 'node:fs'
import { chmod, mkdir } from 'node:fs/promises'
import { hostname } from 'node:os'
import { join, relative } from 'node:path'
import { systemClock as clock } from '#base/clock'
import { readPair, readServiceAccountKey } from '#bootstrap/pki'
import { removeBeneath } from '#kubelet/volumes/remove-beneath'
import { usageFailure } from '../failure.ts'
import { beginRole, endWith, type Role, transportAs } from '../roles/role.ts'
import { readServerSettings } from '../server-options.ts'
import { existingCluster } from './existing-cluster.ts'

const known = ['apiserver', 'controllers', 'scheduler'] as const

/** `options` holds, besides its own, the options of the API server by their names. */
export async function server(options: {
  dataDir: string
  components: string
  config?: string
  flags: Record<string, unknown>
}): Promise<void> {
  const components = options.components.split(',').map((name) => name.trim())
  const strange = components.find((name) => !known.some((component) => component === name))
  if (strange !== undefined) throw usageFailure(`--components ${strange}: choose from ${known.join(', ')}`)
  const { config, paths } = existingCluster(options.dataDir)
  const ownConfig = join(paths.dataDir, 'server.yaml')
  const settings = readServerSettings(options.flags, options.config ?? (existsSync(ownConfig) ? ownConfig : undefined))
  const role = beginRole(components.includes('apiserver') ? 'apiserver' : 'controllers', paths)
  const parts: Promise<void>[] = []
  if (components.includes('apiserver')) {
    const { runApiServer } = await import('../roles/api-server.ts')
    parts.push(runApiServer(config, paths, role, settings))
  }
  const run = { controllers: components.includes('controllers'), scheduler: components.includes('scheduler') }
  if (run.controllers || run.scheduler) parts.push(controlLoops(role))
  await endWith(
    role,
    Promise.all(parts).then(() => undefined),
  )

  async function controlLoops({ log, random, signal }: Role): Promise<void> {
    const { runControlLoops } = await import('../roles/control-loops.ts')
    const ca = readPair(paths.pki, 'ca')
    const controllersTransport = transportAs('controllers', config, paths)
    const schedulerTransport = transportAs('scheduler', config, paths)
    await runControlLoops({
      controllersTransport,
      schedulerTransport,
      clock,
      random,
      log,
      signal,
      rootCaPem: ca.certificatePem,
      signingCa: ca,
      serviceAccountKeyPem: settings.signingKeyPem ?? readServiceAccountKey(paths.pki),
      podCidr: config.podCidr,
      dnsIp: config.dnsIp,
      // The binder deletes nothing that is not below it.
      removeHostPath: removeBelow('/tmp'),
      localVolumes: { directory: paths.volumes, make: makeOpenDirectory, remove: removeBelow(paths.volumes) },
      // The pid file and the keeper see to it that this identity runs once on this machine.
      identity: `${hostname()}_${config.name}`,
      run,
    })
    await Promise.all([controllersTransport.close(), schedulerTransport.close()])
  }
}

const removeBelow = (root: string) => (path: string) => removeBeneath(root, relative(root, path))

/** Whoever a container runs as may write to its volume; the umask does not matter. */
async function makeOpenDirectory(path: string): Promise<void> {
  await mkdir(path, { recursive: true })
  await chmod(path, 0o777)
}
