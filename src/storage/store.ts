// The one contract of storage: bytes under keys, one growing revision. Drivers: memory/, lmdb/ (and etcd/ later).
// Knows no kinds. Every driver passes store.contract.ts.
//
// A fresh store is at revision 1 and holds nothing, as etcd does; the first write makes revision 2. Keys are non-empty strings
// without NUL, at most `keyBytesMax` bytes of UTF-8, ordered by those bytes. A value belongs to the store from the moment it is
// given: nobody changes its bytes afterwards, and watchers of the live event receive the very Buffer that was written.
// Everything asynchronous rejects with a StoreError and with nothing else, save for calls that break these rules (RangeError).
import type { Eventual } from '#base/eventual'

/** Longest key, in bytes of UTF-8. */
export const keyBytesMax = 1024

/** Most writes that one `writeAll` may hold. */
export const writeAllMax = 1024

/** A key's current (or past) value. `version` counts writes to the key since it was last created, from 1. */
export interface StoredValue {
  readonly key: string
  readonly value: Buffer
  readonly createRevision: number
  readonly modRevision: number
  readonly version: number
}

/** One change. `value` is absent for a deletion; `previous` is the value before, absent for a creation. */
export interface StoreEvent {
  readonly type: 'put' | 'delete'
  readonly key: string
  readonly value?: Buffer
  readonly previous?: StoredValue
  readonly revision: number
  /** Revision at which the key was created; for deletions, of the value that was deleted. */
  readonly createRevision: number
}

/**
 * One compare-and-write. `expectedModRevision`: the key's mod revision must be this; 0: the key must not exist;
 * undefined: unconditional. `value` undefined deletes; deleting what is not there commits without an event or a new revision.
 */
export interface Write {
  readonly key: string
  readonly value: Buffer | undefined
  readonly expectedModRevision?: number
}

/**
 * `committed` with the write's revision, durable, and what stood there before (of `writeAll`: under the first key);
 * or `conflict` with what stood there (undefined: nothing), itself durable, and the store's revision at that moment.
 */
export type WriteResult =
  | { readonly outcome: 'committed'; readonly revision: number; readonly previous: StoredValue | undefined }
  | { readonly outcome: 'conflict'; readonly current: StoredValue | undefined; readonly revision: number }

export interface RangeOptions {
  /** Read as of this revision; default: latest. Older than the compaction: StoreError 'compacted'; ahead of the store: 'future'. */
  readonly revision?: number
  /** Only keys strictly greater than this one. */
  readonly after?: string
  /** At most this many; default: all. */
  readonly limit?: number
  /** Values are not wanted, and may come empty. */
  readonly keysOnly?: boolean
}

export interface RangeResult {
  readonly items: StoredValue[]
  /** The revision that was read. */
  readonly revision: number
  /** Whether keys beyond `limit` remain, and how many. */
  readonly more: boolean
  readonly remaining: number
}

/**
 * A running watch. `events` are delivered to the callback in revision order, all events of one revision in one call (a call may
 * hold several revisions); nothing is skipped, repeated or reordered, and nothing is delivered before `watch` has returned.
 * It ends by `close()`, or by `onEnd` with a reason; afterwards no callback is called.
 */
export interface StoreWatch {
  close(): void
}

export interface WatchOptions {
  /**
   * Deliver every change with a revision greater than this. Older than the compaction: throws StoreError 'compacted', or, where
   * the driver cannot know at once, ends with it before any event. Ahead of the store: waits for the revisions after it.
   */
  readonly afterRevision: number
  /** Called synchronously after the change is durable. Must not throw. */
  readonly onEvents: (events: readonly StoreEvent[]) => void
  /** Called once when the store can serve the watch no longer (closed, compacted underneath, connection lost). */
  readonly onEnd?: (reason: StoreError) => void
  /**
   * Called with the newest revision known to hold no undelivered event of this watch, when the driver learns it: once when the
   * replay has caught up, then after every commit. It never goes back.
   */
  readonly onProgress?: (revision: number) => void
}

/**
 * The closed set of what can go wrong. `full`: no space, nothing was written, the store stays readable. `busy`: bounds reached,
 * nothing was written, try again. `unavailable`: whether a write happened is unknown.
 */
export type StoreErrorCode = 'compacted' | 'future' | 'closed' | 'full' | 'busy' | 'locked' | 'corrupt' | 'unavailable'

export class StoreError extends Error {
  override readonly name = 'StoreError'
  readonly code: StoreErrorCode
  /** For `compacted`: the oldest revision that can still be read. */
  readonly oldestRevision: number | undefined

  constructor(code: StoreErrorCode, message: string, options?: { cause?: unknown; oldestRevision?: number }) {
    super(message, options)
    this.code = code
    this.oldestRevision = options?.oldestRevision
  }
}

export interface Store {
  /**
   * Latest committed revision. For a store with one writer (memory, lmdb) this is a field read, and there at once; for etcd a quorum
   * read.
   */
  currentRevision(): Eventual<number>
  get(key: string, options?: { revision?: number }): Promise<StoredValue | undefined>
  /** Keys that begin with `prefix`, in byte order. */
  range(prefix: string, options?: RangeOptions): Promise<RangeResult>
  /**
   * The value that `key` got at `modRevision`, read at once: for caches that hold keys and leave values here. Undefined when there
   * was no such write, or when history before the present has been forgotten; what lives now can always be read. With `inPassing`
   * the bytes are good only until the store is asked for anything else. Absent where reading means waiting, or where values are in
   * memory anyway.
   */
  valueAt?(key: string, modRevision: number, inPassing?: boolean): Buffer | undefined
  count(prefix: string): Promise<number>
  /** Atomic and durable before it resolves. Writers of other keys share one commit (group commit). */
  write(write: Write): Promise<WriteResult>
  /** Several compare-and-writes of distinct keys as one: all or none; the first conflict is reported. All get the same revision. */
  writeAll(writes: readonly Write[]): Promise<WriteResult>
  /** A watch of all keys under `prefix`. */
  watch(prefix: string, options: WatchOptions): StoreWatch
  /**
   * Forget history before `revision` (values alive at it remain readable, watches after it remain possible). Watches that need
   * what was forgotten end with 'compacted'. Older than what is forgotten already: does nothing; ahead of the store: 'future'.
   */
  compact(revision: number): Promise<void>
  /** Oldest revision that a read, or a watch as `afterRevision`, may still ask for. */
  oldestRevision(): Promise<number>
  /** Bytes on disk or in memory, for metrics. */
  sizeBytes(): Promise<number>
  /**
   * Commits what was asked for before, ends every watch with 'closed' and lets go of everything. Later calls reject, and `watch`
   * throws, with 'closed'. Closing again waits for the same end.
   */
  close(): Promise<void>
}
