// Small helpers for tests of stores.
import { assert } from '#base/assert'
import { type Store, type StoredValue, StoreError, type StoreEvent, type WatchOptions, type WriteResult } from './store.ts'

export function bytes(text: string): Buffer {
  return Buffer.from(text)
}

export function text(stored: StoredValue | undefined): string | undefined {
  return stored?.value.toString()
}

/** The result, which must be committed. */
export async function committed(result: Promise<WriteResult>): Promise<WriteResult & { outcome: 'committed' }> {
  const settled = await result
  assert(settled.outcome === 'committed', 'the write should have been committed')
  return settled
}

/** The result, which must be a conflict. */
export async function conflict(result: Promise<WriteResult>): Promise<WriteResult & { outcome: 'conflict' }> {
  const settled = await result
  assert(settled.outcome === 'conflict', 'the write should have met a conflict')
  return settled
}

/** What the promise rejects with; it must not resolve. */
export async function caught(promise: Promise<unknown>): Promise<unknown> {
  try {
    await promise
  } catch (error) {
    return error
  }
  throw new Error('the promise should have been rejected')
}

export interface Recorder {
  readonly afterRevision: number
  readonly prefix: string
  /** All events so far. */
  readonly events: StoreEvent[]
  /** The same, as they were delivered. */
  readonly calls: (readonly StoreEvent[])[]
  /** What progress was told. */
  readonly told: number[]
  /** What came out of order, after the end, or after progress had passed it. */
  readonly flaws: string[]
  /** Resolves when progress has reached the revision. */
  through(revision: number): Promise<void>
  /** Resolves with the reason when the watch ends, or could not begin. */
  end(): Promise<StoreError>
  close(): void
}

/** A watch that keeps what it is told. `resume`: a lost connection is not the end, it goes on from where it was. */
export function record(
  store: Store,
  prefix: string,
  { resume = false, ...options }: Pick<WatchOptions, 'afterRevision'> & { readonly resume?: boolean },
): Recorder {
  const waiting: { revision: number; resolve: () => void; reject: (error: unknown) => void }[] = []
  let tellEnd: (reason: StoreError) => void = () => {}
  const ended = new Promise<StoreError>((resolve) => {
    tellEnd = resolve
  })
  let reason: StoreError | undefined
  let last = options.afterRevision
  const settle = (): void => {
    for (const waiter of [...waiting]) {
      if (reason !== undefined) waiter.reject(reason)
      else if ((recorder.told.at(-1) ?? 0) >= waiter.revision) waiter.resolve()
    }
  }
  const end = (error: StoreError): void => {
    if (resume && error.code === 'unavailable') return start(last)
    if (reason !== undefined) recorder.flaws.push('ended twice')
    reason = error
    tellEnd(error)
    settle()
  }
  const onEvents = (events: readonly StoreEvent[]): void => {
    recorder.calls.push(events)
    const first = events[0]?.revision ?? 0
    if (reason !== undefined) recorder.flaws.push(`events of revision ${first} after the end`)
    if (first <= last) recorder.flaws.push(`revision ${first} after ${last} was done with`)
    for (const event of events) {
      if (event.revision < last) recorder.flaws.push(`revision ${event.revision} after ${last}`)
      last = event.revision
      recorder.events.push(event)
    }
  }
  const onProgress = (revision: number): void => {
    if (reason !== undefined) recorder.flaws.push(`progress ${revision} after the end`)
    if (revision < last) recorder.flaws.push(`progress ${revision} after ${last}`)
    last = revision
    recorder.told.push(revision)
    settle()
  }
  let close = (): void => {}
  const recorder: Recorder = {
    ...options,
    prefix,
    events: [],
    calls: [],
    told: [],
    flaws: [],
    through: (revision) =>
      new Promise((resolve, reject) => {
        waiting.push({ revision, resolve, reject })
        settle()
      }),
    end: () => ended,
    close: () => close(),
  }
  const start = (afterRevision: number): void => {
    try {
      const watch = store.watch(prefix, { afterRevision, onEvents, onEnd: end, onProgress })
      close = () => watch.close()
    } catch (error) {
      assert(error instanceof StoreError, 'watch throws StoreError and nothing else')
      end(error)
    }
  }
  start(options.afterRevision)
  return recorder
}
