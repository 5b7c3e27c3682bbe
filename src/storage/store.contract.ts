// The one suite that every store driver passes. What a driver promises beyond the contract (durability, bounds, locks) it tests
// beside itself.
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { seededRandom } from '#base/random'
import { checkHistory, runRandomLoad } from './history-checker.ts'
import { bytes, caught, committed, conflict, record, text } from './store.testing.ts'
import { keyBytesMax, type Store, type StoredValue, StoreError, type StoreEvent, writeAllMax } from './store.ts'

/** Runs the contract against stores that `open` makes: each fresh and empty, with room for a few thousand revisions of history. */
export function describeStore(name: string, open: () => Promise<Store>): void {
  describe(`Store: ${name}`, () => {
    let store: Store
    beforeEach(async () => {
      store = await open()
    })
    afterEach(() => store.close())
    const put = async (key: string, value: string): Promise<number> => (await committed(store.write({ key, value: bytes(value) }))).revision
    const remove = async (key: string): Promise<number> => (await committed(store.write({ key, value: undefined }))).revision

    describeWrites(() => store, put, remove)
    describeReads(() => store, put, remove)
    describeRanges(() => store, put, remove)
    describeWatches(() => store, put, remove)
    describeCompaction(() => store, put, remove)
    describeEnd(() => store, put)
    describeLoad(() => store)
  })
}

type Current = () => Store
type Put = (key: string, value: string) => Promise<number>
type Remove = (key: string) => Promise<number>

