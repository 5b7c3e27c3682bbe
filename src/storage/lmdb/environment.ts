// One LMDB environment, which is one file, and its tables, with the options that durability rests on.
import { type DatabaseOptions, open } from 'lmdb'
import { storeError } from './errors.ts'
import {
  type Bounds,
  boundsEncoder,
  type Entry,
  entryEncoder,
  type Grave,
  graveKeys,
  type LogRecord,
  type Position,
  positionKeys,
  recordEncoder,
  stringKeys,
} from './layout.ts'

/** LMDB's read transaction: one moment of the whole environment, until `done`. */
export interface Transaction {
  done(): void
}

export interface ReadOptions {
  readonly transaction?: Transaction | undefined
}

export interface TableRange<K> extends ReadOptions {
  readonly start?: K | string | Buffer | undefined
  readonly end?: K | string | Buffer | undefined
  readonly reverse?: boolean
  readonly limit?: number
}

/** What is used of an LMDB database: reads are synchronous, writes belong to the batch in which they are called. */
export interface Table<K, V> {
  get(key: K, options?: ReadOptions): V | undefined
  getKeys(options: TableRange<K>): Iterable<K>
  getRange(options: TableRange<K>): Iterable<{ key: K; value: V }>
  getKeysCount(options: TableRange<K>): number
  put(key: K, value: V): unknown
  remove(key: K): unknown
}

/** The store's tables; see layout.ts. */
export interface TableSet {
  readonly log: Table<Position, LogRecord>
  /** Bytes are read into buffers of the caller's own, save by `getBinaryFast`, which reads all into the same. */
  readonly values: Table<Position, Buffer> & { getBinaryFast(key: Position): Buffer | undefined }
  readonly keys: Table<string, Entry>
  readonly graves: Table<Grave, Buffer>
  readonly meta: Table<string, Bounds>
}

export interface Environment extends TableSet {
  /** Runs `fill`, which writes to tables and must not throw; resolves when all of it is on disk, rejects with none of it done. */
  commit(fill: () => void): Promise<void>
  transaction(): Transaction
  /** Bytes from the file's start to the end of the last page ever used. */
  extentBytes(): number
  /** Bytes of pages that hold something. */
  usedBytes(): number
  close(): Promise<void>
}

export const pageBytes = 4096

interface Statistics {
  readonly treeBranchPageCount: number
  readonly treeLeafPageCount: number
  readonly overflowPages: number
}

interface Root extends Table<string, Buffer> {
  openDB(name: string, options: object): Table<never, unknown>
  batch(fill: () => void): Promise<unknown>
  useReadTransaction(): Transaction
  close(): Promise<void>
  readonly env: { info(): { lastPageNumber: number } }
}

export interface EnvironmentOptions {
  readonly path: string
  /** Address space to map; as large as the file may become, so that it is mapped once. */
  readonly mapBytes: number
  /** Commits are not flushed: for a file that counts only when it is complete. */
  readonly unflushed?: boolean
}

/** Opens the file, or creates it. Throws LMDB's own errors. */
export async function openEnvironment({ path, mapBytes, unflushed = false }: EnvironmentOptions): Promise<Environment> {
  const root = openRoot(path, mapBytes, unflushed)
  try {
    const tables = openTables(root)
    return {
      ...tables,
      async commit(fill) {
        try {
          await root.batch(fill)
        } catch (error) {
          throw storeError(path, await reasonOf(error))
        }
      },
      transaction: () => root.useReadTransaction(),
      extentBytes: () => (root.env.info().lastPageNumber + 1) * pageBytes,
      usedBytes: () => [root, ...Object.values(tables)].reduce((sum, table) => sum + tableBytes(table), 0),
      close: () => root.close(),
    }
  } catch (error) {
    await root.close()
    throw error
  }
}

function openRoot(path: string, mapBytes: number, noSync: boolean): Root {
  const options: DatabaseOptions & Record<string, unknown> = {
    path,
    encoding: 'binary',
    keyEncoding: 'binary',
    // A commit is done when its pages, and then the page that makes them count, are on disk: two flushes, and no state on disk
    // that is newer than what was acknowledged except the one commit under way.
    overlappingSync: false,
    noSync,
    // A batch begins when it is handed over instead of waiting for others: who writes together is decided by the committer.
    eventTurnBatching: false,
    txnStartThreshold: 1,
    mapSize: mapBytes,
    permissionsMode: 0o600,
    maxDbs: 8,
  }
  return open(options as Parameters<typeof open>[0]) as unknown as Root
}

function openTables(root: Root): TableSet {
  const table = (name: string, keyEncoder: object, encoder?: object): unknown =>
    root.openDB(name, { encoding: 'binary', keyEncoder, ...(encoder && { encoder }) })
  return {
    log: table('log', positionKeys, recordEncoder) as TableSet['log'],
    values: table('values', positionKeys) as TableSet['values'],
    keys: table('keys', stringKeys, entryEncoder) as TableSet['keys'],
    graves: table('graves', graveKeys) as TableSet['graves'],
    meta: table('meta', stringKeys, boundsEncoder) as TableSet['meta'],
  }
}

function tableBytes(table: unknown): number {
  const { treeBranchPageCount, treeLeafPageCount, overflowPages } = (table as { db: { stat(): Statistics } }).db.stat()
  return (treeBranchPageCount + treeLeafPageCount + overflowPages) * pageBytes
}

// A failed commit rejects with a wrapper whose own promise rejects with the reason.
async function reasonOf(error: unknown): Promise<unknown> {
  try {
    await (error as { commitError?: Promise<never> }).commitError
    return error
  } catch (reason) {
    return reason
  }
}
