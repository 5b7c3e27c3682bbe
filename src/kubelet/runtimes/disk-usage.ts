// How much a directory tree holds, as `du -x` counts. Walked slowly and rarely, in the background: usage is a statistic, not an event.
import { lstat, opendir } from 'node:fs/promises'
import { join } from 'node:path'
import type { Clock } from '#base/clock'

export interface Usage {
  readonly bytes: number
  readonly inodes: number
}

const blockBytes = 512
const ageMaxMs = 60_000
const treesMax = 1_000

/** Bytes and inodes below `path`, itself included; what vanishes meanwhile is not counted. */
export async function measureTree(path: string, signal?: AbortSignal): Promise<Usage> {
  let bytes = 0
  let inodes = 0
  const pending = [path]
  const seenLinks = new Set<number>()
  for (let dir = pending.pop(); dir !== undefined; dir = pending.pop()) {
    signal?.throwIfAborted()
    const own = await lstat(dir).catch(() => undefined)
    if (own === undefined) continue
    bytes += own.blocks * blockBytes
    inodes++
    const entries = await opendir(dir).catch(() => undefined)
    if (entries === undefined) continue
    for await (const entry of entries) {
      const at = join(dir, entry.name)
      if (entry.isDirectory()) {
        pending.push(at)
        continue
      }
      const stat = await lstat(at).catch(() => undefined)
      if (stat === undefined || (stat.nlink > 1 && seenLinks.has(stat.ino))) continue
      if (stat.nlink > 1) seenLinks.add(stat.ino)
      bytes += stat.blocks * blockBytes
      inodes++
    }
  }
  return { bytes, inodes }
}

export interface UsageCache {
  /** The last measurement, zeros before the first; an old one is renewed in the background, one tree at a time. */
  usage(key: string, path: () => Promise<string | undefined>): Usage
  forget(key: string): void
}

/** Measurements by key. `signal` ends the walking. */
export function openUsageCache(clock: Clock, signal: AbortSignal): UsageCache {
  const known = new Map<string, { usage: Usage; at: number }>()
  const queued = new Set<string>()
  let last: Promise<void> = Promise.resolve()
  return {
    usage(key, path) {
      const found = known.get(key)
      const fresh = found !== undefined && clock.monotonic() - found.at < ageMaxMs
      if (!fresh && !queued.has(key) && queued.size < treesMax) {
        queued.add(key)
        last = last
          .then(async () => {
            const at = await path()
            if (at !== undefined) known.set(key, { usage: await measureTree(at, signal), at: clock.monotonic() })
          })
          // A container that is gone by now has no usage.
          .catch(() => undefined)
          .then(() => void queued.delete(key))
      }
      return found?.usage ?? { bytes: 0, inodes: 0 }
    },
    forget: (key) => void known.delete(key),
  }
}
