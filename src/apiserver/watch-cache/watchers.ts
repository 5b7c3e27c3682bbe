// The watchers of one resource, indexed so that an event visits only those whom it may concern, and never delivered to
// inside the store's commit: a burst is gathered first, then handed out in turns that leave the loop to others.
import { type ApiError, expired } from '#api/errors'
import type { EventWindow, WindowEvent } from './event-window.ts'
import type { StoredObject } from './stored-object.ts'
import { type CacheSelector, type CacheWatch, selects, type WatchConsumer } from './watch-cache.ts'

// Events that wait for one watcher before it is taken to lag and reads from the window itself.
const pendingMax = 32
// Watchers served in one turn of the loop.
const turnMax = 100

const none: readonly WindowEvent[] = []

export interface WatchersDeps {
  readonly window: () => EventWindow
  readonly revision: () => number
  readonly indexedField: string | undefined
  /** Runs later in this turn of the loop. */
  readonly soon: (run: () => void) => void
  /** Runs in the next turn of the loop. */
  readonly nextTurn: (run: () => void) => void
}

export class Watcher implements CacheWatch {
  readonly selector: CacheSelector
  readonly consumer: WatchConsumer
  readonly #watchers: Watchers
  /** Next event to look at, while it reads from the window; undefined while events are handed to it. */
  cursor: number | undefined
  paused = true
  closed = false
  queued = false
  pending: readonly WindowEvent[] = none
  readonly #after: number
  #delivered: number

  constructor(watchers: Watchers, selector: CacheSelector, consumer: WatchConsumer, afterRevision: number, cursor: number) {
    this.#watchers = watchers
    this.selector = selector
    this.consumer = consumer
    this.cursor = cursor
    this.#after = afterRevision
    this.#delivered = afterRevision
  }

