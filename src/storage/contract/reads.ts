// The contract of reads and ranges, now and at a revision.
import { describe, expect, test } from 'vitest'
import { bytes, caught, text } from '../store.testing.ts'
import type { StoredValue } from '../store.ts'
import { type Current, shorthand, stored } from './support.ts'

export function describeReads(current: Current): void {
  const { put, remove } = shorthand(current)
  describe('reads', () => {
    test('MUSTHOLD 23: a read sees every write that was acknowledged before it', async () => {
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

export function describeRanges(current: Current): void {
  const { put, remove } = shorthand(current)
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
