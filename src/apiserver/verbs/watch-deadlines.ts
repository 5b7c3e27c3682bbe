// When watches end by themselves: one timer for all of them, set to the earliest. A timer each would cost more than all else that
// an idle watch holds.
import type { Clock, Timer } from '#base/clock'
import { Heap } from '#base/heap'

/** A watch whose time is limited. */
export interface Ending {
  /** On the clock's monotonic scale, in milliseconds. */
  readonly endsAtMs: number
  timeUp(): void
}

export interface WatchDeadlines {
  add(watch: Ending): void
  /** Takes it back; does nothing when it has fallen due. */
  remove(watch: Ending): void
}

export function createWatchDeadlines(clock: Clock): WatchDeadlines {
  const waiting = new Heap<Ending>((a, b) => a.endsAtMs < b.endsAtMs)
  let timer: Timer | undefined
  let dueAtMs = Number.POSITIVE_INFINITY

  const arm = (): void => {
    const next = waiting.peek()?.endsAtMs ?? Number.POSITIVE_INFINITY
    if (next === dueAtMs) return
    timer?.cancel()
    timer = undefined
    dueAtMs = next
    if (next < Number.POSITIVE_INFINITY) timer = clock.after(next - clock.monotonic(), fall, { background: true })
  }
  const fall = (): void => {
    // What the timer was set to has come, whatever fractions of a millisecond the clock says.
    const nowMs = Math.max(dueAtMs, clock.monotonic())
    timer = undefined
    dueAtMs = Number.POSITIVE_INFINITY
    for (let next = waiting.peek(); next !== undefined && next.endsAtMs <= nowMs; next = waiting.peek()) {
      waiting.remove(next)
      next.timeUp()
    }
    arm()
  }
  return {
    add(watch) {
      waiting.push(watch)
      arm()
    },
    remove(watch) {
      waiting.remove(watch)
      arm()
    },
  }
}
