// The store's tables over the life of the store, during which the file beneath may be exchanged: LMDB uses given-up space again
// but never gives it back, so a file that has become mostly gaps is copied without them and replaced. Files are numbered, since
// LMDB ties a file's locks to its name; the greatest number counts, and gets its name only when all of it is on disk.
import { statSync } from 'node:fs'
import { mkdir, open, readdir, rename, rm, statfs } from 'node:fs/promises'
import { basename, join } from 'node:path'
import { StoreError } from '../store.ts'
import { copyEnvironment } from './copying.ts'
import { type Environment, openEnvironment, type ReadOptions, type TableSet } from './environment.ts'
import { storeError, unavailableError } from './errors.ts'
import { checkFile } from './file-check.ts'
import { Space } from './space.ts'

/** One moment to read from in several turns. Blocks the reuse of space, so it must be short and must end. */
export interface Snapshot {
  readonly tables: TableSet
  readonly options: ReadOptions
  done(): void
}

/** Its tables must be asked for in the turn in which they are used. */
export interface Tables extends TableSet {
  /** Runs `fill`, which writes to tables and must not throw; resolves when all of it is on disk, rejects with none of it done. */
  commit(fill: () => void): Promise<void>
  snapshot(): Snapshot
  /** How many bytes the next commit may take, having taken more from the disk if that was less than wanted. */
  available(wantedBytes: number, nowMs: number): Promise<number>
  /** Bytes of the file. */
  fileBytes(): number
  /** Whether the file is mostly gaps. */
  wasteful(): boolean
  /** Replaces the file by one without gaps. Nothing may be committed meanwhile. */
  shrink(): Promise<void>
  close(): Promise<void>
}

const fileName = /^store-(\d+)\.mdb$/

// Below this size, gaps are nobody's concern.
const smallBytes = 64 * 2 ** 20
const gapsFactor = 3

/** Opens or creates the tables in `dir`. Throws StoreError. */
export async function openTables(dir: string, sizeBytesMax: number): Promise<Tables> {
  try {
    await mkdir(dir, { recursive: true, mode: 0o700 })
    const number = await newestFile(dir)
    await checkFile(filePath(dir, number))
    const tables = await ReplaceableTables.open({ dir, number, sizeBytesMax })
    await removeOthers(dir, number)
    return tables
  } catch (error) {
    throw storeError(dir, error)
  }
}

/** Path of the file that holds the store in `dir`, there or not yet. */
export async function storeFile(dir: string): Promise<string> {
  return filePath(dir, await newestFile(dir))
}

function filePath(dir: string, number: number): string {
  return join(dir, `store-${number}.mdb`)
}

async function newestFile(dir: string): Promise<number> {
  const numbers = (await readdir(dir)).map((name) => Number(fileName.exec(name)?.[1] ?? 0))
  return Math.max(1, ...numbers)
}

// Older files, copies that were not finished, and the locks of both; left behind when a process dies while it replaces a file.
async function removeOthers(dir: string, number: number): Promise<void> {
  const mine = basename(filePath(dir, number))
  for (const name of await readdir(dir)) {
    if (/^store-\d+\.mdb/.test(name) && name !== mine && name !== `${mine}-lock`) await rm(join(dir, name))
  }
}

interface Place {
  readonly dir: string
  readonly number: number
  readonly sizeBytesMax: number
}

// A file that is in use until the last snapshot of it is done.
interface Held {
  readonly environment: Environment
  readonly space: Space
  snapshots: number
  retired: boolean
}

class ReplaceableTables implements Tables {
  readonly #dir: string
  readonly #sizeBytesMax: number
  #number: number
  #held: Held

  static async open(place: Place): Promise<ReplaceableTables> {
    return new ReplaceableTables(place, await hold(place))
  }

  private constructor({ dir, number, sizeBytesMax }: Place, held: Held) {
    this.#dir = dir
    this.#number = number
    this.#sizeBytesMax = sizeBytesMax
    this.#held = held
  }

  get log(): TableSet['log'] {
    return this.#held.environment.log
  }

  get values(): TableSet['values'] {
    return this.#held.environment.values
  }

  get keys(): TableSet['keys'] {
    return this.#held.environment.keys
  }

  get graves(): TableSet['graves'] {
    return this.#held.environment.graves
  }

  get meta(): TableSet['meta'] {
    return this.#held.environment.meta
  }

  commit(fill: () => void): Promise<void> {
    return this.#held.environment.commit(fill)
  }

  snapshot(): Snapshot {
    const held = this.#held
    const transaction = held.environment.transaction()
    held.snapshots++
    const done = (): void => {
      transaction.done()
      held.snapshots--
      if (held.retired && held.snapshots === 0) void letGo(held)
    }
    return { tables: held.environment, options: { transaction }, done }
  }

  available(wantedBytes: number, nowMs: number): Promise<number> {
    return this.#held.space.available(wantedBytes, nowMs)
  }

  fileBytes(): number {
    return statSync(filePath(this.#dir, this.#number)).size
  }

  wasteful(): boolean {
    const bytes = this.fileBytes()
    return bytes > smallBytes && bytes > smallBytes + gapsFactor * this.#held.environment.usedBytes()
  }

  async shrink(): Promise<void> {
    const path = filePath(this.#dir, this.#number + 1)
    const copy = `${path}.copy`
    try {
      await this.#checkRoomForCopy()
      await copyEnvironment(this.#held.environment, copy, this.#sizeBytesMax)
      await flush(copy)
      await checkFile(copy)
    } catch (error) {
      await rm(copy, { force: true })
      throw storeError(path, error)
    }
    const old = this.#held
    try {
      await rename(copy, path)
      await flush(this.#dir)
      this.#held = await hold({ dir: this.#dir, number: this.#number + 1, sizeBytesMax: this.#sizeBytesMax })
      this.#number++
    } catch (error) {
      // Both files hold the same, but which of them the next start takes is not known here.
      throw unavailableError(path, error)
    }
    await removeOthers(this.#dir, this.#number)
    old.retired = true
    if (old.snapshots === 0) await letGo(old)
  }

  // A disk that fills up under the copy would do harm beyond the copy; see space.ts.
  async #checkRoomForCopy(): Promise<void> {
    const { bavail, bsize } = await statfs(this.#dir)
    if (bavail * bsize > smallBytes + 2 * this.#held.environment.usedBytes()) return
    throw new StoreError('full', `there is no room in ${this.#dir} to make its file smaller`)
  }

  close(): Promise<void> {
    return letGo(this.#held)
  }
}

async function hold({ dir, number, sizeBytesMax: limitBytes }: Place): Promise<Held> {
  const path = filePath(dir, number)
  const environment = await openEnvironment({ path, mapBytes: limitBytes })
  const { extentBytes, usedBytes } = environment
  const space = await Space.open({ path, extentBytes, usedBytes, limitBytes })
  return { environment, space, snapshots: 0, retired: false }
}

async function letGo({ environment, space }: Held): Promise<void> {
  await environment.close()
  await space.close()
}

async function flush(path: string): Promise<void> {
  const file = await open(path, 'r')
  try {
    await file.sync()
  } finally {
    await file.close()
  }
}
