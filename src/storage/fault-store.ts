// A store that misbehaves as stores do, for simulations: slow answers, lost races, lost connections before and after a write has
// happened, watches that lag or are cut. Every fault is one that the contract allows, so the history stays without a flaw and
// whoever uses the store must cope. What goes wrong, and when, follows from the seed and the clock that are passed in.
import type { Clock } from '#base/clock'
import type { Eventual } from '#base/eventual'
import type { Random } from '#base/random'
import {
  type RangeOptions,
  type RangeResult,
  type Store,
  type StoredValue,
  StoreError,
  type StoreWatch,
  type WatchOptions,
  type Write,
  type WriteResult,
} from './store.ts'

/** Probabilities from 0 to 1, each drawn by itself for every call (or delivery, for watches). */
export interface FaultRates {
  /** A call is answered late, by up to `delayMsMax`. */
  readonly delay: number
  readonly delayMsMax: number
  /** A call fails with 'unavailable' and does nothing. */
  readonly unavailable: number
  /** A write happens, but its answer is lost: 'unavailable'. */
  readonly answerLost: number
  /** A write fails with 'busy' and does nothing. */
  readonly busy: number
  /** Somebody writes the same bytes to the key just before a compare-and-write, which loses the race. */
  readonly raceLost: number
  /** A watch delivers late, by up to `delayMsMax`, and everything after it waits. */
  readonly watchLag: number
  /** A watch ends with 'unavailable' instead of delivering. */
  readonly watchCut: number
}

/** Nothing goes wrong. */
export const noFaults: FaultRates = {
  delay: 0,
  delayMsMax: 0,
  unavailable: 0,
  answerLost: 0,
  busy: 0,
  raceLost: 0,
  watchLag: 0,
  watchCut: 0,
}

export interface FaultStoreOptions {
  readonly inner: Store
  readonly clock: Clock
  readonly random: Random
}

/** The store within, with faults that can be changed while it is in use. */
export interface FaultStore extends Store {
  /** What goes wrong from now on; nothing at first. */
  setFaults(faults: Partial<FaultRates>): void
  /** Ends every watch with 'unavailable'. */
  cutWatches(): void
}

/** Wraps `inner`, which is closed with the wrapper. */
export function createFaultStore(options: FaultStoreOptions): FaultStore {
  return new FaultyStore(options)
}

class FaultyStore implements FaultStore {
  readonly #inner: Store
  readonly #clock: Clock
  readonly #random: Random
  readonly #watches = new Set<LaggingWatch>()
  #faults = noFaults

  constructor({ inner, clock, random }: FaultStoreOptions) {
    this.#inner = inner
    this.#clock = clock
    this.#random = random
  }

  setFaults(faults: Partial<FaultRates>): void {
    this.#faults = { ...noFaults, ...faults }
  }

