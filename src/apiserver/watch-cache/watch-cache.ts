// `WatchCache<T>`: a bounded window of one resource's history. It serves list and watch, or says 410 Gone; it never skips
// or repeats. Objects are held as the bytes that clients get, decoded when somebody asks.
import type { ApiError } from '#api/errors'
import type { KubeObject } from '#api/object'

/** One object as it is held and served: encoded once, decoded at most once while it is wanted. */
export interface CachedObject<T extends KubeObject = KubeObject> {
  /** The store's key. */
  readonly key: string
  readonly namespace: string
  readonly name: string
  readonly revision: number
  readonly labels: Readonly<Record<string, string>>
  /** JSON, resourceVersion included, in the storage version. Made anew at each call. */
  readonly json: Buffer
  /** Decoded; shared, so never to be changed. */
  object(): T
  /** metadata.name, metadata.namespace and the kind's selectable fields. */
  field(path: string): string
}

export type EventType = 'ADDED' | 'MODIFIED' | 'DELETED'

export interface CacheEvent<T extends KubeObject = KubeObject> {
  readonly type: EventType
  /** The object after the change; for DELETED its last state, carrying the deletion's revision. */
  readonly current: CachedObject<T>
  /** The object before the change, for selectors that begin or cease to match. */
  readonly previous: CachedObject<T> | undefined
  readonly revision: number
  /** What all watchers share: the bytes that `make` makes are made once for each `encoding`. */
  encoded(encoding: string, make: () => Buffer): Buffer
}

export interface CacheSelector {
  readonly namespace?: string
  /** A single object. */
  readonly name?: string
  /** The value that the kind's indexed field must have (`spec.nodeName` of pods). */
  readonly indexed?: string
  readonly labels?: (labels: Readonly<Record<string, string>>) => boolean
  readonly fields?: (object: CachedObject) => boolean
}

/** Who watches. Called outside the store's commit, in order, each event once. */
export interface WatchConsumer<T extends KubeObject = KubeObject> {
  /**
   * `type` and `object` are what this watcher's selector makes of the event: DELETED with the object's last matching state when
   * it ceased to match. The event is taken in any case; false: nothing more until `resume`.
   */
  onEvent(type: EventType, object: CachedObject<T>, event: CacheEvent<T>): boolean
  /** The watch cannot go on: Expired when the watcher fell behind the window; no error when there is nothing more to watch. */
  onEnd(error: ApiError | undefined): void
}

export interface CacheWatch {
  /** Delivers what has gathered; must be called once after `watch`, and after each `false` of `onEvent`. */
  resume(): void
  /** Every event up to this revision has been delivered. */
  readonly revision: number
  close(): void
}

/** A consistent part of the collection. */
export interface CachedPage<T extends KubeObject = KubeObject> {
  readonly items: readonly CachedObject<T>[]
  readonly revision: number
  /** How many objects follow the last item, selectors aside. */
  readonly remaining: number
}

export interface PageOptions {
  /** Only keys greater than this one. */
  readonly after?: string
  readonly limit?: number
  /** State as of this revision. Throws Expired when the window no longer reaches back. */
  readonly revision?: number
}

export interface WatchCache<T extends KubeObject = KubeObject> {
  /** Whether the first load is in. */
  readonly ready: boolean
  /** Resolves when the first load is in. */
  untilReady(signal: AbortSignal): Promise<void>
  /** Resolves when the cache holds everything up to `revision`; rejects with Timeout after the bound. */
  waitFor(revision: number, signal: AbortSignal): Promise<void>
  readonly revision: number
  readonly size: number
  /** The field that this cache has an index of. */
  readonly indexedField: string | undefined
  get(namespace: string, name: string): CachedObject<T> | undefined
  /** What the selector's namespace, name and indexed value leave, in key order; labels and fields are not looked at. */
  candidates(selector: CacheSelector): readonly CachedObject<T>[]
  /** The candidates of a namespace (or of all) in pages. */
  page(selector: CacheSelector, options: PageOptions): CachedPage<T>
  /**
   * Every event with a revision greater than `afterRevision`, in order. Throws `expired` when the window does not reach back.
   */
  watch(afterRevision: number, selector: CacheSelector, consumer: WatchConsumer<T>): CacheWatch
  /** Calls back after changes, coalesced; returns the unsubscribe function. */
  onChange(changed: () => void): () => void
}

/** Whether an object is one that the selector asks for. */
export function selects(selector: CacheSelector, object: CachedObject, indexedField: string | undefined): boolean {
  if (selector.namespace !== undefined && object.namespace !== selector.namespace) return false
  if (selector.name !== undefined && object.name !== selector.name) return false
  if (selector.indexed !== undefined && indexedField !== undefined && object.field(indexedField) !== selector.indexed) return false
  if (selector.labels !== undefined && !selector.labels(object.labels)) return false
  return selector.fields === undefined || selector.fields(object)
}
