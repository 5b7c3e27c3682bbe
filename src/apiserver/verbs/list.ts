// Lists: which state of the collection a request asks for (KEP-2340 and "Resource versions" of the API concepts), its pages, and
// the bytes, joined from those that the cache holds.
import { ApiError, badRequest, expired } from '#api/errors'
import type { Kind } from '#api/kind'
import type { Clock } from '#base/clock'
import { type Store, StoreError } from '#storage/store'
import type { VersionView } from '../custom/version-view.ts'
import type { ApiReply, StreamedBody } from '../request.ts'
import type { ResourceCache } from '../watch-cache/resource-cache.ts'
import { StoredObject } from '../watch-cache/stored-object.ts'
import { type CacheSelector, selects } from '../watch-cache/watch-cache.ts'
import { acceptsGzip, compressBuffer, compressStream } from './compress.ts'
import { type ContinueToken, continueMsMax, decodeContinue, encodeContinue } from './continue-token.ts'
import { contentTypeOf, type Form, type ListMeta, type ListPieces, listBody, listPieces } from './encode.ts'
import { type ListOptions, parseRevision, type Selection } from './list-options.ts'
import type { ReadyLists } from './ready-lists.ts'
import type { Shown } from './served.ts'

export interface ListDeps {
  readonly store: Store
  readonly clock: Clock
}

export interface ListResult {
  readonly items: readonly StoredObject[]
  readonly meta: ListMeta
}

/** What is listed: a cache, and how its objects are shown when that is not as they are held. */
export interface Listed {
  readonly cache: ResourceCache
  readonly versions?: VersionView
}

const inconsistent =
  'The provided continue parameter is too old to display a consistent list result. You can start a new list without the continue parameter, or use the continue token in this response to retrieve the remainder of the results. Continuing with the provided token results in an inconsistent list - objects that were created, modified, or deleted between the time the first chunk was returned and now may show up in the list.'

/** The objects that a list request asks for. */
export async function readList(
  { store, clock }: ListDeps,
  { cache, versions }: Listed,
  selection: Selection,
  options: ListOptions,
  signal: AbortSignal,
): Promise<ListResult> {
  if (!cache.ready) await cache.untilReady(signal)
  const prefix = listPrefix(cache, selection.selector)
  const token = options.continue === '' ? undefined : decodeContinue(prefix, options.continue)
  if (token !== undefined && parseRevision(options.resourceVersion) !== 0) {
    throw badRequest('specifying resource version is not allowed when using continue')
  }
  const asked = parseRevision(options.resourceVersion)
  const exact = options.resourceVersionMatch === 'Exact' || (options.resourceVersionMatch === '' && options.limit > 0 && asked > 0)
  const revision = token !== undefined && token.revision > 0 ? token.revision : exact && asked > 0 ? asked : undefined
  if (revision !== undefined) await cache.waitFor(revision, signal)
  else if (asked > 0) await cache.waitFor(asked, signal)
  else if (options.resourceVersion !== '0') await cache.waitFor(await store.currentRevision(), signal)

  const reader = new PageReader(store, cache, selection.selector, prefix, revision, versions)
  try {
    if (token !== undefined && isOld(token, clock)) throw expired(inconsistent)
    return await gather(clock, reader, selection, options, token?.after ?? '')
  } catch (error) {
    if (!(error instanceof ApiError) || error.reason !== 'Expired' || token === undefined) throw error
    const status = expired(inconsistent).status
    const metadata = { continue: encodeContinue(prefix, token.after, -1, clock.now()) }
    throw new ApiError({ ...status, metadata: metadata as unknown as Record<string, never> })
  }
}

function isOld({ revision, atMs }: ContinueToken, clock: Clock): boolean {
  return revision > 0 && atMs !== undefined && clock.now() - atMs > continueMsMax
}

/** The part of a key that all objects of the request share. */
function listPrefix(cache: ResourceCache, { namespace }: CacheSelector): string {
  const { storagePrefix, namespaced } = cache.kind
  return namespaced && namespace !== undefined ? `${storagePrefix}/${namespace}/` : `${storagePrefix}/`
}

interface Page {
  readonly items: readonly StoredObject[]
  readonly revision: number
  readonly remaining: number
}

// Pages of one state: of the cache, of its past, or, when that is forgotten, of the store's.
class PageReader {
  readonly prefix: string
  readonly #store: Store
  readonly #cache: ResourceCache
  readonly #selector: CacheSelector
  readonly #revision: number | undefined
  readonly #versions: VersionView | undefined

