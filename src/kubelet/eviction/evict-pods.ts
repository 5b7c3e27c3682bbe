// Ends pods before the kernel ends them at random: one at a time while memory or disk is short, and each that exceeds a limit
// of its own on the disk. What a pod writes anywhere counts: its volumes, its logs, its layers, its /etc/hosts (CVE-2020-8557).
import { join } from 'node:path'
import type { Pod } from '#api/generated/core-v1'
import type { EventRecorder } from '#client/events'
import type { Log } from '../deps.ts'
import type { Pressure, Shortage } from '../node/pressure.ts'
import type { PodWorker } from '../pod-workers/pod-worker.ts'
import { podLogDirectoryName } from '../pod-workers/sandbox-config.ts'
import { measureTree } from '../runtimes/disk-usage.ts'
import type { ContainerRuntime, ContainerStats } from '../runtimes/runtime.ts'
import { evictionMessage, exceededLimit, hasDiskLimit, type PodUse, rankPods } from './rank-pods.ts'

export interface EvictionDeps {
  readonly runtime: ContainerRuntime
  readonly events: EventRecorder
  readonly log: Log
  readonly workers: { all(): readonly PodWorker[] }
  readonly podsDir: string
  readonly podLogsDir: string
  /** Frees disk space without ending anything; whether it freed some. */
  readonly reclaimDisk: () => Promise<boolean>
}

// There is no time for more when the node is about to fall over.
const pressureGraceSeconds = 1
const emptyDirPlugin = 'kubernetes.io~empty-dir'

export interface Eviction {
  /** One look at the node's shortages; at most one pod is ended. Returns its name. */
  relieve(pressure: Pressure): Promise<string | undefined>
  /** One look at the pods that have limits on the disk. */
  enforceLimits(): Promise<void>
}

export function createEviction(deps: EvictionDeps): Eviction {
  const { events, log, runtime, workers } = deps

  function candidates(): PodWorker[] {
    return workers.all().filter((w) => w.stage === 'running' && w.active)
  }

  function evict(worker: PodWorker, message: string, graceSeconds: number | undefined): void {
    const { pod } = worker
    log.warn('evicting a pod', { pod: `${pod.metadata.namespace}/${pod.metadata.name}`, message })
    events.record(pod, 'Warning', 'Evicted', message)
    worker.endWith({ phase: 'Failed', reason: 'Evicted', message, disruption: 'TerminationByKubelet' }, graceSeconds)
  }

  async function statsByPod(): Promise<Map<string, ContainerStats[]>> {
    const byPod = new Map<string, ContainerStats[]>()
    for (const stats of await runtime.listStats()) byPod.set(stats.podUid, [...(byPod.get(stats.podUid) ?? []), stats])
    return byPod
  }

  async function diskUse(pod: Pod, stats: readonly ContainerStats[]): Promise<{ use: PodUse; emptyDirs: Record<string, number> }> {
    const { uid, name, namespace = '' } = pod.metadata
    const podDir = join(deps.podsDir, uid)
    const logs = join(deps.podLogsDir, podLogDirectoryName({ uid, name, namespace }))
    const containers: Record<string, number> = {}
    for (const { name: container, rootfsUsedBytes } of stats) {
      containers[container] = rootfsUsedBytes + (await measureTree(join(logs, container))).bytes
    }
    const emptyDirs: Record<string, number> = {}
    for (const volume of pod.spec.volumes ?? []) {
      if (volume.emptyDir === undefined || volume.emptyDir.medium === 'Memory') continue
      emptyDirs[volume.name] = (await measureTree(join(podDir, 'volumes', emptyDirPlugin, volume.name))).bytes
    }
    const hosts = (await measureTree(join(podDir, 'etc-hosts'))).bytes
    const own = Object.values(emptyDirs).reduce((sum, bytes) => sum + bytes, hosts)
    return { use: { pod, containers, own }, emptyDirs }
  }

  async function relieveMemory(shortage: Shortage): Promise<string | undefined> {
    const byPod = await statsByPod()
    const running = candidates()
    const uses = running.map(({ pod }): PodUse => {
      const containers = (byPod.get(pod.metadata.uid) ?? []).map((s) => [s.name, s.memoryWorkingSetBytes] as const)
      return { pod, containers: Object.fromEntries(containers), own: 0 }
    })
    return evictFirst(running, rankPods(uses, 'memory'), shortage)
  }

  async function relieveDisk(shortage: Shortage): Promise<string | undefined> {
    if (await deps.reclaimDisk()) return undefined
    const byPod = await statsByPod()
    const running = candidates()
    const uses: PodUse[] = []
    for (const { pod } of running) uses.push((await diskUse(pod, byPod.get(pod.metadata.uid) ?? [])).use)
    return evictFirst(running, rankPods(uses, 'ephemeral-storage'), shortage)
  }

  function evictFirst(running: readonly PodWorker[], ranked: readonly PodUse[], shortage: Shortage): string | undefined {
    const first = ranked[0]
    const worker = running.find((w) => w.pod === first?.pod)
    if (first === undefined || worker === undefined) return undefined
    const resource = shortage.resource === 'memory' ? 'memory' : shortage.resource
    evict(worker, evictionMessage(first, resource, shortage.thresholdText, shortage.availableText), pressureGraceSeconds)
    return first.pod.metadata.name
  }

  return {
    async relieve({ memory, disk }) {
      if (memory !== undefined) return await relieveMemory(memory)
      if (disk !== undefined) return await relieveDisk(disk)
      return undefined
    },
    async enforceLimits() {
      const limited = candidates().filter((w) => hasDiskLimit(w.pod))
      if (limited.length === 0) return
      const byPod = await statsByPod()
      for (const worker of limited) {
        const { use, emptyDirs } = await diskUse(worker.pod, byPod.get(worker.pod.metadata.uid) ?? [])
        const message = exceededLimit(worker.pod, emptyDirs, use)
        if (message !== undefined) evict(worker, message, undefined)
      }
    },
  }
}
