// The last events of one resource, in order, bounded by number, bytes and age. Watchers that lag read from it; what has
// left it is history that the cache no longer serves.
import type { StoredObject } from './stored-object.ts'
import type { CacheEvent, EventType } from './watch-cache.ts'

export interface EventWindowLimits {
  readonly eventsMax: number
  readonly bytesMax: number
  /** Older events leave when a new one comes. */
  readonly ageMaxMs: number
}

export const defaultWindowLimits: EventWindowLimits = { eventsMax: 50_000, bytesMax: 24 << 20, ageMaxMs: 5 * 60_000 }

export class WindowEvent implements CacheEvent {
  readonly type: EventType
  readonly current: StoredObject
  readonly previous: StoredObject | undefined
  readonly revision: number
  /** Position in the resource's history, without gaps. */
  readonly sequence: number
  readonly atMs: number
  #encodings: Map<string, Buffer> | undefined
  #alone: readonly WindowEvent[] | undefined
  #gone: StoredObject | undefined

  constructor(
    type: EventType,
    current: StoredObject,
    previous: StoredObject | undefined,
    revision: number,
    sequence: number,
    atMs: number,
  ) {
    this.type = type
    this.current = current
    this.previous = previous
    this.revision = revision
    this.sequence = sequence
    this.atMs = atMs
  }

  /** A list of nothing but this event. */
  get alone(): readonly WindowEvent[] {
    this.#alone ??= [this]
    return this.#alone
  }

  /** What a watcher is told whose selector matched before and does no longer: the former state at this event's revision. */
  get gone(): StoredObject {
    if (this.type === 'DELETED') return this.current
    this.#gone ??= this.previous!.at(this.revision)
    return this.#gone
  }

  encoded(encoding: string, make: () => Buffer): Buffer {
    this.#encodings ??= new Map()
    let bytes = this.#encodings.get(encoding)
    if (bytes === undefined) {
      bytes = make()
      this.#encodings.set(encoding, bytes)
    }
    return bytes
  }

  /** Lets go of shared encodings; whoever still sends them holds them. */
  forgetEncodings(): void {
    this.#encodings = undefined
    this.#alone = undefined
    this.#gone = undefined
  }
}

// Encodings are kept for the newest events only: later they are wanted by stragglers at most.
const encodedEventsMax = 64

export class EventWindow {
  readonly #limits: EventWindowLimits
  // A queue in an array: events before #head have left; the array is cut now and then.
  #events: WindowEvent[] = []
  #head = 0
  #bytes = 0
  #firstSequence = 0
  #evictedRevision: number

  readonly #onLeave: ((event: WindowEvent) => void) | undefined

  /** History begins after `revision`. `onLeave` is told of every event that is forgotten. */
  constructor(revision: number, limits: EventWindowLimits = defaultWindowLimits, onLeave?: (event: WindowEvent) => void) {
    this.#limits = limits
    this.#onLeave = onLeave
    this.#evictedRevision = revision
  }

  /** Every event with a revision greater than this one is here. */
  get reachesBackTo(): number {
    return this.#evictedRevision
  }

  get nextSequence(): number {
    return this.#firstSequence + this.#events.length - this.#head
  }

  get oldestSequence(): number {
    return this.#firstSequence
  }

  get size(): number {
    return this.#events.length - this.#head
  }

  push(event: WindowEvent): void {
    this.#events.push(event)
    this.#bytes += event.current.storedBytes
    const { eventsMax, bytesMax, ageMaxMs } = this.#limits
    while (this.size > 1) {
      const oldest = this.#events[this.#head]!
      if (this.size <= eventsMax && this.#bytes <= bytesMax && event.atMs - oldest.atMs <= ageMaxMs) break
      this.#evict(oldest)
    }
    const stale = this.#events[this.#events.length - 1 - encodedEventsMax]
    if (stale !== undefined && this.#events.length - 1 - encodedEventsMax >= this.#head) stale.forgetEncodings()
  }

  at(sequence: number): WindowEvent | undefined {
    const index = sequence - this.#firstSequence
    return index < 0 ? undefined : this.#events[this.#head + index]
  }

  /** Sequence of the first event with a revision greater than `revision`. */
  after(revision: number): number {
    let low = this.#head
    let high = this.#events.length
    while (low < high) {
      const middle = (low + high) >> 1
      if (this.#events[middle]!.revision <= revision) low = middle + 1
      else high = middle
    }
    return this.#firstSequence + low - this.#head
  }

  // All events of one revision leave together, or a reader from the revision before would miss some.
  #evict(oldest: WindowEvent): void {
    this.#evictedRevision = oldest.revision
    while (this.size > 0) {
      const event = this.#events[this.#head]!
      if (event.revision !== oldest.revision) break
      this.#bytes -= event.current.storedBytes
      this.#events[this.#head] = undefined as unknown as WindowEvent
      this.#head++
      this.#firstSequence++
      this.#onLeave?.(event)
    }
    if (this.#head > 1024 && this.#head * 2 > this.#events.length) {
      this.#events = this.#events.slice(this.#head)
      this.#head = 0
    }
  }
}
