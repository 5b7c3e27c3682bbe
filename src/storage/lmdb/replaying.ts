// Changes of the past, read from the log for watches that were away longer than the recent events in memory reach back.
import type { StoredValue, StoreEvent } from '../store.ts'
import type { Replayed } from '../watch-hub.ts'
import type { TableSet } from './environment.ts'
import { type LogRecord, type Position, positionOf, revisionOf } from './layout.ts'
import { readValue } from './reading.ts'

// A stretch ends at the first revision that completes this much: a few milliseconds' worth.
const recordsPerStretch = 512
const bytesPerStretch = 2 ** 20

export interface ReplayInput {
  readonly prefix: string
  readonly after: number
  /** The store's revision; the tables may be ahead of it. */
  readonly through: number
}

/** One stretch of changes under `prefix` after a revision; whole revisions. */
export function replayFromLog(tables: TableSet, { prefix, after, through }: ReplayInput): Replayed {
  const events: StoreEvent[] = []
  let last = after
  let records = 0
  let bytes = 0
  for (const { key: position, value: record } of tables.log.getRange({ start: positionOf(after + 1, 0) })) {
    const revision = revisionOf(position)
    if (revision > through) break
    if (revision !== last && (records >= recordsPerStretch || bytes >= bytesPerStretch)) return { events, through: last }
    last = revision
    records++
    if (!record.key.startsWith(prefix)) continue
    const event = readEvent(tables, position, record)
    events.push(event)
    bytes += (event.value?.length ?? 0) + (event.previous?.value.length ?? 0)
  }
  return { events, through }
}

function readEvent(tables: TableSet, position: Position, record: LogRecord): StoreEvent {
  const { type, key, createRevision } = record
  const revision = revisionOf(position)
  const previous = readPrevious(tables, record)
  if (type === 'delete') return { type, key, previous, revision, createRevision }
  return { type, key, value: readValue(tables, position), previous, revision, createRevision }
}

function readPrevious(tables: TableSet, { type, key, createRevision, previous, version }: LogRecord): StoredValue | undefined {
  if (previous === 0) return undefined
  const value = readValue(tables, previous)
  return { key, value, createRevision, modRevision: revisionOf(previous), version: type === 'delete' ? version : version - 1 }
}
