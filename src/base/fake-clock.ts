// A clock that stands still until a test moves it. Timers fire in the order of their time, then of their creation.
import { type Clock, sleepOn, type Timer } from './clock.ts'

interface Waiting {
  readonly at: number
  readonly order: number
  readonly run: () => void
}

/** Virtual time: `advance` moves it and runs what falls due, letting promises settle between timers. */
export class FakeClock implements Clock {
  #now: number
  #order = 0
  #waiting: Waiting[] = []
  readonly #start: number

  constructor(startMs = Date.UTC(2026, 0, 1)) {
    this.#now = startMs
    this.#start = startMs
  }

  now(): number {
    return this.#now
  }

  monotonic(): number {
    return this.#now - this.#start
  }

  after(ms: number, run: () => void): Timer {
    const entry: Waiting = { at: this.#now + Math.max(0, ms), order: this.#order++, run }
    this.#waiting.push(entry)
    return {
      cancel: () => {
        this.#waiting = this.#waiting.filter((w) => w !== entry)
      },
    }
  }

  sleep(ms: number, signal?: AbortSignal): Promise<void> {
    return sleepOn(this, ms, signal)
  }

  /** How many timers wait; a test that ends with some has leaked them. */
  get pending(): number {
    return this.#waiting.length
  }

  /** Moves time on by `ms`, firing each timer at its own instant. */
  async advance(ms: number): Promise<void> {
    const end = this.#now + ms
    await settle()
    for (;;) {
      const next = this.#waiting.filter((w) => w.at <= end).sort((a, b) => a.at - b.at || a.order - b.order)[0]
      if (next === undefined) break
      this.#waiting = this.#waiting.filter((w) => w !== next)
      this.#now = Math.max(this.#now, next.at)
      next.run()
      await settle()
    }
    this.#now = end
  }
}

async function settle(): Promise<void> {
  for (let i = 0; i < 50; i++) await Promise.resolve()
}
