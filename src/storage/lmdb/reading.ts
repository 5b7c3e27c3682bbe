// Reads at a revision, from one moment of the tables. That moment may be ahead of the revision (writes go on, and a commit is on
// disk an instant before it is acknowledged) but never behind it, nor compacted beyond it.
import { assert } from '#base/assert'
import { nextTurn } from '../next-turn.ts'
import type { RangeResult, StoredValue } from '../store.ts'
import type { ReadOptions, TableSet } from './environment.ts'
import { type Entry, type LogRecord, type Position, positionOf, prefixEnd, revisionOf } from './layout.ts'
import type { Tables } from './tables.ts'

export function readRecord(tables: TableSet, position: Position, options?: ReadOptions): LogRecord {
  const record = tables.log.get(position, options)
  assert(record !== undefined, `the record at ${position} should be there`)
  return record
}

export function readValue(tables: TableSet, position: Position, options?: ReadOptions): Buffer {
  const value = tables.values.get(position, options)
  assert(value !== undefined, `the value at ${position} should be there`)
  return value
}

/** A value in the one buffer that LMDB reads into: good only until anything else is read. */
export function lookAtValue(tables: TableSet, position: Position): Buffer {
  const value = tables.values.getBinaryFast(position)
  assert(value !== undefined, `the value at ${position} should be there`)
  // Its length is put on the buffer as a property, and it may be a plain array: only a view of that length is one to everybody.
  return Buffer.from(value.buffer, value.byteOffset, value.length)
}

/** The revision of the newest change in this moment of the tables; the newest record is never swept. */
export function newestRevision(tables: TableSet, options?: ReadOptions): number {
  for (const position of tables.log.getKeys({ reverse: true, limit: 1, ...options })) return revisionOf(position)
  return 1
}

/** Where a key's value of some revision is. */
interface Place {
  readonly key: string
  readonly position: Position
  readonly createRevision: number
  readonly version: number
}

function load(tables: TableSet, { key, position, createRevision, version }: Place, options?: ReadOptions, keyOnly = false): StoredValue {
  const value = keyOnly ? noValue : readValue(tables, position, options)
  return { key, value, createRevision, modRevision: revisionOf(position), version }
}

const noValue = Buffer.alloc(0)

/** `key` at `revision`. `newest`: the newest revision that this moment of the tables may hold. */
export function readAt(
  tables: TableSet,
  key: string,
  { revision, newest }: { revision: number; newest: number },
  options?: ReadOptions,
): StoredValue | undefined {
  const place = placeAt(tables, { key, entry: tables.keys.get(key, options), revision, newest }, options)
  return place && load(tables, place, options)
}

interface Sought {
  readonly key: string
  readonly entry: Entry | undefined
  readonly revision: number
  readonly newest: number
}

function placeAt(tables: TableSet, { key, entry, revision, newest }: Sought, options?: ReadOptions): Place | undefined {
  if (entry !== undefined && revisionOf(entry.position) <= revision) return { key, ...entry }
  if (revision >= newest) return undefined
  // What lives now was created or changed later. Of earlier lives, the first that ended later may have been going on.
  if (entry !== undefined && entry.createRevision <= revision) return walkBack(tables, key, entry.position, revision, options)
  const bounds = { start: { key, position: positionOf(revision + 1, 0) }, end: { key, position: Number.MAX_SAFE_INTEGER } }
  for (const grave of tables.graves.getKeys({ ...bounds, limit: 1, ...options })) {
    return walkBack(tables, key, grave.position, revision, options)
  }
  return undefined
}

function walkBack(tables: TableSet, key: string, from: Position, revision: number, options?: ReadOptions): Place | undefined {
  let position = from
  for (;;) {
    const { type, previous, milestone, createRevision, version } = readRecord(tables, position, options)
    if (revisionOf(position) <= revision) return { key, position, createRevision, version }
    if (createRevision > revision || (type === 'put' && previous === 0)) return undefined
    position = milestone !== 0 && revisionOf(milestone) > revision ? milestone : previous
  }
}

export interface RangeInput {
  readonly prefix: string
  readonly revision: number
  readonly after: string | undefined
  readonly limit: number
  readonly keysOnly?: boolean
  /** Throws when the range has lost its purpose, asked after every pause. */
  readonly check: () => void
}

// How much is read before others get their turn: about a millisecond's worth.
const itemsPerTurn = 256
const bytesPerTurn = 2 ** 20

