// The contract of compare-and-write.
import { describe, expect, test } from 'vitest'
import { bytes, caught, committed, conflict, text } from '../store.testing.ts'
import { keyBytesMax, writeAllMax } from '../store.ts'
import { type Current, shorthand, stored } from './support.ts'

export function describeWrites(current: Current): void {
  const { put, remove } = shorthand(current)
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

    test('MUSTHOLD 24: two writers race for one key: one wins, the other learns the current value', async () => {
      await put('/a', 'start')
      const race = ['x', 'y'].map((value) => current().write({ key: '/a', value: bytes(value), expectedModRevision: 2 }))
      const [first, second] = await Promise.all(race)
      expect(first).toMatchObject({ outcome: 'committed', revision: 3 })
      expect(second).toMatchObject({ outcome: 'conflict', current: { modRevision: 3, value: bytes('x') } })
    })

    test('MUSTHOLD 24: a hundred writers race to create one key: exactly one wins', async () => {
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

    test('MUSTHOLD 24: counters raised by compare-and-write from many writers lose nothing', async () => {
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
