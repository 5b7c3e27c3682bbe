// How long who is turned away is asked to stay away: a second, twice as long each time that many more are turned away meanwhile, up
// to about half a minute, and a second less for each second in which few are.
export interface DroppedRequests {
  /** One of the level's requests was turned away; returns the seconds for its Retry-After. */
  record(level: string, nowMs: number): number
}

const secondsMax = 32

interface History {
  /** Seconds of the wall clock, and how many were turned away in each; the last is still going on. */
  seconds: { readonly at: number; count: number }[]
  retryAfter: number
  raisedAt: number
}

export function createDroppedRequests(): DroppedRequests {
  const levels = new Map<string, History>()
  return {
    record(level, nowMs) {
      const now = Math.floor(nowMs / 1000)
      let history = levels.get(level)
      if (history === undefined) {
        history = { seconds: [], retryAfter: 1, raisedAt: 0 }
        levels.set(level, history)
      }
      const last = history.seconds.at(-1)
      if (last?.at === now) last.count++
      else {
        history.seconds = history.seconds.filter(({ at }) => now - at <= Math.min(2 * history.retryAfter, secondsMax) + 1)
        adjust(history, now)
        history.seconds.push({ at: now, count: 1 })
      }
      return history.retryAfter
    },
  }
}

// Once a second, by the seconds before it.
function adjust(history: History, now: number): void {
  const { retryAfter } = history
  const dropped = history.seconds.reduce((sum, { at, count }) => (now - at <= retryAfter ? sum + count : sum), 0)
  if (dropped >= 3 * retryAfter && now - history.raisedAt >= retryAfter) {
    history.retryAfter = Math.min(retryAfter * 2, secondsMax)
    history.raisedAt = now
  } else if (dropped < retryAfter && retryAfter > 1) history.retryAfter--
}
