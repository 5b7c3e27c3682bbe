// The embedded store on disk. One process, one file, LMDB beneath: this file opens it and puts the parts together.
// docs/decisions/storage-engine.md says why it is built so.
import type { Clock } from '#base/clock'
import { EventLog } from '../event-log.ts'
import { checkKey } from '../keys.ts'
import { nextTurn } from '../next-turn.ts'
import type { RangeOptions, RangeResult, Store, StoredValue, StoreWatch, WatchOptions, Write, WriteResult } from '../store.ts'
import { closedError, compactedError, futureError, type Replayed, WatchHub } from '../watch-hub.ts'
import { Committer } from './committer.ts'
import { type DirectoryLock, lockDirectory } from './directory-lock.ts'
import type { TableSet } from './environment.ts'
import { corruptError, storeError } from './errors.ts'
import { type Bounds, boundsKey, revisionOf } from './layout.ts'
import { countLive, lookAtValue, readAt, readRange, readValue } from './reading.ts'
import { replayFromLog } from './replaying.ts'
import { Sweeper } from './sweeper.ts'
import { openTables, type Tables } from './tables.ts'

export interface LmdbStoreOptions {
  /** Directory of the store's file and lock, made if missing; readable by the owner alone. */
  readonly dir: string
  readonly clock: Clock
  /** Revisions of history kept for watches, reads of the past and recovery; a sixteenth more may be there for a while. 50,000. */
  readonly historyRevisionsMax?: number
  /** Age of history, in milliseconds, beyond which it is forgotten. Six hours. */
  readonly historyAgeMsMax?: number
  /** Size that the file never exceeds, at least 16 MiB: writes fail with 'full' instead; deletions still go through. 8 GiB. */
  readonly mapSizeBytesMax?: number
}

// What watches replay without touching the disk.
const recentEventsMax = 4096
const recentBytesMax = 8 * 2 ** 20

/**
 * Opens the store in `dir`. Throws StoreError: 'locked' when another process has it, 'corrupt' when its file is damaged, 'full'
 * when there is no room to begin, 'unavailable' when the system does not let us.
 */
export async function openLmdbStore(options: LmdbStoreOptions): Promise<Store> {
  const { dir, clock, historyRevisionsMax = 50_000, historyAgeMsMax = 6 * 3_600_000 } = options
  const { mapSizeBytesMax = 8 * 2 ** 30 } = options
  const lock = await lockDirectory(dir, clock).catch((error: unknown) => {
    throw storeError(dir, error)
  })
  let tables: Tables | undefined
  try {
    tables = await openTables(dir, mapSizeBytesMax)
    return new LmdbStore({ tables, lock, clock, historyRevisionsMax, historyAgeMsMax })
  } catch (error) {
    await tables?.close()
    await lock.release()
    throw storeError(dir, error)
  }
}

interface Parts {
  readonly tables: Tables
  readonly lock: DirectoryLock
  readonly clock: Clock
  readonly historyRevisionsMax: number
  readonly historyAgeMsMax: number
}

class LmdbStore implements Store {
  readonly #tables: Tables
  readonly #lock: DirectoryLock
  readonly #sweeper: Sweeper
  readonly #recent: EventLog
  readonly #committer: Committer
  readonly #hub: WatchHub
  readonly #reads = new Set<Promise<unknown>>()
  #closing: Promise<void> | undefined

