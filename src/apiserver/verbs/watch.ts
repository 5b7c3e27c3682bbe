// Watches: what was there before, if asked for, then every event, bookmarks between them, until the client goes, the time is up
// or history is lost. A slow client holds nothing but its place in the history. While nothing happens a watch is two small objects:
// it has no timer, promise chain or closures of its own, since there may be ten thousand of them.
import { ApiError, internalError } from '#api/errors'
import type { Clock } from '#base/clock'
import type { Random } from '#base/random'
import type { Store } from '#storage/store'
import type { VersionView } from '../custom/version-view.ts'
import type { ApiReply, BodySink, StreamedBody } from '../request.ts'
import type { WindowEvent } from '../watch-cache/event-window.ts'
import { replayStretch } from '../watch-cache/replay.ts'
import type { ResourceCache } from '../watch-cache/resource-cache.ts'
import type { StoredObject } from '../watch-cache/stored-object.ts'
import {
  type CachedObject,
  type CacheEvent,
  type CacheSelector,
  type CacheWatch,
  type EventType,
  selects,
  type WatchConsumer,
} from '../watch-cache/watch-cache.ts'
import { tell } from '../watch-cache/watchers.ts'
import type { Bookmarked, Bookmarks } from './bookmarks.ts'
import type { FrameMaker } from './frames.ts'
import type { Listed } from './list.ts'
import { type ListOptions, parseRevision, type Selection } from './list-options.ts'
import type { Ending, WatchDeadlines } from './watch-deadlines.ts'
import { tellShown, watchShown } from './watch-shown.ts'

export interface WatchDeps {
  readonly store: Store
  readonly clock: Clock
  readonly random: Random
  readonly bookmarks: Bookmarks
  readonly deadlines: WatchDeadlines
  /** How long a watch that names no time of its own lasts at least. */
  readonly watchSecondsMin?: number
}

// Kubernetes' --min-request-timeout. Watches that name no time of their own end after once to twice that, spread so that they do not
// all come back at once.
const secondsMinDefault = 1_800

/** The answer to a watch. Waits, if it must, until the cache is as fresh as the request demands. */
export async function watchReply(
  deps: WatchDeps,
  watched: Listed,
  selection: Selection,
  options: ListOptions,
  frames: FrameMaker,
  signal: AbortSignal,
): Promise<ApiReply> {
  const { cache } = watched
  if (!cache.ready) await cache.untilReady(signal)
  const asked = parseRevision(options.resourceVersion)
  // Without a revision to start from, what is there comes first.
  const initial = options.sendInitialEvents ?? asked === 0
  if (options.resourceVersion === '') await cache.waitFor(await deps.store.currentRevision(), signal)
  else if (options.sendInitialEvents === true && asked > 0) await cache.waitFor(asked, signal)
  const seconds = options.timeoutSeconds || (deps.watchSecondsMin ?? secondsMinDefault) * (1 + deps.random())
  const start: Start = {
    selection,
    initial,
    from: asked === 0 ? cache.revision : asked,
    bookmarks: options.allowWatchBookmarks,
    endsAtMs: deps.clock.monotonic() + seconds * 1000,
  }
  const headers = { 'content-type': frames.contentType }
  if (!initial) {
    return { status: 200, headers, body: (sink, streamSignal) => new WatchStream(deps, watched, frames, sink, streamSignal).run(start) }
  }
  let tellBegun!: () => void
  const begun = new Promise<void>((resolve) => {
    tellBegun = resolve
  })
  const run: StreamedBody = (sink, streamSignal) =>
    new WatchStream(deps, watched, frames, sink, streamSignal).run(start, tellBegun).finally(tellBegun)
  return { status: 200, headers, body: run, begun }
}

/** Where a watch begins, and how it goes on. */
interface Start {
  readonly selection: Selection
  /** What is there comes first; else what came after `from`. */
  readonly initial: boolean
  readonly from: number
  readonly bookmarks: boolean
  readonly endsAtMs: number
}

// Initial objects, or events of the past, that are written before others get a turn.
const turnItems = 100

class WatchStream implements WatchConsumer, Bookmarked, Ending {
  readonly #deps: WatchDeps
  readonly #cache: ResourceCache
  readonly #versions: VersionView | undefined
  readonly #frames: FrameMaker
  readonly #sink: BodySink
  readonly #signal: AbortSignal
  endsAtMs = 0
  #watch: CacheWatch | undefined
  #finish: (() => void) | undefined
  #bookmarks = false
  #bookmarked = 0

  constructor(deps: WatchDeps, { cache, versions }: Listed, frames: FrameMaker, sink: BodySink, signal: AbortSignal) {
    this.#deps = deps
    this.#cache = cache
    this.#versions = versions
    this.#frames = frames
    this.#sink = sink
    this.#signal = signal
  }