  get revision(): number {
    const idle = this.cursor === undefined && this.pending.length === 0
    return idle ? Math.max(this.#delivered, this.#watchers.deps.revision()) : this.#delivered
  }

  resume(): void {
    if (this.closed) return
    this.paused = false
    this.#watchers.serve(this)
  }

  close(): void {
    if (this.closed) return
    this.closed = true
    this.pending = none
    this.#watchers.remove(this)
  }

  /** Hands the event to the consumer as its selector sees it. False when it wants no more for now. */
  deliver(event: WindowEvent): boolean {
    // The watch may begin at a revision that is yet to come.
    if (event.revision <= this.#after) return true
    this.#delivered = event.revision
    return tell(this.consumer, this.selector, event, this.#watchers.deps.indexedField)
  }

  end(error: ApiError | undefined): void {
    this.close()
    this.consumer.onEnd(error)
  }
}

/** Tells the consumer what its selector makes of the event, if anything. False when it wants no more for now. */
export function tell(consumer: WatchConsumer, selector: CacheSelector, event: WindowEvent, indexedField: string | undefined): boolean {
  const is = event.type !== 'DELETED' && selects(selector, event.current, indexedField)
  const was = event.previous !== undefined && selects(selector, event.previous, indexedField)
  if (is) return consumer.onEvent(was ? 'MODIFIED' : 'ADDED', event.current, event)
  if (was) return consumer.onEvent('DELETED', event.gone, event)
  return true
}

export class Watchers {
  readonly deps: WatchersDeps
  readonly #everything = new Set<Watcher>()
  readonly #byNamespace = new Map<string, Set<Watcher>>()
  readonly #byObject = new Map<string, Set<Watcher>>()
  readonly #byIndexed = new Map<string, Set<Watcher>>()
  #ready: Watcher[] = []
  #scheduled = false
  size = 0

  constructor(deps: WatchersDeps) {
    this.deps = deps
  }

  add(selector: CacheSelector, consumer: WatchConsumer, afterRevision: number, cursor: number): Watcher {
    const watcher = new Watcher(this, selector, consumer, afterRevision, cursor)
    this.#bucket(selector, true)!.add(watcher)
    this.size++
    return watcher
  }

  remove(watcher: Watcher): void {
    const bucket = this.#bucket(watcher.selector, false)
    if (bucket?.delete(watcher) !== true) return
    this.size--
    if (bucket.size === 0 && bucket !== this.#everything) this.#dropBucket(watcher.selector)
  }

  /** An event entered the window. */
  announce(event: WindowEvent): void {
    if (this.size === 0) return
    const { current, previous } = event
    for (const watcher of this.#everything) this.#queue(watcher, event)
    const namespace = current.namespace
    for (const watcher of this.#byNamespace.get(namespace) ?? []) this.#queue(watcher, event)
    if (this.#byObject.size > 0) {
      for (const watcher of this.#byObject.get(`${namespace}/${current.name}`) ?? []) this.#queue(watcher, event)
    }
    if (this.#byIndexed.size > 0) this.#announceIndexed(event, current, previous)
  }

  /** Ends all: history was lost, or the resource is gone. */
  endAll(error: ApiError | undefined): void {
    const all = [...this.#everything]
    for (const buckets of [this.#byNamespace, this.#byObject, this.#byIndexed]) {
      for (const bucket of buckets.values()) all.push(...bucket)
    }
    for (const watcher of all) watcher.end(error)
  }

  /** Delivers until the watcher is up to date or wants no more. */
  serve(watcher: Watcher): void {
    if (watcher.cursor !== undefined && !this.#readWindow(watcher)) return
    const events = watcher.pending
    watcher.pending = none
    for (let i = 0; i < events.length && !watcher.closed; i++) {
      if (watcher.deliver(events[i]!)) continue
      watcher.paused = true
      if (!watcher.closed) watcher.pending = [...events.slice(i + 1), ...watcher.pending]
      return
    }
  }

  #announceIndexed(event: WindowEvent, current: StoredObject, previous: StoredObject | undefined): void {
    const field = this.deps.indexedField!
    const now = current.field(field)
    for (const watcher of this.#byIndexed.get(now) ?? []) this.#queue(watcher, event)
    const before = previous === undefined ? now : previous.field(field)
    if (before !== now) for (const watcher of this.#byIndexed.get(before) ?? []) this.#queue(watcher, event)
  }

  #queue(watcher: Watcher, event: WindowEvent): void {
    // One that reads from the window will come to this event by itself.
    if (watcher.cursor !== undefined) return
    if (watcher.pending.length >= pendingMax) {
      watcher.cursor = watcher.pending[0]!.sequence
      watcher.pending = none
      return
    }
    // Nearly always one event waits: the list is shared by all whom it concerns.
    if (watcher.pending === none) watcher.pending = event.alone
    else watcher.pending = [...watcher.pending, event]
    if (watcher.queued || watcher.paused) return
    watcher.queued = true
    this.#ready.push(watcher)
    if (this.#scheduled) return
    this.#scheduled = true
    this.deps.soon(() => this.#turn())
  }

  #turn(): void {
    const now = this.#ready.splice(0, turnMax)
    for (const watcher of now) {
      watcher.queued = false
      if (!watcher.closed && !watcher.paused) this.serve(watcher)
    }
    if (this.#ready.length > 0) this.deps.nextTurn(() => this.#turn())
    else this.#scheduled = false
  }

  // True when the watcher has caught up: from then on events are handed to it.
  #readWindow(watcher: Watcher): boolean {
    const window = this.deps.window()
    let cursor = watcher.cursor!
    if (cursor < window.oldestSequence) {
      watcher.end(expired(`too old resource version: ${watcher.revision} (${window.reachesBackTo})`))
      return false
    }
    for (let event = window.at(cursor); event !== undefined; event = window.at(cursor)) {
      watcher.cursor = ++cursor
      const more = watcher.deliver(event)
      if (watcher.closed) return false
      if (!more) {
        watcher.paused = true
        return false
      }
    }
    watcher.cursor = undefined
    return true
  }

  #bucket(selector: CacheSelector, make: boolean): Set<Watcher> | undefined {
    const place = this.#place(selector)
    if (place === undefined) return this.#everything
    let bucket = place.buckets.get(place.key)
    if (bucket === undefined && make) {
      bucket = new Set()
      place.buckets.set(place.key, bucket)
    }
    return bucket
  }

  #dropBucket(selector: CacheSelector): void {
    const place = this.#place(selector)
    place?.buckets.delete(place.key)
  }

  // The narrowest index that the selector fits.
  #place({ namespace, name, indexed }: CacheSelector): { buckets: Map<string, Set<Watcher>>; key: string } | undefined {
    if (namespace !== undefined && name !== undefined) return { buckets: this.#byObject, key: `${namespace}/${name}` }
    if (indexed !== undefined && this.deps.indexedField !== undefined) return { buckets: this.#byIndexed, key: indexed }
    if (namespace !== undefined) return { buckets: this.#byNamespace, key: namespace }
    return undefined
  }
}
