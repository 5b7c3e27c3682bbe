// Sandboxes in a CRI engine.
import type { Logger } from '#platform/log'
import type { Cgroups } from '../../cgroups.ts'
import type { PodNetwork } from '../../cni/pod-network.ts'
import { RuntimeError, type Sandbox, type SandboxConfig } from '../runtime.ts'
import { type CriClient, undefinedIfGone } from './client.ts'
import { clusterLabel, ipsOf, sandboxFrom, sandboxMessage, sandboxMetaOf } from './convert.ts'
import { netnsFrom } from './engine-facts.ts'
import type { Known } from './known.ts'
import type { PodSandboxItem, PodSandboxStatus } from './messages.ts'

export interface SandboxDeps {
  readonly client: CriClient
  readonly clusterName: string
  readonly network: PodNetwork
  /** Whether pods get the network whose configuration we wrote. */
  readonly networkIsOurs: () => boolean
  readonly cgroups: Cgroups
  readonly known: Known
  readonly log: Logger
}

export interface CriSandboxes {
  run(config: SandboxConfig): Promise<Sandbox>
  stop(id: string): Promise<void>
  remove(id: string): Promise<void>
  /** The engine's own words on it; undefined when it is gone. */
  status(id: string): Promise<PodSandboxStatus | undefined>
  /** The cluster's, as the engine lists them. */
  items(): Promise<readonly PodSandboxItem[]>
  list(): Promise<Sandbox[]>
  /** Path of the network namespace; undefined on the host network. Fails when the sandbox is gone. */
  netns(id: string): Promise<string | undefined>
}

/** The verbs on sandboxes. */
export function openCriSandboxes({ client, clusterName, network, networkIsOurs, cgroups, known, log }: SandboxDeps): CriSandboxes {
  async function status(id: string): Promise<PodSandboxStatus | undefined> {
    try {
      const { status: found } = await client.call('PodSandboxStatus', { podSandboxId: id })
      if (found.state === 0) known.sandboxes.set(id, { ...known.sandboxes.get(id), ips: ipsOf(found) })
      return found
    } catch (error) {
      return undefinedIfGone(error)
    }
  }

  async function items(): Promise<readonly PodSandboxItem[]> {
    const { items: found } = await client.call('ListPodSandbox', { filter: { labelSelector: { [clusterLabel]: clusterName } } })
    for (const { id, metadata } of found) known.pods.set(id, { podUid: metadata.uid, isSandbox: true })
    known.prune('sandboxes', found)
    return found
  }

  async function netns(id: string): Promise<string | undefined> {
    const remembered = known.sandboxes.get(id)?.netns
    if (remembered !== undefined) return remembered.path
    const { status: found, info } = await client.call('PodSandboxStatus', { podSandboxId: id, verbose: true })
    const path = sandboxMetaOf(found)?.network === 'node' ? undefined : netnsFrom(info)
    if (found.state === 0) known.sandboxes.set(id, { ips: ipsOf(found), netns: { path } })
    return path
  }

  async function expose(id: string, ips: readonly string[], config: SandboxConfig): Promise<void> {
    const { ingressBandwidth, egressBandwidth } = config
    const hostPorts = config.hostPorts.filter((p) => p.hostPort > 0)
    if (!networkIsOurs() || config.network === 'node') return
    if (hostPorts.length === 0 && (ingressBandwidth ?? egressBandwidth) === undefined) return
    await network.expose(id, { ips, netns: (await netns(id)) ?? '', hostPorts, ingressBandwidth, egressBandwidth })
  }

  async function run(config: SandboxConfig): Promise<Sandbox> {
    if (config.network === 'pod' && network.configuration() === undefined) {
      throw new RuntimeError('networkNotReady', 'container runtime network not ready: the node has no pod range yet')
    }
    const facts = { cluster: clusterName, cgroupParent: cgroups.parentFor(config.cgroupParent), portMappings: !networkIsOurs() }
    const request = { config: sandboxMessage(config, facts), runtimeHandler: config.runtimeHandler }
    const { podSandboxId: id } = await client.call('RunPodSandbox', request)
    known.pods.set(id, { podUid: config.podUid, isSandbox: true })
    try {
      const found = await status(id)
      if (found === undefined) throw new RuntimeError('unknown', `sandbox "${id}" vanished`)
      const ips = ipsOf(found)
      await expose(id, ips, config)
      return sandboxFrom(found, ips)
    } catch (error) {
      await remove(id).catch((cause: unknown) => log.warn('could not take back a sandbox that failed', { sandbox: id, error: cause }))
      throw error
    }
  }

  async function stop(id: string): Promise<void> {
    await network.withdraw(id)
    await client.call('StopPodSandbox', { podSandboxId: id }, { timeoutMs: Number.POSITIVE_INFINITY }).catch(undefinedIfGone)
    known.sandboxes.delete(id)
  }

  async function remove(id: string): Promise<void> {
    await stop(id)
    // Its pod is still known for the event of its removal, which makes it forgotten.
    await client.call('RemovePodSandbox', { podSandboxId: id }, { timeoutMs: Number.POSITIVE_INFINITY }).catch(undefinedIfGone)
  }

  return {
    run,
    stop,
    remove,
    status,
    items,
    netns,
    async list() {
      const found = await Promise.all(
        (await items()).map(async (item) => {
          const remembered = known.sandboxes.get(item.id)
          if (item.state !== 0 || remembered !== undefined) return sandboxFrom(item, remembered?.ips ?? [])
          // The list does not tell addresses; they are asked for once.
          const one = await status(item.id)
          return one === undefined ? undefined : sandboxFrom(one, ipsOf(one))
        }),
      )
      return found.filter((s) => s !== undefined)
    },
  }
}