  constructor(
    store: Store,
    cache: ResourceCache,
    selector: CacheSelector,
    prefix: string,
    revision: number | undefined,
    versions: VersionView | undefined,
  ) {
    this.#versions = versions
    this.#store = store
    this.#cache = cache
    this.#selector = selector
    this.prefix = prefix
    this.#revision = revision
  }

  get indexedField(): string | undefined {
    return this.#cache.indexedField
  }

  async read(after: string, limit: number | undefined): Promise<Page> {
    const page = await this.#readHeld(after, limit)
    return this.#versions === undefined ? page : { ...page, items: await this.#versions.showAll(page.items) }
  }

  async #readHeld(after: string, limit: number | undefined): Promise<Page> {
    const revision = this.#revision
    try {
      return this.#cache.page(this.#selector, {
        after,
        ...(limit === undefined ? {} : { limit }),
        ...(revision === undefined ? {} : { revision }),
      })
    } catch (error) {
      if (!(error instanceof ApiError) || error.reason !== 'Expired' || revision === undefined) throw error
      return this.#readStore(after, limit, revision)
    }
  }

  async #readStore(after: string, limit: number | undefined, revision: number): Promise<Page> {
    try {
      const page = await this.#store.range(this.prefix, {
        revision,
        ...(after === '' ? {} : { after }),
        ...(limit === undefined ? {} : { limit }),
      })
      const items = page.items.map((item) => StoredObject.read(this.#cache.context, item.key, item.value, item.modRevision))
      return { items, revision, remaining: page.remaining }
    } catch (error) {
      if (error instanceof StoreError && error.code === 'compacted') throw expired('The resourceVersion for the provided list is too old.')
      throw error
    }
  }
}

// Selecting may decode: that is done in turns, so that others are served meanwhile.
const turnMs = 5
const clockEvery = 64

async function gather(clock: Clock, reader: PageReader, selection: Selection, options: ListOptions, from: string): Promise<ListResult> {
  // A list of any age is answered whole, as Kubernetes' cache does.
  const limit = options.limit > 0 && (options.resourceVersion !== '0' || options.continue !== '') ? options.limit : undefined
  const selective = !selection.plain
  const found: StoredObject[] = []
  let after = from
  for (;;) {
    const page = await reader.read(after, limit === undefined ? undefined : selective ? Math.max(limit, 500) : limit)
    if (!selective) return result(reader.prefix, page.items, page, page.remaining, true, clock)
    let turnEnds = clock.monotonic() + turnMs
    for (const [i, item] of page.items.entries()) {
      if (i % clockEvery === clockEvery - 1 && clock.monotonic() > turnEnds) {
        await new Promise((resolve) => setImmediate(resolve))
        turnEnds = clock.monotonic() + turnMs
      }
      if (!selects(selection.selector, item, reader.indexedField)) continue
      found.push(item)
      if (found.length === limit) {
        const remaining = page.remaining + page.items.length - 1 - i
        return result(reader.prefix, found, page, remaining, false, clock)
      }
    }
    if (limit === undefined || page.remaining === 0) return result(reader.prefix, found, page, 0, false, clock)
    after = page.items.at(-1)?.key ?? after
  }
}

function result(prefix: string, items: readonly StoredObject[], page: Page, remaining: number, counted: boolean, clock: Clock): ListResult {
  const last = items.at(-1)
  const token = remaining > 0 && last !== undefined ? encodeContinue(prefix, last.key, page.revision, clock.now()) : ''
  return { items, meta: { revision: page.revision, continue: token, remaining: counted ? remaining : undefined } }
}

const wholeMaxBytes = 512 * 1024
const chunkBytes = 256 * 1024
// Items whose length is not known are made one by one: more than these are sent as they are made.
const wholeMaxItems = 200

