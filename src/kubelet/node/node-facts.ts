// What this machine is: capacity, identity, versions. Read once when the agent starts, but for what changes.
import { readdir, readFile, statfs } from 'node:fs/promises'
import { availableParallelism, release } from 'node:os'

export interface NodeFacts {
  readonly cpus: number
  readonly memoryBytes: number
  readonly ephemeralBytes: number
  /** By page size as resources name it, e.g. `2Mi`; bytes. */
  readonly hugepages: Readonly<Record<string, number>>
  readonly machineId: string
  readonly systemUuid: string
  readonly bootId: string
  readonly kernelVersion: string
  readonly osImage: string
  /** Go's name: `amd64`, `arm64`. */
  readonly architecture: string
  /** CAP_SYS_RESOURCE, without which no process may be made safer from the OOM killer than the agent is. */
  readonly hasSysResource: boolean
  readonly swapBytes: number
}

export async function readNodeFacts(dataDir: string): Promise<NodeFacts> {
  const [memInfo, status, machineId, systemUuid, bootId, osRelease, filesystem, hugepages] = await Promise.all([
    readText('/proc/meminfo'),
    readText('/proc/self/status'),
    readText('/etc/machine-id'),
    readText('/sys/class/dmi/id/product_uuid'),
    readText('/proc/sys/kernel/random/boot_id'),
    readText('/etc/os-release'),
    statfs(dataDir),
    readHugepages(),
  ])
  return {
    cpus: availableParallelism(),
    memoryBytes: memInfoBytes(memInfo, 'MemTotal'),
    ephemeralBytes: filesystem.blocks * filesystem.bsize,
    hugepages,
    machineId: machineId.trim(),
    systemUuid: systemUuid.trim().toLowerCase() || machineId.trim(),
    bootId: bootId.trim(),
    kernelVersion: release(),
    osImage: prettyName(osRelease),
    architecture: architectures[process.arch] ?? process.arch,
    hasSysResource: hasCapability(status, 24),
    swapBytes: memInfoBytes(memInfo, 'SwapTotal'),
  }
}

const architectures: Readonly<Record<string, string>> = {
  x64: 'amd64',
  arm64: 'arm64',
  ia32: '386',
  ppc64: 'ppc64le',
  s390x: 's390x',
  arm: 'arm',
}

/** A line of /proc/meminfo in bytes; 0 when it is missing. */
export function memInfoBytes(text: string, name: string): number {
  const match = new RegExp(`^${name}:\\s+(\\d+) kB`, 'm').exec(text)
  return match === null ? 0 : Number(match[1]) * 1024
}

function prettyName(osRelease: string): string {
  return /^PRETTY_NAME="?([^"\n]*)"?$/m.exec(osRelease)?.[1] ?? 'Linux'
}

function hasCapability(status: string, bit: number): boolean {
  const effective = /^CapEff:\s+([0-9a-f]+)$/m.exec(status)?.[1]
  return effective !== undefined && ((BigInt(`0x${effective}`) >> BigInt(bit)) & 1n) === 1n
}

async function readHugepages(): Promise<Record<string, number>> {
  const sizes: Record<string, number> = {}
  const root = '/sys/kernel/mm/hugepages'
  for (const name of await readdir(root).catch(() => [])) {
    const kilobytes = Number(/^hugepages-(\d+)kB$/.exec(name)?.[1])
    if (!Number.isFinite(kilobytes)) continue
    const pages = Number((await readText(`${root}/${name}/nr_hugepages`)).trim())
    const label = kilobytes >= 1_048_576 ? `${kilobytes / 1_048_576}Gi` : `${kilobytes / 1024}Mi`
    sizes[label] = (Number.isFinite(pages) ? pages : 0) * kilobytes * 1024
  }
  return sizes
}

async function readText(path: string): Promise<string> {
  return await readFile(path, 'utf8').catch(() => '')
}
