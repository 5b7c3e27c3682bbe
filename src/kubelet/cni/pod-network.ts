// The node's pod network, the same for both engines: a point-to-point veth per pod, addresses from the node's pod range, every
// packet routed by the node (docs/decisions/pod-network.md). Docker's driver attaches sandboxes through it; a CRI engine does so
// itself from the configuration written here. Host ports and bandwidth limits are added afterwards, for those pods that ask.
import { mkdir, readdir, readFile, rm, stat } from 'node:fs/promises'
import { isIP } from 'node:net'
import { join } from 'node:path'
import type { Clock } from '#base/clock'
import { writeFileAtomic } from '#platform/files'
import type { Logger } from '#platform/log'
import { acceptDeadAddresses, refuseDeadAddresses } from './dead-addresses.ts'
import { applyForwarding, removeForwarding } from './forwarding.ts'
import { type HostPort, openHostPorts, removeHostPorts } from './host-ports.ts'
import { type Attachment, addToNetwork, cachedAttachments, deleteFromNetwork, type NetworkDeps, type NetworkList } from './network-list.ts'
import { callPlugin } from './plugin.ts'
import { hostInterfaceOf, uplinkMtu } from './routes.ts'

export interface PodNetworkOptions {
  readonly clusterName: string
  /** The cluster's data directory; everything of this module lies in `cni/` below it. */
  readonly dataDir: string
  readonly binDirs?: readonly string[]
  /** MTU of pod interfaces; absent: that of the node's uplink. */
  readonly mtu?: number
  /** Makes the kernel forward for pods and refuse for addresses without one. For tests; absent: the node's kernel does. */
  readonly routeRanges?: (podCidrs: readonly string[]) => Promise<void>
  readonly clock: Clock
  readonly log: Logger
}

/** What a pod wants beyond an address. Bandwidths are bits per second. */
export interface Exposure {
  readonly ips: readonly string[]
  readonly netns: string
  readonly hostPorts: readonly HostPort[]
  readonly ingressBandwidth?: number
  readonly egressBandwidth?: number
}

export interface PodNetwork {
  /** The CNI network's name; leases and results are filed under it. */
  readonly name: string
  /** Sets the node's pod ranges (one per family, comma-separated). Attaching works from then on. */
  setPodCidr(cidr: string): Promise<void>
  /** The configuration for the ranges set, or undefined before that. */
  configuration(): NetworkList | undefined
  /** Writes the configuration where a CRI engine looks for it. */
  writeConfiguration(confDir: string): Promise<void>
  /** Gives a sandbox's namespace its interfaces. Returns the addresses, primary first. */
  attach(sandboxId: string, netns: string, args: Readonly<Record<string, string>>): Promise<string[]>
  /** Undoes `attach`; `netns` is empty when the namespace is gone. Repeatable. */
  detach(sandboxId: string, netns: string): Promise<void>
  /** Addresses of an attached sandbox; empty when it is not. */
  addresses(sandboxId: string): readonly string[]
  /** Opens host ports and sets bandwidth limits. Remembered on disk until `withdraw`. */
  expose(sandboxId: string, exposure: Exposure): Promise<void>
  withdraw(sandboxId: string): Promise<void>
  /** Drops what belongs to sandboxes other than these: attachments, leases, host ports. For the agent's start. */
  releaseAllBut(live: ReadonlySet<string>): Promise<void>
}

export const cniBinDirs: readonly string[] = ['/usr/lib/cni', '/opt/cni/bin']

/** The name of a cluster's pod network. */
export function podNetworkName(clusterName: string): string {
  return `navarch-${clusterName.replaceAll(/[^A-Za-z0-9_.-]/g, '-')}`
}

/** The conflist of a node: `ptp` with addresses from `host-local`. Nothing else runs for a pod that asks for nothing else. */
export function podNetworkList(facts: { name: string; podCidrs: readonly string[]; mtu: number; leaseDir: string }): NetworkList {
  return {
    cniVersion: '1.0.0',
    name: facts.name,
    plugins: [
      {
        type: 'ptp',
        // Leaving the cluster's addresses is the service proxy's masquerade, one rule for all pods.
        ipMasq: false,
        mtu: facts.mtu,
        ipam: {
          type: 'host-local',
          dataDir: facts.leaseDir,
          ranges: facts.podCidrs.map((subnet) => [{ subnet }]),
          routes: facts.podCidrs.map((cidr) => ({ dst: cidr.includes(':') ? '::/0' : '0.0.0.0/0' })),
        },
      },
    ],
  }
}

