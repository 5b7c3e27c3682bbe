// Compaction in small steps. Forgetting moves the oldest revision at once; sweeping then walks the log after it and removes what
// each forgotten change replaced, a few records with every commit, so that space is free to be used again about as fast as new
// writes use it. Nothing is ever scanned as a whole: a record names what it replaced.
import type { Clock } from '#base/clock'
import type { TableSet } from './environment.ts'
import { type Bounds, boundsKey, type LogRecord, type Position, positionOf, revisionOf } from './layout.ts'

export interface SweeperOptions {
  readonly tables: TableSet
  readonly clock: Clock
  readonly bounds: Bounds
  readonly historyRevisionsMax: number
  readonly historyAgeMsMax: number
}

interface Step {
  readonly position: Position
  readonly record: LogRecord
}

/** What one commit sweeps. */
export interface Sweep {
  readonly steps: readonly Step[]
  readonly bounds: Bounds
}

// History may outgrow its bound by this part before some is forgotten, so that it happens in batches.
const slackPart = 16

// When nobody writes, history may outlive its age by this part, so that a quiet store is not woken for every change it once saw.
const agePart = 64

/** Decides what is forgotten, and what is swept with each commit. */
export class Sweeper {
  readonly #options: SweeperOptions
  #oldest: number
  #swept: Position
  #savedOldest: number
  // The first record that is not swept. Records only come after it, and it goes only when it is swept.
  #next: { readonly position: Position; readonly timeMs: number } | undefined

  constructor(options: SweeperOptions) {
    this.#options = options
    this.#oldest = options.bounds.oldest
    this.#savedOldest = options.bounds.oldest
    this.#swept = options.bounds.swept
  }

  get oldest(): number {
    return this.#oldest
  }

  /** When to look for history that has grown too old, as milliseconds of the wall clock; undefined: there is none that could. */
  nextDueMs(revision: number): number | undefined {
    const { historyAgeMsMax } = this.#options
    if (!Number.isFinite(historyAgeMsMax)) return undefined
    const next = this.#nextRecord(revision)
    return next === undefined ? undefined : next.timeMs + historyAgeMsMax * (1 + 1 / agePart)
  }

  // Looked up when it is not known: every commit asks.
  #nextRecord(revision: number): { readonly position: Position; readonly timeMs: number } | undefined {
    if (this.#next !== undefined && this.#next.position > this.#swept) return this.#next
    this.#next = undefined
    const { log } = this.#options.tables
    for (const { key: position, value } of log.getRange({ start: this.#swept + 1, end: positionOf(revision, 0), limit: 1 })) {
      this.#next = { position, timeMs: value.timeMs }
    }
    return this.#next
  }

  /** Forgets history before this revision, which the store has reached. */
  forget(revision: number): void {
    this.#oldest = Math.max(this.#oldest, revision)
  }

  /** Forgets the older half of the history. `revision`: the store's. */
  forgetHalf(revision: number): void {
    this.forget(revision - Math.floor((revision - this.#oldest) / 2))
  }

  /** Whether the history up to this revision is forgotten, swept, and known on disk to be so. */
  sweptThrough(revision: number): boolean {
    return this.#savedOldest >= revision && revisionOf(this.#swept) >= revision
  }

  /** Whether everything that can be is swept. `revision`: the store's. */
  clean(revision: number): boolean {
    return this.#savedOldest === this.#oldest && revisionOf(this.#swept) >= Math.min(this.#oldest, revision - 1)
  }

  /** The next steps, at most about this many. `revision`: the store's, on disk; its own record must stay to tell it. */
  plan(revision: number, stepsMax: number): Sweep {
    const { historyRevisionsMax, historyAgeMsMax, clock, tables } = this.#options
    const slack = Math.floor(historyRevisionsMax / slackPart)
    if (revision - this.#oldest > historyRevisionsMax + slack) this.forget(revision - historyRevisionsMax)
    const tooOldMs = clock.now() - historyAgeMsMax
    const steps: Step[] = []
    let swept = this.#swept
    let more = false
    const next = this.#nextRecord(revision)
    const nothingYet = next === undefined || (revisionOf(next.position) > this.#oldest && next.timeMs > tooOldMs)
    for (const { key: position, value: record } of nothingYet
      ? []
      : tables.log.getRange({ start: swept + 1, end: positionOf(revision, 0) })) {
      if (revisionOf(position) > this.#oldest) {
        if (record.timeMs > tooOldMs) break
        this.forget(revisionOf(position))
      }
      if (steps.length === stepsMax) {
        more = true
        break
      }
      steps.push({ position, record })
      swept = position
    }
    // Nothing is left to sweep up to here, records or none.
    if (!more) swept = Math.max(swept, positionOf(Math.min(this.#oldest, revision - 1) + 1, 0) - 1)
    return { steps, bounds: { oldest: this.#oldest, swept } }
  }

  /** Whether the sweep changes anything. */
  changes({ steps, bounds }: Sweep): boolean {
    return steps.length > 0 || bounds.oldest !== this.#savedOldest
  }

  /** Writes the sweep into the commit under way. */
  fill({ steps, bounds }: Sweep): void {
    // How far it was swept without finding anything need not be remembered.
    if (!this.changes({ steps, bounds })) return
    const { log, values, graves, meta } = this.#options.tables
    for (const { position, record } of steps) {
      if (record.previous !== 0) {
        log.remove(record.previous)
        values.remove(record.previous)
      }
      if (record.type === 'put') continue
      log.remove(position)
      graves.remove({ key: record.key, position })
    }
    meta.put(boundsKey, bounds)
  }

  /** The sweep is on disk. */
  done({ bounds }: Sweep): void {
    this.#swept = bounds.swept
    this.#savedOldest = bounds.oldest
  }
}
