// What pods and the node use now, gathered once for all that ask within a moment: /stats/summary and the metrics.
import { readFile, statfs } from 'node:fs/promises'
import type { Clock } from '#base/clock'
import type { Cgroups, CgroupUsage } from '../cgroups.ts'
import { podCgroup } from '../container-resources.ts'
import { memInfoBytes } from '../node/node-facts.ts'
import type { PodWorkers } from '../pod-workers/pod-workers.ts'
import type { ContainerRuntime, ContainerStats } from '../runtimes/runtime.ts'

export interface PodUsage {
  readonly uid: string
  readonly name: string
  readonly namespace: string
  readonly containers: readonly (ContainerStats & { readonly cpuNanoCores: number | undefined })[]
  readonly pod: (CgroupUsage & { readonly cpuNanoCores: number | undefined }) | undefined
}

export interface NodeUsage {
  readonly at: number
  readonly cpuUsageNanoSeconds: number
  readonly cpuNanoCores: number | undefined
  readonly memoryTotalBytes: number
  readonly memoryAvailableBytes: number
  readonly memoryUsedBytes: number
  readonly memoryWorkingSetBytes: number
  readonly fs: { readonly capacityBytes: number; readonly availableBytes: number; readonly inodes: number; readonly inodesFree: number }
  readonly imageFs: { readonly capacityBytes: number; readonly availableBytes: number; readonly usedBytes: number }
  readonly pods: readonly PodUsage[]
}

export interface UsageDeps {
  readonly runtime: ContainerRuntime
  readonly cgroups: Pick<Cgroups, 'usage'>
  readonly workers: Pick<PodWorkers, 'all'>
  readonly clock: Clock
  readonly cgroupRoot: string
  readonly dataDir: string
}

const freshMs = 1_000
// Two readings closer together than this say nothing of a rate.
const rateMsMin = 500
const rememberedMax = 4_096

export function createUsage(deps: UsageDeps): () => Promise<NodeUsage> {
  const { clock } = deps
  const previous = new Map<string, { readonly at: number; readonly cpu: number; readonly rate: number | undefined }>()
  let last: { readonly at: number; readonly usage: Promise<NodeUsage> } | undefined

  function rate(id: string, cpu: number, at: number): number | undefined {
    const before = previous.get(id)
    const elapsed = before === undefined ? 0 : at - before.at
    const value = before !== undefined && elapsed >= rateMsMin ? Math.max(0, ((cpu - before.cpu) / elapsed) * 1000) : before?.rate
    if (before === undefined || elapsed >= rateMsMin) {
      previous.delete(id)
      previous.set(id, { at, cpu, rate: value })
      const oldest = previous.size > rememberedMax ? previous.keys().next().value : undefined
      if (oldest !== undefined) previous.delete(oldest)
    }
    return value === undefined ? undefined : Math.round(value)
  }

  async function measure(): Promise<NodeUsage> {
    const at = clock.now()
    const [stats, memInfo, cpu, fs, imageFs] = await Promise.all([
      deps.runtime.listStats(),
      readFile('/proc/meminfo', 'utf8'),
      nodeCpuNanoSeconds(),
      statfs(deps.dataDir),
      imageFilesystem(deps),
    ])
    const byPod = new Map<string, ContainerStats[]>()
    for (const container of stats) {
      const list = byPod.get(container.podUid)
      if (list === undefined) byPod.set(container.podUid, [container])
      else list.push(container)
    }
    const workers = deps.workers.all().filter((w) => w.stage !== 'terminated')
    const pods = await Promise.all(
      workers.map(async ({ pod }): Promise<PodUsage> => {
        const { uid, name, namespace = '' } = pod.metadata
        const usage = await deps.cgroups.usage(podCgroup(deps.cgroupRoot, pod)).catch(() => undefined)
        return {
          uid,
          name,
          namespace,
          containers: (byPod.get(uid) ?? []).map((c) => ({ ...c, cpuNanoCores: rate(c.id, c.cpuUsageNanoSeconds, c.timestamp) })),
          pod: usage === undefined ? undefined : { ...usage, cpuNanoCores: rate(uid, usage.cpuUsageNanoSeconds, at) },
        }
      }),
    )
    const total = memInfoBytes(memInfo, 'MemTotal')
    const available = memInfoBytes(memInfo, 'MemAvailable')
    return {
      at,
      cpuUsageNanoSeconds: cpu,
      cpuNanoCores: rate('node', cpu, at),
      memoryTotalBytes: total,
      memoryAvailableBytes: available,
      memoryUsedBytes: total - memInfoBytes(memInfo, 'MemFree'),
      memoryWorkingSetBytes: total - available,
      fs: { capacityBytes: fs.blocks * fs.bsize, availableBytes: fs.bavail * fs.bsize, inodes: fs.files, inodesFree: fs.ffree },
      imageFs,
      pods,
    }
  }

  return () => {
    const now = clock.monotonic()
    if (last === undefined || now - last.at > freshMs) last = { at: now, usage: measure() }
    const { usage } = last
    // A failure is not remembered.
    usage.catch(() => {
      if (last?.usage === usage) last = undefined
    })
    return usage
  }
}

async function imageFilesystem({ runtime, dataDir }: UsageDeps): Promise<NodeUsage['imageFs']> {
  const image = await runtime.imageFilesystem()
  const s = await statfs(image.path).catch(() => statfs(dataDir))
  return { capacityBytes: s.blocks * s.bsize, availableBytes: s.bavail * s.bsize, usedBytes: image.usedBytes }
}

/** Time that all processors spent on anything but idling, since boot (/proc/stat, in hundredths of a second). */
async function nodeCpuNanoSeconds(): Promise<number> {
  const text = await readFile('/proc/stat', 'utf8').catch(() => '')
  const [, user = 0, nice = 0, system = 0, , , irq = 0, softirq = 0, steal = 0] = (text.split('\n', 1)[0] ?? '').split(/\s+/).map(Number)
  return (user + nice + system + irq + softirq + steal) * 10_000_000
}
