// Removes images that no container uses when the disk they lie on fills up, least recently used first, until there is room
// again (documentation: "Garbage collection of containers and images").
import { statfs } from 'node:fs/promises'
import type { Clock } from '#base/clock'
import type { Log } from './deps.ts'
import type { ContainerRuntime } from './runtimes/runtime.ts'

export interface ImageGarbageDeps {
  readonly runtime: ContainerRuntime
  readonly clock: Clock
  readonly log: Log
  readonly highPercent: number
  readonly lowPercent: number
  /** Image ids and names that containers of any state use. */
  readonly usedImages: () => ReadonlySet<string>
  readonly lastUsed: ReadonlyMap<string, number>
}

// An image that was just pulled is about to be used.
const ageMsMin = 120_000

/** One look. With `force` images go however much room there is. Returns how many were removed. */
export async function collectImages(deps: ImageGarbageDeps, seenSince: Map<string, number>, force = false): Promise<number> {
  const { runtime, clock, log } = deps
  const { path } = await runtime.imageFilesystem()
  const usage = await usedPercent(path)
  const images = await runtime.listImages()
  const now = clock.now()
  const ids = new Set(images.map((i) => i.id))
  for (const id of seenSince.keys()) if (!ids.has(id)) seenSince.delete(id)
  for (const id of ids) if (!seenSince.has(id)) seenSince.set(id, now)
  if (!force && usage < deps.highPercent) return 0
  const used = deps.usedImages()
  const candidates = images
    .filter((i) => !i.pinned && !used.has(i.id) && ![...i.repoTags, ...i.repoDigests].some((name) => used.has(name)))
    .filter((i) => now - (seenSince.get(i.id) ?? now) >= ageMsMin)
    .sort((a, b) => (deps.lastUsed.get(a.id) ?? 0) - (deps.lastUsed.get(b.id) ?? 0))
  let removed = 0
  for (const image of candidates) {
    if (!force && (await usedPercent(path)) <= deps.lowPercent) break
    try {
      await runtime.removeImage(image.id)
      removed++
      log.info('removed an unused image', { image: image.repoTags[0] ?? image.id, bytes: image.sizeBytes })
    } catch (error) {
      log.warn('removing an unused image failed', { image: image.id, error: String(error) })
    }
  }
  return removed
}

async function usedPercent(path: string): Promise<number> {
  const s = await statfs(path).catch(() => undefined)
  if (s === undefined || s.blocks === 0) return 0
  return (100 * (s.blocks - s.bavail)) / s.blocks
}
