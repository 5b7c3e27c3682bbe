// The LMDB environment and its tables, with the options that durability rests on, and LMDB's errors as the store's.
import { statSync } from 'node:fs'
import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import { type DatabaseOptions, open } from 'lmdb'
import type { StoreError } from '../store.ts'
import { storeError } from './errors.ts'
import { checkFile } from './file-check.ts'
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
import { Space } from './space.ts'

/** A read transaction: one moment of the whole environment, until `done`. */
export interface Snapshot {
  done(): void
}

export interface ReadOptions {
  readonly transaction?: Snapshot | undefined
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
  readonly db: { stat(): { treeBranchPageCount: number; treeLeafPageCount: number; overflowPages: number } }
}

export interface Tables {
  readonly log: Table<Position, LogRecord>
  /** Bytes are read into buffers of the caller's own. */
  readonly values: Table<Position, Buffer>
  readonly keys: Table<string, Entry>
  readonly graves: Table<Grave, Buffer>
  readonly meta: Table<string, Bounds>
  /** Runs `fill`, which writes to tables and must not throw; resolves when all of it is on disk, rejects with none of it done. */
  commit(fill: () => void): Promise<void>
  /** One moment to read from in several turns. Blocks the reuse of space, so it must be short and must end. */
  snapshot(): Snapshot
  readonly space: Space
  /** Bytes of the file. */
  fileBytes(): number
  close(): Promise<void>
}

export const fileName = 'store.mdb'

export const pageBytes = 4096

interface Environment extends Table<string, Buffer> {
  openDB(name: string, options: object): unknown
  batch(fill: () => void): Promise<unknown>
  useReadTransaction(): Snapshot
  close(): Promise<void>
  readonly env: { info(): { lastPageNumber: number } }
}

/** Opens or creates the environment in `dir`. Throws StoreError. */
export async function openTables(dir: string, sizeBytesMax: number): Promise<Tables> {
  const path = join(dir, fileName)
  try {
    await mkdir(dir, { recursive: true, mode: 0o700 })
    await checkFile(path)
    const env = openEnvironment(path, sizeBytesMax)
    try {
      return await withTables(path, env, sizeBytesMax)
    } catch (error) {
      await env.close()
      throw error
    }
  } catch (error) {
    throw storeError(path, error)
  }
}

async function withTables(path: string, env: Environment, limitBytes: number): Promise<Tables> {
  const table = (name: string, keyEncoder: object, encoder?: object): unknown =>
    env.openDB(name, { encoding: 'binary', keyEncoder, ...(encoder && { encoder }) })
  const tables = {
    log: table('log', positionKeys, recordEncoder) as Tables['log'],
    values: table('values', positionKeys) as Tables['values'],
    keys: table('keys', stringKeys, entryEncoder) as Tables['keys'],
    graves: table('graves', graveKeys) as Tables['graves'],
    meta: table('meta', stringKeys, boundsEncoder) as Tables['meta'],
  }
  const space = await Space.open({
    path,
    extentBytes: () => (env.env.info().lastPageNumber + 1) * pageBytes,
    usedBytes: () => [env, ...Object.values(tables)].reduce((sum, each) => sum + tableBytes(each), 0),
    limitBytes,
  })
  return {
    ...tables,
    space,
    async commit(fill) {
      try {
        await env.batch(fill)
      } catch (error) {
        throw await commitError(path, error)
      }
    },
    snapshot: () => env.useReadTransaction(),
    fileBytes: () => statSync(path).size,
    async close() {
      await env.close()
      await space.close()
    },
  }
}

function openEnvironment(path: string, sizeBytesMax: number): Environment {
  const options: DatabaseOptions & Record<string, unknown> = {
    path,
    encoding: 'binary',
    keyEncoding: 'binary',
    // A commit is done when its pages, and then the page that makes them count, are on disk: two flushes, and no state on disk
    // that is newer than what was acknowledged except the one commit under way.
    overlappingSync: false,
    // A batch begins when it is handed over instead of waiting for others: who writes together is decided by the committer.
    eventTurnBatching: false,
    txnStartThreshold: 1,
    // Address space, not memory. As large as the file may become, so that it is mapped once.
    mapSize: sizeBytesMax,
    permissionsMode: 0o600,
    maxDbs: 8,
  }
  return open(options as Parameters<typeof open>[0]) as unknown as Environment
}

function tableBytes({ db }: Pick<Table<unknown, unknown>, 'db'>): number {
  const { treeBranchPageCount, treeLeafPageCount, overflowPages } = db.stat()
  return (treeBranchPageCount + treeLeafPageCount + overflowPages) * pageBytes
}

// A failed commit rejects with a wrapper whose own promise rejects with the reason.
async function commitError(path: string, error: unknown): Promise<StoreError> {
  try {
    await (error as { commitError?: Promise<never> }).commitError
  } catch (reason) {
    return storeError(path, reason)
  }
  return storeError(path, error)
}
