// MUSTHOLD 22 for watches of the API: what each watcher was told is checked against the store's own history.
import { existsSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, onTestFinished, test } from 'vitest'
import { systemClock } from '#base/clock'
import { seededRandom } from '#base/random'
import { openLmdbStore } from '#storage/lmdb/lmdb-store'
import { openMemoryStore } from '#storage/memory/memory-store'
import type { Store, StoreEvent } from '#storage/store'
import { admin, openTestCore, type TestCore } from '../api-core.testing.ts'
import { parseRequestInfo } from '../pipeline/request-info.ts'
import type { ApiRequest, BodySink, StreamedBody } from '../request.ts'

const path = '/api/v1/configmaps'
const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve))

interface Map {
  readonly metadata: { readonly namespace: string; readonly name: string; readonly labels?: Readonly<Record<string, string>> }
}

/** What a watch selects, as a query and as a function. */
interface Choice {
  readonly path: string
  readonly query: string
  readonly selects: (map: Map) => boolean
}

const choices: readonly Choice[] = [
  { path, query: '', selects: () => true },
  { path: '/api/v1/namespaces/a/configmaps', query: '', selects: ({ metadata }) => metadata.namespace === 'a' },
  { path, query: '&labelSelector=on%3Dyes', selects: ({ metadata }) => metadata.labels?.['on'] === 'yes' },
  {
    path: '/api/v1/namespaces/b/configmaps',
    query: '&fieldSelector=metadata.name%3Dm3',
    selects: ({ metadata }) => metadata.namespace === 'b' && metadata.name === 'm3',
  },
]

/** A watcher that takes its events at its own pace. */
class Watcher {
  readonly choice: Choice
  readonly told: string[] = []
  readonly bookmarks: number[] = []
  /** Revision of the last thing it was told. */
  at: number
  expired = false
  ended = false
  readonly #stop = new AbortController()
  readonly #slow: boolean
  #drain: (() => void) | undefined

  constructor(choice: Choice, after: number, slow: boolean) {
    this.choice = choice
    this.at = after
    this.#slow = slow
  }

  async open(api: TestCore, more = ''): Promise<void> {
    const query = new URLSearchParams(`watch=true&allowWatchBookmarks=true&resourceVersion=${this.at}${this.choice.query}${more}`)
    const request = {
      id: '',
      method: 'GET',
      path: this.choice.path,
      rawPath: this.choice.path,
      rawQuery: String(query),
      query,
      headers: {},
      body: { read: async () => Buffer.alloc(0), stream: () => process.stdin },
      certificateRefused: false,
      remoteAddress: '',
      signal: this.#stop.signal,
      receivedAtMs: 0,
      info: parseRequestInfo('GET', this.choice.path, query),
      user: admin,
      warnings: [],
      auditAnnotations: {},
    } satisfies ApiRequest
    const sink: BodySink = {
      write: (chunk) => {
        this.#read(Buffer.from(chunk).toString())
        return !this.#slow
      },
      drained: () =>
        new Promise((resolve) => {
          this.#drain = resolve
        }),
      flush: () => {},
    }
    const body = (await api.core.dispatch(request)).body as StreamedBody
    void body(sink, this.#stop.signal).then(() => {
      this.ended = true
    })
  }

  take(): void {
    const drain = this.#drain
    this.#drain = undefined
    drain?.()
  }

  stop(): void {
    this.#stop.abort()
    this.take()
  }

  #read(line: string): void {
    const { type, object } = JSON.parse(line)
    if (type === 'ERROR') {
      this.expired = object.code === 410
      return
    }
    const revision = Number(object.metadata.resourceVersion)
    expect(revision).toBeGreaterThanOrEqual(this.at)
    this.at = revision
    if (type === 'BOOKMARK') this.bookmarks.push(revision)
    else this.told.push(`${revision} ${type} ${object.metadata.namespace}/${object.metadata.name}`)
  }
}

