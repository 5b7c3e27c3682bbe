// `navarch node`: the node agent in the foreground.

import { runNodeAgent } from '../roles/node-agent.ts'
import { beginRole, endWith } from '../roles/role.ts'
import { existingCluster } from './existing-cluster.ts'

export async function node(options: { dataDir: string }): Promise<void> {
  const { config, paths } = existingCluster(options.dataDir)
  const role = beginRole('node', paths)
  await endWith(role, runNodeAgent(config, paths, role))
}