/** A lease this young may belong to a sandbox that an engine is still making. */
const leaseAgeMinMs = 120_000
const interfaceName = 'eth0'

/** Opens the pod network; what earlier runs attached and exposed is known again. */
export async function openPodNetwork(options: PodNetworkOptions): Promise<PodNetwork> {
  const name = podNetworkName(options.clusterName)
  const dir = join(options.dataDir, 'cni')
  const leaseDir = join(dir, 'leases')
  const exposedDir = join(dir, 'exposed')
  await Promise.all([leaseDir, exposedDir].map((d) => mkdir(d, { recursive: true, mode: 0o700 })))
  const deps: NetworkDeps = { binDirs: options.binDirs ?? cniBinDirs, cacheDir: join(dir, 'results') }
  const hostPorts = openHostPorts(options.clusterName)
  const addresses = new Map<string, string[]>()
  const exposed = await readExposures(exposedDir)
  for (const cached of await cachedAttachments(deps.cacheDir)) {
    if (cached.networkName === name) addresses.set(cached.attachment.containerId, addressesOf(cached.result))
  }
  let list: NetworkList | undefined
  const routeRanges =
    options.routeRanges ??
    (async (podCidrs: readonly string[]) => {
      await applyForwarding(options.clusterName, podCidrs, options.log)
      await refuseDeadAddresses(podCidrs, options.log)
    })

  const attachment = (sandboxId: string, netns: string, args: Readonly<Record<string, string>> = {}): Attachment => ({
    containerId: sandboxId,
    netns,
    interfaceName,
    args,
    capabilityArgs: {},
  })

  async function detach(sandboxId: string, netns: string): Promise<void> {
    if (!addresses.has(sandboxId)) return
    await deleteFromNetwork(list ?? { cniVersion: '1.0.0', name, plugins: [] }, attachment(sandboxId, netns), deps)
    addresses.delete(sandboxId)
  }

  async function withdraw(sandboxId: string): Promise<void> {
    const exposure = exposed.get(sandboxId)
    if (exposure === undefined) return
    exposed.delete(sandboxId)
    if (exposure.hostPorts.length > 0) await hostPorts.set(sandboxId, undefined)
    if (limitsBandwidth(exposure)) await shapeTraffic('DEL', name, sandboxId, exposure, deps)
    await rm(join(exposedDir, sandboxId), { force: true })
  }

  return {
    name,
    detach,
    withdraw,
    configuration: () => list,
    addresses: (sandboxId) => addresses.get(sandboxId) ?? [],
    async setPodCidr(cidr) {
      const podCidrs = cidr.split(',').map((c) => c.trim())
      list = podNetworkList({ name, podCidrs, mtu: options.mtu ?? (await uplinkMtu()), leaseDir })
      await routeRanges(podCidrs)
    },
    async writeConfiguration(confDir) {
      if (list === undefined) return
      await mkdir(confDir, { recursive: true })
      const path = configurationPath(confDir, name)
      const text = `${JSON.stringify(list, undefined, 2)}\n`
      if ((await readFile(path, 'utf8').catch(() => '')) !== text) await writeFileAtomic(path, text, { mode: 0o644 })
    },
    async attach(sandboxId, netns, args) {
      if (list === undefined) throw new Error('the node has no pod range yet')
      const loopback = callPlugin({
        command: 'ADD',
        containerId: sandboxId,
        netns,
        interfaceName: 'lo',
        args: {},
        binDirs: deps.binDirs,
        config: { cniVersion: '1.0.0', name: 'cni-loopback', type: 'loopback' },
      })
      // Awaited below; a failure of the other one must not leave this one unhandled.
      loopback.catch(() => undefined)
      const result = await addToNetwork(list, attachment(sandboxId, netns, args), deps)
      const ips = addressesOf(result)
      addresses.set(sandboxId, ips)
      await loopback
      return ips
    },
    async expose(sandboxId, exposure) {
      if (exposure.hostPorts.length === 0 && !limitsBandwidth(exposure)) return
      await writeFileAtomic(join(exposedDir, sandboxId), JSON.stringify(exposure))
      exposed.set(sandboxId, exposure)
      if (exposure.hostPorts.length > 0) await hostPorts.set(sandboxId, exposure)
      if (limitsBandwidth(exposure)) await shapeTraffic('ADD', name, sandboxId, exposure, deps)
    },
    async releaseAllBut(live) {
      for (const sandboxId of [...exposed.keys()]) if (!live.has(sandboxId)) await withdraw(sandboxId)
      for (const sandboxId of [...addresses.keys()]) if (!live.has(sandboxId)) await detach(sandboxId, '')
      await hostPorts.replace(new Map([...exposed].filter(([, e]) => e.hostPorts.length > 0)))
      const freed = await releaseLeases(join(leaseDir, name), live, options.clock.now() - leaseAgeMinMs)
      if (freed.length > 0) options.log.info('freed leaked pod addresses', { addresses: freed })
    },
  }
}

