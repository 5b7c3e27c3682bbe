// One watch of the whole store feeds every watch cache: an event finds its cache by the beginning of its key. The first load
// reads the store as of one revision, page by page, while events already gather.
import { tooLargeResourceVersion } from '#api/errors'
import type { Kind } from '#api/kind'
import type { KubeObject } from '#api/object'
import { assert } from '#base/assert'
import type { Clock } from '#base/clock'
import { type Store, StoreError, type StoreEvent, type StoreWatch } from '#storage/store'
import { DecodedObjects } from './decoded-objects.ts'
import type { EventWindowLimits } from './event-window.ts'
import { ResourceCache } from './resource-cache.ts'
import type { BytesSource } from './stored-object.ts'
import { WarmBytes } from './warm-bytes.ts'

export interface CacheFeedDeps {
  readonly store: Store
  readonly clock: Clock
  readonly deepFreeze?: boolean
  readonly windowLimits?: EventWindowLimits
  /** Stored bytes of objects that may be held decoded, over all caches. */
  readonly decodedBytesMax?: number
  /** Bytes that objects hold although the store could give them again, over all caches. */
  readonly warmBytesMax?: number
  readonly log?: (message: string, error?: unknown) => void
}

const root = '/registry/'
const loadPageItems = 10_000
// A decoded object takes several times its bytes. Keeping more of them costs more (in memory, and in collecting what grew old before
// it was dropped) than decoding the few anew that are wanted again.
const decodedBytesMax = 2 << 20
// Objects of built-in kinds that live in a store which reads at once hold their bytes up to this much, over all caches.
const warmBytesMax = 24 << 20
// How long a reader waits for a revision that the feed has not reached.
const freshWaitMs = 3_000
const retryMs = 1_000

interface Waiter {
  readonly revision: number
  readonly done: () => void
}

export class CacheFeed {
  readonly decoded: DecodedObjects
  readonly #deps: CacheFeedDeps
  readonly #caches = new Map<string, ResourceCache>()
  readonly #source: BytesSource | undefined
  #watch: StoreWatch | undefined
  #revision = 0
  #waiters: Waiter[] = []
  #closed = false
  #started: Promise<void> | undefined
  #synced = false

  constructor(deps: CacheFeedDeps) {
    this.#deps = deps
    this.#source = sourceOf(deps.store, deps.warmBytesMax ?? warmBytesMax)
    this.decoded = new DecodedObjects({ storedBytesMax: deps.decodedBytesMax ?? decodedBytesMax })
  }

  get revision(): number {
    return this.#revision
  }

  get synced(): boolean {
    return this.#synced
  }

