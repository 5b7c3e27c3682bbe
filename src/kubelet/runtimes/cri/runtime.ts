// The driver for engines that speak the Container Runtime Interface v1: containerd first of all (docs/decisions/engines.md).
import type { Clock } from '#base/clock'
import type { Logger } from '#platform/log'
import type { Cgroups } from '../../cgroups.ts'
import type { PodNetwork } from '../../cni/pod-network.ts'
import type { NetnsDialer } from '../netns-dialer.ts'
import { pullErrorCode } from '../pull-error.ts'
import {
  type ContainerRuntime,
  type ContainerStatus,
  type Resources,
  RuntimeError,
  type RuntimeInfo,
  type Sandbox,
  type SandboxConfig,
} from '../runtime.ts'
import { type CriClient, CriError } from './client.ts'
import {
  authMessage,
  clusterLabel,
  containerMessage,
  containerMetaOf,
  imageFrom,
  ipsOf,
  resourcesFrom,
  resourcesMessage,
  sandboxFrom,
  sandboxMessage,
  sandboxMetaOf,
  statsFrom,
  statusFrom,
  summaryFrom,
} from './convert.ts'
import { type EngineFacts, netnsFrom, networkNameFrom } from './engine-facts.ts'
import { watchCri } from './events.ts'
import type { ContainerItem, ContainerStatusMessage, PodSandboxItem, PodSandboxStatus } from './messages.ts'
import { openCriStreams } from './streams.ts'

export interface CriRuntimeOptions {
  readonly client: CriClient
  readonly facts: EngineFacts
  readonly clusterName: string
  readonly network: PodNetwork
  readonly cgroups: Cgroups
  readonly dialer: NetnsDialer
  readonly clock: Clock
  readonly log: Logger
}

/** What is known of a sandbox and does not change while it is ready. */
interface KnownSandbox {
  readonly ips: readonly string[]
  netns?: { readonly path: string | undefined }
}

const outputBytesDefault = 16_384
const networkWaitMs = 10_000
const networkPollMs = 25
const stopMarginMs = 120_000
const knownMargin = 256

