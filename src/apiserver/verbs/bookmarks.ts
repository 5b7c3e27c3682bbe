// Tells watchers about once a minute how far they are, so that they can resume from there although nothing happened that
// concerns them. One timer for all of them, and none while nobody asks.
import type { Clock, Timer } from '#base/clock'

/** A watch that wants bookmarks. */
export interface Bookmarked {
  tellBookmark(): void
}

export interface Bookmarks {
  /** From now on the watch is told every minute, spread over several turns of the loop. */
  subscribe(watch: Bookmarked): void
  unsubscribe(watch: Bookmarked): void
  close(): void
}

const everyMs = 60_000
const turnMax = 200

export function createBookmarks(clock: Clock): Bookmarks {
  const subscribers = new Set<Bookmarked>()
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
  const tellAll = (waiting: Bookmarked[]): void => {
    for (const watch of waiting.splice(0, turnMax)) if (subscribers.has(watch)) watch.tellBookmark()
    if (waiting.length > 0 && !closed) setImmediate(() => tellAll(waiting))
  }
  return {
    subscribe(watch) {
      subscribers.add(watch)
      arm()
    },
    unsubscribe(watch) {
      subscribers.delete(watch)
      if (subscribers.size > 0) return
      timer?.cancel()
      timer = undefined
    },
    close() {
      closed = true
      timer?.cancel()
    },
  }
}
