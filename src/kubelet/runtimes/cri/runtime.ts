// The driver for engines that speak the Container Runtime Interface v1: containerd first of all (docs/decisions/engines.md).
import type { Clock } from '#base/clock'
import type { Logger } from '#platform/log'
import type { Cgroups } from '../../cgroups.ts'
import type { PodNetwork } from '../../cni/pod-network.ts'
import type { NetnsDialer } from '../netns-dialer.ts'
import { type ContainerRuntime, RuntimeError, type RuntimeReadiness } from '../runtime.ts'
import { type CriClient, undefinedIfGone } from './client.ts'
import { type CriContainers, openCriContainers, processVerbs } from './containers.ts'
import { clusterLabel, containerMetaOf, ipsOf, sandboxFrom } from './convert.ts'
import { type EngineFacts, networkNameFrom } from './engine-facts.ts'
import { watchCri } from './events.ts'
import { imageVerbs } from './images.ts'
import { type Known, type KnownPod, openKnown } from './known.ts'
import { type CriSandboxes, openCriSandboxes } from './sandboxes.ts'

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

const networkWaitMs = 10_000
const networkPollMs = 25
const readinessTimeoutMs = 10_000

/** Opens the driver: what belongs to sandboxes that are gone is freed. */
export async function openCriRuntime(options: CriRuntimeOptions): Promise<ContainerRuntime> {
  const { client, facts, clusterName, network, cgroups, dialer, clock, log } = options
  const known = openKnown()
  let networkIsOurs = true
  const sandboxes = openCriSandboxes({ client, clusterName, network, networkIsOurs: () => networkIsOurs, cgroups, known, log })
  const containers = openCriContainers({ client, clusterName, cgroups, known })
  const closing = new AbortController()

  const [items] = await Promise.all([sandboxes.items(), containers.items()])
  await network.releaseAllBut(new Set(items.map((i) => i.id)))

  const { items: _, message: __, ...containerVerbs } = containers
  return {
    info: { name: facts.name, version: facts.version, apiVersion: facts.apiVersion, cgroupDriver: cgroups.driver },
    readiness: () => readiness(options),
    async setPodCidr(cidr) {
      await network.setPodCidr(cidr)
      await network.writeConfiguration(facts.cniConfDir)
      networkIsOurs = await networkTaken(options)
    },
    runSandbox: sandboxes.run,
    stopSandbox: sandboxes.stop,
    removeSandbox: sandboxes.remove,
    async sandboxStatus(id) {
      const status = await sandboxes.status(id)
      return status === undefined ? undefined : sandboxFrom(status, ipsOf(status))
    },
    listSandboxes: sandboxes.list,
    networkNamespace: (id) => sandboxes.netns(id).catch(undefinedIfGone),
    ...containerVerbs,
    ...processVerbs(client, containers),
    async portForward(sandboxId, port) {
      const status = await sandboxes.status(sandboxId)
      if (status === undefined) throw new RuntimeError('notFound', `sandbox "${sandboxId}" not found`)
      if (status.state !== 0) throw new RuntimeError('notRunning', `sandbox "${sandboxId}" is not running`)
      return dialer.dial(await sandboxes.netns(sandboxId), port)
    },
    ...imageVerbs(client),
    watch(onEvent, signal) {
      const deps = {
        client,
        isContainerd: facts.name === 'containerd',
        list: async () => ({ sandboxes: await sandboxes.items(), containers: await containers.items() }),
        podOf: (id: string) => findPod(id, { sandboxes, containers, known, clusterName }),
        async hasExited(id: string) {
          if (known.pods.get(id)?.isSandbox) return (await sandboxes.status(id))?.state !== 0
          return (await containers.message(id))?.state !== 1
        },
        forget: known.forget,
        clock,
        log,
      }
      return watchCri(deps, onEvent, AbortSignal.any([signal, closing.signal]))
    },
    async close() {
      closing.abort()
      dialer.close()
      client.close()
    },
  }
}

async function readiness({ client, network }: CriRuntimeOptions): Promise<RuntimeReadiness> {
  try {
    const { status } = await client.call('Status', {}, { timeoutMs: readinessTimeoutMs })
    const runtime = status.conditions.find((c) => c.type === 'RuntimeReady')
    const net = status.conditions.find((c) => c.type === 'NetworkReady')
    const configured = network.configuration() !== undefined
    const networkReady = configured && net?.status === true
    const why = configured ? `NetworkReady=false reason:${net?.reason} message:${net?.message}` : 'the node has no pod range yet'
    return {
      runtimeReady: runtime?.status ?? false,
      runtimeMessage: runtime?.message ?? '',
      networkReady,
      networkMessage: networkReady ? '' : `container runtime network not ready: ${why}`,
    }
  } catch (error) {
    const message = (error as Error).message
    return { runtimeReady: false, runtimeMessage: message, networkReady: false, networkMessage: message }
  }
}

/** Waits until the engine, which watches the directory, has seen the configuration. False when it uses somebody else's instead. */
async function networkTaken({ client, network, facts, clock, log }: CriRuntimeOptions): Promise<boolean> {
  const deadline = clock.monotonic() + networkWaitMs
  let isOurs = true
  while (clock.monotonic() < deadline) {
    const { status, info } = await client.call('Status', { verbose: true })
    const name = networkNameFrom(info)
    isOurs = name === undefined || name === network.name
    if (isOurs && status.conditions.some((c) => c.type === 'NetworkReady' && c.status)) return true
    await clock.sleep(networkPollMs)
  }
  if (!isOurs) log.warn('the engine uses a network configuration of somebody else', { directory: facts.cniConfDir })
  return isOurs
}

/** The pod of a container or sandbox that an event names; undefined when it is none of the cluster's. */
async function findPod(
  id: string,
  { sandboxes, containers, known, clusterName }: { sandboxes: CriSandboxes; containers: CriContainers; known: Known; clusterName: string },
): Promise<KnownPod | undefined> {
  const remembered = known.pods.get(id)
  if (remembered !== undefined) return remembered
  const container = await containers.message(id)
  const sandbox = container === undefined ? await sandboxes.status(id) : undefined
  if ((container ?? sandbox)?.labels[clusterLabel] !== clusterName) return undefined
  const podUid = sandbox?.metadata.uid ?? (container === undefined ? undefined : containerMetaOf(container)?.podUid)
  if (podUid === undefined) return undefined
  const pod = { podUid, isSandbox: sandbox !== undefined }
  known.pods.set(id, pod)
  return pod
}