function describeWrites(current: Current, put: Put, remove: Remove): void {
  describe('writes', () => {
    test('a fresh store is at revision 1 and every change takes the next one', async () => {
      expect(await current().currentRevision()).toBe(1)
      expect(await put('/a', '1')).toBe(2)
      expect(await put('/b', '1')).toBe(3)
      expect(await put('/a', '2')).toBe(4)
      expect(await remove('/a')).toBe(5)
      expect(await current().currentRevision()).toBe(5)
    })

    test('a write tells what stood there before', async () => {
      await put('/a', 'old')
      const second = await committed(current().write({ key: '/a', value: bytes('new'), expectedModRevision: 2 }))
      expect(second.previous).toEqual(stored('/a', 'old', 2, 2, 1))
      const third = await committed(current().write({ key: '/a', value: undefined, expectedModRevision: 3 }))
      expect(third.previous).toEqual(stored('/a', 'new', 2, 3, 2))
      const fourth = await committed(current().write({ key: '/a', value: bytes('again'), expectedModRevision: 0 }))
      expect(fourth.previous).toBeUndefined()
      expect(await current().get('/a')).toEqual(stored('/a', 'again', 5, 5, 1))
    })

    test('a key that must not exist, and does, is a conflict that shows the value', async () => {
      await put('/a', 'there')
      const result = await conflict(current().write({ key: '/a', value: bytes('mine'), expectedModRevision: 0 }))
      expect(result).toEqual({ outcome: 'conflict', current: stored('/a', 'there', 2, 2, 1), revision: 2 })
      expect(text(await current().get('/a'))).toBe('there')
    })

    test('an outdated revision is a conflict, for a value as for a deletion', async () => {
      await put('/a', '1')
      await put('/a', '2')
      for (const value of [bytes('3'), undefined]) {
        const result = await conflict(current().write({ key: '/a', value, expectedModRevision: 2 }))
        expect(result.current?.modRevision).toBe(3)
      }
      expect(await current().currentRevision()).toBe(3)
    })

    test('a revision expected of a key that does not exist is a conflict with nothing', async () => {
      expect(await conflict(current().write({ key: '/a', value: bytes('1'), expectedModRevision: 7 }))).toEqual({
        outcome: 'conflict',
        current: undefined,
        revision: 1,
      })
    })

    test('deleting what is not there commits without a revision', async () => {
      await put('/b', '1')
      const results = await Promise.all([
        current().write({ key: '/a', value: undefined }),
        current().write({ key: '/a', value: undefined, expectedModRevision: 0 }),
      ])
      expect(results).toEqual([
        { outcome: 'committed', revision: 2, previous: undefined },
        { outcome: 'committed', revision: 2, previous: undefined },
      ])
      expect(await current().currentRevision()).toBe(2)
    })

    test('two writers race for one key: one wins, the other learns the current value', async () => {
      await put('/a', 'start')
      const race = ['x', 'y'].map((value) => current().write({ key: '/a', value: bytes(value), expectedModRevision: 2 }))
      const [first, second] = await Promise.all(race)
      expect(first).toMatchObject({ outcome: 'committed', revision: 3 })
      expect(second).toMatchObject({ outcome: 'conflict', current: { modRevision: 3, value: bytes('x') } })
    })

    test('a hundred writers race to create one key: exactly one wins', async () => {
      const race = Array.from({ length: 100 }, (_, i) =>
        current().write({ key: '/leader', value: bytes(String(i)), expectedModRevision: 0 }),
      )
      const outcomes = (await Promise.all(race)).map((result) => result.outcome)
      expect(outcomes.filter((outcome) => outcome === 'committed')).toHaveLength(1)
    })

    test('writes asked for at once to one key happen one after the other', async () => {
      const results = await Promise.all([
        current().write({ key: '/a', value: bytes('1'), expectedModRevision: 0 }),
        current().write({ key: '/a', value: bytes('2') }),
        current().write({ key: '/a', value: undefined }),
        current().write({ key: '/a', value: bytes('4'), expectedModRevision: 0 }),
      ])
      expect(results.map((result) => [result.outcome, result.revision])).toEqual([
        ['committed', 2],
        ['committed', 3],
        ['committed', 4],
        ['committed', 5],
      ])
      expect(await current().get('/a')).toEqual(stored('/a', '4', 5, 5, 1))
    })

    test('counters raised by compare-and-write from many writers lose nothing', async () => {
      await put('/counter', '0')
      const raise = async (): Promise<void> => {
        for (;;) {
          const now = await current().get('/counter')
          const next = bytes(String(Number(text(now)) + 1))
          const result = await current().write({ key: '/counter', value: next, expectedModRevision: now!.modRevision })
          if (result.outcome === 'committed') return
        }
      }
      await Promise.all(Array.from({ length: 30 }, raise))
      expect(text(await current().get('/counter'))).toBe('30')
    })

    test('an empty value, a value of every byte and a value of four megabytes come back as they went in', async () => {
      const all = Buffer.from(Array.from({ length: 256 }, (_, i) => i))
      const big = Buffer.alloc(4 * 2 ** 20, 'navarch ')
      await Promise.all([
        current().write({ key: '/empty', value: Buffer.alloc(0) }),
        current().write({ key: '/all', value: all }),
        current().write({ key: '/big', value: big }),
      ])
      expect((await current().get('/empty'))?.value).toEqual(Buffer.alloc(0))
      expect((await current().get('/all'))?.value).toEqual(all)
      expect((await current().get('/big'))?.value.equals(big)).toBe(true)
    })

    test('several writes together get one revision', async () => {
      await put('/gone', 'x')
      const result = await committed(
        current().writeAll([
          { key: '/a', value: bytes('1'), expectedModRevision: 0 },
          { key: '/b', value: bytes('2') },
          { key: '/gone', value: undefined, expectedModRevision: 2 },
          { key: '/never', value: undefined },
        ]),
      )
      expect(result.revision).toBe(3)
      expect((await current().range('/')).items).toEqual([stored('/a', '1', 3, 3, 1), stored('/b', '2', 3, 3, 1)])
      expect(await put('/c', '3')).toBe(4)
    })

    test('of several writes together none happens when one conflicts, and the first conflict is told', async () => {
      await put('/a', '1')
      await put('/b', '1')
      const result = await conflict(
        current().writeAll([
          { key: '/new', value: bytes('x') },
          { key: '/b', value: bytes('2'), expectedModRevision: 1 },
          { key: '/a', value: bytes('2'), expectedModRevision: 9 },
        ]),
      )
      expect(result.current).toEqual(stored('/b', '1', 3, 3, 1))
      expect((await current().range('/')).items.map((item) => item.key)).toEqual(['/a', '/b'])
      expect(await current().currentRevision()).toBe(3)
    })

    test('the most writes that may go together do so', async () => {
      const writes = Array.from({ length: writeAllMax }, (_, i) => ({ key: `/n/${i}`, value: bytes(String(i)) }))
      expect((await committed(current().writeAll(writes))).revision).toBe(2)
      expect(await current().count('/n/')).toBe(writeAllMax)
      expect(text(await current().get(`/n/${writeAllMax - 1}`, { revision: 2 }))).toBe(String(writeAllMax - 1))
    })

    test.each([
      ['an empty key', [{ key: '', value: bytes('1') }]],
      ['a key with NUL', [{ key: '/a\0b', value: bytes('1') }]],
      ['a key that is too long', [{ key: 'k'.repeat(keyBytesMax + 1), value: bytes('1') }]],
      ['a key whose bytes are too many though its characters are not', [{ key: 'ü'.repeat(keyBytesMax / 2 + 1), value: bytes('1') }]],
      ['nothing to write', []],
      [
        'one key twice',
        [
          { key: '/a', value: bytes('1') },
          { key: '/a', value: undefined },
        ],
      ],
      ['too many writes', Array.from({ length: writeAllMax + 1 }, (_, i) => ({ key: `/n/${i}`, value: bytes('1') }))],
    ])('%s is refused with RangeError', async (_, writes) => {
      expect(await caught(current().writeAll(writes))).toBeInstanceOf(RangeError)
      expect(await current().currentRevision()).toBe(1)
    })

    test('the longest key works', async () => {
      const key = 'k'.repeat(keyBytesMax)
      await put(key, '1')
      await remove(key)
      await put(key, '2')
      expect(text(await current().get(key))).toBe('2')
      expect(text(await current().get(key, { revision: 2 }))).toBe('1')
    })
  })
}

