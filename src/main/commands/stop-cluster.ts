// Stopping a cluster on this machine: processes, then containers, then what they left in the kernel. Data stays.
import type { Clock } from '#base/clock'
import type { ClusterConfig, ClusterPaths } from '#bootstrap/cluster-config'
import { stopPrivateContainerd } from '#bootstrap/engine/private-containerd'
import { stopKeeper } from '#bootstrap/keeper'

export interface StopDeps {
  readonly clock: Clock
  readonly log: (line: string) => void
}

/** Works on whatever is there: a running cluster, a half-started one, or what a crash left. */
export async function stopCluster(config: ClusterConfig, paths: ClusterPaths, { clock, log }: StopDeps): Promise<void> {
  await stopKeeper(paths, 'node', clock)
  log('stopped the node agent')
  await removeNodeState(config, paths, { clock, log })
  for (const role of ['controllers', 'apiserver']) await stopKeeper(paths, role, clock)
  log('stopped the control plane')
}

/** Containers, sandboxes, networks, rules and cgroups of this node. */
async function removeNodeState(config: ClusterConfig, paths: ClusterPaths, { clock, log }: StopDeps): Promise<void> {
  if (config.engine !== 'fake') {
    const { cleanNode } = await import('../roles/clean-node.ts')
    await cleanNode(config, paths, { clock, log })
  }
  if (config.privateEngine) await stopPrivateContainerd({ dataDir: paths.dataDir, clock, log })
}