  constructor({ tables, lock, clock, historyRevisionsMax, historyAgeMsMax }: Parts) {
    this.#tables = tables
    this.#lock = lock
    const bounds = readBounds(tables)
    const { revision, timeMs } = newestRecord(tables)
    this.#sweeper = new Sweeper({ tables, clock, bounds, historyRevisionsMax, historyAgeMsMax })
    this.#recent = new EventLog({ floor: revision, eventsMax: recentEventsMax, bytesMax: recentBytesMax })
    this.#hub = new WatchHub({
      revision: () => this.#committer.revision,
      oldest: () => this.#sweeper.oldest,
      replay: (prefix, after) => this.#replay(prefix, after),
      breathe: nextTurn,
    })
    this.#committer = new Committer({
      tables,
      clock,
      sweeper: this.#sweeper,
      recent: this.#recent,
      revision,
      timeMs,
      onCommit: (events, now) => this.#hub.publish(events, now),
      onFailure: (error) => this.#hub.endAll(error),
    })
  }

  currentRevision(): number {
    this.#check()
    return this.#committer.revision
  }

  async oldestRevision(): Promise<number> {
    this.#check()
    return this.#sweeper.oldest
  }

  async get(key: string, { revision }: { revision?: number } = {}): Promise<StoredValue | undefined> {
    this.#check()
    checkKey(key)
    const at = this.#readable(revision)
    return reading(() => readAt(this.#tables, key, { revision: at, newest: this.#committer.newest }))
  }

  async range(prefix: string, options: RangeOptions = {}): Promise<RangeResult> {
    this.#check()
    const { after, limit = Number.POSITIVE_INFINITY, keysOnly = false } = options
    const revision = this.#readable(options.revision)
    return this.#whileOpen(readRange(this.#tables, { prefix, revision, after, limit, keysOnly, check: () => this.#check() }))
  }

  valueAt(key: string, modRevision: number, inPassing = false): Buffer | undefined {
    this.#check()
    return reading(() => {
      const entry = this.#tables.keys.get(key)
      if (entry !== undefined && revisionOf(entry.position) === modRevision) {
        return inPassing ? lookAtValue(this.#tables, entry.position) : readValue(this.#tables, entry.position)
      }
      if (modRevision < this.#sweeper.oldest) return undefined
      const found = readAt(this.#tables, key, { revision: modRevision, newest: this.#committer.newest })
      return found?.modRevision === modRevision ? found.value : undefined
    })
  }

  async count(prefix: string): Promise<number> {
    this.#check()
    return reading(() => countLive(this.#tables, prefix))
  }

  write(write: Write): Promise<WriteResult> {
    return this.#committer.write([write])
  }

  writeAll(writes: readonly Write[]): Promise<WriteResult> {
    return this.#committer.write(writes)
  }

  watch(prefix: string, options: WatchOptions): StoreWatch {
    this.#check()
    return this.#hub.watch(prefix, options)
  }

  compact(revision: number): Promise<void> {
    return this.#committer.compact(revision)
  }

  async sizeBytes(): Promise<number> {
    this.#check()
    return this.#tables.fileBytes()
  }

  close(): Promise<void> {
    this.#closing ??= this.#close()
    return this.#closing
  }

  async #close(): Promise<void> {
    await this.#committer.close()
    this.#hub.endAll(closedError())
    await Promise.allSettled(this.#reads)
    await this.#tables.close()
    await this.#lock.release()
  }

  #replay(prefix: string, after: number): Replayed | undefined {
    if (after < this.#sweeper.oldest) return undefined
    const through = this.#committer.revision
    if (after < this.#recent.floor) return replayFromLog(this.#tables, { prefix, after, through })
    return { events: this.#recent.between(after).filter((event) => event.key.startsWith(prefix)), through }
  }

  #readable(revision = this.#committer.revision): number {
    if (revision > this.#committer.revision) throw futureError(revision, this.#committer.revision)
    if (revision < this.#sweeper.oldest) throw compactedError(revision, this.#sweeper.oldest)
    return revision
  }

  #check(): void {
    if (this.#closing !== undefined) throw closedError()
  }

  // Closing waits for reads that hold a snapshot.
  async #whileOpen<T>(read: Promise<T>): Promise<T> {
    this.#reads.add(read)
    try {
      return await read
    } catch (error) {
      throw storeError('the store', error)
    } finally {
      this.#reads.delete(read)
    }
  }
}

function reading<T>(read: () => T): T {
  try {
    return read()
  } catch (error) {
    throw storeError('the store', error)
  }
}

function newestRecord(tables: TableSet): { revision: number; timeMs: number } {
  for (const { key, value } of tables.log.getRange({ reverse: true, limit: 1 })) return { revision: revisionOf(key), timeMs: value.timeMs }
  return { revision: 1, timeMs: 0 }
}

function readBounds(tables: TableSet): Bounds {
  try {
    return tables.meta.get(boundsKey) ?? { oldest: 1, swept: 0 }
  } catch (error) {
    throw corruptError('the store', (error as Error).message, error)
  }
}