function describeReads(current: Current, put: Put, remove: Remove): void {
  describe('reads', () => {
    test('a read sees every write that was acknowledged before it', async () => {
      for (let i = 0; i < 50; i++) {
        const revision = await put('/a', String(i))
        expect(text(await current().get('/a'))).toBe(String(i))
        expect((await current().range('/')).revision).toBeGreaterThanOrEqual(revision)
        expect(await current().currentRevision()).toBeGreaterThanOrEqual(revision)
      }
    })

    test('a key has at each revision the value it had then', async () => {
      await put('/a', 'first')
      await put('/b', 'other')
      await put('/a', 'second')
      await remove('/a')
      await put('/a', 'third')
      const seen = []
      for (let revision = 1; revision <= 6; revision++) seen.push(await current().get('/a', { revision }))
      expect(seen).toEqual([
        undefined,
        stored('/a', 'first', 2, 2, 1),
        stored('/a', 'first', 2, 2, 1),
        stored('/a', 'second', 2, 4, 2),
        undefined,
        stored('/a', 'third', 6, 6, 1),
      ])
    })

    test('every one of a thousand versions of a key can be read', async () => {
      for (let i = 0; i < 10; i++) await Promise.all(Array.from({ length: 100 }, (_, j) => put('/hot', String(i * 100 + j))))
      for (const revision of [2, 3, 65, 66, 67, 128, 129, 130, 500, 999, 1000, 1001]) {
        const value = await current().get('/hot', { revision })
        expect(value).toEqual(stored('/hot', String(revision - 2), 2, revision, revision - 1))
      }
    })

    test('a revision ahead of the store is an error of its own', async () => {
      await put('/a', '1')
      expect(await caught(current().get('/a', { revision: 3 }))).toMatchObject({ name: 'StoreError', code: 'future' })
      expect(await caught(current().range('/', { revision: 3 }))).toMatchObject({ code: 'future' })
    })
  })
}

