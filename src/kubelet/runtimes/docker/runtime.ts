// The driver for the Docker engine: pods as CRI engines have them, a pause container that holds the namespaces and containers that
// join it, with our own CNI network and log files in the CRI's format (docs/decisions/engines.md).
import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import type { Clock } from '#base/clock'
import type { Logger } from '#platform/log'
import type { Cgroups } from '../../cgroups.ts'
import type { PodNetwork } from '../../cni/pod-network.ts'
import { openUsageCache } from '../disk-usage.ts'
import type { NetnsDialer } from '../netns-dialer.ts'
import {
  type ContainerRuntime,
  type ContainerStats,
  type ContainerSummary,
  RuntimeError,
  type RuntimeInfo,
  type Sandbox,
} from '../runtime.ts'
import { type DockerClient, DockerError } from './client.ts'
import {
  failedToStart,
  type Inspected,
  type Listed,
  type OomScore,
  openOomScore,
  resourcesBody,
  sandboxFrom,
  stateFrom,
  statusFrom,
  summaryFrom,
} from './convert.ts'
import { createDockerContainer } from './create-container.ts'
import { watchDockerEvents } from './events.ts'
import { dockerAttach, dockerExec, dockerExecSync } from './exec.ts'
import { openDockerImages } from './images.ts'
import { openDockerLogs } from './logs.ts'
import { type ContainerMeta, clusterLabel, type Meta, metaOf, sandboxLabel } from './marks.ts'
import { runDockerSandbox } from './run-sandbox.ts'

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

/** What the driver's parts share. */
export interface DockerParts extends DockerRuntimeOptions {
  readonly sandboxDir: (id: string) => string
  readonly oomScore: OomScore
}

const outputBytesDefault = 16_384

