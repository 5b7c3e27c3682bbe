// The newest changes in memory, in revision order: all the history that the memory store has, and what the LMDB store replays
// short absences from. Whole revisions come and go, so whoever reads it sees all or nothing of a `writeAll`.
import type { StoreEvent } from './store.ts'

export interface EventLogOptions {
  /** The store's revision before the first event that will be appended. */
  readonly floor: number
  /** At most about this many events; a revision that alone has more stays whole. */
  readonly eventsMax?: number
  /** At most about this many bytes of values, those before included. */
  readonly bytesMax?: number
}

/** A queue of events with a floor: it holds every change after `floor`, none before. */
export class EventLog {
  readonly #eventsMax: number
  readonly #bytesMax: number
  #events: (StoreEvent | undefined)[] = []
  #head = 0
  #bytes = 0
  #floor: number

  constructor({ floor, eventsMax = Number.POSITIVE_INFINITY, bytesMax = Number.POSITIVE_INFINITY }: EventLogOptions) {
    this.#floor = floor
    this.#eventsMax = eventsMax
    this.#bytesMax = bytesMax
  }

  /** Every change after this revision is here. */
  get floor(): number {
    return this.#floor
  }

  get bytes(): number {
    return this.#bytes
  }

  /** Adds whole revisions, newer than all before, and drops the oldest beyond the bounds. */
  append(events: readonly StoreEvent[]): void {
    for (const event of events) {
      this.#events.push(event)
      this.#bytes += bytesOf(event)
    }
    while (this.#events.length - this.#head > this.#eventsMax || this.#bytes > this.#bytesMax) {
      const oldest = this.#events[this.#head]
      if (oldest === undefined || oldest.revision === events.at(-1)?.revision) break
      this.dropThrough(oldest.revision)
    }
  }

  /** Forgets changes up to and including `revision`, and returns them. */
  dropThrough(revision: number): StoreEvent[] {
    const dropped: StoreEvent[] = []
    for (let event = this.#events[this.#head]; event !== undefined && event.revision <= revision; event = this.#events[this.#head]) {
      dropped.push(event)
      this.#bytes -= bytesOf(event)
      this.#events[this.#head++] = undefined
    }
    this.#floor = Math.max(this.#floor, revision)
    if (this.#head > 1024 && this.#head * 2 > this.#events.length) {
      this.#events = this.#events.slice(this.#head)
      this.#head = 0
    }
    return dropped
  }

  /** Changes with revisions in (`after`, `through`]; `after` must not be below the floor. */
  between(after: number, through = Number.POSITIVE_INFINITY): StoreEvent[] {
    const from = this.#indexAfter(after)
    const to = through === Number.POSITIVE_INFINITY ? this.#events.length : this.#indexAfter(through)
    return this.#events.slice(from, to) as StoreEvent[]
  }

  /** The change that made `key`'s value of this revision, if it is still here. */
  find(key: string, revision: number): StoreEvent | undefined {
    if (revision <= this.#floor) return undefined
    for (let i = this.#indexAfter(revision - 1); i < this.#events.length; i++) {
      const event = this.#events[i]!
      if (event.revision !== revision) return undefined
      if (event.key === key) return event
    }
    return undefined
  }

  // Index of the first event with a greater revision.
  #indexAfter(revision: number): number {
    let low = this.#head
    let high = this.#events.length
    while (low < high) {
      const middle = (low + high) >>> 1
      if (this.#events[middle]!.revision <= revision) low = middle + 1
      else high = middle
    }
    return low
  }
}

function bytesOf({ value, previous }: StoreEvent): number {
  return (value?.length ?? 0) + (previous?.value.length ?? 0)
}