function describeRanges(current: Current, put: Put, remove: Remove): void {
  describe('ranges', () => {
    const keys = async (prefix: string, options = {}): Promise<string[]> =>
      (await current().range(prefix, options)).items.map((item) => item.key)

    test('an empty store has nothing to range over', async () => {
      expect(await current().range('/')).toEqual({ items: [], revision: 1, more: false, remaining: 0 })
      expect(await current().count('')).toBe(0)
    })

    test('a prefix is a prefix: neither a shorter key nor a neighbour belongs', async () => {
      for (const key of ['/pod', '/pods', '/pods/', '/pods/a', '/pods/a/b', '/pods0', '/pods.', '/podt', '0', '.']) await put(key, key)
      expect(await keys('/pods/')).toEqual(['/pods/', '/pods/a', '/pods/a/b'])
      expect(await keys('/pods')).toEqual(['/pods', '/pods.', '/pods/', '/pods/a', '/pods/a/b', '/pods0'])
      expect(await keys('/pods/a')).toEqual(['/pods/a', '/pods/a/b'])
      expect(await keys('/q')).toEqual([])
      expect(await keys('')).toHaveLength(10)
      expect(await current().count('/pods/')).toBe(3)
      expect(await current().count('')).toBe(10)
    })

    test('keys come in the order of their bytes, also beyond ASCII', async () => {
      const unordered = [
        '/k/\u{1f600}',
        '/k/\uffee',
        '/k/é',
        '/k/z',
        '/k/Z',
        '/k/~',
        '/k/\u{1f600}a',
        '/k/\ud7ff',
        '/k/\u007f',
        '/k/\u0001',
      ]
      for (const key of unordered) await put(key, key)
      const ordered = [...unordered].sort((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b)))
      expect(await keys('/k/')).toEqual(ordered)
      for (const [i, key] of ordered.entries()) expect(await keys('/k/', { after: key })).toEqual(ordered.slice(i + 1))
      const revision = await current().currentRevision()
      await Promise.all(ordered.map((key) => remove(key)))
      expect(await keys('/k/', { revision })).toEqual(ordered)
    })

    test('pages of one revision fit together while writes go on', async () => {
      const names = Array.from({ length: 25 }, (_, i) => `/n/${String(i).padStart(2, '0')}`)
      await Promise.all(names.map((key) => put(key, 'before')))
      const revision = await current().currentRevision()
      const pages: StoredValue[][] = []
      let after: string | undefined
      for (;;) {
        const page = await current().range('/n/', { revision, limit: 10, ...(after === undefined ? {} : { after }) })
        pages.push(page.items)
        const left = 25 - pages.flat().length
        expect(page).toMatchObject({ revision, more: left > 0, remaining: left })
        if (!page.more) break
        after = page.items.at(-1)!.key
        await remove(names[pages.length]!)
        await remove(names[pages.length + 12]!)
        await put(names[24 - pages.length]!, 'after')
        await put(`/n/1${pages.length}x`, 'new')
      }
      expect(pages.map((page) => page.length)).toEqual([10, 10, 5])
      expect(pages.flat().map((item) => [item.key, text(item)])).toEqual(names.map((key) => [key, 'before']))
    })

    test('a key that was deleted, made again and deleted again is seen as it was at each revision', async () => {
      await put('/a', '1')
      await remove('/a')
      await put('/a', '2')
      await put('/a', '3')
      await remove('/a')
      await put('/b', '4')
      const seen = []
      for (let revision = 1; revision <= 7; revision++) seen.push((await current().range('/', { revision })).items.map(text))
      expect(seen).toEqual([[], ['1'], [], ['2'], ['3'], [], ['4']])
    })

    test.each([
      [{ limit: 2 }, ['/a', '/b'], 3],
      [{ limit: 5 }, ['/a', '/b', '/c', '/d', '/e'], 0],
      [{ limit: 6 }, ['/a', '/b', '/c', '/d', '/e'], 0],
      [{ limit: 0 }, [], 5],
      [{ after: '/b' }, ['/c', '/d', '/e'], 0],
      [{ after: '/bb', limit: 1 }, ['/c'], 2],
      [{ after: '/e' }, [], 0],
      [{ after: '/zzz', limit: 1 }, [], 0],
      [{ after: '/' }, ['/a', '/b', '/c', '/d', '/e'], 0],
      [{ after: '!', limit: 1 }, ['/a'], 4],
      [{ after: 'zzz' }, [], 0],
    ])('a range with %j is %j and leaves %i', async (options, expected, remaining) => {
      for (const key of ['/a', '/b', '/c', '/d', '/e']) await put(key, key)
      const revision = await current().currentRevision()
      const latest = await current().range('/', options)
      expect(latest.items.map((item) => item.key)).toEqual(expected)
      expect(latest).toMatchObject({ more: remaining > 0, remaining, revision })
      await remove('/a')
      await put('/c', 'new')
      await put('/cc', 'new')
      expect(await current().range('/', { ...options, revision })).toEqual(latest)
    })

    test('two thousand keys come complete and in order', async () => {
      const names = Array.from({ length: 2000 }, (_, i) => `/many/${String((i * 7919) % 2000).padStart(5, '0')}`)
      await Promise.all(names.map((key) => put(key, key)))
      const all = await current().range('/many/')
      expect(all.items.map((item) => item.key)).toEqual([...names].sort())
      expect(all.items.every((item) => text(item) === item.key)).toBe(true)
      expect(await current().count('/many/')).toBe(2000)
      expect((await current().range('/many/', { limit: 1 })).remaining).toBe(1999)
    })

    test('a range is of one moment although writes go on beneath it', async () => {
      const names = Array.from({ length: 1500 }, (_, i) => `/r/${String(i).padStart(5, '0')}`)
      await Promise.all(names.map((key) => put(key, '0')))
      const writing = (async () => {
        for (let round = 1; round <= 5; round++) {
          await current().writeAll([names[0]!, names[700]!, names[1499]!].map((key) => ({ key, value: bytes(String(round)) })))
        }
      })()
      for (let i = 0; i < 8; i++) {
        const { items } = await current().range('/r/')
        expect(new Set([items[0], items[700], items[1499]].map(text)).size).toBe(1)
      }
      await writing
    })
  })
}

