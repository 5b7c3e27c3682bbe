// Containers in the Docker engine: their life, processes in them, what they use.
import { type ContainerRuntime, type ContainerStats, type ContainerSummary, RuntimeError } from '../runtime.ts'
import { DockerError } from './client.ts'
import { resourcesBody, stateFrom, statusFrom, summaryFrom } from './convert.ts'
import { createDockerContainer } from './create-container.ts'
import { dockerAttach, dockerExec, dockerExecSync } from './exec.ts'
import type { ContainerMeta } from './marks.ts'
import { type DockerParts, removeOne, stopOne } from './parts.ts'

type ContainerVerbs = Pick<
  ContainerRuntime,
  | 'createContainer'
  | 'startContainer'
  | 'stopContainer'
  | 'removeContainer'
  | 'listContainers'
  | 'containerStatus'
  | 'updateResources'
  | 'reopenLog'
  | 'execSync'
  | 'exec'
  | 'attach'
  | 'listStats'
>

const outputBytesDefault = 16_384

/** The verbs on containers. */
export function containerVerbs(parts: DockerParts): ContainerVerbs {
  const { client, books, images, logs, clock } = parts

  const required = async (id: string) => {
    const found = await books.inspectContainer(id)
    if (found === undefined) throw new RuntimeError('notFound', `container "${id}" not found`)
    return found
  }

  return {
    async createContainer(sandboxId, config, sandbox) {
      const { id, meta } = await createDockerContainer(parts, sandboxId, config, sandbox)
      books.created(id, meta)
      return id
    },
    async startContainer(id) {
      const meta = books.metaOf(id) ?? (await required(id)).meta
      try {
        await client.call('POST', `/containers/${id}/start`, { accept: [304] })
      } catch (error) {
        if (!(error instanceof DockerError) || error.status === 404) throw error
        books.noteFailedStart(id)
        throw new RuntimeError('startFailed', error.message, { cause: error })
      }
      if (meta.type === 'container') await logs.follow(id, meta)
    },
    stopContainer: (id, graceSeconds) => stopOne(client, id, graceSeconds),
    async removeContainer(id) {
      // The last output of an exited container is copied before the engine forgets it.
      if ((await books.inspect(id))?.State.Running === false) await logs.complete(id)
      await removeOne(parts, id)
    },
    async listContainers() {
      const summaries: ContainerSummary[] = []
      for (const { Id, State, meta } of await books.list()) {
        if (meta.type !== 'container') continue
        const failed = State === 'created' && (await books.failedStart(Id))
        summaries.push(summaryFrom(Id, stateFrom(State, failed), meta))
      }
      return summaries
    },
    async containerStatus(id) {
      const found = await books.inspectContainer(id)
      if (found === undefined) return undefined
      const status = statusFrom(found, found.meta, await images.referenceOf(found.Image))
      // Whoever learns of the exit may read the log at once, and for the last lines at that.
      if (status.state === 'exited') await logs.complete(found.Id)
      return status
    },
    async updateResources(id, resources) {
      await client.call('POST', `/containers/${id}/update`, { body: resourcesBody(resources) })
    },
    reopenLog: (id) => logs.reopen(id),
    execSync: (id, command, timeoutMs, bytesMax = outputBytesDefault) =>
      dockerExecSync(client, id, command, { timeoutMs, bytesMax, clock }),
    exec: (id, options) => dockerExec(client, id, options, clock),
    attach: async (id, options) => dockerAttach(client, await required(id), options),
    async listStats() {
      const running = await books.list({ runningOnly: true })
      const stats = await Promise.all(running.map(({ Id, meta }) => (meta.type === 'container' ? statsOf(parts, Id, meta) : undefined)))
      return stats.filter((s) => s !== undefined)
    },
  }
}

// From the cgroup's own files: Docker's call for it waits a second to compute a rate that nobody asked for.
async function statsOf(
  { books, cgroups, layers, clock }: DockerParts,
  id: string,
  meta: ContainerMeta,
): Promise<ContainerStats | undefined> {
  const usage = await cgroups.usage(meta.cgroupParent, cgroups.driver === 'systemd' ? `docker-${id}.scope` : id)
  if (usage === undefined) return undefined
  const { podUid, podName, podNamespace, name } = meta
  const rootfs = layers.usage(id, async () => (await books.inspect(id))?.GraphDriver?.Data?.UpperDir)
  const { tasks: _, ...measured } = usage
  return {
    id,
    podUid,
    podName,
    podNamespace,
    name,
    timestamp: clock.now(),
    ...measured,
    rootfsUsedBytes: rootfs.bytes,
    rootfsInodesUsed: rootfs.inodes,
  }
}