  /** Resolves when the watch is over. `begun` is called when what is there at first is written. */
  run(start: Start, begun?: () => void): Promise<void> {
    return new Promise((resolve) => {
      if (this.#signal.aborted) return resolve()
      this.#finish = resolve
      this.#bookmarks = start.bookmarks
      this.endsAtMs = start.endsAtMs
      this.#signal.addEventListener('abort', this, { once: true })
      this.#deps.deadlines.add(this)
      this.#begin(start, begun).catch((error: unknown) => this.#fail(error))
    })
  }

  get #over(): boolean {
    return this.#finish === undefined
  }

  async #begin({ selection, initial, from }: Start, begun?: () => void): Promise<void> {
    const { selector } = selection
    const after = initial ? this.#cache.revision : await this.#catchUp(selector, from)
    if (this.#over) return
    const versions = this.#versions
    this.#watch =
      versions === undefined ? this.#cache.watch(after, selector, this) : watchShown(this.#cache, versions, after, selector, this)
    if (initial) await this.#sendInitial(selection, after)
    begun?.()
    if (this.#over) return
    if (this.#bookmarks) this.#deps.bookmarks.subscribe(this)
    this.#watch.resume()
  }

  // What the cache no longer has, or has not had since this server began, is read from the store: returns the revision from
  // which the cache goes on.
  async #catchUp(selector: CacheSelector, from: number): Promise<number> {
    if (from >= this.#cache.reachesBackTo) return from
    let after = from
    let inTurn = 0
    while (after < this.#cache.reachesBackTo && !this.#over) {
      const { events, through } = await replayStretch(this.#deps.store, this.#cache.context, after)
      for (const event of events) {
        if (this.#over) return after
        if (!(await this.#tellPast(selector, event))) await this.#sink.drained()
        else if (++inTurn % turnItems === 0) await nextTurn()
      }
      after = through
    }
    // The store tells its watchers one after the other: this one may have been told before the cache was.
    await this.#cache.waitFor(after, this.#signal)
    return after
  }

  #tellPast(selector: CacheSelector, event: WindowEvent): boolean | Promise<boolean> {
    if (this.#versions === undefined) return tell(this, selector, event, this.#cache.indexedField)
    return tellShown(this.#versions, selector, event, this)
  }

  async #sendInitial({ selector, plain }: Selection, revision: number): Promise<void> {
    let inTurn = 0
    for (const page of this.#initialPages(selector, revision)) {
      const shown = this.#versions === undefined ? page : await this.#versions.showAll(page)
      for (const object of shown) {
        if (this.#over) return
        if (!plain && !selects(selector, object, this.#cache.indexedField)) continue
        if (!this.#sink.write(this.#frames.event('ADDED', object, undefined))) await this.#sink.drained()
        else if (++inTurn % turnItems === 0) await nextTurn()
      }
    }
    if (this.#over || !this.#bookmarks) return
    this.#bookmarked = revision
    this.#sink.write(this.#frames.bookmark(revision, true))
  }

  // The collection as of a revision, a page at a time: nobody holds what has changed since for the sake of a slow client. What an
  // index finds is little, and is taken at once.
  *#initialPages(selector: CacheSelector, revision: number): Generator<readonly StoredObject[]> {
    if (selector.indexed !== undefined || selector.name !== undefined) {
      yield this.#cache.candidates(selector)
      return
    }
    for (let after = ''; ; ) {
      const { items } = this.#cache.page(selector, { after, limit: turnItems, revision })
      yield items
      if (items.length < turnItems) return
      after = items.at(-1)!.key
    }
  }

  /** False: the client is slow, and nothing more is wanted until it has caught up. */
  onEvent(type: EventType, object: CachedObject, event: CacheEvent): boolean {
    if (this.#over) return false
    if (this.#sink.write(this.#frames.event(type, object, event))) return true
    // While the past is read there is nothing to resume yet.
    if (this.#watch !== undefined) {
      this.#sink.drained().then(
        () => this.#watch?.resume(),
        () => this.#end(),
      )
    }
    return false
  }

  onEnd(error: ApiError | undefined): void {
    if (error === undefined) this.#end()
    else this.#fail(error)
  }

  tellBookmark(): void {
    const revision = this.#watch?.revision ?? 0
    if (this.#over || revision <= this.#bookmarked) return
    this.#bookmarked = revision
    this.#sink.write(this.#frames.bookmark(revision, false))
  }

  timeUp(): void {
    if (this.#bookmarks) this.tellBookmark()
    this.#end()
  }

  /** The signal's abort: the client has gone, or the server stops. */
  handleEvent(): void {
    this.#end()
  }

  // A client whose revision is too old is told so in the stream, as Kubernetes does.
  #fail(error: unknown): void {
    const { status } = error instanceof ApiError ? error : internalError('the watch failed', error)
    if (!this.#over) this.#sink.write(this.#frames.error(status))
    this.#end()
  }

  #end(): void {
    const finish = this.#finish
    if (finish === undefined) return
    this.#finish = undefined
    this.#signal.removeEventListener('abort', this)
    this.#deps.deadlines.remove(this)
    if (this.#bookmarks) this.#deps.bookmarks.unsubscribe(this)
    this.#watch?.close()
    finish()
  }
}

function nextTurn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve))
}
