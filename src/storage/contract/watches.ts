// The contract of watches.
import { describe, expect, test } from 'vitest'
import { bytes, record } from '../store.testing.ts'
import { type Current, shorthand, stored } from './support.ts'

export function describeWatches(current: Current): void {
  const { put, remove } = shorthand(current)
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

    test('MUSTHOLD 22: a watch from a revision replays exactly what came after it and goes on live', async () => {
      for (let i = 0; i < 20; i++) await put(`/k/${i % 3}`, String(i))
      const watching = record(current(), '/k/', { afterRevision: 11 })
      for (let i = 20; i < 40; i++) await put(`/k/${i % 3}`, String(i))
      await watching.through(41)
      expect(watching.events.map((event) => [event.revision, event.value?.toString()])).toEqual(
        Array.from({ length: 30 }, (_, i) => [i + 12, String(i + 10)]),
      )
      expect(watching.events.map((event) => event.previous?.value.toString())).toEqual(Array.from({ length: 30 }, (_, i) => String(i + 7)))
    })

    test('MUSTHOLD 22: watches that begin at every moment of a busy time see all the same', async () => {
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

    test('MUSTHOLD 23: a writer sees its own event delivered before its write resolves', async () => {
      const watching = record(current(), '/', { afterRevision: 1 })
      await watching.through(1)
      for (let i = 0; i < 10; i++) {
        const revision = await put('/a', String(i))
        expect(watching.events.at(-1)?.revision).toBe(revision)
      }
    })
  })
}