function describeWatches(current: Current, put: Put, remove: Remove): void {
  describe('watches', () => {
    test('a watch tells creations, changes and deletions with what was before', async () => {
      const watching = record(current(), '/a', { afterRevision: 1 })
      await put('/a', '1')
      await put('/b', '1')
      await put('/a', '2')
      await remove('/a')
      await watching.through(5)
      const [first, second, third] = watching.events
      expect(watching.events).toHaveLength(3)
      expect(first).toEqual({ type: 'put', key: '/a', value: bytes('1'), revision: 2, createRevision: 2 })
      expect(second).toEqual({
        type: 'put',
        key: '/a',
        value: bytes('2'),
        previous: stored('/a', '1', 2, 2, 1),
        revision: 4,
        createRevision: 2,
      })
      expect(third).toEqual({ type: 'delete', key: '/a', previous: stored('/a', '2', 2, 4, 2), revision: 5, createRevision: 2 })
    })

    test('nothing is delivered before watch has returned, and nothing in the same turn', async () => {
      await put('/a', '1')
      const watching = record(current(), '/', { afterRevision: 1 })
      expect(watching.events).toEqual([])
      await watching.through(2)
      expect(watching.events).toHaveLength(1)
    })

    test('a watch from a revision replays exactly what came after it and goes on live', async () => {
      for (let i = 0; i < 20; i++) await put(`/k/${i % 3}`, String(i))
      const watching = record(current(), '/k/', { afterRevision: 11 })
      for (let i = 20; i < 40; i++) await put(`/k/${i % 3}`, String(i))
      await watching.through(41)
      expect(watching.events.map((event) => [event.revision, event.value?.toString()])).toEqual(
        Array.from({ length: 30 }, (_, i) => [i + 12, String(i + 10)]),
      )
      expect(watching.events.map((event) => event.previous?.value.toString())).toEqual(Array.from({ length: 30 }, (_, i) => String(i + 7)))
    })

    test('watches that begin at every moment of a busy time see all the same', async () => {
      const watches = []
      const writing = Array.from({ length: 200 }, (_, i) => put(`/k/${i % 7}`, String(i)))
      for (let i = 0; i < 20; i++) {
        await writing[i * 10]
        watches.push(record(current(), '/k/', { afterRevision: 1 }))
      }
      await Promise.all(writing)
      for (const watching of watches) {
        await watching.through(201)
        expect(watching.events.map((event) => event.revision)).toEqual(Array.from({ length: 200 }, (_, i) => i + 2))
      }
    })

    test('the live event holds the very buffer that was written, and so does what came before', async () => {
      const watching = record(current(), '/', { afterRevision: 1 })
      const [one, two] = [bytes('one'), bytes('two')]
      await current().write({ key: '/a', value: one })
      await current().write({ key: '/a', value: two })
      await watching.through(3)
      expect(watching.events[0]?.value).toBe(one)
      expect(watching.events[1]?.value).toBe(two)
      expect(watching.events[1]?.previous?.value).toBe(one)
    })

    test('all events of one revision come in one call, live and replayed', async () => {
      const live = record(current(), '/', { afterRevision: 1 })
      const keys = Array.from({ length: 300 }, (_, i) => `/${String(i).padStart(3, '0')}`)
      await current().writeAll(keys.map((key) => ({ key, value: bytes('1') })))
      await put('/x', '1')
      await current().writeAll(keys.map((key) => ({ key, value: undefined })))
      const replayed = record(current(), '/', { afterRevision: 1 })
      for (const watching of [live, replayed]) {
        await watching.through(4)
        for (const revision of [2, 4]) {
          const calls = watching.calls.filter((call) => call.some((event) => event.revision === revision))
          expect(calls).toHaveLength(1)
          expect(calls[0]!.filter((event) => event.revision === revision).map((event) => event.key)).toEqual(keys)
        }
      }
    })

    test('watches see what is under their prefix and nothing else', async () => {
      const prefixes = ['', '/', '/pods/', '/pods/a', '/pods/a/x', '/nodes/', '/pod']
      const watches = prefixes.map((prefix) => record(current(), prefix, { afterRevision: 1 }))
      const keys = ['/pods/a/x', '/pods/b', '/nodes/n', '/pod', 'other', '/pods/a']
      for (const key of keys) await put(key, key)
      for (const [i, watching] of watches.entries()) {
        await watching.through(7)
        expect(watching.events.map((event) => event.key)).toEqual(keys.filter((key) => key.startsWith(prefixes[i]!)))
      }
    })

    test('a watch of the future waits for it', async () => {
      const watching = record(current(), '/', { afterRevision: 4 })
      for (let i = 0; i < 5; i++) await put('/a', String(i))
      await watching.through(6)
      expect(watching.events.map((event) => event.revision)).toEqual([5, 6])
    })

    test('progress never goes back, and once told, no event up to it follows', async () => {
      const watching = record(current(), '/a', { afterRevision: 1 })
      for (let i = 0; i < 10; i++) await put(i % 4 === 0 ? '/a' : '/b', String(i))
      await watching.through(11)
      const told = watching.told
      expect(told.at(-1)).toBe(11)
      told.reduce((before, now) => {
        expect(now).toBeGreaterThanOrEqual(before)
        return now
      })
    })

    test('a replay that finds nothing tells so by progress', async () => {
      await put('/b', '1')
      const watching = record(current(), '/a', { afterRevision: 1 })
      await watching.through(2)
      expect(watching.events).toEqual([])
    })

    test('a closed watch is silent, also when it closes itself or its neighbour in a callback', async () => {
      const seen: string[] = []
      const store = current()
      const first = store.watch('/', { afterRevision: 1, onEvents: () => void seen.push('first') })
      const second = store.watch('/', {
        afterRevision: 1,
        onEvents: () => {
          seen.push('second')
          second.close()
          third.close()
        },
      })
      const third = store.watch('/', { afterRevision: 1, onEvents: () => void seen.push('third') })
      const last = record(store, '/', { afterRevision: 1 })
      await last.through(1)
      await put('/a', '1')
      first.close()
      first.close()
      await put('/a', '2')
      await last.through(3)
      expect(seen).toEqual(['first', 'second'])
    })

    test('a watch opened in a callback sees what follows, once', async () => {
      const store = current()
      let inner: ReturnType<typeof record> | undefined
      const outer = store.watch('/', {
        afterRevision: 1,
        onEvents: (events) => {
          inner ??= record(store, '/', { afterRevision: events[0]!.revision })
        },
      })
      await put('/a', '1')
      while (inner === undefined) await put('/c', 'more')
      const from = await put('/a', '2')
      await put('/b', '3')
      await inner.through(from + 1)
      outer.close()
      const revisions = inner.events.map((event) => event.revision)
      expect(revisions).toEqual(Array.from({ length: from - 1 }, (_, i) => i + 3))
    })

    test('a writer sees its own event delivered before its write resolves', async () => {
      const watching = record(current(), '/', { afterRevision: 1 })
      await watching.through(1)
      for (let i = 0; i < 10; i++) {
        const revision = await put('/a', String(i))
        expect(watching.events.at(-1)?.revision).toBe(revision)
      }
    })
  })
}

