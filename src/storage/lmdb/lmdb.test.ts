import { copyFile, readdir, readFile, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { systemClock } from '#base/clock'
import { FakeClock } from '#base/fake-clock'
import { seededRandom } from '#base/random'
import { nextTurn } from '../next-turn.ts'
import { describeStore } from '../store.contract.ts'
import { bytes, caught, record, text } from '../store.testing.ts'
import type { Store } from '../store.ts'
import { openLmdbStore } from './lmdb-store.ts'
import { freshDir, openForTest } from './store-dir.testing.ts'
import { openTables, storeFile } from './tables.ts'

// What is flushed when is the business of the crash and power-loss tests.
describeStore('lmdb', async () => openLmdbStore({ dir: await freshDir({ inMemory: true }), clock: systemClock }))

async function putMany(store: Store, count: number, key: (i: number) => string, value: (i: number) => Buffer): Promise<void> {
  const writes = Array.from({ length: count }, (_, i) => store.write({ key: key(i), value: value(i) }))
  await Promise.all(writes)
}

describe('lmdb store, for caches that hold keys', () => {
  test('a range may leave values out; each is read at once, as of the write that made it, while history is kept', async () => {
    const store = await openForTest({ dir: await freshDir({ inMemory: true }) })
    for (const value of ['1', '2', '3']) await store.write({ key: '/a', value: bytes(value) })
    await store.write({ key: '/b', value: bytes('b') })
    await store.write({ key: '/b', value: undefined })
    const { items } = await store.range('/', { keysOnly: true })
    expect(items).toEqual([{ key: '/a', value: bytes(''), createRevision: 2, modRevision: 4, version: 3 }])
    const at = (key: string, revision: number): string | undefined => store.valueAt?.(key, revision)?.toString()
    expect([at('/a', 4), at('/a', 3), at('/a', 2), at('/a', 1), at('/b', 5), at('/b', 6), at('/c', 4)]).toEqual([
      '3',
      '2',
      '1',
      undefined,
      'b',
      undefined,
      undefined,
    ])
    await store.compact(6)
    expect([at('/a', 4), at('/a', 3), at('/b', 5)]).toEqual(['3', undefined, undefined])
  })

  test.each([0, 1, 3_000, 16_384, 33_000, 70_000, 300_000, 1_500_000])(
    'values of %i bytes are looked at in passing, as buffers',
    async (size) => {
      const dir = await freshDir({ inMemory: true })
      const written = Buffer.alloc(size, 'value ')
      const first = await openForTest({ dir })
      for (let i = 0; i < 3; i++) await first.write({ key: `/k${i}`, value: i === 1 ? written : bytes('small') })
      for (let round = 0; round < 2; round++) {
        const small = first.valueAt?.('/k0', 2, true)
        expect([Buffer.isBuffer(small), small?.toString()]).toEqual([true, 'small'])
        const value = first.valueAt?.('/k1', 3, true)
        expect([Buffer.isBuffer(value), value?.length, value?.equals(written)]).toEqual([true, size, true])
        expect(first.valueAt?.('/k1', 3)?.equals(written)).toBe(true)
      }
      await first.close()
      const second = await openForTest({ dir })
      const value = second.valueAt?.('/k1', 3, true)
      expect([Buffer.isBuffer(value), value?.length, value?.equals(written)]).toEqual([true, size, true])
    },
  )
})

describe('lmdb store, opened again', () => {
  test('MUSTHOLD 21: everything is there: values, revision, history, its bound', async () => {
    const dir = await freshDir()
    const first = await openForTest({ dir })
    await putMany(
      first,
      300,
      (i) => `/k/${i % 20}`,
      (i) => bytes(String(i)),
    )
    await first.write({ key: '/k/3', value: undefined })
    await first.compact(150)
    const before = await first.range('/')
    const past = await first.range('/', { revision: 200 })
    await first.close()

    const second = await openForTest({ dir })
    expect(await second.currentRevision()).toBe(302)
    expect(await second.oldestRevision()).toBe(150)
    expect(await second.range('/')).toEqual(before)
    expect(await second.range('/', { revision: 200 })).toEqual(past)
    expect(await second.get('/k/3')).toBeUndefined()
    expect(text(await second.get('/k/3', { revision: 301 }))).toBe('283')
    expect(await caught(second.get('/k/3', { revision: 149 }))).toMatchObject({ code: 'compacted', oldestRevision: 150 })
    const result = await second.write({ key: '/k/3', value: bytes('again'), expectedModRevision: 0 })
    expect(result).toMatchObject({ outcome: 'committed', revision: 303 })
  })

  test.each([
    ['a copy that was not finished', ['store-2.mdb.copy']],
    ['a finished copy that had no name yet, and locks', ['store-2.mdb.copy', 'store-2.mdb.copy-lock', 'store-0.mdb-lock']],
    ['a copy with its name, and the old file beside it', ['store-2.mdb']],
  ])('MUSTHOLD 21: a replacement of the file may be cut short at any point: %s', async (_, left) => {
    const dir = await freshDir()
    const first = await openForTest({ dir })
    await putMany(
      first,
      200,
      (i) => `/k/${i % 20}`,
      (i) => bytes(String(i)),
    )
    const before = await first.range('/')
    await first.close()
    const file = await storeFile(dir)
    for (const name of left) {
      if (name === 'store-2.mdb') await copyFile(file, join(dir, name))
      else await writeFile(join(dir, name), (await readFile(file)).subarray(0, 10_000))
    }
    const second = await openForTest({ dir })
    expect(await second.range('/')).toEqual(before)
    expect(await second.write({ key: '/k/3', value: bytes('more') })).toMatchObject({ outcome: 'committed', revision: 202 })
    expect((await readdir(dir)).filter((name) => name.endsWith('.mdb') || name.endsWith('.copy'))).toHaveLength(1)
  })

  test('the revision is remembered although nothing is left of it', async () => {
    const dir = await freshDir()
    const first = await openForTest({ dir })
    await first.write({ key: '/a', value: bytes('1') })
    await first.write({ key: '/a', value: undefined })
    await first.compact(3)
    await first.close()
    const second = await openForTest({ dir })
    expect(await second.currentRevision()).toBe(3)
    expect(await second.oldestRevision()).toBe(3)
    expect((await second.range('')).items).toEqual([])
  })

  test('a watch goes on from where it was', async () => {
    const dir = await freshDir()
    const first = await openForTest({ dir })
    await putMany(
      first,
      2000,
      (i) => `/k/${i % 50}`,
      (i) => bytes(String(i)),
    )
    await first.close()
    const second = await openForTest({ dir })
    const watching = record(second, '/k/', { afterRevision: 501 })
    await putMany(
      second,
      100,
      (i) => `/k/${i % 50}`,
      (i) => bytes(`new ${i}`),
    )
    await watching.through(2101)
    expect(watching.flaws).toEqual([])
    expect(watching.events.map((event) => event.revision)).toEqual(Array.from({ length: 1600 }, (_, i) => i + 502))
    expect(watching.events.slice(0, 1500).map((event) => event.value?.toString())).toEqual(
      Array.from({ length: 1500 }, (_, i) => String(i + 500)),
    )
    expect(watching.events[0]?.previous).toEqual({
      key: '/k/0',
      value: bytes('450'),
      createRevision: 2,
      modRevision: 452,
      version: 10,
    })
  })

  test('a directory that cannot be one is told as such', async () => {
    const file = join(await freshDir(), 'file')
    await writeFile(file, 'in the way')
    const error = await caught(openLmdbStore({ dir: file, clock: systemClock }))
    expect(error).toMatchObject({ name: 'StoreError', code: 'unavailable' })
    expect((error as Error).message).toContain(file)
  })

  test('what it keeps is for its owner alone', async () => {
    const dir = join(await freshDir(), 'data')
    await openForTest({ dir })
    for (const [path, mode] of [
      [dir, 0o40700],
      [join(dir, 'lock'), 0o40700],
      [await storeFile(dir), 0o100600],
      [`${await storeFile(dir)}-lock`, 0o100600],
    ] as const) {
      expect([path, (await stat(path)).mode.toString(8)]).toEqual([path, mode.toString(8)])
    }
  })
})

describe('lmdb store, watches of the past', () => {
  test('MUSTHOLD 22: a replay longer than what memory holds comes from the log, complete and in order', async () => {
    const store = await openForTest()
    await putMany(
      store,
      9000,
      (i) => `/${i % 3 === 0 ? 'a' : 'b'}/${i % 100}`,
      (i) => bytes(String(i)),
    )
    const watching = record(store, '/a/', { afterRevision: 1 })
    const writing = putMany(
      store,
      3000,
      (i) => `/${i % 3 === 0 ? 'a' : 'b'}/${i % 100}`,
      (i) => bytes(String(9000 + i)),
    )
    await watching.through(12_001)
    await writing
    expect(watching.flaws).toEqual([])
    expect(watching.events.map((event) => event.value?.toString())).toEqual(Array.from({ length: 4000 }, (_, i) => String(3 * i)))
    expect(watching.calls.length).toBeGreaterThan(5)
  })

  test('MUSTHOLD 22: a replay whose history is forgotten underneath ends with compacted and skips nothing', async () => {
    const store = await openForTest()
    await putMany(
      store,
      9000,
      (i) => `/a/${i % 100}`,
      (i) => bytes(String(i)),
    )
    const watching = record(store, '/', { afterRevision: 1 })
    while (watching.events.length === 0) await nextTurn()
    await store.compact(9001)
    const end = await watching.end()
    expect(end).toMatchObject({ code: 'compacted', oldestRevision: 9001 })
    const seen = watching.events.map((event) => event.revision)
    expect(seen).toEqual(Array.from({ length: seen.length }, (_, i) => i + 2))
    expect(seen.length).toBeLessThan(9000)
  })
})

describe('lmdb store, bounds of history', () => {
  test('MUSTHOLD 25: history is bounded by a number of revisions, give or take a sixteenth', async () => {
    const store = await openForTest({ historyRevisionsMax: 160 })
    for (let round = 0; round < 40; round++) {
      await putMany(
        store,
        25,
        (i) => `/k/${i}`,
        () => bytes(String(round)),
      )
      const kept = (await store.currentRevision()) - (await store.oldestRevision())
      expect(kept).toBeLessThanOrEqual(170 + 25)
    }
    expect((await store.currentRevision()) - (await store.oldestRevision())).toBeGreaterThanOrEqual(160)
  })

  test('MUSTHOLD 25: history is bounded by age, without anybody writing', async () => {
    const clock = new FakeClock()
    const store = await openForTest({ clock, historyAgeMsMax: 300_000 })
    await putMany(
      store,
      10,
      (i) => `/k/${i % 4}`,
      (i) => bytes(String(i)),
    )
    await clock.advance(200_000)
    await putMany(
      store,
      10,
      (i) => `/k/${i % 4}`,
      (i) => bytes(String(i)),
    )
    expect(await store.oldestRevision()).toBe(1)
    await until(() => clock.pending === 1)
    await clock.advance(150_000)
    await until(async () => (await store.oldestRevision()) === 11 && clock.pending === 1)
    await clock.advance(1_000_000)
    // The newest change stays: nothing comes after it. There is nothing to wait for any more.
    await until(async () => (await store.oldestRevision()) === 20 && clock.pending === 0)
    expect((await store.range('/')).items).toHaveLength(4)
  })

  test('MUSTHOLD 25: what was forgotten is gone from the tables, and only that', async () => {
    const dir = await freshDir()
    const store = await openForTest({ dir, historyRevisionsMax: 64 })
    const random = seededRandom(5)
    for (let i = 0; i < 3000; i += 50) {
      await Promise.all(
        Array.from({ length: 50 }, (_, j) => {
          const key = `/k/${Math.floor(random() * 300)}`
          const value = random() < 0.3 ? undefined : bytes(String(i + j))
          return store.write({ key, value })
        }),
      )
    }
    const revision = await store.currentRevision()
    const kept = revision - (await store.oldestRevision())
    const alive = await store.count('')
    await store.compact(revision)
    await store.close()
    const tables = await openTables(dir, 2 ** 26)
    const rows = (table: { getKeysCount(options: { start: undefined }): number }): number => table.getKeysCount({ start: undefined })
    expect(kept).toBeLessThan(80 + 50)
    expect(rows(tables.keys)).toBe(alive)
    // The newest change and what it replaced stay, so that the revision is known.
    expect(rows(tables.values)).toBeLessThanOrEqual(alive + 1)
    expect(rows(tables.log)).toBeLessThanOrEqual(alive + 2)
    expect(rows(tables.graves)).toBeLessThanOrEqual(1)
    await tables.close()
  })
})

// Background work has its own pace; the test's timeout is the bound.
async function until(condition: () => boolean | Promise<boolean>): Promise<void> {
  while (!(await condition())) await nextTurn()
}
