// For commands that need a cluster to be there.
import { resolve } from 'node:path'
import { type ClusterConfig, type ClusterPaths, clusterPaths, readClusterConfig } from '#bootstrap/cluster-config'
import { Failure } from '../failure.ts'

/** The cluster of a data directory; fails with a line that says what to do when there is none. */
export function existingCluster(dataDir: string): { config: ClusterConfig; paths: ClusterPaths } {
  const paths = clusterPaths(resolve(dataDir))
  const config = readClusterConfig(paths.dataDir)
  if (config === undefined) throw new Failure(`there is no cluster in ${paths.dataDir}: run 'navarch up' first, or name its --data-dir`)
  return { config, paths }
}
