import { execFile } from 'node:child_process'
import { stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { describe, expect, onTestFinished, test } from 'vitest'
import { seededRandom } from '#base/random'
import { bytes, caught, text } from '../store.testing.ts'
import { type Store, StoreError } from '../store.ts'
import { Space } from './space.ts'
import { freshDir, openForTest } from './store-dir.testing.ts'
import { storeFile } from './tables.ts'

const run = promisify(execFile)
const value = Buffer.alloc(12_000, 'navarch ')

/** Writes until the store says that it is full; how many writes it took. */
async function fill(store: Store): Promise<number> {
  for (let count = 0; ; count++) {
    try {
      await store.write({ key: `/fill/${count}`, value })
    } catch (error) {
      expect(error).toMatchObject({ name: 'StoreError', code: 'full' })
      return count
    }
  }
}

async function fileBytes(dir: string): Promise<number> {
  return (await stat(await storeFile(dir))).size
}

async function becomesFullAndRecovers(dir: string, mapSizeBytesMax?: number): Promise<void> {
  const options = { dir, ...(mapSizeBytesMax === undefined ? {} : { mapSizeBytesMax }) }
  const store = await openForTest(options)
  await store.write({ key: '/first', value: bytes('first') })
  const written = await fill(store)
  expect(written).toBeGreaterThan(200)
  // Readable, watchable, and what was refused is not there.
  expect(text(await store.get('/first'))).toBe('first')
  expect(await store.count('/fill/')).toBe(written)
  expect((await store.range('/fill/')).items.every((item) => item.value.equals(value))).toBe(true)
  // Everything can be deleted, and then there is room again: history gives way.
  for (let i = 0; i < written; i += 10) {
    const together = Array.from({ length: Math.min(10, written - i) }, (_, j) => ({ key: `/fill/${i + j}`, value: undefined }))
    expect((await store.writeAll(together)).outcome).toBe('committed')
  }
  expect(await store.count('/fill/')).toBe(0)
  let refused = 0
  for (let i = 0; i < 2 * written; i += 8) {
    const together = Array.from({ length: 8 }, (_, j) => store.write({ key: `/again/${(i + j) % 64}`, value }))
    for (const result of await Promise.allSettled(together)) {
      if (result.status === 'fulfilled') continue
      expect(result.reason).toMatchObject({ code: 'full' })
      refused++
    }
  }
  expect(refused).toBeLessThan(written / 4)
  expect(await store.count('/again/')).toBe(64)
  const before = await keysOf(store)
  await store.close()
  const again = await openForTest(options)
  expect(await keysOf(again)).toEqual(before)
  await again.close()
}

async function keysOf(store: Store): Promise<unknown[]> {
  return (await store.range('')).items.map(({ value: _, ...item }) => item)
}

describe('a store without room', () => {
  test('MUSTHOLD 21: at its own limit refuses writes, stays readable, lets deletions through and recovers', {
    timeout: 120_000,
  }, async () => {
    const dir = await freshDir()
    await becomesFullAndRecovers(dir, 16 * 2 ** 20)
    expect(await fileBytes(dir)).toBeLessThanOrEqual(17 * 2 ** 20)
  })

  // Mounting takes root; elsewhere the limit above stands in for the disk.
  test.runIf(process.getuid?.() === 0)('MUSTHOLD 21: on a full disk does the same', { timeout: 120_000 }, async () => {
    const dir = await freshDir()
    await run('mount', ['-t', 'tmpfs', '-o', 'size=12m', 'tmpfs', dir])
    onTestFinished(() => run('umount', ['--lazy', dir]).then(() => {}))
    await becomesFullAndRecovers(join(dir, 'data'))
  })

  test('a value that is larger than all there is fails alone', async () => {
    const store = await openForTest({ mapSizeBytesMax: 16 * 2 ** 20 })
    const [small, large] = await Promise.allSettled([
      store.write({ key: '/small', value: bytes('small') }),
      store.write({ key: '/large', value: Buffer.alloc(20 * 2 ** 20) }),
    ])
    expect(small.status).toBe('fulfilled')
    expect(large.status === 'rejected' && large.reason).toBeInstanceOf(StoreError)
    expect((await store.range('')).items.map((item) => item.key)).toEqual(['/small'])
  })
})

describe('a store under load', () => {
  test('MUSTHOLD 25: its file is bounded by what it holds, however much is written', { timeout: 120_000 }, async () => {
    const dir = await freshDir()
    const store = await openForTest({ dir, historyRevisionsMax: 500 })
    const random = seededRandom(3)
    const bytesEach = (): number => 200 + Math.floor(random() * (random() < 0.1 ? 20_000 : 5_000))
    let written = 0
    const write = async (): Promise<void> => {
      const key = `/k/${Math.floor(random() * 200)}`
      const size = random() < 0.1 ? undefined : bytesEach()
      written += size ?? 0
      await store.write({ key, value: size === undefined ? undefined : Buffer.alloc(size, 1) })
    }
    const sizes: number[] = []
    for (let round = 0; round < 10; round++) {
      for (let i = 0; i < 60; i++) await Promise.all(Array.from({ length: 50 }, write))
      sizes.push(await fileBytes(dir))
    }
    expect(written).toBeGreaterThan(80 * 2 ** 20)
    // Some 700 values of 3.5 KB, the room kept ahead, and slack for the sweep and for values that lie apart.
    expect(Math.max(...sizes)).toBeLessThan(16 * 2 ** 20)
    expect(sizes.at(-1)).toBeLessThanOrEqual(1.25 * sizes[4]!)
  })

  test('MUSTHOLD 25: a file that was once large becomes small again, while reads and writes go on', { timeout: 120_000 }, async () => {
    const dir = await freshDir()
    const store = await openForTest({ dir, historyRevisionsMax: 1000 })
    const big = Buffer.alloc(12_000, 'navarch ')
    await Promise.all(Array.from({ length: 12_000 }, (_, i) => store.write({ key: `/big/${i}`, value: big })))
    await Promise.all(Array.from({ length: 2_000 }, (_, i) => store.write({ key: `/small/${i}`, value: bytes(String(i)) })))
    const large = await fileBytes(dir)
    expect(large).toBeGreaterThan(140 * 2 ** 20)
    await Promise.all(Array.from({ length: 12_000 }, (_, i) => store.write({ key: `/big/${i}`, value: undefined })))
    const compacting = store.compact(await store.currentRevision())
    let ranges = 0
    for (; (await fileBytes(dir)) > large / 4; ranges++) {
      const { items } = await store.range('/small/')
      expect(items.map(text).sort()).toEqual(Array.from({ length: 2_000 }, (_, i) => String(i)).sort())
      await store.write({ key: '/other', value: bytes(String(ranges)) })
    }
    await compacting
    await store.write({ key: '/other', value: bytes('last') })
    const before = await keysOf(store)
    expect(before).toHaveLength(2_001)
    await store.close()
    const again = await openForTest({ dir })
    expect(await keysOf(again)).toEqual(before)
  })

  test('more may wait than fits into one commit, but not without bound', async () => {
    const store = await openForTest()
    const many = Array.from({ length: 40_000 }, (_, i) => store.write({ key: `/k/${i % 10}`, value: bytes(String(i)) }))
    const settled = await Promise.allSettled(many)
    const refused = settled.filter((result) => result.status === 'rejected')
    expect(refused.length).toBe(40_000 - 32_768)
    expect(await caught(many.at(-1)!)).toMatchObject({ name: 'StoreError', code: 'busy' })
    expect(await store.currentRevision()).toBe(32_769)
  })
})

test('the room of a file is looked at again after a moment, or when what was seen is used up', async () => {
  const path = join(await freshDir({ inMemory: true }), 'file')
  await writeFile(path, Buffer.alloc(1_000_000))
  let looks = 0
  const extentBytes = (): number => {
    looks++
    return 0
  }
  const space = await Space.open({ path, extentBytes, usedBytes: () => 0, limitBytes: 2_000_000 })
  onTestFinished(() => space.close())
  const seen: number[] = []
  for (const [wanted, atMs] of [
    [400_000, 0],
    [500_000, 50],
    [200_000, 60],
    [10, 159],
    [10, 160],
  ] as const) {
    expect(await space.available(wanted, atMs)).toBeGreaterThanOrEqual(wanted)
    seen.push(looks)
  }
  expect(seen).toEqual([1, 1, 2, 2, 3])
})
