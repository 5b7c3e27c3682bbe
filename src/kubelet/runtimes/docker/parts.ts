// What the parts of the Docker driver share, and the two ends of a container that more than one of them needs.
import type { Clock } from '#base/clock'
import type { Logger } from '#platform/log'
import type { Cgroups } from '../../cgroups.ts'
import type { PodNetwork } from '../../cni/pod-network.ts'
import type { UsageCache } from '../disk-usage.ts'
import type { NetnsDialer } from '../netns-dialer.ts'
import type { DockerBooks } from './books.ts'
import { type DockerClient, isStatus } from './client.ts'
import type { OomScore } from './convert.ts'
import type { DockerImages } from './images.ts'
import type { DockerLogs } from './logs.ts'

export interface DockerRuntimeOptions {
  readonly client: DockerClient
  readonly clusterName: string
  /** The cluster's data directory; the driver's files lie in `docker/` below it. */
  readonly dataDir: string
  readonly sandboxImage: string
  /** Docker's root directory, as /info names it. */
  readonly dockerRoot: string
  readonly network: PodNetwork
  readonly cgroups: Cgroups
  readonly dialer: NetnsDialer
  readonly clock: Clock
  readonly log: Logger
}

export interface DockerParts extends DockerRuntimeOptions {
  readonly books: DockerBooks
  readonly images: DockerImages
  readonly logs: DockerLogs
  /** What containers wrote into their own layers. */
  readonly layers: UsageCache
  readonly sandboxDir: (id: string) => string
  readonly oomScore: OomScore
}

/** Stops a container; one that does not run, or is gone, is stopped already. */
export async function stopOne(client: DockerClient, id: string, graceSeconds: number): Promise<void> {
  try {
    const query = { t: graceSeconds }
    await client.call('POST', `/containers/${id}/stop`, { query, accept: [304], timeoutMs: Number.POSITIVE_INFINITY })
  } catch (error) {
    if (!isStatus(error, 404)) throw error
  }
}

/** Removes a container by force, with everything kept of it. */
export async function removeOne({ client, books, logs, layers }: DockerParts, id: string): Promise<void> {
  try {
    await client.call('DELETE', `/containers/${id}`, { query: { force: true, v: true } })
  } catch (error) {
    // 409: somebody else is at it already.
    if (!isStatus(error, 404, 409)) throw error
  }
  await logs.forget(id)
  books.forget(id)
  layers.forget(id)
}
