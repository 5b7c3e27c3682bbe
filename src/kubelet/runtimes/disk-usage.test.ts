import { link, mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { FakeClock } from '#base/fake-clock'
import { measureTree, openUsageCache } from './disk-usage.ts'

let dir: string
beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), 'navarch-du-'))
})
afterEach(() => rm(dir, { recursive: true, force: true }))

test('files count once however often they are linked; links are not followed', async () => {
  await mkdir(join(dir, 'a/b'), { recursive: true })
  await writeFile(join(dir, 'a/b/one'), Buffer.alloc(100_000, 1))
  await link(join(dir, 'a/b/one'), join(dir, 'two'))
  await symlink('/', join(dir, 'root'))
  const { bytes, inodes } = await measureTree(dir)
  expect(inodes).toBe(5)
  expect(bytes).toBeGreaterThanOrEqual(100_000)
  expect(bytes).toBeLessThan(200_000)
  expect(await measureTree(join(dir, 'absent'))).toEqual({ bytes: 0, inodes: 0 })
})

test('the cache answers at once with what it knows, and measures again only when that is old', async () => {
  const clock = new FakeClock()
  const cache = openUsageCache(clock, new AbortController().signal)
  let asked = 0
  const path = async (): Promise<string> => {
    asked++
    return dir
  }
  expect(cache.usage('c', path)).toEqual({ bytes: 0, inodes: 0 })
  while (cache.usage('c', path).inodes === 0) await new Promise((resolve) => setImmediate(resolve))
  expect(asked).toBe(1)
  cache.usage('c', path)
  await clock.advance(61_000)
  cache.usage('c', path)
  while (asked < 2) await new Promise((resolve) => setImmediate(resolve))
  expect(asked).toBe(2)
})
