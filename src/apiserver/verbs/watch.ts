// Watches: what was there before, if asked for, then every event, bookmarks between them, until the client goes, the time is up
// or history is lost. A slow client holds nothing but its place in the cache's window.
import { ApiError, internalError } from '#api/errors'
import type { Clock, Timer } from '#base/clock'
import type { Random } from '#base/random'
import type { Store } from '#storage/store'
import type { ApiReply, BodySink, StreamedBody } from '../request.ts'
import type { ResourceCache } from '../watch-cache/resource-cache.ts'
import { type CacheWatch, selects } from '../watch-cache/watch-cache.ts'
import type { Bookmarks } from './bookmarks.ts'
import type { FrameMaker } from './frames.ts'
import { type ListOptions, parseRevision, type Selection } from './list-options.ts'

export interface WatchDeps {
  readonly store: Store
  readonly clock: Clock
  readonly random: Random
  readonly bookmarks: Bookmarks
}

// Kubernetes ends watches that name no time of their own after 30 to 60 minutes, spread so that they do not all come back at once.
const timeoutMinSeconds = 1800

/** The answer to a watch. Waits, if it must, until the cache is as fresh as the request demands. */
export async function watchReply(
  deps: WatchDeps,
  cache: ResourceCache,
  selection: Selection,
  options: ListOptions,
  frames: FrameMaker,
  signal: AbortSignal,
): Promise<ApiReply> {
  if (!cache.ready) await cache.untilReady(signal)
  const asked = parseRevision(options.resourceVersion)
  // Without a revision to start from, what is there comes first.
  const initial = options.sendInitialEvents ?? asked === 0
  if (options.resourceVersion === '') await cache.waitFor(await deps.store.currentRevision(), signal)
  else if (options.sendInitialEvents === true && asked > 0) await cache.waitFor(asked, signal)
  const seconds = options.timeoutSeconds || timeoutMinSeconds * (1 + deps.random())
  const from = initial || asked === 0 ? cache.revision : asked
  const run: StreamedBody = (sink, streamSignal) =>
    new WatchStream(deps, cache, selection, options, frames, sink, streamSignal).run(from, initial, seconds * 1000)
  return { status: 200, headers: { 'content-type': frames.contentType }, body: run }
}

// Initial objects written before others get a turn.
const initialTurnItems = 100

class WatchStream {
  readonly #deps: WatchDeps
  readonly #cache: ResourceCache
  readonly #selection: Selection
  readonly #options: ListOptions
  readonly #frames: FrameMaker
  readonly #sink: BodySink
  readonly #signal: AbortSignal
  #watch: CacheWatch | undefined
  #finish: () => void = () => {}
  #ended = false
  #bookmarked = 0

  constructor(
    deps: WatchDeps,
    cache: ResourceCache,
    selection: Selection,
    options: ListOptions,
    frames: FrameMaker,
    sink: BodySink,
    signal: AbortSignal,
  ) {
    this.#deps = deps
    this.#cache = cache
    this.#selection = selection
    this.#options = options
    this.#frames = frames
    this.#sink = sink
    this.#signal = signal
  }

  async run(from: number, initial: boolean, timeoutMs: number): Promise<void> {
    if (this.#signal.aborted) return
    const finished = new Promise<void>((resolve) => {
      this.#finish = resolve
    })
    const stop = (): void => this.#end()
    this.#signal.addEventListener('abort', stop, { once: true })
    let timer: Timer | undefined
    let unsubscribe: (() => void) | undefined
    try {
      timer = this.#deps.clock.after(timeoutMs, () => this.#timeUp(), { background: true })
      const before = initial ? this.#cache.candidates(this.#selection.selector) : []
      const after = initial ? this.#cache.revision : from
      this.#watch = this.#open(after)
      if (this.#watch !== undefined) {
        if (initial) await this.#sendInitial(before, after)
        if (this.#options.allowWatchBookmarks) unsubscribe = this.#deps.bookmarks.subscribe(() => this.#bookmark())
        if (!this.#ended) this.#watch.resume()
        await finished
      }
    } finally {
      this.#signal.removeEventListener('abort', stop)
      timer?.cancel()
      unsubscribe?.()
      this.#watch?.close()
    }
  }

  // Undefined when the revision is too old: the client is told in the stream, as Kubernetes does.
  #open(after: number): CacheWatch | undefined {
    try {
      return this.#cache.watch(after, this.#selection.selector, {
        onEvent: (type, object, event) => this.#send(this.#frames.event(type, object, event)),
        onEnd: (error) => (error === undefined ? this.#end() : this.#fail(error)),
      })
    } catch (error) {
      this.#fail(error)
      return undefined
    }
  }

  async #sendInitial(before: ReturnType<ResourceCache['candidates']>, revision: number): Promise<void> {
    let inTurn = 0
    for (const object of before) {
      if (this.#ended) return
      if (!this.#selection.plain && !selects(this.#selection.selector, object, this.#cache.indexedField)) continue
      if (!this.#sink.write(this.#frames.event('ADDED', object, undefined))) {
        await this.#sink.drained()
        inTurn = 0
      } else if (++inTurn >= initialTurnItems) {
        await new Promise((resolve) => setImmediate(resolve))
        inTurn = 0
      }
    }
    if (this.#ended || !this.#options.allowWatchBookmarks) return
    this.#bookmarked = revision
    this.#sink.write(this.#frames.bookmark(revision, true))
  }

  // False: the client is slow, and nothing more is wanted until it has caught up.
  #send(frame: Buffer): boolean {
    if (this.#ended) return false
    if (this.#sink.write(frame)) return true
    this.#sink.drained().then(
      () => this.#watch?.resume(),
      () => this.#end(),
    )
    return false
  }

  #bookmark(): void {
    const revision = this.#watch?.revision ?? 0
    if (this.#ended || revision <= this.#bookmarked) return
    this.#bookmarked = revision
    this.#sink.write(this.#frames.bookmark(revision, false))
  }

  #timeUp(): void {
    if (this.#options.allowWatchBookmarks) this.#bookmark()
    this.#end()
  }

  #fail(error: unknown): void {
    const { status } = error instanceof ApiError ? error : internalError('the watch failed', error)
    if (!this.#ended) this.#sink.write(this.#frames.error(status))
    this.#end()
  }

  #end(): void {
    this.#ended = true
    this.#watch?.close()
    this.#finish()
  }
}
