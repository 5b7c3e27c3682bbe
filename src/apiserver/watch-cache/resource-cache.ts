// The watch cache of one resource: its objects in key order, an index where fan-out needs one, the window of its events and
// the watchers. Fed by the CacheFeed.
import { expired, tooLargeResourceVersion, tooManyRequests } from '#api/errors'
import type { Kind } from '#api/kind'
import type { KubeObject } from '#api/object'
import type { Clock } from '#base/clock'
import { StoreError, type StoreEvent } from '#storage/store'
import type { DecodedObjects } from './decoded-objects.ts'
import { defaultWindowLimits, EventWindow, type EventWindowLimits, WindowEvent } from './event-window.ts'
import { OrderedObjects } from './ordered-objects.ts'
import { type BytesSource, ObjectContext, StoredObject } from './stored-object.ts'
import type { CachedPage, CacheSelector, CacheWatch, PageOptions, WatchCache, WatchConsumer } from './watch-cache.ts'
import { Watchers } from './watchers.ts'

export interface ResourceCacheDeps {
  readonly kind: Kind
  readonly clock: Clock
  readonly decoded: DecodedObjects
  readonly deepFreeze: boolean
  readonly limits?: EventWindowLimits
  /** Revision up to which the feed has delivered, over all resources. */
  readonly revision: () => number
  readonly waitFor: (revision: number, signal: AbortSignal) => Promise<void>
  /** Where objects may leave their bytes; absent: they hold them. */
  readonly source?: BytesSource
  /** Told of an object whose bytes cannot be read; it is left out. */
  readonly onUnreadable: (key: string, error: unknown) => void
}

/** The fields that are worth an index, by kind id: what kubelets select their pods by. */
const indexedFields: Readonly<Record<string, string>> = { 'core/v1/pods': 'spec.nodeName' }

const notReadyWaitMs = 30_000
// Loaded objects that are looked at before the cache is said to be ready, and in one turn of the loop when there are more.
const settledAtOnceMax = 500
const settledInTurn = 100
const never = new AbortController().signal

export class ResourceCache<T extends KubeObject = KubeObject> implements WatchCache<T> {
  kind: Kind
  readonly indexedField: string | undefined
  readonly #deps: ResourceCacheDeps
  #context: ObjectContext
  readonly #prefix: string
  readonly #indexedPath: readonly Buffer[]
  readonly #watchers: Watchers
  readonly #listeners = new Set<() => void>()
  #objects = new Map<string, StoredObject>()
  #order = new OrderedObjects<StoredObject>()
  #index = new Map<string, Map<string, StoredObject>>()
  #window: EventWindow
  // Events that came while the first load was under way.
  #early: StoreEvent[] | undefined = []
  #whenReady: (() => void)[] = []
  // Objects of the first load that nobody has looked at: they may be unreadable, and are not in the index.
  #unsettled: StoredObject[] = []
  #changeAnnounced = false
  #closed = false
  #lastChange = 0