function describeCompaction(current: Current, put: Put, remove: Remove): void {
  describe('compaction', () => {
    const fill = async (): Promise<void> => {
      await put('/a', '1')
      await put('/b', '1')
      await put('/a', '2')
      await remove('/b')
      await put('/a', '3')
      await put('/c', '1')
    }

    test('what is alive at the oldest revision stays readable, what was before does not', async () => {
      await fill()
      await current().compact(4)
      expect(await current().oldestRevision()).toBe(4)
      expect(await current().currentRevision()).toBe(7)
      const seen = []
      for (let revision = 4; revision <= 7; revision++) seen.push((await current().range('/', { revision })).items.map(text))
      expect(seen).toEqual([['2', '1'], ['2'], ['3'], ['3', '1']])
      expect(text(await current().get('/b', { revision: 4 }))).toBe('1')
      for (const revision of [0, 1, 3]) {
        expect(await caught(current().get('/a', { revision }))).toMatchObject({ name: 'StoreError', code: 'compacted', oldestRevision: 4 })
        expect(await caught(current().range('/', { revision }))).toMatchObject({ code: 'compacted', oldestRevision: 4 })
      }
    })

    test('a watch from a compacted revision fails; it never starts late', async () => {
      await fill()
      await current().compact(5)
      const late = record(current(), '/', { afterRevision: 4 })
      expect((await late.end()).code).toBe('compacted')
      expect(late.events).toEqual([])
      const right = record(current(), '/', { afterRevision: 5 })
      await right.through(7)
      expect(right.events.map((event) => event.revision)).toEqual([6, 7])
    })

    test('everything up to the present can be forgotten', async () => {
      await fill()
      await current().compact(7)
      expect((await current().range('/')).items.map(text)).toEqual(['3', '1'])
      expect((await current().range('/', { revision: 7 })).items.map(text)).toEqual(['3', '1'])
      expect(await put('/a', '4')).toBe(8)
      const watching = record(current(), '/', { afterRevision: 7 })
      await watching.through(8)
      expect(watching.events).toHaveLength(1)
      expect(text(await current().get('/a', { revision: 7 }))).toBe('3')
    })

    test('compacting less than before changes nothing, more than there is fails', async () => {
      await fill()
      await current().compact(5)
      await current().compact(3)
      expect(await current().oldestRevision()).toBe(5)
      expect(await caught(current().compact(8))).toMatchObject({ code: 'future' })
    })

    test('live watches do not notice', async () => {
      const watching = record(current(), '/', { afterRevision: 1 })
      await fill()
      await watching.through(7)
      await current().compact(7)
      await put('/a', '4')
      await watching.through(8)
      expect(watching.events).toHaveLength(7)
    })

    test('compaction during a busy time takes nothing that is still needed', async () => {
      const seen: StoreEvent[] = []
      const watch = current().watch('/', { afterRevision: 1, onEvents: (events) => void seen.push(...events) })
      for (let round = 0; round < 20; round++) {
        await Promise.all(Array.from({ length: 20 }, (_, i) => put(`/k/${(i + round) % 9}`, `${round}.${i}`)))
        if (round % 3 === 0) await remove(`/k/${round % 9}`)
        const revision = await current().currentRevision()
        const before = await current().range('/')
        await current().compact(revision - 10)
        await put('/other', String(round))
        expect(await current().range('/', { revision })).toEqual(before)
      }
      watch.close()
      expect(seen.length).toBe((await current().currentRevision()) - 1)
    })
  })
}

