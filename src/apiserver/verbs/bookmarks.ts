// Tells watchers about once a minute how far they are, so that they can resume from there although nothing happened that
// concerns them. One timer for all of them, and none while nobody asks.
import type { Clock, Timer } from '#base/clock'

export interface Bookmarks {
  /** `tell` is called every minute, spread over several turns of the loop. Returns unsubscribe. */
  subscribe(tell: () => void): () => void
  close(): void
}

const everyMs = 60_000
const turnMax = 200

export function createBookmarks(clock: Clock): Bookmarks {
  const subscribers = new Set<() => void>()
  let timer: Timer | undefined
  let closed = false

  const arm = (): void => {
    if (timer !== undefined || closed || subscribers.size === 0) return
    timer = clock.after(
      everyMs,
      () => {
        timer = undefined
        tellAll([...subscribers])
        arm()
      },
      { background: true },
    )
  }
  const tellAll = (waiting: (() => void)[]): void => {
    for (const tell of waiting.splice(0, turnMax)) if (subscribers.has(tell)) tell()
    if (waiting.length > 0 && !closed) setImmediate(() => tellAll(waiting))
  }
  return {
    subscribe(tell) {
      subscribers.add(tell)
      arm()
      return () => {
        subscribers.delete(tell)
        if (subscribers.size > 0) return
        timer?.cancel()
        timer = undefined
      }
    },
    close() {
      closed = true
      timer?.cancel()
    },
  }
}