  /** The cache of a stored kind; loaded at once when the feed already runs. A custom kind may come again with another schema. */
  add<T extends KubeObject>(kind: Kind<T>): ResourceCache<T> {
    const there = this.#caches.get(kind.storagePrefix)
    if (there?.adopt(kind as unknown as Kind) === true) return there as unknown as ResourceCache<T>
    // Objects are now stored in another version than the cache holds: it is loaded anew.
    there?.close()
    const cache = new ResourceCache<T>({
      kind,
      clock: this.#deps.clock,
      decoded: this.decoded,
      deepFreeze: this.#deps.deepFreeze ?? false,
      ...(this.#deps.windowLimits === undefined ? {} : { limits: this.#deps.windowLimits }),
      revision: () => this.#revision,
      waitFor: (revision, signal) => this.waitFor(revision, signal),
      ...(this.#source === undefined || kind.custom ? {} : { source: this.#source }),
      onUnreadable: (key, error) => this.#deps.log?.(`unreadable object ${key}`, error),
    })
    this.#caches.set(kind.storagePrefix, cache as unknown as ResourceCache)
    if (this.#started !== undefined) void this.#loadLater(cache as unknown as ResourceCache)
    return cache
  }

  remove(kind: Kind): void {
    this.#caches.get(kind.storagePrefix)?.close()
    this.#caches.delete(kind.storagePrefix)
  }

  caches(): Iterable<ResourceCache> {
    return this.#caches.values()
  }

  /** Begins to load; resolves when everything is in. */
  start(): Promise<void> {
    this.#started ??= this.#run()
    return this.#started
  }

  async waitFor(revision: number, signal: AbortSignal): Promise<void> {
    if (revision <= this.#revision) return
    const stop = new AbortController()
    let waiter: Waiter | undefined
    const reached = new Promise<void>((resolve) => {
      waiter = { revision, done: resolve }
      this.#waiters.push(waiter)
    })
    const late = this.#deps.clock.sleep(freshWaitMs, AbortSignal.any([signal, stop.signal])).then(() => {
      throw tooLargeResourceVersion(revision, this.#revision)
    })
    late.catch(() => {})
    try {
      await Promise.race([reached, late])
    } finally {
      stop.abort()
      this.#waiters = this.#waiters.filter((other) => other !== waiter)
    }
  }

  close(): void {
    this.#closed = true
    this.#watch?.close()
    for (const cache of this.#caches.values()) cache.close()
  }

  async #run(): Promise<void> {
    for (let first = true; !this.#closed; first = false) {
      try {
        if (!first) {
          await this.#deps.clock.sleep(retryMs)
          for (const cache of this.#caches.values()) cache.reset()
        }
        await this.#load()
        this.#synced = true
        return
      } catch (error) {
        if (this.#closed || (error instanceof StoreError && error.code === 'closed')) return
        this.#watch?.close()
        this.#deps.log?.('cannot read the store; trying again', error)
      }
    }
  }

  async #load(): Promise<void> {
    const revision = await this.#deps.store.currentRevision()
    this.#advance(revision)
    this.#watch = this.#deps.store.watch(root, {
      afterRevision: revision,
      onEvents: (events) => this.#deliver(events),
      onProgress: (progress) => this.#advance(progress),
      onEnd: (reason) => this.#ended(reason),
    })
    const caches = [...this.#caches.values()]
    await this.#readAll(root, revision)
    for (const cache of caches) cache.finishLoad(revision)
  }

  async #loadLater(cache: ResourceCache): Promise<void> {
    await this.#started
    while (!this.#closed && !cache.ready && this.#caches.get(cache.kind.storagePrefix) === cache) {
      try {
        const revision = await this.#deps.store.currentRevision()
        await this.#readAll(`${cache.kind.storagePrefix}/`, revision)
        cache.finishLoad(revision)
      } catch (error) {
        if (error instanceof StoreError && error.code === 'closed') return
        this.#deps.log?.('cannot read the store; trying again', error)
        await this.#deps.clock.sleep(retryMs)
      }
    }
  }

  async #readAll(prefix: string, revision: number): Promise<void> {
    let after: string | undefined
    for (;;) {
      const page = await this.#deps.store.range(prefix, {
        revision,
        limit: loadPageItems,
        keysOnly: this.#source !== undefined,
        ...(after === undefined ? {} : { after }),
      })
      for (const item of page.items) {
        const cache = this.#cacheOf(item.key)
        if (cache === undefined || cache.ready) continue
        this.#guarded(item.key, () => {
          if (this.#source === undefined) cache.load(item.key, item.value, item.modRevision)
          else cache.load(item.key, cache.lean ? undefined : this.#source.read(item.key, item.modRevision, false), item.modRevision)
        })
      }
      after = page.items.at(-1)?.key
      if (!page.more || after === undefined) return
      await new Promise((resolve) => setImmediate(resolve))
    }
  }

  #deliver(events: readonly StoreEvent[]): void {
    // The revision goes first: whoever is told of an event may rely on it.
    const revision = events.at(-1)?.revision ?? this.#revision
    this.#revision = Math.max(this.#revision, revision)
    for (const event of events) {
      const cache = this.#cacheOf(event.key)
      if (cache !== undefined) this.#guarded(event.key, () => cache.apply(event))
    }
    this.#wake()
  }

  // One value that cannot be read must not take the others with it.
  #guarded(key: string, run: () => void): void {
    try {
      run()
    } catch (error) {
      this.#deps.log?.(`unreadable object ${key}`, error)
    }
  }

  #advance(revision: number): void {
    if (revision <= this.#revision) return
    this.#revision = revision
    this.#wake()
  }

  #wake(): void {
    if (this.#waiters.length === 0) return
    const due = this.#waiters.filter((waiter) => waiter.revision <= this.#revision)
    if (due.length === 0) return
    this.#waiters = this.#waiters.filter((waiter) => waiter.revision > this.#revision)
    for (const waiter of due) waiter.done()
  }

  #ended(reason: StoreError): void {
    if (this.#closed || reason.code === 'closed') return
    this.#deps.log?.('the watch of the store ended; loading anew', reason)
    this.#synced = false
    for (const cache of this.#caches.values()) cache.reset()
    this.#started = this.#run()
  }

  // `/registry/pods/…`, or `/registry/services/specs/…` and `/registry/<group>/<resource>/…`.
  #cacheOf(key: string): ResourceCache | undefined {
    const first = key.indexOf('/', root.length)
    if (first < 0) return undefined
    const cache = this.#caches.get(key.slice(0, first))
    if (cache !== undefined) return cache
    const second = key.indexOf('/', first + 1)
    return second < 0 ? undefined : this.#caches.get(key.slice(0, second))
  }
}

// A store whose values are in memory anyway, or far away, is no source.
function sourceOf(store: Store, bytesMax: number): BytesSource | undefined {
  if (store.valueAt === undefined) return undefined
  return {
    warm: new WarmBytes(bytesMax),
    read(key, revision, inPassing) {
      const value = store.valueAt!(key, revision, inPassing)
      assert(value !== undefined, `the value of ${key} at ${revision} should be there`)
      return value
    },
  }
}
