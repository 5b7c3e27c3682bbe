// How the store lies in LMDB. A change has a position: its revision, and its place among the changes of that revision. Tables:
//
//   log      position         -> record: what changed, when, and where the key's previous versions are
//   values   position         -> the value's bytes, exactly as they were given
//   keys     key              -> entry: position of the living value; nothing for a key that does not exist
//   graves   key, position    -> nothing: deletions that the history still knows
//   meta     'bounds'         -> bounds of the history
//
// A write appends to log and values and changes one small entry: the value's bytes are written once. A read at a revision walks
// from the entry (or a grave) back through the records; every 64th version of a key is a milestone that the later ones point to,
// so that hot keys are walked in long steps. Numbers are doubles: exact to 2^53, which is 8.7e12 revisions.
import { writeAllMax } from '../store.ts'

const formatVersion = 1

const milestoneEvery = 64

/** The place of a change in the log; greater means later. */
export type Position = number

export function positionOf(revision: number, index: number): Position {
  return revision * writeAllMax + index
}

export function revisionOf(position: Position): number {
  return Math.floor(position / writeAllMax)
}

/** The living value of a key. `milestone`: position of the nearest earlier version to leap to; 0: none. */
export interface Entry {
  readonly position: Position
  readonly createRevision: number
  readonly version: number
  readonly milestone: Position
}

const entryBytes = 32

/** Entries as LMDB values. */
export const entryEncoder = {
  encode({ position, createRevision, version, milestone }: Entry): Buffer {
    const buffer = Buffer.allocUnsafe(entryBytes)
    buffer.writeDoubleLE(position, 0)
    buffer.writeDoubleLE(createRevision, 8)
    buffer.writeDoubleLE(version, 16)
    buffer.writeDoubleLE(milestone, 24)
    return buffer
  },
  decode(buffer: Buffer): Entry {
    return {
      position: buffer.readDoubleLE(0),
      createRevision: buffer.readDoubleLE(8),
      version: buffer.readDoubleLE(16),
      milestone: buffer.readDoubleLE(24),
    }
  },
}

/** The milestone that the version after this one points to. */
export function nextMilestone(entry: Entry | undefined): Position {
  if (entry === undefined) return 0
  return entry.version % milestoneEvery === 0 ? entry.position : entry.milestone
}

/**
 * One change. `previous`: position of the version before, 0 for a creation. `version` and `createRevision` of a deletion are
 * those of the value that it deleted. `timeMs`: wall clock at the commit, never less than the record's before.
 */
export interface LogRecord {
  readonly type: 'put' | 'delete'
  readonly key: string
  readonly version: number
  readonly createRevision: number
  readonly previous: Position
  readonly milestone: Position
  readonly timeMs: number
}

const recordHeadBytes = 41

/** Records as LMDB values. */
export const recordEncoder = {
  encode(record: LogRecord): Buffer {
    const buffer = Buffer.allocUnsafe(recordHeadBytes + Buffer.byteLength(record.key))
    buffer[0] = record.type === 'put' ? 1 : 2
    buffer.writeDoubleLE(record.version, 1)
    buffer.writeDoubleLE(record.createRevision, 9)
    buffer.writeDoubleLE(record.previous, 17)
    buffer.writeDoubleLE(record.milestone, 25)
    buffer.writeDoubleLE(record.timeMs, 33)
    buffer.write(record.key, recordHeadBytes)
    return buffer
  },
  decode(buffer: Buffer): LogRecord {
    return {
      type: buffer[0] === 1 ? 'put' : 'delete',
      version: buffer.readDoubleLE(1),
      createRevision: buffer.readDoubleLE(9),
      previous: buffer.readDoubleLE(17),
      milestone: buffer.readDoubleLE(25),
      timeMs: buffer.readDoubleLE(33),
      key: buffer.toString('utf8', recordHeadBytes, buffer.length),
    }
  },
}

/** Bounds of the history. `swept`: records up to this position no longer hold on to what they replaced. */
export interface Bounds {
  readonly oldest: number
  readonly swept: Position
}

/** Bounds, and the format they are of, as the one value of `meta`. */
export const boundsEncoder = {
  encode({ oldest, swept }: Bounds): Buffer {
    const buffer = Buffer.allocUnsafe(24)
    buffer.writeDoubleLE(formatVersion, 0)
    buffer.writeDoubleLE(oldest, 8)
    buffer.writeDoubleLE(swept, 16)
    return buffer
  },
  decode(buffer: Buffer): Bounds {
    if (buffer.readDoubleLE(0) !== formatVersion) throw new Error(`its format is ${buffer.readDoubleLE(0)}, not ${formatVersion}`)
    return { oldest: buffer.readDoubleLE(8), swept: buffer.readDoubleLE(16) }
  },
}

/** The key in `meta`. */
export const boundsKey = 'bounds'

/** A deletion in `graves`. Keys hold no NUL and a position begins with one, so graves are ordered by key, then position. */
export interface Grave {
  readonly key: string
  readonly position: Position
}

const positionBytes = 8

/** LMDB keys that are positions: eight bytes, big end first. */
export const positionKeys = {
  writeKey(position: Position, target: Buffer, at: number): number {
    target.writeUInt32BE(Math.floor(position / 2 ** 32), at)
    return target.writeUInt32BE(position >>> 0, at + 4)
  },
  readKey(source: Buffer, start: number): Position {
    return source.readUInt32BE(start) * 2 ** 32 + source.readUInt32BE(start + 4)
  },
}

/** LMDB keys that are strings, or bytes where a bound is no string. */
export const stringKeys = {
  writeKey(key: string | Buffer, target: Buffer, at: number): number {
    return typeof key === 'string' ? at + target.write(key, at) : at + key.copy(target, at)
  },
  readKey(source: Buffer, start: number, end: number): string {
    return source.toString('utf8', start, end)
  },
}

/** LMDB keys of `graves`. */
export const graveKeys = {
  writeKey(key: string | Buffer | Grave, target: Buffer, at: number): number {
    if (typeof key === 'string' || Buffer.isBuffer(key)) return stringKeys.writeKey(key, target, at)
    return positionKeys.writeKey(key.position, target, at + target.write(key.key, at))
  },
  readKey(source: Buffer, start: number, end: number): Grave {
    return { key: source.toString('utf8', start, end - positionBytes), position: positionKeys.readKey(source, end - positionBytes) }
  },
}

/** The least bytes above every key that begins with `prefix`; undefined: there are none. */
export function prefixEnd(prefix: string): Buffer | undefined {
  if (prefix === '') return undefined
  const bytes = Buffer.from(prefix)
  // No byte of UTF-8 is 0xFF.
  bytes[bytes.length - 1]! += 1
  return bytes
}
