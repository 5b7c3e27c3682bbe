// What a cluster on this machine was made with: written once by `navarch up`, read by every role at its start.
import { mkdirSync, readFileSync } from 'node:fs'
import { networkInterfaces } from 'node:os'
import { join } from 'node:path'
import { writeFileAtomic } from '#platform/files'

/** Which engine runs the node's containers, after `auto` was resolved. */
export type EngineChoice = 'docker' | 'containerd' | 'fake'

export interface ClusterConfig {
  readonly formatVersion: 1
  /** Names what the cluster makes outside its data directory: nft table, bridge, cgroup. */
  readonly name: string
  readonly nodeName: string
  /** The node's address: where pods and other machines reach the API server and NodePorts. */
  readonly nodeIp: string
  readonly apiPort: number
  readonly kubeletPort: number
  readonly nodePortRange: { readonly from: number; readonly to: number }
  readonly podCidr: string
  readonly serviceCidr: string
  readonly clusterDomain: string
  readonly dnsIp: string
  readonly store: 'lmdb' | 'memory'
  readonly engine: EngineChoice
  /** unix:///… or tcp://…; with engine docker. */
  readonly dockerHost?: string
  /** unix:///…; with engine containerd. */
  readonly criEndpoint?: string
  /** Whether the containerd is the cluster's own, started and kept by the node agent. */
  readonly privateEngine: boolean
}

/** Where things are below a data directory. */
export function clusterPaths(dataDir: string) {
  return {
    dataDir,
    config: join(dataDir, 'cluster.json'),
    pki: join(dataDir, 'pki'),
    kubeconfigs: join(dataDir, 'kubeconfigs'),
    adminKubeconfig: join(dataDir, 'admin.kubeconfig'),
    store: join(dataDir, 'store'),
    logs: join(dataDir, 'logs'),
    run: join(dataDir, 'run'),
    images: join(dataDir, 'images'),
    /** Directories that claims got on demand. */
    volumes: join(dataDir, 'volumes'),
    kubelet: join(dataDir, 'kubelet'),
  } as const
}

export type ClusterPaths = ReturnType<typeof clusterPaths>

/** The config of the cluster in `dataDir`, or undefined when there is none. Throws an Error that names the file when it is damaged. */
export function readClusterConfig(dataDir: string): ClusterConfig | undefined {
  const path = clusterPaths(dataDir).config
  let text: string
  try {
    text = readFileSync(path, 'utf8')
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined
    throw error
  }
  try {
    const config = JSON.parse(text) as ClusterConfig
    if (config.formatVersion === 1) return config
  } catch {
    // Told below, with the file's name.
  }
  throw new Error(`${path} is not a cluster configuration that this version reads; restore it from a backup, or remove the data directory`)
}

export async function writeClusterConfig(dataDir: string, config: ClusterConfig): Promise<void> {
  mkdirSync(dataDir, { recursive: true, mode: 0o711 })
  await writeFileAtomic(clusterPaths(dataDir).config, `${JSON.stringify(config, null, 2)}\n`)
}

/** The machine's first address that others can reach: IPv4, not loopback, not link-local, no container bridge; else 127.0.0.1. */
export function machineAddress(): string {
  for (const [name, addresses] of Object.entries(networkInterfaces())) {
    if (/^(lo|docker|cni|nv-|veth|br-|virbr)/.test(name)) continue
    for (const { address, family, internal } of addresses ?? []) {
      if (family === 'IPv4' && !internal && !address.startsWith('169.254.')) return address
    }
  }
  return '127.0.0.1'
}

/** The n-th address of an IPv4 range: `10.96.0.0/12`, 10 → `10.96.0.10`. */
export function addressInRange(cidr: string, n: number): string {
  const [base = '', bits = '32'] = cidr.split('/')
  const start = base.split('.').reduce((sum, part) => sum * 256 + Number(part), 0)
  const size = 2 ** (32 - Number(bits))
  if (n >= size) throw new Error(`${cidr} has no address number ${n}: choose a larger range`)
  const value = start - (start % size) + n
  return [24, 16, 8, 0].map((shift) => Math.floor(value / 2 ** shift) % 256).join('.')
}