  constructor(deps: ResourceCacheDeps) {
    this.#deps = deps
    this.kind = deps.kind
    this.indexedField = indexedFields[deps.kind.id]
    this.#indexedPath = (this.indexedField ?? '').split('.').map((name) => Buffer.from(name))
    this.#context = new ObjectContext(deps.kind, deps.decoded, deps.deepFreeze, false, deps.source)
    this.#prefix = `${deps.kind.storagePrefix}/`
    this.#window = this.#newWindow(0)
    this.#watchers = new Watchers({
      window: () => this.#window,
      revision: deps.revision,
      indexedField: this.indexedField,
      soon: queueMicrotask,
      nextTurn: setImmediate,
    })
  }

  /**
   * Takes another Kind for what it holds: a custom kind with another schema, or stored in another version from now on. Its watches
   * end, so that what they show is as the new definition has it. False when the objects are others.
   */
  adopt(kind: Kind): boolean {
    if (kind === this.kind || !kind.custom) return true
    if (kind.kind !== this.kind.kind || kind.namespaced !== this.kind.namespaced) return false
    this.kind = kind
    this.#context = new ObjectContext(kind, this.#deps.decoded, this.#deps.deepFreeze)
    this.#watchers.endAll(undefined)
    return true
  }

  get ready(): boolean {
    return this.#early === undefined
  }

  /** Whether its objects leave their bytes in the store. */
  get lean(): boolean {
    return this.#deps.source !== undefined
  }

  get revision(): number {
    return this.#deps.revision()
  }

  get size(): number {
    return this.#order.size
  }

  get context(): ObjectContext {
    return this.#context
  }

  /** Every event with a revision greater than this one is at hand. */
  get reachesBackTo(): number {
    return this.#window.reachesBackTo
  }

  get watcherCount(): number {
    return this.#watchers.size
  }

  /** Revision of the newest change of this resource. */
  get lastChange(): number {
    return this.#lastChange
  }

  async untilReady(signal: AbortSignal = never): Promise<void> {
    if (this.ready) return
    const loaded = new Promise<void>((resolve) => this.#whenReady.push(resolve))
    const stop = new AbortController()
    const late = this.#deps.clock.sleep(notReadyWaitMs, AbortSignal.any([signal, stop.signal])).then(() => {
      throw tooManyRequests('storage is (re)initializing', 1)
    })
    late.catch(() => {})
    try {
      await Promise.race([loaded, late])
    } finally {
      stop.abort()
    }
  }

  async waitFor(revision: number, signal: AbortSignal): Promise<void> {
    if (revision > this.revision) await this.#deps.waitFor(revision, signal)
  }

  get(namespace: string, name: string): StoredObject<T> | undefined {
    return this.at(this.keyOf(namespace, name))
  }

  /** The key of an object, there or not; the namespace counts for nothing where the kind has none. */
  keyOf(namespace: string, name: string): string {
    return this.kind.namespaced ? `${this.#prefix}${namespace}/${name}` : this.#prefix + name
  }

  at(key: string): StoredObject<T> | undefined {
    return this.#objects.get(key) as StoredObject<T> | undefined
  }

  candidates(selector: CacheSelector): readonly StoredObject<T>[] {
    return this.page(selector, {}).items
  }

  page(selector: CacheSelector, { after = '', limit, revision }: PageOptions): CachedPage<T> & { items: readonly StoredObject<T>[] } {
    const atPresent = revision === undefined || this.#lastChange <= revision
    if (!atPresent) return this.#pageAt(selector, after, limit ?? Number.POSITIVE_INFINITY, revision) as never
    const items = this.#present(selector, after, limit)
    const remaining = limit === undefined || items.length < limit ? 0 : this.#order.count(this.#prefixOf(selector), items.at(-1)?.key)
    return { items: items as unknown as readonly StoredObject<T>[], revision: revision ?? this.revision, remaining }
  }

  watch(afterRevision: number, selector: CacheSelector, consumer: WatchConsumer<T>): CacheWatch {
    if (afterRevision < this.#window.reachesBackTo) {
      throw expired(`too old resource version: ${afterRevision} (${this.#window.reachesBackTo})`)
    }
    const watcher = this.#watchers.add(selector, consumer as WatchConsumer, afterRevision, this.#window.after(afterRevision))
    if (this.#closed) queueMicrotask(() => watcher.end(undefined))
    return watcher
  }

  onChange(changed: () => void): () => void {
    this.#listeners.add(changed)
    return () => this.#listeners.delete(changed)
  }

  // --- called by the feed

  /** An object of the first load. Without a value, for a cache that has a source, it is looked at later. */
  load(key: string, value: Buffer | undefined, revision: number): void {
    if (value !== undefined) return this.#put(StoredObject.read(this.#context, key, value, revision))
    const object = new StoredObject(this.#context, key, undefined, revision)
    this.#objects.set(key, object)
    this.#order.set(object)
    this.#unsettled.push(object)
  }

  /** The first load is complete as of `revision`. */
  finishLoad(revision: number): void {
    this.#window = this.#newWindow(revision)
    this.#lastChange = revision
    const unsettled = this.#unsettled
    if (unsettled.length <= settledAtOnceMax) this.#settle(unsettled, unsettled.length)
    else setImmediate(() => this.#settleLater(unsettled))
    const early = this.#early ?? []
    this.#early = undefined
    for (const event of early) if (event.revision > revision) this.apply(event)
    for (const resolve of this.#whenReady.splice(0)) resolve()
    this.#announceChange()
  }

  /** Forgets everything, to be loaded anew; watchers are told that history is lost. */
  reset(): void {
    this.#unsettled = []
    this.#objects = new Map()
    this.#order = new OrderedObjects()
    this.#index = new Map()
    this.#early = []
    this.#watchers.endAll(expired('The resourceVersion for the provided watch is too old.'))
  }

  /** The resource is served no more. */
  close(): void {
    this.#closed = true
    this.#watchers.endAll(undefined)
    for (const resolve of this.#whenReady.splice(0)) resolve()
  }

  apply(event: StoreEvent): void {
    if (this.#early !== undefined) {
      this.#early.push(event)
      return
    }
    const previous = this.#objects.get(event.key)
    // The store may forget it from now on.
    previous?.pin(event.previous?.value)
    let entry: WindowEvent
    const sequence = this.#window.nextSequence
    const now = this.#deps.clock.monotonic()
    if (event.type === 'put') {
      const current = StoredObject.read(this.#context, event.key, event.value!, event.revision)
      this.#put(current, previous)
      entry = new WindowEvent(previous === undefined ? 'ADDED' : 'MODIFIED', current, previous, event.revision, sequence, now)
    } else {
      if (previous === undefined) return
      this.#remove(previous)
      entry = new WindowEvent('DELETED', previous.at(event.revision), previous, event.revision, sequence, now)
    }
    this.#lastChange = event.revision
    this.#window.push(entry)
    this.#watchers.announce(entry)
    this.#announceChange()
  }

  #newWindow(revision: number): EventWindow {
    const limits = this.#deps.limits ?? defaultWindowLimits
    if (this.#deps.source === undefined) return new EventWindow(revision, limits)
    return new EventWindow(revision, limits, ({ current }) => {
      if (this.#objects.get(current.key) === current) current.unpin()
    })
  }

  // Takes so many from the end of the list and does with them what `load` left for later.
  #settle(unsettled: StoredObject[], count: number): void {
    for (let i = 0; i < count; i++) {
      const object = unsettled.pop()
      if (object === undefined) return
      if (this.#objects.get(object.key) !== object) continue
      try {
        if (this.indexedField === undefined) object.look(() => undefined)
        else this.#putInIndex(object, object.peek(this.#indexedPath, this.indexedField))
      } catch (error) {
        if (error instanceof StoreError) {
          // Nothing is known about the object itself.
          unsettled.push(object)
          throw error
        }
        this.#remove(object, '')
        this.#deps.onUnreadable(object.key, error)
      }
    }
  }

  // In small pieces: requests are served meanwhile.
  #settleLater(unsettled: StoredObject[]): void {
    if (this.#unsettled !== unsettled || this.#closed) return
    try {
      this.#settle(unsettled, settledInTurn)
    } catch (error) {
      if ((error as StoreError).code === 'closed') return
      this.#deps.onUnreadable(this.#prefix, error)
      return
    }
    if (unsettled.length > 0) setImmediate(() => this.#settleLater(unsettled))
  }

  #announceChange(): void {
    if (this.#changeAnnounced || this.#listeners.size === 0) return
    this.#changeAnnounced = true
    queueMicrotask(() => {
      this.#changeAnnounced = false
      for (const listener of this.#listeners) listener()
    })
  }

  #put(object: StoredObject, previous?: StoredObject): void {
    this.#objects.set(object.key, object)
    this.#order.set(object)
    if (this.indexedField === undefined) return
    const value = object.peek(this.#indexedPath, this.indexedField)
    if (previous !== undefined) {
      const before = previous.peek(this.#indexedPath, this.indexedField)
      if (before !== value) this.#unindex(before, object.key)
    }
    this.#putInIndex(object, value)
  }

  #putInIndex(object: StoredObject, value: string): void {
    let bucket = this.#index.get(value)
    if (bucket === undefined) {
      bucket = new Map()
      this.#index.set(value, bucket)
    }
    bucket.set(object.key, object)
  }

  #remove(object: StoredObject, indexed?: string): void {
    this.#objects.delete(object.key)
    this.#order.delete(object.key)
    if (this.indexedField === undefined) return
    this.#unindex(indexed ?? object.peek(this.#indexedPath, this.indexedField), object.key)
  }

  #unindex(value: string, key: string): void {
    const bucket = this.#index.get(value)
    bucket?.delete(key)
    if (bucket?.size === 0) this.#index.delete(value)
  }

  #prefixOf({ namespace }: CacheSelector): string {
    return namespace !== undefined && this.kind.namespaced ? `${this.#prefix}${namespace}/` : this.#prefix
  }

  #present(selector: CacheSelector, after: string, limit: number | undefined): StoredObject[] {
    const { namespace, name, indexed } = selector
    if (name !== undefined && (namespace !== undefined || !this.kind.namespaced)) {
      const object = this.get(namespace ?? '', name)
      return object === undefined || object.key <= after ? [] : [object]
    }
    if (indexed !== undefined && this.indexedField !== undefined) {
      this.#settle(this.#unsettled, this.#unsettled.length)
      const prefix = this.#prefixOf(selector)
      const bucket = [...(this.#index.get(indexed)?.values() ?? [])]
      const found = bucket.filter((o) => o.key.startsWith(prefix) && o.key > after).sort(byKey)
      return limit === undefined ? found : found.slice(0, limit)
    }
    return this.#order.range(this.#prefixOf(selector), after, limit)
  }

  // The present with every event after `revision` taken back.
  #pageAt(selector: CacheSelector, after: string, limit: number, revision: number): CachedPage & { items: readonly StoredObject[] } {
    if (revision < this.#window.reachesBackTo) throw expired('The resourceVersion for the provided list is too old.')
    if (revision > this.revision) throw tooLargeResourceVersion(revision, this.revision)
    const prefix = this.#prefixOf(selector)
    const then = new Map<string, StoredObject | undefined>()
    for (let s = this.#window.after(revision), event = this.#window.at(s); event !== undefined; event = this.#window.at(++s)) {
      const key = event.current.key
      if (key.startsWith(prefix) && key > after && !then.has(key)) then.set(key, event.previous)
    }
    const present = this.#order.range(prefix, after, limit + then.size).filter((o) => !then.has(o.key))
    const past = [...then.values()].filter((o) => o !== undefined)
    const merged = past.length === 0 ? present : [...present, ...past].sort(byKey)
    const named = selector.name === undefined ? merged : merged.filter((o) => o.name === selector.name)
    const items = named.length > limit ? named.slice(0, limit) : named
    const last = items.at(-1)?.key ?? after
    if (items.length < limit) return { items, revision, remaining: 0 }
    let remaining = this.#order.count(prefix, last)
    for (const [key, object] of then) {
      if (key <= last) continue
      if (this.#objects.has(key)) remaining--
      if (object !== undefined) remaining++
    }
    return { items, revision, remaining }
  }
}

function byKey(a: StoredObject, b: StoredObject): number {
  return a.key < b.key ? -1 : 1
}
