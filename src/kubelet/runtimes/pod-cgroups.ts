// The end of pod cgroups. A pod's sandboxes, one after another, share its cgroup; it goes with the last of them, and never while
// another is being made in it: an engine that has just made a directory there would find it gone.
import type { Clock } from '#base/clock'
import type { Logger } from '#platform/log'
import type { Cgroups } from '../cgroups.ts'
import type { PodIdentity } from './runtime.ts'

type Key = Pick<PodIdentity, 'podUid'> & { readonly attempt: number; readonly cgroupParent: string }

export interface PodCgroups {
  /** A sandbox is, or is about to be, in its pod's cgroup. */
  hold(sandbox: Key): void
  /** The sandbox is gone; the cgroup too, unless another sandbox holds it. */
  letGo(sandbox: Key): Promise<void>
}

const retries = 20
const retryMs = 25

/** Nothing held yet. */
export function openPodCgroups({ cgroups, clock, log }: { cgroups: Cgroups; clock: Clock; log: Logger }): PodCgroups {
  const holders = new Map<string, Set<string>>()
  return {
    hold({ podUid, attempt, cgroupParent }) {
      const held = holders.get(cgroupParent) ?? new Set()
      holders.set(cgroupParent, held.add(`${podUid}/${attempt}`))
    },
    async letGo({ podUid, attempt, cgroupParent }) {
      const held = holders.get(cgroupParent)
      held?.delete(`${podUid}/${attempt}`)
      if (held !== undefined && held.size > 0) return
      holders.delete(cgroupParent)
      // A process that was killed a moment ago still counts.
      for (let attempt = 0; attempt < retries; attempt++) {
        if (holders.has(cgroupParent) || (await cgroups.remove(cgroupParent))) return
        await clock.sleep(retryMs)
      }
      log.warn('a pod cgroup is still in use', { path: cgroupParent })
    },
  }
}
