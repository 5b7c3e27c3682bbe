// The store in memory: for tests, simulations and clusters that may forget. It moves in microtasks only, never by timers, so that
// it runs on a virtual clock; values and events are shared, never copied.

import { EventLog } from '../event-log.ts'
import { checkKey, checkWrites } from '../keys.ts'
import { planWrites, stands, type WriteRequest } from '../plan-writes.ts'
import type { RangeOptions, RangeResult, Store, StoredValue, StoreEvent, StoreWatch, WatchOptions, Write, WriteResult } from '../store.ts'
import { closedError, compactedError, futureError, WatchHub } from '../watch-hub.ts'
import { OrderedMap } from './ordered-map.ts'

export interface MemoryStoreOptions {
  /** How many revisions of history are kept for reads and watches of the past. */
  readonly historyRevisionsMax?: number
}

/** An empty store in memory. */
export function openMemoryStore(options: MemoryStoreOptions = {}): Store {
  return new MemoryStore(options)
}

/** A value that another one, or its deletion, has replaced at revision `until`. */
interface PastValue {
  readonly stored: StoredValue
  readonly until: number
}

// What an entry costs beside its bytes: object, key, place in the map. A rough figure, for metrics only.
const entryBytes = 200

class MemoryStore implements Store {
  readonly #historyRevisionsMax: number
  readonly #live = new OrderedMap<StoredValue>()
  readonly #past = new OrderedMap<PastValue[]>()
  readonly #log = new EventLog({ floor: 1 })
  readonly #hub: WatchHub
  #revision = 1
  #liveBytes = 0
  #queue: WriteRequest[] = []
  #closed = false

  constructor({ historyRevisionsMax = 10_000 }: MemoryStoreOptions) {
    this.#historyRevisionsMax = historyRevisionsMax
    this.#hub = new WatchHub({
      revision: () => this.#revision,
      oldest: () => this.#log.floor,
      replay: (prefix, after) => this.#replay(prefix, after),
      breathe: () => Promise.resolve(),
    })
  }

  currentRevision(): number {
    this.#check()
    return this.#revision
  }

  async oldestRevision(): Promise<number> {
    this.#check()
    return this.#log.floor
  }

  async get(key: string, { revision }: { revision?: number } = {}): Promise<StoredValue | undefined> {
    this.#check()
    checkKey(key)
    if (revision === undefined) return this.#live.get(key)
    this.#checkReadable(revision)
    return valueAt(revision, this.#live.get(key), this.#past.get(key))
  }

  async range(prefix: string, options: RangeOptions = {}): Promise<RangeResult> {
    this.#check()
    const { revision = this.#revision, after, limit = Number.POSITIVE_INFINITY } = options
    this.#checkReadable(revision)
    const items: StoredValue[] = []
    let remaining = 0
    const stored = revision === this.#revision ? this.#latest(prefix, after) : this.#valuesAt(revision, prefix, after)
    for (const value of stored) {
      if (items.length < limit) items.push(value)
      else if (revision === this.#revision) {
        remaining = this.#live.count(prefix, items.at(-1)?.key ?? after)
        break
      } else remaining++
    }
    return { items, revision, more: remaining > 0, remaining }
  }

  async count(prefix: string): Promise<number> {
    this.#check()
    return this.#live.count(prefix)
  }

  write(write: Write): Promise<WriteResult> {
    return this.writeAll([write])
  }

  async writeAll(writes: readonly Write[]): Promise<WriteResult> {
    this.#check()
    checkWrites(writes)
    return new Promise((resolve, reject) => {
      this.#queue.push({ writes, resolve, reject })
      if (this.#queue.length === 1) queueMicrotask(() => this.#flush())
    })
  }

  watch(prefix: string, options: WatchOptions): StoreWatch {
    this.#check()
    return this.#hub.watch(prefix, options)
  }

  async compact(revision: number): Promise<void> {
    this.#check()
    if (revision > this.#revision) throw futureError(revision, this.#revision)
    this.#forget(revision)
  }

  async sizeBytes(): Promise<number> {
    this.#check()
    return this.#liveBytes + this.#log.bytes + (this.#live.size + this.#past.size) * entryBytes
  }

  async close(): Promise<void> {
    if (this.#closed) return
    this.#flush()
    this.#closed = true
    this.#hub.endAll(closedError())
  }

  #flush(): void {
    const requests = this.#queue
    if (requests.length === 0) return
    this.#queue = []
    const plan = planWrites({ requests, revision: this.#revision, current: (key) => this.#live.get(key) })
    for (const event of plan.events) this.#apply(event)
    this.#revision = plan.revision
    this.#log.append(plan.events)
    this.#forget(this.#revision - this.#historyRevisionsMax)
    requests.forEach(({ resolve }, i) => {
      resolve(plan.results[i]!)
    })
    if (plan.events.length > 0) this.#hub.publish(plan.events, plan.revision)
  }

  #apply(event: StoreEvent): void {
    const { key, previous, revision } = event
    const stored = stands(event)
    if (stored === undefined) this.#live.delete(key)
    else this.#live.set(key, stored)
    this.#liveBytes += (stored?.value.length ?? 0) - (previous?.value.length ?? 0)
    if (previous === undefined) return
    const past = this.#past.get(key)
    if (past === undefined) this.#past.set(key, [{ stored: previous, until: revision }])
    else past.push({ stored: previous, until: revision })
  }

  // Each forgotten event lets go of the value that it replaced.
  #forget(revision: number): void {
    if (revision <= this.#log.floor) return
    for (const event of this.#log.dropThrough(revision)) {
      if (event.previous === undefined) continue
      const past = this.#past.get(event.key)
      past?.shift()
      if (past?.length === 0) this.#past.delete(event.key)
    }
  }

  #replay(prefix: string, after: number): { events: StoreEvent[]; through: number } | undefined {
    if (after < this.#log.floor) return undefined
    return { events: this.#log.between(after).filter((event) => event.key.startsWith(prefix)), through: this.#revision }
  }

  *#latest(prefix: string, after: string | undefined): Generator<StoredValue> {
    for (const [, stored] of this.#live.entries(prefix, after)) yield stored
  }

  // Keys that live now and keys that have a past, merged in order.
  *#valuesAt(revision: number, prefix: string, after: string | undefined): Generator<StoredValue> {
    const both = new OrderedMap<StoredValue>()
    for (const [key, stored] of this.#live.entries(prefix, after)) if (stored.modRevision <= revision) both.set(key, stored)
    for (const [key, past] of this.#past.entries(prefix, after)) {
      const stored = valueAt(revision, this.#live.get(key), past)
      if (stored !== undefined) both.set(key, stored)
    }
    for (const [, stored] of both.entries(prefix)) yield stored
  }

  #check(): void {
    if (this.#closed) throw closedError()
  }

  #checkReadable(revision: number): void {
    if (revision > this.#revision) throw futureError(revision, this.#revision)
    if (revision < this.#log.floor) throw compactedError(revision, this.#log.floor)
  }
}

function valueAt(revision: number, live: StoredValue | undefined, past: readonly PastValue[] | undefined): StoredValue | undefined {
  if (live !== undefined && live.modRevision <= revision) return live
  let low = 0
  let high = past?.length ?? 0
  while (low < high) {
    const middle = (low + high) >>> 1
    if (past![middle]!.until <= revision) low = middle + 1
    else high = middle
  }
  const stored = past?.[low]?.stored
  return stored !== undefined && stored.modRevision <= revision ? stored : undefined
}