  cutWatches(): void {
    for (const watch of [...this.#watches]) watch.cut()
  }

  currentRevision(): Promise<number> {
    return this.#call(() => this.#inner.currentRevision())
  }

  oldestRevision(): Promise<number> {
    return this.#call(() => this.#inner.oldestRevision())
  }

  get(key: string, options?: { revision?: number }): Promise<StoredValue | undefined> {
    return this.#call(() => this.#inner.get(key, options))
  }

  range(prefix: string, options?: RangeOptions): Promise<RangeResult> {
    return this.#call(() => this.#inner.range(prefix, options))
  }

  count(prefix: string): Promise<number> {
    return this.#call(() => this.#inner.count(prefix))
  }

  write(write: Write): Promise<WriteResult> {
    return this.#write([write], () => this.#inner.write(write))
  }

  writeAll(writes: readonly Write[]): Promise<WriteResult> {
    return this.#write(writes, () => this.#inner.writeAll(writes))
  }

  watch(prefix: string, options: WatchOptions): StoreWatch {
    const watch = new LaggingWatch({
      options,
      clock: this.#clock,
      lagMs: () => this.#delayMs(this.#faults.watchLag),
      cuts: () => this.#happens(this.#faults.watchCut),
      onClose: () => this.#watches.delete(watch),
    })
    watch.start(this.#inner, prefix)
    this.#watches.add(watch)
    return watch
  }

  compact(revision: number): Promise<void> {
    return this.#call(() => this.#inner.compact(revision))
  }

  sizeBytes(): Promise<number> {
    return this.#call(() => this.#inner.sizeBytes())
  }

  close(): Promise<void> {
    return this.#inner.close()
  }

  async #call<T>(call: () => Eventual<T>): Promise<T> {
    const delay = this.#delay()
    if (delay !== undefined) await delay
    if (this.#happens(this.#faults.unavailable)) throw lost('asked')
    const result = await call()
    await this.#delay()
    return result
  }

  async #write(writes: readonly Write[], write: () => Promise<WriteResult>): Promise<WriteResult> {
    // Without a delay the store is asked in this very turn, as it would be without this wrapper.
    const delay = this.#delay()
    if (delay !== undefined) await delay
    if (this.#happens(this.#faults.busy)) throw new StoreError('busy', 'too many writes are waiting; try again')
    if (this.#happens(this.#faults.unavailable)) throw lost('asked')
    for (const { key, expectedModRevision } of writes) {
      if (expectedModRevision !== undefined && this.#happens(this.#faults.raceLost)) await this.#touch(key)
    }
    const result = await write()
    if (this.#happens(this.#faults.answerLost)) throw lost('answered')
    await this.#delay()
    return result
  }

  async #touch(key: string): Promise<void> {
    const now = await this.#inner.get(key)
    if (now !== undefined) await this.#inner.write({ key, value: now.value, expectedModRevision: now.modRevision })
  }

  #delay(): Promise<void> | undefined {
    const ms = this.#delayMs(this.#faults.delay)
    return ms > 0 ? this.#clock.sleep(ms) : undefined
  }

  #delayMs(rate: number): number {
    return this.#happens(rate) ? Math.ceil(this.#random() * this.#faults.delayMsMax) : 0
  }

  // Draws nothing when there is nothing to draw for, so that one kind of fault does not change the course of another.
  #happens(rate: number): boolean {
    return rate > 0 && this.#random() < rate
  }
}

function lost(when: 'asked' | 'answered'): StoreError {
  return new StoreError('unavailable', `the connection to the store was lost before it ${when === 'asked' ? 'was asked' : 'answered'}`)
}

interface LaggingWatchParts {
  readonly options: WatchOptions
  readonly clock: Clock
  readonly lagMs: () => number
  readonly cuts: () => boolean
  readonly onClose: () => void
}

/** Passes on what the watch within is told, in order, late at times. */
class LaggingWatch implements StoreWatch {
  readonly #parts: LaggingWatchParts
  #inner: StoreWatch | undefined
  #waiting: (() => void)[] = []
  #lagging = false
  #ended = false

  constructor(parts: LaggingWatchParts) {
    this.#parts = parts
  }

  /** Throws what the store's watch throws. */
  start(store: Store, prefix: string): void {
    const { afterRevision, onEvents, onEnd, onProgress } = this.#parts.options
    this.#inner = store.watch(prefix, {
      afterRevision,
      onEvents: (events) => {
        if (this.#parts.cuts()) this.cut()
        else this.#pass(() => onEvents(events))
      },
      onProgress: (revision) => this.#pass(() => onProgress?.(revision)),
      onEnd: (reason) =>
        this.#pass(() => {
          this.close()
          onEnd?.(reason)
        }),
    })
  }

  cut(): void {
    if (this.#ended) return
    this.close()
    this.#parts.options.onEnd?.(lost('answered'))
  }

  close(): void {
    this.#ended = true
    this.#waiting = []
    this.#inner?.close()
    this.#parts.onClose()
  }

  #pass(tell: () => void): void {
    if (this.#ended) return
    this.#waiting.push(tell)
    if (!this.#lagging) this.#tellAll()
  }

  #tellAll(): void {
    this.#lagging = false
    while (!this.#ended && this.#waiting.length > 0) {
      const ms = this.#parts.lagMs()
      if (ms > 0) {
        this.#lagging = true
        this.#parts.clock.after(ms, () => this.#tellNext(), { background: true })
        return
      }
      this.#waiting.shift()?.()
    }
  }

  #tellNext(): void {
    if (!this.#ended) this.#waiting.shift()?.()
    this.#tellAll()
  }
}
