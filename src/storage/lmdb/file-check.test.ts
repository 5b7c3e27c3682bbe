import { open, readFile, stat, truncate, writeFile } from 'node:fs/promises'
import { describe, expect, test } from 'vitest'
import { systemClock as clock } from '#base/clock'
import { seededRandom } from '#base/random'
import { bytes, caught } from '../store.testing.ts'
import { StoreError } from '../store.ts'
import { openLmdbStore } from './lmdb-store.ts'
import { freshDir } from './store-dir.testing.ts'
import { storeFile } from './tables.ts'

const pageBytes = 4096

async function filledDir(): Promise<{ dir: string; path: string }> {
  const dir = await freshDir()
  const store = await openLmdbStore({ dir, clock })
  await Promise.all(Array.from({ length: 2000 }, (_, i) => store.write({ key: `/k/${i}`, value: bytes(`${i} `.repeat(i % 900)) })))
  await store.close()
  return { dir, path: await storeFile(dir) }
}

async function overwrite(path: string, at: number, what: Buffer): Promise<void> {
  const file = await open(path, 'r+')
  await file.write(what, 0, what.length, at)
  await file.close()
}

describe('a damaged file', () => {
  test.each([
    ['text', 'no store at all, but long enough to be one '.repeat(400)],
    ['a few bytes', 'oops'],
    ['zeros', '\0'.repeat(20_000)],
  ])('that is %s is told as corrupt', async (_, content) => {
    const dir = await freshDir()
    await writeFile(await storeFile(dir), content)
    const error = await caught(openLmdbStore({ dir, clock }))
    expect(error).toMatchObject({ name: 'StoreError', code: 'corrupt' })
    expect((error as Error).message).toContain(await storeFile(dir))
  })

  test.each([
    ['an empty file', ''],
    ['the zeros of a file that was being made', '\0'.repeat(8192)],
  ])('%s is none: nothing was ever stored', async (_, content) => {
    const dir = await freshDir()
    await writeFile(await storeFile(dir), content)
    const store = await openLmdbStore({ dir, clock })
    expect(await store.currentRevision()).toBe(1)
    await store.close()
  })

  test('MUSTHOLD 21: cut off anywhere it is told as corrupt, or nothing is missing', { timeout: 60_000 }, async () => {
    const { path, dir } = await filledDir()
    const whole = await readFile(path)
    // Beyond lies the room that is kept ahead.
    const end = whole.findLastIndex((byte) => byte !== 0)
    let corrupt = 0
    for (let part = 1; part < 10; part++) {
      await writeFile(path, whole)
      await truncate(path, Math.floor((end * part) / 10))
      corrupt += Number(await opensOrIsCorrupt(dir))
    }
    expect(corrupt).toBeGreaterThan(5)
  })

  test('with garbage in any page it is told as corrupt, or it opens: the process stays', { timeout: 60_000 }, async () => {
    const { path, dir } = await filledDir()
    const whole = await readFile(path)
    const random = seededRandom(9)
    const pages = Math.floor((await stat(path)).size / pageBytes)
    let corrupt = 0
    for (let i = 0; i < 40; i++) {
      await writeFile(path, whole)
      const garbage = Buffer.from(Array.from({ length: pageBytes }, () => Math.floor(random() * 256)))
      const page = i < 10 ? i : Math.floor(random() * Math.min(pages, 1200))
      await overwrite(path, page * pageBytes, garbage)
      corrupt += Number(await opensOrIsCorrupt(dir))
    }
    expect(corrupt).toBeGreaterThan(5)
  })

  test('a store of a later format is not touched', async () => {
    const { path, dir } = await filledDir()
    await overwrite(path, 24 + 4, Buffer.from([9, 0, 0, 0]))
    const before = await readFile(path)
    expect(await caught(openLmdbStore({ dir, clock }))).toMatchObject({ code: 'corrupt', message: expect.stringContaining('version is 9') })
    expect((await readFile(path)).equals(before)).toBe(true)
  })
})

async function opensOrIsCorrupt(dir: string): Promise<boolean> {
  try {
    const store = await openLmdbStore({ dir, clock })
    await store.count('')
    await store.close()
    return false
  } catch (error) {
    expect(error).toBeInstanceOf(StoreError)
    expect(error).toMatchObject({ code: 'corrupt' })
    return true
  }
}