/** Opens the driver: takes up the containers that are there, goes on with their logs, frees what belongs to none. */
export async function openDockerRuntime(options: DockerRuntimeOptions): Promise<ContainerRuntime> {
  const { client, clusterName, network, cgroups, dialer, clock, log } = options
  const dir = join(options.dataDir, 'docker')
  const parts: DockerParts = { ...options, sandboxDir: (id) => join(dir, 'sandboxes', id), oomScore: await openOomScore() }
  const { engine, api } = await client.version()
  const info: RuntimeInfo = { name: 'docker', version: engine, apiVersion: api, cgroupDriver: cgroups.driver }
  const images = openDockerImages(client, clock)
  const logs = await openDockerLogs({ dockerRoot: options.dockerRoot, dir: join(dir, 'logs'), clock, log })
  const closing = new AbortController()
  const layers = openUsageCache(clock, closing.signal)
  const metas = new Map<string, Meta>()
  // Docker lists a container that failed to start like one that was never started; which is which does not change.
  const startFailed = new Map<string, boolean>()

  async function list(extra: string[] = [], all = true): Promise<(Listed & { readonly meta: Meta })[]> {
    const filters = JSON.stringify({ label: [`${clusterLabel}=${clusterName}`, ...extra] })
    const found = await client.call<Listed[]>('GET', '/containers/json', { query: { all, filters } })
    return found.flatMap((container) => {
      const meta = metas.get(container.Id) ?? metaOf(container.Labels)
      if (meta === undefined) return []
      metas.set(container.Id, meta)
      return [{ ...container, meta }]
    })
  }

  async function inspect(id: string): Promise<(Inspected & { readonly meta: Meta }) | undefined> {
    try {
      const inspected = await client.call<Inspected>('GET', `/containers/${id}/json`)
      const meta = metas.get(inspected.Id) ?? metaOf(inspected.Config.Labels)
      return meta === undefined ? undefined : { ...inspected, meta }
    } catch (error) {
      if (isStatus(error, 404)) return undefined
      throw error
    }
  }

  async function inspectContainer(id: string): Promise<Inspected & { readonly meta: ContainerMeta }> {
    const found = await inspect(id)
    if (found?.meta.type !== 'container') throw new RuntimeError('notFound', `container "${id}" not found`)
    return { ...found, meta: found.meta }
  }

  /** The last output of an exited container is written before the engine forgets it. */
  async function drain(id: string): Promise<void> {
    if ((await inspect(id))?.State.Running === false) await logs.complete(id)
  }

  async function removeOne(id: string): Promise<void> {
    try {
      await client.call('DELETE', `/containers/${id}`, { query: { force: true, v: true } })
    } catch (error) {
      // 409: somebody else is at it already.
      if (!isStatus(error, 404, 409)) throw error
    }
    await logs.forget(id)
    metas.delete(id)
    startFailed.delete(id)
    layers.forget(id)
  }

  async function leaveNetwork(sandbox: Inspected): Promise<void> {
    await network.withdraw(sandbox.Id)
    await network.detach(sandbox.Id, sandbox.State.Pid > 0 ? `/proc/${sandbox.State.Pid}/ns/net` : '')
  }

  async function stopSandbox(id: string): Promise<void> {
    const sandbox = await inspect(id)
    if (sandbox === undefined) return
    const running = await list([`${sandboxLabel}=${id}`], false)
    // The pause container goes last: it holds the namespace that the network is taken out of.
    await Promise.all([leaveNetwork(sandbox), ...running.map((c) => stopOne(client, c.Id, 0))])
    await stopOne(client, id, 0)
  }

  async function removeSandbox(id: string): Promise<void> {
    const sandbox = await inspect(id)
    if (sandbox === undefined) return
    const containers = await list([`${sandboxLabel}=${id}`])
    await Promise.all([leaveNetwork(sandbox), ...containers.map((c) => removeOne(c.Id))])
    await removeOne(id)
    await rm(parts.sandboxDir(id), { recursive: true, force: true })
  }

  async function statsOf(id: string, meta: ContainerMeta): Promise<ContainerStats | undefined> {
    const leaf = cgroups.driver === 'systemd' ? `docker-${id}.scope` : id
    const usage = await cgroups.usage(meta.cgroupParent, leaf)
    if (usage === undefined) return undefined
    const { podUid, podName, podNamespace, name } = meta
    const rootfs = layers.usage(id, async () => (await inspect(id))?.GraphDriver?.Data?.UpperDir)
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

  async function takeUp(): Promise<void> {
    const found = await list()
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
  await takeUp()

  const runtime: ContainerRuntime = {
    info,
    async readiness() {
      const networkReady = network.configuration() !== undefined
      const networkMessage = networkReady ? '' : 'container runtime network not ready: the node has no pod range yet'
      try {
        await client.call('GET', '/_ping', { timeoutMs: 10_000 })
        return { runtimeReady: true, runtimeMessage: '', networkReady, networkMessage }
      } catch (error) {
        return { runtimeReady: false, runtimeMessage: (error as Error).message, networkReady, networkMessage }
      }
    },
    setPodCidr: (cidr) => network.setPodCidr(cidr),
    runSandbox: (config) => runDockerSandbox(parts, images, config),
    stopSandbox,
    removeSandbox,
    async sandboxStatus(id) {
      const found = await inspect(id)
      return found?.meta.type === 'sandbox' ? sandboxFrom(found.Id, found.State.Status, found.meta, network.addresses(found.Id)) : undefined
    },
    async listSandboxes() {
      const found = await list()
      return found.flatMap((c): Sandbox[] =>
        c.meta.type === 'sandbox' ? [sandboxFrom(c.Id, c.State, c.meta, network.addresses(c.Id))] : [],
      )
    },
    async networkNamespace(id) {
      const sandbox = await inspect(id)
      if (sandbox?.meta.type !== 'sandbox' || sandbox.meta.network === 'node' || !sandbox.State.Running) return undefined
      return `/proc/${sandbox.State.Pid}/ns/net`
    },
    async createContainer(sandboxId, config, sandbox) {
      const { id, meta } = await createDockerContainer(parts, sandboxId, config, sandbox)
      metas.set(id, meta)
      startFailed.set(id, false)
      return id
    },
    async startContainer(id) {
      const meta = metas.get(id) ?? (await inspectContainer(id)).meta
      try {
        await client.call('POST', `/containers/${id}/start`, { accept: [304] })
      } catch (error) {
        if (!(error instanceof DockerError) || error.status === 404) throw error
        startFailed.set(id, true)
        throw new RuntimeError('startFailed', error.message, { cause: error })
      }
      if (meta.type === 'container') await logs.follow(id, meta)
    },
    stopContainer: (id, graceSeconds) => stopOne(client, id, graceSeconds),
    async removeContainer(id) {
      await drain(id)
      await removeOne(id)
    },
    async listContainers() {
      const found = await list()
      for (const c of found) {
        if (c.State !== 'created' || c.meta.type === 'sandbox' || startFailed.has(c.Id)) continue
        const inspected = await inspect(c.Id)
        startFailed.set(c.Id, inspected !== undefined && failedToStart(inspected))
      }
      return found.flatMap((c): ContainerSummary[] =>
        c.meta.type === 'container' ? [summaryFrom(c.Id, stateFrom(c.State, startFailed.get(c.Id) ?? false), c.meta)] : [],
      )
    },
    async containerStatus(id) {
      const found = await inspect(id)
      if (found?.meta.type !== 'container') return undefined
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
    exec: (id, execOptions) => dockerExec(client, id, execOptions, clock),
    attach: async (id, attachOptions) => dockerAttach(client, await inspectContainer(id), attachOptions),
    async portForward(sandboxId, port) {
      const sandbox = await inspect(sandboxId)
      if (sandbox?.meta.type !== 'sandbox') throw new RuntimeError('notFound', `sandbox "${sandboxId}" not found`)
      if (!sandbox.State.Running) throw new RuntimeError('notRunning', `sandbox "${sandboxId}" is not running`)
      return dialer.dial(sandbox.meta.network === 'node' ? undefined : `/proc/${sandbox.State.Pid}/ns/net`, port)
    },
    imageStatus: (image) => images.status(image),
    pullImage: (image, auth, signal) => images.pull(image, auth, signal),
    listImages: () => images.list(),
    removeImage: (image) => images.remove(image),
    async imageFilesystem() {
      return { path: options.dockerRoot, usedBytes: await images.usedBytes(), inodesUsed: 0 }
    },
    async listStats() {
      const running = await list([], false)
      const stats = await Promise.all(running.map((c) => (c.meta.type === 'container' ? statsOf(c.Id, c.meta) : undefined)))
      return stats.filter((s) => s !== undefined)
    },
    watch: (onEvent, signal) =>
      watchDockerEvents({ client, cluster: clusterName, clock, log }, onEvent, AbortSignal.any([signal, closing.signal])),
    async close() {
      closing.abort()
      await logs.stop()
      dialer.close()
      client.close()
    },
  }
  return runtime
}

/** Whether the error is one of the engine with one of these statuses. */
export function isStatus(error: unknown, ...statuses: number[]): boolean {
  return error instanceof DockerError && statuses.includes(error.status)
}

async function stopOne(client: DockerClient, id: string, graceSeconds: number): Promise<void> {
  try {
    await client.call('POST', `/containers/${id}/stop`, { query: { t: graceSeconds }, accept: [304], timeoutMs: Number.POSITIVE_INFINITY })
  } catch (error) {
    if (!isStatus(error, 404)) throw error
  }
}
