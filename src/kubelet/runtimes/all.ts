// Every container engine there is a driver for, and how the agent opens its own.
import type { Clock } from '#base/clock'
import type { Random } from '#base/random'
import type { Logger } from '#platform/log'
import { openCgroups } from '../cgroups.ts'
import { openPodNetwork, removePodNetwork } from '../cni/pod-network.ts'
import { openCriClient } from './cri/client.ts'
import { findEngineFacts } from './cri/engine-facts.ts'
import { openCriRuntime } from './cri/runtime.ts'
import { openDockerClient } from './docker/client.ts'
import { openDockerRuntime } from './docker/runtime.ts'
import { FakeEngine } from './fake/engine.ts'
import { openFakeRuntime } from './fake/runtime.ts'
import { openNetnsDialer } from './netns-dialer.ts'
import type { ContainerRuntime } from './runtime.ts'

export type EngineName = 'docker' | 'containerd' | 'fake'

export const engineNames: readonly EngineName[] = ['docker', 'containerd', 'fake']

export interface RuntimeOptions {
  readonly engine: EngineName
  /** `unix:///path` of the CRI socket; for `containerd`. */
  readonly criEndpoint?: string
  /** `unix:///path` or `tcp://host:port`; for `docker`. */
  readonly dockerHost?: string
  /** The cluster's data directory. Drivers keep what they must remember in folders of their own below it. */
  readonly dataDir: string
  readonly clusterName: string
  /** The pause image that Docker sandboxes run; a CRI engine has its own configured. */
  readonly sandboxImage?: string
  /** Where CNI plugins are looked for. */
  readonly cniBinDirs?: readonly string[]
  /** MTU of pod interfaces; absent: the uplink's. */
  readonly podMtu?: number
  /** For `fake`: the engine to use, else a new one that has every image. */
  readonly fakeEngine?: FakeEngine
  readonly random: Random
  readonly clock: Clock
  readonly log: Logger
}

const sandboxImageDefault = 'navarch.local/pause:1'
const criEndpointDefault = 'unix:///run/containerd/containerd.sock'
const dockerHostDefault = 'unix:///var/run/docker.sock'

/** Opens the driver of the engine. Fails with a RuntimeError that says what is missing when the engine does not answer. */
export async function openRuntime(options: RuntimeOptions): Promise<ContainerRuntime> {
  const { clusterName, dataDir, clock, log } = options
  if (options.engine === 'fake') {
    return openFakeRuntime(options.fakeEngine ?? new FakeEngine({ clock, random: options.random, registry: 'all' }))
  }
  const network = await openPodNetwork({ clusterName, dataDir, binDirs: options.cniBinDirs, mtu: options.podMtu, clock, log })
  const dialer = openNetnsDialer(clock)
  if (options.engine === 'containerd') {
    const client = openCriClient({ endpoint: options.criEndpoint ?? criEndpointDefault, clock })
    const facts = await findEngineFacts(client)
    const cgroups = await openCgroups({ driver: facts.cgroupDriver })
    return openCriRuntime({ client, facts, clusterName, network, cgroups, dialer, clock, log })
  }
  const client = openDockerClient({ host: options.dockerHost ?? dockerHostDefault, clock })
  const { CgroupDriver, DockerRootDir: dockerRoot } = await client.call<{ CgroupDriver: string; DockerRootDir: string }>('GET', '/info')
  const cgroups = await openCgroups({ driver: CgroupDriver === 'systemd' ? 'systemd' : 'cgroupfs' })
  const sandboxImage = options.sandboxImage ?? sandboxImageDefault
  return openDockerRuntime({ client, clusterName, dataDir, sandboxImage, dockerRoot, network, cgroups, dialer, clock, log })
}

/**
 * Takes away what a cluster's pod network left outside its data directory, once its sandboxes are gone: the CNI configuration of a CRI
 * engine, host ports, forwarding rules.
 */
export async function removeNetworkTraces(
  options: Pick<RuntimeOptions, 'engine' | 'criEndpoint' | 'clusterName' | 'clock'> & { podCidr?: string },
): Promise<void> {
  const { engine, criEndpoint, clusterName, podCidr, clock } = options
  if (engine === 'fake') return
  let confDir: string | undefined
  if (engine === 'containerd') {
    const client = openCriClient({ endpoint: criEndpoint ?? criEndpointDefault, clock })
    try {
      confDir = (await findEngineFacts(client)).cniConfDir
    } finally {
      client.close()
    }
  }
  await removePodNetwork({ clusterName, podCidr, confDir })
}