/** What a watcher must be told of the history after a revision. */
function expected(history: readonly StoreEvent[], { selects }: Choice, after: number, through = Number.POSITIVE_INFINITY): string[] {
  const out: string[] = []
  for (const { key, value, previous, revision } of history) {
    if (revision <= after || revision > through) continue
    const is = value !== undefined && selects(JSON.parse(value.toString()))
    const was = previous !== undefined && selects(JSON.parse(previous.value.toString()))
    const [namespace, name] = key.slice('/registry/configmaps/'.length).split('/')
    if (is) out.push(`${revision} ${was ? 'MODIFIED' : 'ADDED'} ${namespace}/${name}`)
    else if (was) out.push(`${revision} DELETED ${namespace}/${name}`)
  }
  return out
}

async function write(api: TestCore, random: () => number): Promise<void> {
  const pick = (count: number): number => Math.floor(random() * count)
  const namespace = 'ab'[pick(2)]
  const name = `m${pick(6)}`
  const of = `/api/v1/namespaces/${namespace}/configmaps`
  const body = {
    apiVersion: 'v1',
    kind: 'ConfigMap',
    metadata: { name, labels: { on: pick(2) === 0 ? 'yes' : 'no' } },
    data: { n: `${random()}` },
  }
  const { status } = await api.call('PUT', `${of}/${name}`, { body })
  if (status === 404) await api.ok('POST', of, { body })
  else if (pick(4) === 0) await api.ok('DELETE', `${of}/${name}`)
}

/** A store that can be closed and opened again; of the one in memory the same goes on. */
interface Shelf {
  store: Store
  reopen(): Promise<void>
}

async function openShelf(kind: 'memory' | 'lmdb'): Promise<Shelf> {
  if (kind === 'memory') return { store: openMemoryStore(), reopen: async () => undefined }
  const dir = await mkdtemp(join(existsSync('/dev/shm') ? '/dev/shm' : tmpdir(), 'navarch-watch-'))
  const shelf: Shelf = {
    store: await openLmdbStore({ dir, clock: systemClock }),
    async reopen() {
      await shelf.store.close()
      shelf.store = await openLmdbStore({ dir, clock: systemClock })
    },
  }
  onTestFinished(async () => {
    await shelf.store.close()
    await rm(dir, { recursive: true, force: true })
  })
  return shelf
}

async function opened({ store }: Shelf): Promise<TestCore> {
  const api = await openTestCore({ store })
  for (const name of ['a', 'b']) {
    const { status } = await api.call('POST', '/api/v1/namespaces', { body: { apiVersion: 'v1', kind: 'Namespace', metadata: { name } } })
    expect([201, 409]).toContain(status)
  }
  return api
}

async function recorded(store: Store, history: StoreEvent[] = []): Promise<StoreEvent[]> {
  store.watch('/registry/configmaps/', { afterRevision: await store.currentRevision(), onEvents: (events) => void history.push(...events) })
  return history
}

