// Containers in a CRI engine: their life, and processes in them.
import type { Cgroups } from '../../cgroups.ts'
import { type ContainerRuntime, type ContainerStatus, type Resources, RuntimeError } from '../runtime.ts'
import { type CriClient, CriError, undefinedIfGone } from './client.ts'
import {
  clusterLabel,
  containerMessage,
  containerMetaOf,
  resourcesFrom,
  resourcesMessage,
  sandboxMessage,
  statsFrom,
  statusFrom,
  summaryFrom,
} from './convert.ts'
import type { Known } from './known.ts'
import type { ContainerItem, ContainerStatusMessage } from './messages.ts'
import { openCriStreams } from './streams.ts'

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
  | 'listStats'
>

export interface CriContainers extends ContainerVerbs {
  /** The cluster's, as the engine lists them. */
  items(): Promise<readonly ContainerItem[]>
  /** The engine's own words on it; undefined when it is gone. */
  message(id: string): Promise<ContainerStatusMessage | undefined>
}

export interface ContainerDeps {
  readonly client: CriClient
  readonly clusterName: string
  readonly cgroups: Cgroups
  readonly known: Known
}

const outputBytesDefault = 16_384
const stopMarginMs = 120_000

/** The verbs on containers. */
export function openCriContainers({ client, clusterName, cgroups, known }: ContainerDeps): CriContainers {
  const selector = { filter: { labelSelector: { [clusterLabel]: clusterName } } }

  async function items(): Promise<readonly ContainerItem[]> {
    const { containers } = await client.call('ListContainers', selector)
    for (const item of containers) {
      known.sandboxOf.set(item.id, item.podSandboxId)
      const podUid = containerMetaOf(item)?.podUid
      if (podUid !== undefined) known.pods.set(item.id, { podUid, isSandbox: false })
    }
    known.prune('containers', containers)
    return containers
  }

  async function message(id: string): Promise<ContainerStatusMessage | undefined> {
    try {
      return (await client.call('ContainerStatus', { containerId: id })).status
    } catch (error) {
      return undefinedIfGone(error)
    }
  }

  async function resourcesOf(found: ContainerStatusMessage): Promise<Resources | undefined> {
    const linux = found.resources?.linux
    if (linux !== undefined && linux !== null) return resourcesFrom(linux)
    // containerd before 1.7 does not tell; the kernel does, while the container runs.
    const parent = containerMetaOf(found)?.cgroupParent
    if (found.state !== 1 || parent === undefined) return undefined
    const limits = await cgroups.limits(parent, cgroups.driver === 'systemd' ? `cri-containerd-${found.id}.scope` : found.id)
    if (limits === undefined) return undefined
    const { cpuShares, cpuQuotaMicros, cpuPeriodMicros, memoryLimitBytes } = limits
    const read = { cpuShares, cpuQuota: cpuQuotaMicros, cpuPeriod: cpuPeriodMicros, memoryLimitBytes }
    return Object.fromEntries(Object.entries(read).filter(([, value]) => value !== undefined && value >= 0)) as Resources
  }

  async function containerStatus(id: string): Promise<ContainerStatus | undefined> {
    const found = await message(id)
    if (found === undefined) return undefined
    // A status does not name the sandbox.
    if (!known.sandboxOf.has(id)) await items()
    return statusFrom(found, known.sandboxOf.get(id) ?? '', await resourcesOf(found))
  }

  return {
    items,
    message,
    containerStatus,
    async createContainer(sandboxId, config, sandbox) {
      const facts = { cluster: clusterName, cgroupParent: cgroups.parentFor(sandbox.cgroupParent), portMappings: false }
      const { containerId } = await client.call('CreateContainer', {
        podSandboxId: sandboxId,
        config: containerMessage(config, sandbox, clusterName),
        sandboxConfig: sandboxMessage(sandbox, facts),
      })
      known.sandboxOf.set(containerId, sandboxId)
      known.pods.set(containerId, { podUid: sandbox.podUid, isSandbox: false })
      return containerId
    },
    async startContainer(id) {
      try {
        await client.call('StartContainer', { containerId: id })
      } catch (error) {
        if (!(error instanceof CriError) || ['unavailable', 'timeout'].includes(error.code)) throw error
        if (error.code === 'notFound' && (await message(id)) === undefined) throw error
        throw new RuntimeError('startFailed', error.message, { cause: error })
      }
    },
    async stopContainer(id, graceSeconds) {
      const timeoutMs = graceSeconds * 1000 + stopMarginMs
      await client.call('StopContainer', { containerId: id, timeout: graceSeconds }, { timeoutMs }).catch(undefinedIfGone)
    },
    async removeContainer(id) {
      await client.call('RemoveContainer', { containerId: id }).catch(undefinedIfGone)
      known.sandboxOf.delete(id)
    },
    async listContainers() {
      const found = await items()
      return found.map((item) => summaryFrom(item, item.podSandboxId)).filter((c) => c !== undefined)
    },
    async updateResources(id, resources) {
      await client.call('UpdateContainerResources', { containerId: id, linux: resourcesMessage(resources) })
    },
    async reopenLog(id) {
      await client.call('ReopenContainerLog', { containerId: id })
    },
    async listStats() {
      const { stats } = await client.call('ListContainerStats', selector)
      return stats.map(statsFrom).filter((s) => s !== undefined)
    },
  }
}

/** The verbs on processes in containers. */
export function processVerbs(client: CriClient, containers: CriContainers): Pick<ContainerRuntime, 'execSync' | 'exec' | 'attach'> {
  return {
    async execSync(id, command, timeoutMs, bytesMax = outputBytesDefault) {
      const limited = timeoutMs > 0 && timeoutMs !== Number.POSITIVE_INFINITY
      const request = { containerId: id, cmd: command, timeout: limited ? Math.ceil(timeoutMs / 1000) : 0 }
      try {
        // The engine counts whole seconds; our own limit is exact, and giving up makes it kill the process as well.
        const result = await client.call('ExecSync', request, { timeoutMs: limited ? timeoutMs : Number.POSITIVE_INFINITY })
        const { stdout, stderr, exitCode } = result
        return { exitCode, stdout: stdout.subarray(0, bytesMax), stderr: stderr.subarray(0, bytesMax) }
      } catch (error) {
        if (!(error instanceof CriError && error.code === 'timeout')) throw error
        throw new RuntimeError('timeout', `command "${command.join(' ')}" timed out`, { cause: error })
      }
    },
    async exec(id, { command, stdin, stdout, stderr, tty }) {
      // containerd loses all output of a terminal that has no stdin.
      const needsStdin = tty && !stdin
      const withErrors = stderr && !tty
      const request = { containerId: id, cmd: command, tty, stdin: stdin || needsStdin, stdout, stderr: withErrors }
      const { url } = await client.call('Exec', request)
      return openCriStreams(url, { stdin, stdout, stderr: withErrors, tty, needsStdin })
    },
    async attach(id, { stdin, stdout, stderr, tty }) {
      const found = await containers.message(id)
      if (found === undefined) throw new RuntimeError('notFound', `container "${id}" not found`)
      if (found.state !== 1) throw new RuntimeError('notRunning', `container "${id}" is not running`)
      const withErrors = stderr && !tty
      const { url } = await client.call('Attach', { containerId: id, stdin, tty, stdout, stderr: withErrors })
      const streams = await openCriStreams(url, { stdin, stdout, stderr: withErrors, tty, needsStdin: false })
      return { ...streams, exit: streams.exit.then(() => undefined) }
    },
  }
}
