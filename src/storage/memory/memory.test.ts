import { describe, expect, test } from 'vitest'
import { seededRandom } from '#base/random'
import { compareKeys } from '../keys.ts'
import { describeStore } from '../store.contract.ts'
import { bytes, caught } from '../store.testing.ts'
import { openMemoryStore } from './memory-store.ts'
import { OrderedMap } from './ordered-map.ts'

describeStore('memory', async () => openMemoryStore())

describe('memory store', () => {
  test('MUSTHOLD 25: history is bounded by a number of revisions', async () => {
    const store = openMemoryStore({ historyRevisionsMax: 10 })
    for (let i = 0; i < 50; i++) await store.write({ key: `/${i % 4}`, value: i % 5 === 0 ? undefined : bytes(String(i)) })
    const revision = await store.currentRevision()
    expect(await store.oldestRevision()).toBe(revision - 10)
    await store.range('/', { revision: revision - 10 })
    expect(await caught(store.range('/', { revision: revision - 11 }))).toMatchObject({ code: 'compacted' })
  })

  test('it moves without timers: microtasks are enough for a write, its event and a replay', async () => {
    const store = openMemoryStore()
    const seen: number[] = []
    store.watch('/', { afterRevision: 1, onEvents: (events) => seen.push(...events.map((event) => event.revision)) })
    void store.write({ key: '/a', value: bytes('1') })
    for (let i = 0; i < 10; i++) await Promise.resolve()
    store.watch('/', { afterRevision: 1, onEvents: (events) => seen.push(...events.map((event) => event.revision)) })
    for (let i = 0; i < 10; i++) await Promise.resolve()
    expect(seen).toEqual([2, 2])
  })
})

describe('ordered map', () => {
  test.each([
    ['plain keys', 'abcdefg/'],
    ['keys beyond ASCII', 'ab/é\ud7ff\uffee\u{1f600}'],
  ])('behaves as a sorted array of %s does', (_, alphabet) => {
    const letters = [...alphabet]
    const random = seededRandom(11)
    const pick = (n: number): number => Math.floor(random() * n)
    const word = (length: number): string => Array.from({ length }, () => letters[pick(letters.length)]).join('')
    const map = new OrderedMap<number>()
    const model = new Map<string, number>()
    for (let i = 0; i < 6000; i++) {
      const key = word(1 + pick(5))
      if (pick(3) === 0) {
        map.delete(key)
        model.delete(key)
      } else {
        map.set(key, i)
        model.set(key, i)
      }
      if (i % 200 !== 0) continue
      const sorted = [...model].sort(([a], [b]) => compareKeys(a, b))
      expect(sorted.map(([a]) => Buffer.from(a))).toEqual([...model.keys()].map((a) => Buffer.from(a)).sort(Buffer.compare))
      expect([...map.entries('')]).toEqual(sorted)
      const [prefix, after] = [word(pick(3)), pick(2) === 0 ? undefined : word(1 + pick(4))]
      const expected = sorted.filter(([a]) => a.startsWith(prefix) && (after === undefined || compareKeys(a, after) > 0))
      expect([...map.entries(prefix, after)]).toEqual(expected)
      expect(map.count(prefix, after)).toBe(expected.length)
      expect(map.size).toBe(model.size)
      expect(map.get(key)).toBe(model.get(key))
    }
  })
})