/** The answer to a list. `ready`: where lists that come again are kept. */
export async function listReply(
  served: Shown,
  { items, meta }: ListResult,
  form: Form,
  acceptEncoding: string | undefined,
  ready?: ReadyLists,
): Promise<ApiReply> {
  const headers: Record<string, string> = { 'content-type': contentTypeOf(form.output) }
  const shown = served.converted ? items.map((item) => served.view(item)) : items
  const pieces = listPieces(served.kind, meta, form)
  const gzip = acceptsGzip(acceptEncoding)
  let body: Buffer | StreamedBody
  if (pieces === undefined) body = listBody(served.kind, meta, shown, form)
  else if (pieces.length === undefined) body = joined(pieces, shown)
  else {
    const bytes = itemsLength(pieces, pieces.length, shown)
    const kept = gzip || served.converted || ready === undefined ? undefined : keptItems(ready, served.kind, pieces, items, bytes)
    if (kept !== undefined) return { status: 200, headers, body: [pieces.head, kept, pieces.tail] }
    const whole = pieces.head.length + bytes + pieces.tail.length
    if (whole <= wholeMaxBytes) body = written(pieces, shown, whole)
    else {
      if (!gzip) headers['content-length'] = String(whole)
      body = streamedSized(pieces, pieces.length, shown)
    }
  }
  if (gzip && typeof body === 'function')
    return { status: 200, headers: { ...headers, 'content-encoding': 'gzip' }, body: compressStream(body) }
  const compressed = gzip && typeof body !== 'function' ? await compressBuffer(body) : undefined
  if (compressed !== undefined) headers['content-encoding'] = 'gzip'
  return { status: 200, headers, body: compressed ?? body }
}

// The items of a list that came before, in one piece.
function keptItems(ready: ReadyLists, kind: Kind, pieces: ListPieces, items: readonly StoredObject[], bytes: number): Buffer | undefined {
  const kept = ready.find(kind, items)
  if (kept !== undefined || !ready.isWanted(kind, items, bytes)) return kept
  const made = Buffer.allocUnsafeSlow(bytes)
  writeItems(pieces, items, 0, items.length, made, 0)
  ready.keep(kind, items, made)
  return made
}

// Items of known length, from the one at `from` to that before `to`, each with what parts it from the one before.
function writeItems(
  { separator, write }: ListPieces,
  items: readonly StoredObject[],
  from: number,
  to: number,
  target: Buffer,
  offset: number,
): number {
  let at = offset
  for (let i = from; i < to; i++) {
    if (i > 0) at += separator.copy(target, at)
    at = write(target, at, items[i]!)
  }
  return at
}

// Said beforehand, a length spares the server the framing and copying of chunks: a sixth of the whole.
function itemsLength({ separator }: ListPieces, length: (item: StoredObject) => number, items: readonly StoredObject[]): number {
  let bytes = Math.max(0, items.length - 1) * separator.length
  for (const item of items) bytes += length(item)
  return bytes
}

function written(pieces: ListPieces, items: readonly StoredObject[], bytes: number): Buffer {
  const out = Buffer.allocUnsafeSlow(bytes)
  pieces.tail.copy(out, writeItems(pieces, items, 0, items.length, out, pieces.head.copy(out)))
  return out
}

function streamedSized(pieces: ListPieces, length: (item: StoredObject) => number, items: readonly StoredObject[]): StreamedBody {
  const { head, tail, separator } = pieces
  return async (sink, signal) => {
    let next = 0
    let opening = head.length
    while (next < items.length && !signal.aborted) {
      const first = next
      let bytes = opening
      for (; next < items.length && bytes < chunkBytes; next++) bytes += length(items[next]!) + (next > 0 ? separator.length : 0)
      const chunk = Buffer.allocUnsafeSlow(bytes)
      if (opening > 0) head.copy(chunk)
      writeItems(pieces, items, first, next, chunk, opening)
      opening = 0
      if (!sink.write(chunk)) await sink.drained()
      else await new Promise((resolve) => setImmediate(resolve))
    }
    sink.write(tail)
  }
}

// Items whose length is known once they are made.
function joined(pieces: ListPieces, items: readonly StoredObject[]): Buffer | StreamedBody {
  if (items.length > wholeMaxItems) return streamed(pieces, items)
  const { head, tail, separator, make } = pieces
  const parts: Buffer[] = [head]
  for (const item of items) {
    if (parts.length > 1) parts.push(separator)
    parts.push(make(item))
  }
  parts.push(tail)
  return Buffer.concat(parts)
}

function streamed({ head, tail, separator, make }: ListPieces, items: readonly StoredObject[]): StreamedBody {
  return async (sink, signal) => {
    let next = 0
    let parts: Buffer[] = [head]
    while (next < items.length && !signal.aborted) {
      let bytes = 0
      for (; next < items.length && bytes < chunkBytes; next++) {
        if (next > 0) parts.push(separator)
        const part = make(items[next]!)
        parts.push(part)
        bytes += part.length
      }
      const chunk = Buffer.concat(parts)
      parts = []
      if (!sink.write(chunk)) await sink.drained()
      else await new Promise((resolve) => setImmediate(resolve))
    }
    sink.write(parts.length > 0 ? Buffer.concat([...parts, tail]) : tail)
  }
}
