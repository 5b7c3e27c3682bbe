// A queue of keys: each key is at most once in the queue and at most once in work; delay and backoff included.
// (The idea of client-go's workqueue; a key added while in work is queued again when it is done.)
import { type BackoffOptions, backoffMs } from './backoff.ts'
import type { Clock, Timer } from './clock.ts'

export interface WorkQueueOptions {
  readonly clock: Clock
  /** For addAfterFailure; default 5 ms doubling to 1000 s. */
  readonly backoff?: BackoffOptions
}

interface Delayed {
  readonly at: number
  readonly timer: Timer
}

export class WorkQueue<K> {
  readonly #clock: Clock
  readonly #backoff: BackoffOptions
  readonly #queue = new Set<K>()
  readonly #working = new Set<K>()
  readonly #again = new Set<K>()
  readonly #delayed = new Map<K, Delayed>()
  readonly #failures = new Map<K, number>()
  readonly #takers: ((key: K | undefined) => void)[] = []
  #closed = false

  constructor(options: WorkQueueOptions) {
    this.#clock = options.clock
    this.#backoff = options.backoff ?? { initialMs: 5, maxMs: 1_000_000 }
  }

  /** Keys that wait now, those in work and delayed ones not counted. */
  get length(): number {
    return this.#queue.size
  }

  /** Whether nothing waits, is in work, or is delayed. */
  get idle(): boolean {
    return this.#queue.size === 0 && this.#working.size === 0 && this.#delayed.size === 0
  }

  /** Queues the key; if it is in work, it is queued again once done. */
  add(key: K): void {
    if (this.#closed) return
    if (this.#working.has(key)) {
      this.#again.add(key)
      return
    }
    const taker = this.#takers.shift()
    if (taker === undefined) this.#queue.add(key)
    else {
      this.#queue.delete(key)
      this.#working.add(key)
      taker(key)
    }
  }

  /** Queues the key after `ms`. Of several delays of one key the earliest counts. */
  addAfter(key: K, ms: number): void {
    if (this.#closed) return
    if (ms <= 0) return this.add(key)
    const at = this.#clock.monotonic() + ms
    const standing = this.#delayed.get(key)
    if (standing !== undefined) {
      if (standing.at <= at) return
      standing.timer.cancel()
    }
    const timer = this.#clock.after(ms, () => {
      this.#delayed.delete(key)
      this.add(key)
    })
    this.#delayed.set(key, { at, timer })
  }

  /** Queues the key after a delay that grows with each failure since `forget`; says the delay in ms. */
  addAfterFailure(key: K): number {
    const failures = (this.#failures.get(key) ?? 0) + 1
    this.#failures.set(key, failures)
    const ms = backoffMs(failures, this.#backoff)
    this.addAfter(key, ms)
    return ms
  }

  /** Failures of the key since it was last forgotten. */
  failures(key: K): number {
    return this.#failures.get(key) ?? 0
  }

  /** The key succeeded, or is given up: its failures count no more. */
  forget(key: K): void {
    this.#failures.delete(key)
  }

  /** The next key, in order of arrival; undefined when the queue is closed. Call `done` with it afterwards. */
  take(): Promise<K | undefined> {
    for (const key of this.#queue) {
      this.#queue.delete(key)
      this.#working.add(key)
      return Promise.resolve(key)
    }
    if (this.#closed) return Promise.resolve(undefined)
    return new Promise((resolve) => this.#takers.push(resolve))
  }

  /** The worker of a key begins only now: what was added of it until here needs no second look. */
  beginNow(key: K): void {
    this.#again.delete(key)
  }

  done(key: K): void {
    this.#working.delete(key)
    if (this.#again.delete(key)) this.add(key)
  }

  /** No more keys are taken in or handed out; delays are dropped. */
  close(): void {
    this.#closed = true
    for (const { timer } of this.#delayed.values()) timer.cancel()
    this.#delayed.clear()
    this.#queue.clear()
    for (const taker of this.#takers.splice(0)) taker(undefined)
  }
}
