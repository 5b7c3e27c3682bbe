// Watches of an embedded store: each replays what it missed, then joins the live ones in the same turn in which it finds nothing
// more to replay, so that no change falls between. Live changes are sorted to watches by the lengths of their prefixes: work per
// change grows with the number of different lengths, not with the number of watches.
import { StoreError, type StoreEvent, type StoreWatch, type WatchOptions } from './store.ts'

/** Where watches learn what they missed. */
export interface HistorySource {
  /** The store's revision: everything up to it has been published. */
  revision(): number
  /** Oldest revision after which the history is complete. */
  oldest(): number
  /**
   * Changes under `prefix` after a revision, from a stretch of history of the source's own choosing that ends at `through`; whole
   * revisions. Undefined: the history has been forgotten meanwhile.
   */
  replay(prefix: string, after: number): Replayed | undefined
  /** Resolves in a later turn, so that a long replay leaves room for others. */
  breathe(): Promise<void>
}

export interface Replayed {
  readonly events: readonly StoreEvent[]
  readonly through: number
}

interface Watch {
  readonly prefix: string
  readonly options: WatchOptions
  /** Everything up to this revision is delivered, or was not asked for. */
  through: number
  ended: boolean
}

/** All watches of one store, replaying and live. */
export class WatchHub {
  readonly #source: HistorySource
  readonly #active = new Set<Watch>()
  readonly #live = new Map<string, Set<Watch>>()
  #lengths: number[] = []

  constructor(source: HistorySource) {
    this.#source = source
  }

  /** Throws StoreError 'compacted' when the history asked for is gone. */
  watch(prefix: string, options: WatchOptions): StoreWatch {
    const oldest = this.#source.oldest()
    if (options.afterRevision < oldest) throw compactedError(options.afterRevision, oldest)
    const watch: Watch = { prefix, options, through: options.afterRevision, ended: false }
    this.#active.add(watch)
    void this.#catchUp(watch)
    return { close: () => this.#leave(watch) }
  }

  /** Delivers committed changes: whole revisions, after the source's revision has been moved to `revision`. */
  publish(events: readonly StoreEvent[], revision: number): void {
    if (this.#live.size === 0) return
    const byPrefix = this.#sort(events)
    // Copies, since callbacks may close and open watches; those opened now begin by replaying.
    for (const [prefix, watches] of [...this.#live]) {
      const mine = byPrefix.get(prefix)
      for (const watch of [...watches]) {
        if (mine !== undefined) deliver(watch, mine)
        progress(watch, revision)
      }
    }
  }

  /** Ends every watch with this reason. */
  endAll(reason: StoreError): void {
    for (const watch of [...this.#active]) this.#end(watch, reason)
  }

  async #catchUp(watch: Watch): Promise<void> {
    for (;;) {
      await this.#source.breathe()
      if (watch.ended) return
      if (watch.through >= this.#source.revision()) break
      const replayed = this.#source.replay(watch.prefix, watch.through)
      if (replayed === undefined) return this.#end(watch, compactedError(watch.through, this.#source.oldest()))
      if (replayed.events.length > 0) deliver(watch, replayed.events)
      watch.through = Math.max(watch.through, replayed.through)
    }
    this.#join(watch)
    progress(watch, this.#source.revision())
  }

  #join(watch: Watch): void {
    const watches = this.#live.get(watch.prefix)
    if (watches !== undefined) {
      watches.add(watch)
      return
    }
    this.#live.set(watch.prefix, new Set([watch]))
    this.#countLengths()
  }

  #leave(watch: Watch): void {
    watch.ended = true
    this.#active.delete(watch)
    const watches = this.#live.get(watch.prefix)
    if (watches === undefined || !watches.delete(watch) || watches.size > 0) return
    this.#live.delete(watch.prefix)
    this.#countLengths()
  }

  #end(watch: Watch, reason: StoreError): void {
    if (watch.ended) return
    this.#leave(watch)
    tell(() => watch.options.onEnd?.(reason))
  }

  #countLengths(): void {
    this.#lengths = [...new Set([...this.#live.keys()].map((prefix) => prefix.length))]
  }

  #sort(events: readonly StoreEvent[]): Map<string, StoreEvent[]> {
    const byPrefix = new Map<string, StoreEvent[]>()
    for (const event of events) {
      for (const length of this.#lengths) {
        if (event.key.length < length) continue
        const prefix = event.key.slice(0, length)
        if (!this.#live.has(prefix)) continue
        const mine = byPrefix.get(prefix)
        if (mine === undefined) byPrefix.set(prefix, [event])
        else mine.push(event)
      }
    }
    return byPrefix
  }
}

function deliver(watch: Watch, events: readonly StoreEvent[]): void {
  if (watch.ended) return
  // Only a watch that asked for the future has something to leave out.
  const wanted = events[0]!.revision > watch.through ? events : events.filter((event) => event.revision > watch.through)
  if (wanted.length === 0) return
  watch.through = wanted.at(-1)!.revision
  tell(() => watch.options.onEvents(wanted))
}

function progress(watch: Watch, revision: number): void {
  if (watch.ended || revision < watch.through) return
  watch.through = revision
  tell(() => watch.options.onProgress?.(revision))
}

// A callback that throws is a bug of its owner: it stops the program, but not half-way through telling the others.
function tell(callback: () => void): void {
  try {
    callback()
  } catch (error) {
    queueMicrotask(() => {
      throw error
    })
  }
}

/** The error for a revision whose history is gone. */
export function compactedError(revision: number, oldestRevision: number): StoreError {
  return new StoreError('compacted', `revision ${revision} has been compacted, the oldest is ${oldestRevision}`, { oldestRevision })
}

/** The error for a revision that does not exist yet. */
export function futureError(revision: number, current: number): StoreError {
  return new StoreError('future', `revision ${revision} is ahead of the store, which is at ${current}`)
}

/** The error for using a store that has been closed. */
export function closedError(): StoreError {
  return new StoreError('closed', 'the store is closed')
}
