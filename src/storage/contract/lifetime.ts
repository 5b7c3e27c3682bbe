// The contract of compaction, of the end, and of it all under random load.
import { describe, expect, test } from 'vitest'
import { seededRandom } from '#base/random'
import { checkHistory, runRandomLoad } from '../history-checker.ts'
import { bytes, caught, record, text } from '../store.testing.ts'
import { StoreError, type StoreEvent } from '../store.ts'
import { type Current, shorthand } from './support.ts'

export function describeCompaction(current: Current): void {
  const { put, remove } = shorthand(current)
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

    test('MUSTHOLD 22: a watch from a compacted revision fails; it never starts late', async () => {
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

export function describeEnd(current: Current): void {
  const { put } = shorthand(current)
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
        (async () => store.currentRevision())(),
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

export function describeLoad(current: Current): void {
  describe('load', () => {
    test.each([1, 2, 3, 4, 5])('MUSTHOLD 22: random concurrent load leaves a history without a flaw (seed %i)', async (seed) => {
      const load = await runRandomLoad(current(), seededRandom(seed), { writers: 8, writesEach: 40, keys: 12, watches: 10, readers: 4 })
      expect(await checkHistory(current(), load)).toEqual([])
    })

    test('the size is told', async () => {
      await current().write({ key: '/a', value: Buffer.alloc(100_000, 1) })
      expect(await current().sizeBytes()).toBeGreaterThanOrEqual(100_000)
    })
  })
}
