// The driver for the Docker engine: pods as CRI engines have them, a pause container that holds the namespaces and containers that
// join it, with our own CNI network and log files in the CRI's format (docs/decisions/engines.md).
import { join } from 'node:path'
import { openUsageCache } from '../disk-usage.ts'
import type { ContainerRuntime, RuntimeReadiness } from '../runtime.ts'
import { openDockerBooks } from './books.ts'
import { containerVerbs } from './containers.ts'
import { openOomScore } from './convert.ts'
import { watchDockerEvents } from './events.ts'
import { openDockerImages } from './images.ts'
import { openDockerLogs } from './logs.ts'
import type { DockerParts, DockerRuntimeOptions } from './parts.ts'
import { sandboxVerbs } from './sandboxes.ts'

const pingTimeoutMs = 10_000

/** Opens the driver: takes up the containers that are there, goes on with their logs, frees what belongs to none. */
export async function openDockerRuntime(options: DockerRuntimeOptions): Promise<ContainerRuntime> {
  const { client, clusterName, dockerRoot, network, cgroups, dialer, clock, log } = options
  const dir = join(options.dataDir, 'docker')
  const closing = new AbortController()
  const { engine, api } = await client.version()
  const parts: DockerParts = {
    ...options,
    books: openDockerBooks(client, clusterName),
    images: openDockerImages(client, clock),
    logs: await openDockerLogs({ dockerRoot, dir: join(dir, 'logs'), clock, log }),
    layers: openUsageCache(clock, closing.signal),
    sandboxDir: (id) => join(dir, 'sandboxes', id),
    oomScore: await openOomScore(),
  }
  const { images } = parts
  await takeUp(parts)
  return {
    info: { name: 'docker', version: engine, apiVersion: api, cgroupDriver: cgroups.driver },
    readiness: () => readiness(options),
    setPodCidr: (cidr) => network.setPodCidr(cidr),
    ...sandboxVerbs(parts),
    ...containerVerbs(parts),
    imageStatus: (image) => images.status(image),
    pullImage: (image, auth, signal) => images.pull(image, auth, signal),
    listImages: () => images.list(),
    removeImage: (image) => images.remove(image),
    imageFilesystem: async () => ({ path: dockerRoot, usedBytes: await images.usedBytes(), inodesUsed: 0 }),
    watch: (onEvent, signal) =>
      watchDockerEvents({ client, cluster: clusterName, clock, log }, onEvent, AbortSignal.any([signal, closing.signal])),
    async close() {
      closing.abort()
      await parts.logs.stop()
      dialer.close()
      client.close()
    },
  }
}

async function takeUp({ books, logs, network }: DockerParts): Promise<void> {
  const found = await books.list()
  await logs.forgetAllBut(new Set(found.map((c) => c.Id)))
  await network.releaseAllBut(new Set(found.filter((c) => c.meta.type === 'sandbox').map((c) => c.Id)))
  await Promise.all(
    found.map(async ({ Id, State, meta }) => {
      if (meta.type === 'sandbox' || State === 'created') return
      const over = State === 'exited' || State === 'dead'
      if (over && (await logs.isComplete(Id))) return
      await logs.follow(Id, meta)
      if (over) await logs.complete(Id)
    }),
  )
}

async function readiness({ client, network }: DockerRuntimeOptions): Promise<RuntimeReadiness> {
  const networkReady = network.configuration() !== undefined
  const networkMessage = networkReady ? '' : 'container runtime network not ready: the node has no pod range yet'
  try {
    await client.call('GET', '/_ping', { timeoutMs: pingTimeoutMs })
    return { runtimeReady: true, runtimeMessage: '', networkReady, networkMessage }
  } catch (error) {
    return { runtimeReady: false, runtimeMessage: (error as Error).message, networkReady, networkMessage }
  }
}