/**
 * Takes away what the pod network of a cluster left on the node: its configuration in a CRI engine's directory, host ports, the refusal of
 * dead addresses, and leave to be forwarded. `podCidr` may be the cluster's, of which the node had a part. For a cluster that goes; its sandboxes must be gone already, since an engine needs the configuration to remove them.
 */
export async function removePodNetwork(facts: { clusterName: string; podCidr?: string; confDir?: string }): Promise<void> {
  const { clusterName, podCidr, confDir } = facts
  if (confDir !== undefined) await rm(configurationPath(confDir, podNetworkName(clusterName)), { force: true })
  await removeForwarding(clusterName)
  if (podCidr !== undefined) await acceptDeadAddresses(podCidr.split(','))
  await removeHostPorts(clusterName)
}

function configurationPath(confDir: string, name: string): string {
  return join(confDir, `10-${name}.conflist`)
}

function addressesOf(result: { readonly ips?: readonly { readonly address: string }[] }): string[] {
  return (result.ips ?? []).map((ip) => ip.address.split('/')[0] ?? '')
}

function limitsBandwidth(exposure: Exposure): boolean {
  return exposure.ingressBandwidth !== undefined || exposure.egressBandwidth !== undefined
}

// The plugin asks for a burst; the largest one that fits its 32 bits lets the rate alone decide, as the kubelet does.
const burstBits = 2_147_483_647

async function shapeTraffic(
  command: 'ADD' | 'DEL',
  network: string,
  sandboxId: string,
  exposure: Exposure,
  deps: NetworkDeps,
): Promise<void> {
  const ip = exposure.ips[0]
  const link = command === 'ADD' && ip !== undefined ? await hostInterfaceOf(ip) : undefined
  if (command === 'ADD' && link === undefined) throw new Error(`no interface of the node leads to pod address ${ip}`)
  await callPlugin({
    command,
    containerId: sandboxId,
    netns: exposure.netns,
    interfaceName,
    args: {},
    binDirs: deps.binDirs,
    config: {
      cniVersion: '1.0.0',
      name: network,
      type: 'bandwidth',
      ...(exposure.ingressBandwidth === undefined ? {} : { ingressRate: exposure.ingressBandwidth, ingressBurst: burstBits }),
      ...(exposure.egressBandwidth === undefined ? {} : { egressRate: exposure.egressBandwidth, egressBurst: burstBits }),
      ...(link === undefined
        ? {}
        : { prevResult: { cniVersion: '1.0.0', interfaces: [{ name: link }, { name: interfaceName, sandbox: exposure.netns }], ips: [] } }),
    },
  })
}

async function readExposures(dir: string): Promise<Map<string, Exposure>> {
  const found = new Map<string, Exposure>()
  for (const name of await readdir(dir)) {
    if (name.startsWith('.')) continue
    found.set(name, JSON.parse(await readFile(join(dir, name), 'utf8')) as Exposure)
  }
  return found
}

/** Removes host-local's lease files of containers that are not alive, unless they were written after `olderThanMs`. */
export async function releaseLeases(dir: string, live: ReadonlySet<string>, olderThanMs: number): Promise<string[]> {
  const freed: string[] = []
  const names = await readdir(dir).catch(() => [] as string[])
  for (const name of names) {
    // Addresses are file names; v6 ones have their colons kept. Beside them lie a lock and the last address given.
    if (isIP(name) === 0) continue
    const path = join(dir, name)
    const owner = (await readFile(path, 'utf8').catch(() => '')).split(/\r?\n/)[0] ?? ''
    if (owner === '' || live.has(owner)) continue
    const written = await stat(path).catch(() => undefined)
    if (written === undefined || written.mtimeMs > olderThanMs) continue
    await rm(path, { force: true })
    freed.push(name)
  }
  return freed
}
