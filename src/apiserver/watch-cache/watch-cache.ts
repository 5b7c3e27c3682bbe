// `WatchCache<T>`: a bounded window of one resource's history. It serves list and watch, or says 410 Gone; it never skips
// or repeats. Objects are held as the bytes that clients get, decoded when somebody asks.
import type { KubeObject } from '#api/object'

/** One object as it is held and served: encoded once, decoded at most once. */
export interface CachedObject<T extends KubeObject = KubeObject> {
  /** The store's key. */
  readonly key: string
  readonly namespace: string
  readonly name: string
  readonly revision: number
  readonly labels: Readonly<Record<string, string>> | undefined
  /** JSON, resourceVersion included, in the storage version. */
  readonly json: Buffer
  /** Decoded and frozen. */
  object(): T
  /** metadata.name, metadata.namespace and the kind's selectable fields. */
  field(path: string): string
}

export interface CacheEvent<T extends KubeObject = KubeObject> {
  readonly type: 'ADDED' | 'MODIFIED' | 'DELETED'
  /** The object after the change; for DELETED its last state, carrying the deletion's revision. */
  readonly current: CachedObject<T>
  /** The object before the change, for selectors that begin or cease to match. */
  readonly previous: CachedObject<T> | undefined
  readonly revision: number
}

export interface CacheSelector {
  readonly namespace?: string
  /** A single object. */
  readonly name?: string
  readonly labels?: (labels: Readonly<Record<string, string>> | undefined) => boolean
  readonly fields?: (object: CachedObject) => boolean
}

export interface WatchCache<T extends KubeObject = KubeObject> {
  /** Resolves when the cache holds everything up to `revision`; rejects with Timeout after the bound. */
  waitFor(revision: number, signal: AbortSignal): Promise<void>
  readonly revision: number
  get(namespace: string, name: string): CachedObject<T> | undefined
  /** In key order, as of now. */
  list(selector: CacheSelector): readonly CachedObject<T>[]
  /**
   * Every event with a revision greater than `afterRevision`, in order, each delivered once. Throws `expired` when the
   * window no longer reaches back. `onEvent` must not block; a watcher that lags is ended by its own buffer bound.
   */
  watch(
    afterRevision: number,
    selector: CacheSelector,
    onEvent: (event: CacheEvent<T>) => void,
    onEnd: (error: Error) => void,
  ): { close(): void }
}
