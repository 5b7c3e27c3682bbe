// What a priority level's need of seats was over time, for the metrics by which Kubernetes shows how seats are lent: how long each
// part of them was in use, and mean, spread and peak over ten seconds. Seats themselves follow each request (seats.ts).

/** How long a value was in each of some ranges. */
export interface TimedHistogram {
  /** The value is this from now on. */
  note(value: number, seconds: number): void
  /** Nanoseconds in each range (the last is what is above all bounds), and their sum weighted by the value. */
  read(seconds: number): { readonly counts: Float64Array; readonly sum: number }
}

export function createTimedHistogram(bounds: readonly number[], seconds: number): TimedHistogram {
  const counts = new Float64Array(bounds.length + 1)
  let value = 0
  let bucket = 0
  let since = seconds
  let sum = 0
  const settle = (now: number): void => {
    const nanoseconds = Math.max(0, Math.round((now - since) * 1e9))
    counts[bucket]! += nanoseconds
    sum += nanoseconds * value
    since = now
  }
  return {
    note(next, now) {
      settle(now)
      value = next
      bucket = 0
      while (bucket < bounds.length && next > bounds[bucket]!) bucket++
    },
    read(now) {
      settle(now)
      return { counts, sum }
    },
  }
}

/** Of the last whole period: in seats. */
export interface DemandStats {
  readonly highWatermark: number
  readonly average: number
  readonly deviation: number
  /** Rises at once with what is needed, and sinks slowly. */
  readonly smoothed: number
}

export interface Demand {
  /** The level could use so many seats from now on. */
  note(seats: number, seconds: number): void
  read(seconds: number): DemandStats
}

const periodSeconds = 10
const decay = 0.977

export function createDemand(seconds: number): Demand {
  let now = 0
  let since = seconds
  let began = seconds
  let area = 0
  let squares = 0
  let peak = 0
  let stats: DemandStats = { highWatermark: 0, average: 0, deviation: 0, smoothed: 0 }
  const settle = (at: number): void => {
    const passed = at - since
    area += passed * now
    squares += passed * now * now
    since = at
    if (at - began < periodSeconds) return
    const average = area / (at - began)
    const deviation = Math.sqrt(Math.max(0, squares / (at - began) - average * average))
    const envelope = average + deviation
    const periods = Math.floor((at - began) / periodSeconds)
    const sunk = envelope + (stats.smoothed - envelope) * decay ** periods
    stats = { highWatermark: peak, average, deviation, smoothed: Math.max(envelope, sunk) }
    began = at
    area = 0
    squares = 0
    peak = now
  }
  return {
    note(next, at) {
      settle(at)
      now = next
      if (next > peak) peak = next
    },
    read(at) {
      settle(at)
      return stats
    },
  }
}

/** What a level may have and should have. */
export interface Wish {
  readonly least: number
  readonly most: number
  readonly target: number
}

/** The one factor by which all targets, within their bounds, add up to `total`; 0 when even the least is too much. */
export function fairFraction(total: number, wishes: readonly Wish[]): number {
  const sumAt = (factor: number): number =>
    wishes.reduce((sum, { least, most, target }) => sum + Math.min(most, Math.max(least, factor * target)), 0)
  if (sumAt(0) >= total) return 0
  let low = 0
  let high = 1
  while (sumAt(high) < total && high < 1e9) high *= 2
  for (let i = 0; i < 60; i++) {
    const middle = (low + high) / 2
    if (sumAt(middle) < total) low = middle
    else high = middle
  }
  return high
}
