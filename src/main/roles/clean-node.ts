// What a node leaves in engine and kernel when it goes: its sandboxes, its rules, its DNS address, its cgroup.
import type { Clock } from '#base/clock'
import { seededRandom } from '#base/random'
import type { ClusterConfig, ClusterPaths } from '#bootstrap/cluster-config'
import { privateContainerdPaths } from '#bootstrap/engine/containerd-config'
import { unmountBelow } from '#bootstrap/engine/leftovers'
import { startPrivateContainerd } from '#bootstrap/engine/private-containerd'
import { openCgroups } from '#kubelet/cgroups'
import { openRuntime, removeNetworkTraces } from '#kubelet/runtimes/all'
import { silentLogger } from '#platform/log'
import { createNftablesBackend } from '#proxy/backends/nftables/nftables'
import { removeLocalAddress } from '../local-address.ts'

/** Removes it all. The node agent must have ended. What cannot be removed is told and left. */
export async function cleanNode(
  config: ClusterConfig,
  paths: ClusterPaths,
  { clock, log }: { clock: Clock; log: (line: string) => void },
): Promise<void> {
  const steps: [string, () => Promise<void>][] = [
    ['containers', () => removeSandboxes(config, paths, clock, log)],
    ['service rules', () => createNftablesBackend({ clusterName: config.name }).remove()],
    ['the DNS address', () => removeLocalAddress(config.dnsIp)],
    ['mounts', () => unmountBelow(paths.kubelet)],
    ['cgroups', async () => void (await (await openCgroups({})).remove(`/${config.name}`))],
  ]
  for (const [what, step] of steps) {
    try {
      await step()
    } catch (error) {
      log(`could not remove ${what}: ${(error as Error).message}`)
    }
  }
}

async function removeSandboxes(config: ClusterConfig, paths: ClusterPaths, clock: Clock, log: (line: string) => void): Promise<void> {
  if (config.privateEngine) await startPrivateContainerd({ dataDir: paths.dataDir, clock, log })
  const criEndpoint = config.privateEngine ? `unix://${privateContainerdPaths(paths.dataDir).socket}` : config.criEndpoint
  const runtime = await openRuntime({
    engine: config.engine,
    dataDir: paths.dataDir,
    clusterName: config.name,
    random: seededRandom(1),
    clock,
    log: silentLogger,
    ...(criEndpoint === undefined ? {} : { criEndpoint }),
    ...(config.dockerHost === undefined ? {} : { dockerHost: config.dockerHost }),
  })
  const sandboxes = await runtime.listSandboxes()
  await Promise.all(sandboxes.map(({ id }) => runtime.removeSandbox(id)))
  await runtime.close()
  await removeNetworkTraces({ engine: config.engine, clusterName: config.name, podCidr: config.podCidr, criEndpoint, clock })
  log(`removed ${sandboxes.length} pods' containers`)
}
