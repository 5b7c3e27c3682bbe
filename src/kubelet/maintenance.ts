// The agent's chores, done now and then: logs that grew too big, images that nobody uses, remains that nobody knows.
import type { Clock } from '#base/clock'
import type { KubeletOptions, Log } from './deps.ts'
import type { EngineView } from './engine-view.ts'
import type { Eviction } from './eviction/evict-pods.ts'
import { collectImages } from './image-garbage.ts'
import type { Images } from './images.ts'
import { rotateLogs } from './logs/rotate-logs.ts'
import type { NodeReporter } from './node/node-status.ts'
import type { PodWorkers } from './pod-workers/pod-workers.ts'
import type { ContainerRuntime } from './runtimes/runtime.ts'

export interface MaintenanceDeps extends KubeletOptions {
  readonly runtime: ContainerRuntime
  readonly clock: Clock
  readonly log: Log
  readonly signal: AbortSignal
  readonly engine: EngineView
  readonly workers: PodWorkers
  readonly images: Images
  readonly reporter: NodeReporter
  readonly evictions: Eviction
}

const tickMs = 10_000
const imagesEveryTicks = 30
const orphansEveryTicks = 12
const limitsEveryTicks = 6

/** Runs until the signal aborts. */
export async function maintain(deps: MaintenanceDeps): Promise<void> {
  const { clock, log, signal } = deps
  for (let tick = 1; !signal.aborted; tick++) {
    try {
      await clock.sleep(tickMs, signal)
    } catch {
      return
    }
    try {
      await rotate(deps)
      await deps.evictions.relieve(deps.reporter.pressure)
      if (tick % limitsEveryTicks === 0) await deps.evictions.enforceLimits()
      if (tick % orphansEveryTicks === 0) await deps.workers.endOrphans()
      if (tick % imagesEveryTicks === 0) await collectUnusedImages(deps)
    } catch (error) {
      if (!signal.aborted) log.warn('a chore failed', { error: String(error) })
    }
  }
}

async function rotate({ runtime, clock, log, engine, containerLogMaxBytes, containerLogMaxFiles }: MaintenanceDeps): Promise<void> {
  const running = engine.pods().flatMap((p) => p.containers.filter((c) => c.state === 'running'))
  await rotateLogs(
    { runtime, clock, log, maxBytes: containerLogMaxBytes ?? 10 * 1024 * 1024, maxFiles: containerLogMaxFiles ?? 5 },
    running,
  )
}

/** Removes unused images when the disk is filling up; with `force` whatever room there is. Whether any went. */
export async function collectUnusedImages(
  deps: Pick<
    MaintenanceDeps,
    'runtime' | 'clock' | 'log' | 'engine' | 'images' | 'workers' | 'reporter' | 'imageGcHighPercent' | 'imageGcLowPercent'
  >,
  force = false,
): Promise<boolean> {
  const { runtime, clock, log, engine, images, workers } = deps
  const usedImages = (): ReadonlySet<string> => {
    const used = new Set<string>()
    for (const container of engine.pods().flatMap((p) => p.containers))
      used.add(container.imageRef).add(container.image).add(container.imageId)
    for (const { pod } of workers.all()) for (const c of [...pod.spec.containers, ...(pod.spec.initContainers ?? [])]) used.add(c.image)
    return used
  }
  const percents = { highPercent: deps.imageGcHighPercent ?? 85, lowPercent: deps.imageGcLowPercent ?? 80 }
  const removed = await collectImages({ runtime, clock, log, ...percents, usedImages, lastUsed: images.lastUsed }, images.firstSeen, force)
  if (removed > 0) deps.reporter.imagesChanged()
  return removed > 0
}