describe('MUSTHOLD 22: watches of the API, checked against the history of the store', () => {
  test.each([
    { seed: 1, kind: 'memory' },
    { seed: 2, kind: 'memory' },
    { seed: 3, kind: 'lmdb' },
    { seed: 4, kind: 'lmdb' },
  ] as const)(
    'go on over a restart from wherever they were, at any pace, and are told everything once and in order ($kind, seed $seed)',
    async ({ seed, kind }) => {
      const random = seededRandom(seed)
      const shelf = await openShelf(kind)
      const first = await opened(shelf)
      const history = await recorded(shelf.store)
      const begin = await shelf.store.currentRevision()
      for (let i = 0; i < 120; i++) await write(first, random)
      await turn()
      await first.core.close()
      const { store } = shelf
      await shelf.reopen()
      if (shelf.store !== store) await recorded(shelf.store, history)
      const restarted = await opened(shelf)
      const revisions = [begin, ...history.map(({ revision }) => revision)]
      const watchers = Array.from({ length: 24 }, (_, i) => {
        const after = revisions[Math.floor(random() * revisions.length)]!
        return { after, watcher: new Watcher(choices[i % choices.length]!, after, i % 3 === 0) }
      })
      for (const { watcher } of watchers) await watcher.open(restarted)
      for (let i = 0; i < 120; i++) {
        await write(restarted, random)
        for (const { watcher } of watchers) if (random() < 0.7) watcher.take()
        if (i === 60) await restarted.clock.advance(61_000)
      }
      const newest = await restarted.store.currentRevision()
      for (let i = 0; i < 400; i++) {
        for (const { watcher } of watchers) watcher.take()
        await turn()
      }
      for (const { after, watcher } of watchers) {
        expect([watcher.told, watcher.expired]).toEqual([expected(history, watcher.choice, after, newest), false])
        watcher.stop()
      }
      // A bookmark says that everything up to it has been told; `read` has seen to it that nothing older came after it.
      expect(watchers.some(({ watcher }) => watcher.bookmarks.length > 0)).toBe(true)
      await restarted.core.close()
      await first.close()
    },
  )

  test('are ended with 410 when the store has forgotten what they ask for, even half-way through it, and skip nothing before', async () => {
    const random = seededRandom(4)
    const shelf = await openShelf('lmdb')
    const first = await opened(shelf)
    const history = await recorded(shelf.store)
    const begin = await shelf.store.currentRevision()
    for (let i = 0; i < 900; i++) await write(first, random)
    await first.core.close()
    await shelf.reopen()
    const restarted = await opened(shelf)
    const watcher = new Watcher(choices[0]!, begin, true)
    await watcher.open(restarted)
    for (let i = 0; i < 50; i++) {
      watcher.take()
      await turn()
    }
    await shelf.store.compact(await shelf.store.currentRevision())
    for (let i = 0; i < 2_000 && !watcher.ended; i++) {
      watcher.take()
      await turn()
    }
    expect([watcher.expired, watcher.ended]).toEqual([true, true])
    const whole = expected(history, watcher.choice, begin)
    expect(watcher.told.length).toBeLessThan(whole.length)
    expect(watcher.told).toEqual(whole.slice(0, watcher.told.length))
    expect(watcher.told.length).toBeGreaterThan(100)
    await restarted.core.close()
  })

  test('that begin with what is there are told of one moment, and of everything after it, however slowly they read', async () => {
    const random = seededRandom(5)
    const api = await opened(await openShelf('memory'))
    for (let i = 0; i < 450; i++) {
      const name = `z${String(i).padStart(3, '0')}`
      await api.ok('POST', '/api/v1/namespaces/a/configmaps', { body: { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name } } })
    }
    const history = await recorded(api.store)
    const begin = await api.store.currentRevision()
    const { json } = await api.ok('GET', path)
    const there = json.items.map(({ metadata }: Map) => `${metadata.namespace}/${metadata.name}`)
    const lines: string[] = []
    const watcher = new Watcher(choices[0]!, 0, true)
    await watcher.open(api, '&sendInitialEvents=true&resourceVersionMatch=NotOlderThan')
    for (let i = 0; i < 900; i++) {
      if (i % 3 === 0) await write(api, random)
      watcher.take()
      await turn()
    }
    lines.push(...watcher.told.map((line) => line.slice(line.indexOf(' ') + 1)))
    expect(lines.slice(0, there.length)).toEqual(there.map((name: string) => `ADDED ${name}`))
    expect(watcher.bookmarks[0]).toBe(begin)
    expect(watcher.told.slice(there.length)).toEqual(expected(history, watcher.choice, begin).slice(0, watcher.told.length - there.length))
    expect(watcher.told.length).toBeGreaterThan(there.length + 50)
    watcher.stop()
    await api.close()
  })

  test('from a revision that is yet to come are told of what comes after it alone', async () => {
    const random = seededRandom(6)
    const api = await opened(await openShelf('memory'))
    const history = await recorded(api.store)
    const after = (await api.store.currentRevision()) + 5
    const watcher = new Watcher(choices[0]!, after, false)
    await watcher.open(api)
    for (let i = 0; i < 20; i++) await write(api, random)
    await turn()
    expect(watcher.told).toEqual(expected(history, watcher.choice, after))
    expect(watcher.told.length).toBeGreaterThan(5)
    watcher.stop()
    await api.close()
  })
})

test('a watch of a store that keeps no more than it must is told that its revision is too old', async () => {
  const shelf = await openShelf('memory')
  const api = await opened(shelf)
  await shelf.store.compact(await shelf.store.currentRevision())
  const restarted = await opened(shelf)
  const watcher = new Watcher(choices[0]!, 1, false)
  await watcher.open(restarted)
  await turn()
  await turn()
  expect([watcher.expired, watcher.told]).toEqual([true, []])
  await restarted.core.close()
  await api.close()
})
