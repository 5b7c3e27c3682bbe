// What a group of writes does, decided one after the other as if each had the store to itself: the pure half of every embedded
// driver. Whoever commits the plan settles its outcomes.
import type { StoredValue, StoreEvent, Write, WriteResult } from './store.ts'

/** One call of `write` or `writeAll`: its writes happen together or not at all. */
export interface WriteRequest {
  readonly writes: readonly Write[]
  readonly resolve: (result: WriteResult) => void
  readonly reject: (error: unknown) => void
}

export interface WritePlan {
  /** One result per request, in order. */
  readonly results: readonly WriteResult[]
  /** What the group changes, in revision order. */
  readonly events: readonly StoreEvent[]
  /** The store's revision once the plan is committed. */
  readonly revision: number
}

export interface PlanInput {
  readonly requests: readonly Pick<WriteRequest, 'writes'>[]
  /** The store's revision before the group. */
  readonly revision: number
  /** What stands under a key before the group; asked at most once per key. */
  readonly current: (key: string) => StoredValue | undefined
}

/** Checks and applies each request on top of the ones before it. Every request that changes something takes the next revision. */
export function planWrites({ requests, revision, current }: PlanInput): WritePlan {
  const standing = new Map<string, StoredValue | undefined>()
  const events: StoreEvent[] = []
  const results: WriteResult[] = []
  for (const { writes } of requests) {
    const conflict = firstConflict(writes, standing, current)
    if (conflict !== undefined) {
      results.push({ outcome: 'conflict', current: standing.get(conflict.key), revision })
      continue
    }
    const next = revision + 1
    const previous = standing.get(writes[0]!.key)
    const before = events.length
    for (const write of writes) {
      const event = apply(write, standing.get(write.key), next)
      if (event === undefined) continue
      events.push(event)
      standing.set(write.key, stands(event))
    }
    if (events.length > before) revision = next
    results.push({ outcome: 'committed', revision, previous })
  }
  return { results, events, revision }
}

/** What stands under the event's key after it. */
export function stands(event: StoreEvent): StoredValue | undefined {
  if (event.value === undefined) return undefined
  const { key, value, revision, createRevision, previous } = event
  return { key, value, createRevision, modRevision: revision, version: (previous?.version ?? 0) + 1 }
}

function firstConflict(
  writes: readonly Write[],
  standing: Map<string, StoredValue | undefined>,
  current: PlanInput['current'],
): Write | undefined {
  let conflict: Write | undefined
  for (const write of writes) {
    let stored = standing.get(write.key)
    if (stored === undefined && !standing.has(write.key)) {
      stored = current(write.key)
      standing.set(write.key, stored)
    }
    if (write.expectedModRevision === undefined || write.expectedModRevision === (stored?.modRevision ?? 0)) continue
    conflict ??= write
  }
  return conflict
}

function apply(write: Write, previous: StoredValue | undefined, revision: number): StoreEvent | undefined {
  const { key, value } = write
  if (value !== undefined) return { type: 'put', key, value, previous, revision, createRevision: previous?.createRevision ?? revision }
  if (previous === undefined) return undefined
  return { type: 'delete', key, previous, revision, createRevision: previous.createRevision }
}