/** Opens the driver: what belongs to sandboxes that are gone is freed. */
export async function openCriRuntime(options: CriRuntimeOptions): Promise<ContainerRuntime> {
  const { client, facts, clusterName, network, cgroups, dialer, clock, log } = options
  const info: RuntimeInfo = { name: facts.name, version: facts.version, apiVersion: facts.apiVersion, cgroupDriver: cgroups.driver }
  const selector = { filter: { labelSelector: { [clusterLabel]: clusterName } } }
  const sandboxes = new Map<string, KnownSandbox>()
  const sandboxOf = new Map<string, string>()
  const pods = new Map<string, { podUid: string; isSandbox: boolean }>()
  const closing = new AbortController()
  let networkIsOurs = true

  async function listSandboxItems(): Promise<readonly PodSandboxItem[]> {
    const { items } = await client.call('ListPodSandbox', selector)
    for (const { id, metadata } of items) pods.set(id, { podUid: metadata.uid, isSandbox: true })
    prune(sandboxes, items)
    return items
  }

  async function listContainerItems(): Promise<readonly ContainerItem[]> {
    const { containers } = await client.call('ListContainers', selector)
    for (const item of containers) remember(item)
    prune(sandboxOf, containers)
    return containers
  }

  function remember(item: ContainerItem): void {
    sandboxOf.set(item.id, item.podSandboxId)
    const podUid = containerMetaOf(item)?.podUid
    if (podUid !== undefined && !pods.has(item.id)) pods.set(item.id, { podUid, isSandbox: false })
  }

  function forget(id: string): void {
    sandboxes.delete(id)
    sandboxOf.delete(id)
    pods.delete(id)
  }

  // Usually an event says when to forget; without events, what is no longer listed goes when it has piled up.
  function prune(known: ReadonlyMap<string, unknown>, live: readonly { readonly id: string }[]): void {
    if (known.size <= 2 * live.length + knownMargin) return
    const ids = new Set(live.map((l) => l.id))
    for (const id of [...known.keys()]) if (!ids.has(id)) forget(id)
  }

  async function sandboxMessageOf(id: string): Promise<PodSandboxStatus | undefined> {
    try {
      const { status } = await client.call('PodSandboxStatus', { podSandboxId: id })
      if (status.state === 0) sandboxes.set(id, { ...sandboxes.get(id), ips: ipsOf(status) })
      return status
    } catch (error) {
      return undefinedIfGone(error)
    }
  }

  /** From the list where its addresses are known, else asked for one by one. */
  async function sandboxesFrom(items: readonly PodSandboxItem[]): Promise<Sandbox[]> {
    const found = await Promise.all(
      items.map(async (item) => {
        if (item.state !== 0 || sandboxes.has(item.id)) return sandboxFrom(item, sandboxes.get(item.id)?.ips ?? [])
        const status = await sandboxMessageOf(item.id)
        return status === undefined ? undefined : sandboxFrom(status, ipsOf(status))
      }),
    )
    return found.filter((s) => s !== undefined)
  }

  async function netnsOf(id: string): Promise<string | undefined> {
    const known = sandboxes.get(id)
    if (known?.netns !== undefined) return known.netns.path
    const { status, info: verbose } = await client.call('PodSandboxStatus', { podSandboxId: id, verbose: true })
    const onNode = sandboxMetaOf(status)?.network === 'node'
    const path = onNode ? undefined : netnsFrom(verbose)
    if (status.state === 0) sandboxes.set(id, { ips: ipsOf(status), netns: { path } })
    return path
  }

  async function runSandbox(config: SandboxConfig): Promise<Sandbox> {
    if (config.network === 'pod' && network.configuration() === undefined) {
      throw new RuntimeError('networkNotReady', 'container runtime network not ready: the node has no pod range yet')
    }
    const cgroupParent = cgroups.parentFor(config.cgroupParent)
    const message = sandboxMessage(config, { cluster: clusterName, cgroupParent, portMappings: !networkIsOurs })
    const { podSandboxId: id } = await client.call('RunPodSandbox', { config: message, runtimeHandler: config.runtimeHandler })
    pods.set(id, { podUid: config.podUid, isSandbox: true })
    try {
      const status = await sandboxMessageOf(id)
      if (status === undefined) throw new RuntimeError('unknown', `sandbox "${id}" vanished`)
      const ips = ipsOf(status)
      const { ingressBandwidth, egressBandwidth } = config
      const hostPorts = config.hostPorts.filter((p) => p.hostPort > 0)
      const exposes =
        networkIsOurs && config.network === 'pod' && (hostPorts.length > 0 || (ingressBandwidth ?? egressBandwidth) !== undefined)
      if (exposes) await network.expose(id, { ips, netns: (await netnsOf(id)) ?? '', hostPorts, ingressBandwidth, egressBandwidth })
      return sandboxFrom(status, ips)
    } catch (error) {
      await removeSandbox(id).catch((cause: unknown) =>
        log.warn('could not take back a sandbox that failed', { sandbox: id, error: cause }),
      )
      throw error
    }
  }

  async function stopSandbox(id: string): Promise<void> {
    await network.withdraw(id)
    await client.call('StopPodSandbox', { podSandboxId: id }, { timeoutMs: Number.POSITIVE_INFINITY }).catch(undefinedIfGone)
    const known = sandboxes.get(id)
    if (known !== undefined) sandboxes.delete(id)
  }

  async function removeSandbox(id: string): Promise<void> {
    const status = await sandboxMessageOf(id)
    if (status === undefined) return
    await stopSandbox(id)
    await client.call('RemovePodSandbox', { podSandboxId: id }, { timeoutMs: Number.POSITIVE_INFINITY }).catch(undefinedIfGone)
    // Its place in `pods` is kept for the event of its removal, which clears it.
    sandboxes.delete(id)
  }

  async function containerMessageOf(id: string): Promise<ContainerStatusMessage | undefined> {
    try {
      return (await client.call('ContainerStatus', { containerId: id })).status
    } catch (error) {
      return undefinedIfGone(error)
    }
  }

  async function sandboxIdOf(containerId: string): Promise<string> {
    if (!sandboxOf.has(containerId)) await listContainerItems()
    return sandboxOf.get(containerId) ?? ''
  }

  async function resourcesOf(message: ContainerStatusMessage): Promise<Resources | undefined> {
    const linux = message.resources?.linux
    if (linux != null) return resourcesFrom(linux)
    // containerd before 1.7 does not tell; the kernel does, while the container runs.
    const parent = containerMetaOf(message)?.cgroupParent
    if (message.state !== 1 || parent === undefined) return undefined
    const limits = await cgroups.limits(parent, cgroups.driver === 'systemd' ? `cri-containerd-${message.id}.scope` : message.id)
    if (limits === undefined) return undefined
    const { cpuShares, cpuQuotaMicros, cpuPeriodMicros, memoryLimitBytes } = limits
    const found = { cpuShares, cpuQuota: cpuQuotaMicros, cpuPeriod: cpuPeriodMicros, memoryLimitBytes }
    return Object.fromEntries(Object.entries(found).filter(([, value]) => value !== undefined && value >= 0)) as Resources
  }

  async function containerStatus(id: string): Promise<ContainerStatus | undefined> {
    const message = await containerMessageOf(id)
    if (message === undefined) return undefined
    return statusFrom(message, await sandboxIdOf(id), await resourcesOf(message))
  }

  async function requireRunning(id: string): Promise<void> {
    const message = await containerMessageOf(id)
    if (message === undefined) throw new RuntimeError('notFound', `container "${id}" not found`)
    if (message.state !== 1) throw new RuntimeError('notRunning', `container "${id}" is not running`)
  }

  async function podOf(id: string): Promise<{ podUid: string; isSandbox: boolean } | undefined> {
    const known = pods.get(id)
    if (known !== undefined) return known
    const message = await containerMessageOf(id)
    const meta = message?.labels[clusterLabel] === clusterName ? containerMetaOf(message) : undefined
    if (meta !== undefined) {
      pods.set(id, { podUid: meta.podUid, isSandbox: false })
      return pods.get(id)
    }
    const sandbox = message === undefined ? await sandboxMessageOf(id) : undefined
    if (sandbox?.labels[clusterLabel] !== clusterName) return undefined
    pods.set(id, { podUid: sandbox.metadata.uid, isSandbox: true })
    return pods.get(id)
  }

  async function hasExited(id: string): Promise<boolean> {
    if (pods.get(id)?.isSandbox) return (await sandboxMessageOf(id))?.state !== 0
    return (await containerMessageOf(id))?.state !== 1
  }

  const [items] = await Promise.all([listSandboxItems(), listContainerItems()])
  await network.releaseAllBut(new Set(items.map((i) => i.id)))

  return {
    info,
    async readiness() {
      try {
        const { status } = await client.call('Status', {}, { timeoutMs: 10_000 })
        const of = (type: string) => status.conditions.find((c) => c.type === type)
        const [runtime, net] = [of('RuntimeReady'), of('NetworkReady')]
        const configured = network.configuration() !== undefined
        return {
          runtimeReady: runtime?.status ?? false,
          runtimeMessage: runtime?.message ?? '',
          networkReady: configured && (net?.status ?? false),
          networkMessage: configured ? networkMessage(net) : 'container runtime network not ready: the node has no pod range yet',
        }
      } catch (error) {
        const message = (error as Error).message
        return { runtimeReady: false, runtimeMessage: message, networkReady: false, networkMessage: message }
      }
    },
    async setPodCidr(cidr) {
      await network.setPodCidr(cidr)
      await network.writeConfiguration(facts.cniConfDir)
      // The engine watches the directory; until it has seen the file, sandboxes would fail.
      const deadline = clock.monotonic() + networkWaitMs
      while (clock.monotonic() < deadline) {
        const { status, info: verbose } = await client.call('Status', { verbose: true })
        const name = networkNameFrom(verbose)
        const ready = status.conditions.some((c) => c.type === 'NetworkReady' && c.status)
        networkIsOurs = name === undefined || name === network.name
        if (ready && networkIsOurs) return
        await clock.sleep(networkPollMs)
      }
      if (!networkIsOurs) log.warn('the engine uses a network configuration of somebody else', { directory: facts.cniConfDir })
    },
    runSandbox,
    stopSandbox,
    removeSandbox,
    async sandboxStatus(id) {
      const status = await sandboxMessageOf(id)
      return status === undefined ? undefined : sandboxFrom(status, ipsOf(status))
    },
    listSandboxes: async () => sandboxesFrom(await listSandboxItems()),
    networkNamespace: (id) => netnsOf(id).catch(undefinedIfGone),
    async createContainer(sandboxId, config, sandbox) {
      const request = {
        podSandboxId: sandboxId,
        config: containerMessage(config, sandbox, clusterName),
        sandboxConfig: sandboxMessage(sandbox, {
          cluster: clusterName,
          cgroupParent: cgroups.parentFor(sandbox.cgroupParent),
          portMappings: false,
        }),
      }
      const { containerId } = await client.call('CreateContainer', request)
      sandboxOf.set(containerId, sandboxId)
      pods.set(containerId, { podUid: sandbox.podUid, isSandbox: false })
      return containerId
    },
    async startContainer(id) {
      try {
        await client.call('StartContainer', { containerId: id })
      } catch (error) {
        if (!(error instanceof CriError) || ['unavailable', 'timeout'].includes(error.code)) throw error
        if (error.code === 'notFound' && (await containerMessageOf(id)) === undefined) throw error
        throw new RuntimeError('startFailed', error.message, { cause: error })
      }
    },
    async stopContainer(id, graceSeconds) {
      const timeoutMs = graceSeconds * 1000 + stopMarginMs
      await client.call('StopContainer', { containerId: id, timeout: graceSeconds }, { timeoutMs }).catch(undefinedIfGone)
    },
    async removeContainer(id) {
      await client.call('RemoveContainer', { containerId: id }).catch(undefinedIfGone)
      sandboxOf.delete(id)
    },
    async listContainers() {
      const found = await listContainerItems()
      return found.map((item) => summaryFrom(item, item.podSandboxId)).filter((c) => c !== undefined)
    },
    containerStatus,
    async updateResources(id, resources) {
      await client.call('UpdateContainerResources', { containerId: id, linux: resourcesMessage(resources) })
    },
    async reopenLog(id) {
      await client.call('ReopenContainerLog', { containerId: id })
    },
    async execSync(id, command, timeoutMs, bytesMax = outputBytesDefault) {
      const limited = timeoutMs > 0 && timeoutMs !== Number.POSITIVE_INFINITY
      const timeout = limited ? Math.ceil(timeoutMs / 1000) : 0
      try {
        const call = client.call(
          'ExecSync',
          { containerId: id, cmd: command, timeout },
          { timeoutMs: limited ? timeoutMs : Number.POSITIVE_INFINITY },
        )
        const { stdout, stderr, exitCode } = await call
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
      const { url } = await client.call('Exec', {
        containerId: id,
        cmd: command,
        tty,
        stdin: stdin || needsStdin,
        stdout,
        stderr: withErrors,
      })
      return openCriStreams(url, { stdin, stdout, stderr: withErrors, tty, needsStdin })
    },
    async attach(id, { stdin, stdout, stderr, tty }) {
      await requireRunning(id)
      const withErrors = stderr && !tty
      const { url } = await client.call('Attach', { containerId: id, stdin, tty, stdout, stderr: withErrors })
      const streams = await openCriStreams(url, { stdin, stdout, stderr: withErrors, tty, needsStdin: false })
      return { ...streams, exit: streams.exit.then(() => undefined) }
    },
    async portForward(sandboxId, port) {
      const status = await sandboxMessageOf(sandboxId)
      if (status === undefined) throw new RuntimeError('notFound', `sandbox "${sandboxId}" not found`)
      if (status.state !== 0) throw new RuntimeError('notRunning', `sandbox "${sandboxId}" is not running`)
      return dialer.dial(await netnsOf(sandboxId), port)
    },
    async imageStatus(image) {
      const found = await client.call('ImageStatus', { image: { image } })
      return found.image === null ? undefined : imageFrom(found.image)
    },
    async pullImage(image, auth, signal) {
      const request = { image: { image }, ...(auth === undefined ? {} : { auth: authMessage(auth) }) }
      try {
        return (await client.call('PullImage', request, { signal, timeoutMs: Number.POSITIVE_INFINITY })).imageRef
      } catch (error) {
        if (!(error instanceof CriError) || error.code === 'unavailable') throw error
        throw new RuntimeError(pullErrorCode(error.message), error.message, { cause: error })
      }
    },
    listImages: async () => (await client.call('ListImages', {})).images.map(imageFrom),
    async removeImage(image) {
      await client.call('RemoveImage', { image: { image } }).catch(undefinedIfGone)
    },
    async imageFilesystem() {
      const [first] = (await client.call('ImageFsInfo', {})).imageFilesystems
      return { path: first?.fsId?.mountpoint ?? '/', usedBytes: first?.usedBytes?.value ?? 0, inodesUsed: first?.inodesUsed?.value ?? 0 }
    },
    async listStats() {
      const { stats } = await client.call('ListContainerStats', selector)
      return stats.map(statsFrom).filter((s) => s !== undefined)
    },
    watch(onEvent, signal) {
      const list = async () => ({ sandboxes: await listSandboxItems(), containers: await listContainerItems() })
      const deps = { client, isContainerd: facts.name === 'containerd', list, podOf, hasExited, forget, clock, log }
      return watchCri(deps, onEvent, AbortSignal.any([signal, closing.signal]))
    },
    async close() {
      closing.abort()
      dialer.close()
      client.close()
    },
  }
}

function networkMessage(condition: { status: boolean; reason: string; message: string } | undefined): string {
  if (condition === undefined || condition.status) return ''
  return `container runtime network not ready: NetworkReady=false reason:${condition.reason} message:${condition.message}`
}

function undefinedIfGone(error: unknown): undefined {
  if (error instanceof CriError && error.code === 'notFound') return undefined
  throw error
}