function describeEnd(current: Current, put: Put): void {
  describe('close', () => {
    test('what was asked for before is committed, then everything fails with closed', async () => {
      const store = current()
      const watching = record(store, '/', { afterRevision: 1 })
      await put('/a', '1')
      const writes = [1, 2, 3].map((i) => store.write({ key: `/${i}`, value: bytes('x') }))
      const closing = store.close()
      expect((await Promise.all(writes)).map((result) => result.outcome)).toEqual(['committed', 'committed', 'committed'])
      await closing
      expect((await watching.end()).code).toBe('closed')
      expect(watching.events).toHaveLength(4)
      const calls = [
        store.currentRevision(),
        store.oldestRevision(),
        store.get('/a'),
        store.range('/'),
        store.count('/'),
        store.write({ key: '/a', value: bytes('2') }),
        store.writeAll([{ key: '/a', value: bytes('2') }]),
        store.compact(1),
        store.sizeBytes(),
      ]
      for (const call of calls) expect(await caught(call)).toMatchObject({ name: 'StoreError', code: 'closed' })
      expect(() => store.watch('/', { afterRevision: 1, onEvents: () => {} })).toThrow(StoreError)
    })

    test('closing twice, at once or later, is closing', async () => {
      await put('/a', '1')
      await Promise.all([current().close(), current().close()])
      await current().close()
    })
  })
}

function describeLoad(current: Current): void {
  describe('load', () => {
    test.each([1, 2, 3, 4, 5])('random concurrent load leaves a history without a flaw (seed %i)', async (seed) => {
      const load = await runRandomLoad(current(), seededRandom(seed), { writers: 8, writesEach: 40, keys: 12, watches: 10, readers: 4 })
      expect(await checkHistory(current(), load)).toEqual([])
    })

    test('the size is told', async () => {
      await current().write({ key: '/a', value: Buffer.alloc(100_000, 1) })
      expect(await current().sizeBytes()).toBeGreaterThanOrEqual(100_000)
    })
  })
}

function stored(key: string, value: string, createRevision: number, modRevision: number, version: number): StoredValue {
  return { key, value: bytes(value), createRevision, modRevision, version }
}