/** A range at a revision. Takes a snapshot, and pauses while it holds it. */
export async function readRange(store: Tables, input: RangeInput): Promise<RangeResult> {
  const { revision, limit } = input
  const { tables, options, done } = store.snapshot()
  try {
    const newest = newestRevision(tables, options)
    const places = newest === revision ? livePlaces(tables, input, options) : placesAt(tables, { ...input, newest }, options)
    const items: StoredValue[] = []
    let bytes = 0
    for (const place of places) {
      if (items.length === limit) {
        const after = items.at(-1)?.key ?? input.after
        const remaining = await countAfter(tables, { ...input, after, newest }, options)
        return { items, revision, more: remaining > 0, remaining }
      }
      const item = load(tables, place, options, input.keysOnly)
      items.push(item)
      bytes += item.value.length
      if (items.length % itemsPerTurn !== 0 && bytes < bytesPerTurn) continue
      bytes = 0
      await nextTurn()
      input.check()
    }
    return { items, revision, more: false, remaining: 0 }
  } finally {
    done()
  }
}

/** How many keys are under `prefix`, strictly after `after` if given, in this moment of the tables. */
export function countLive(tables: TableSet, prefix: string, after?: string, options?: ReadOptions): number {
  const bounds = keyBounds(prefix, after)
  return bounds === undefined ? 0 : tables.keys.getKeysCount({ ...bounds, ...options })
}

function keyBounds(prefix: string, after: string | undefined): { start: string | undefined; end: Buffer | undefined } | undefined {
  const end = prefixEnd(prefix)
  if (after === undefined || Buffer.compare(Buffer.from(after), Buffer.from(prefix)) < 0) {
    return { start: prefix === '' ? undefined : prefix, end }
  }
  // The least bytes above `after` itself; no key holds NUL.
  return end === undefined || Buffer.compare(Buffer.from(after), end) < 0 ? { start: `${after}\0`, end } : undefined
}

function* livePlaces(tables: TableSet, { prefix, after }: RangeInput, options: ReadOptions): Generator<Place> {
  const bounds = keyBounds(prefix, after)
  if (bounds === undefined) return
  for (const { key, value } of tables.keys.getRange({ ...bounds, ...options })) yield { key, ...value }
}

// Keys that live now and keys with graves after the revision, merged in order.
function* placesAt(tables: TableSet, input: RangeInput & { newest: number }, options: ReadOptions): Generator<Place> {
  const { revision, newest } = input
  const live = livePlaces(tables, input, options)
  const dead = deadKeys(tables, input, options)
  try {
    let alive = next(live)
    let gone = next(dead)
    while (alive !== undefined || gone !== undefined) {
      const order = alive === undefined ? 1 : gone === undefined ? -1 : Buffer.compare(Buffer.from(alive.key), Buffer.from(gone))
      const key = order <= 0 ? alive!.key : gone!
      const entry = order <= 0 ? { ...alive!, milestone: 0 } : undefined
      const place = placeAt(tables, { key, entry, revision, newest }, options)
      if (place !== undefined) yield place
      if (order <= 0) alive = next(live)
      if (order >= 0) gone = next(dead)
    }
  } finally {
    live.return(undefined)
    dead.return(undefined)
  }
}

function* deadKeys(tables: TableSet, { prefix, after, revision }: RangeInput, options: ReadOptions): Generator<string> {
  const bounds = keyBounds(prefix, after)
  if (bounds === undefined) return
  let last: string | undefined
  // A grave of `after` itself, or of a shorter key whose position happens to continue it, may lie within the bounds.
  for (const { key, position } of tables.graves.getKeys({ ...bounds, ...options })) {
    if (key === last || key === after || revisionOf(position) <= revision || !key.startsWith(prefix)) continue
    last = key
    yield key
  }
}

function next<T>(generator: Generator<T>): T | undefined {
  const step = generator.next()
  return step.done === true ? undefined : step.value
}

// Counts what is there now, natively and fast, and takes back what has happened since the revision.
async function countAfter(tables: TableSet, input: RangeInput & { newest: number }, options: ReadOptions): Promise<number> {
  const { prefix, after, revision, newest } = input
  let count = countLive(tables, prefix, after, options)
  if (newest === revision) return count
  const end = prefixEnd(prefix)
  const bound = after === undefined ? undefined : Buffer.from(after)
  let records = 0
  for (const { value } of tables.log.getRange({ start: positionOf(revision + 1, 0), ...options })) {
    const { type, key, previous } = value
    const bytes = Buffer.from(key)
    const within = key.startsWith(prefix) && (bound === undefined || Buffer.compare(bytes, bound) > 0)
    if (within && (end === undefined || Buffer.compare(bytes, end) < 0)) {
      if (type === 'delete') count++
      else if (previous === 0) count--
    }
    if (++records % itemsPerTurn !== 0) continue
    await nextTurn()
    input.check()
  }
  return count
}
