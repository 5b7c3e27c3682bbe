import { createHash } from 'node:crypto'
import { copyFile, mkdir, readdir } from 'node:fs/promises'
import { createServer } from 'node:net'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { systemClock as clock } from '#base/clock'
import { caught } from '../store.testing.ts'
import { lockDirectory } from './directory-lock.ts'
import { openLmdbStore } from './lmdb-store.ts'
import { freshDir, openForTest, startWriter } from './store-dir.testing.ts'

describe('the lock of a data directory', () => {
  test('a second opener is told who has it, and gets it when that one is done', async () => {
    const dir = await freshDir()
    const first = await openForTest({ dir })
    const error = await caught(openLmdbStore({ dir, clock }))
    expect(error).toMatchObject({ name: 'StoreError', code: 'locked' })
    expect((error as Error).message).toBe(
      `the data directory ${dir} is in use by process ${process.pid}; stop it first, or use another directory`,
    )
    await first.close()
    const second = await openForTest({ dir })
    expect(await second.currentRevision()).toBe(1)
  })

  test('another process holds it until it dies, however it dies', { timeout: 60_000 }, async () => {
    const dir = await freshDir()
    const child = startWriter(dir, 1)
    await child.wrote(5)
    expect(await caught(openLmdbStore({ dir, clock }))).toMatchObject({
      code: 'locked',
      message: expect.stringContaining(`process ${child.process.pid}`),
    })
    // A process that is stopped still has its directory.
    child.process.kill('SIGSTOP')
    expect(await caught(openLmdbStore({ dir, clock }))).toMatchObject({ code: 'locked' })
    child.process.kill('SIGKILL')
    await child.ended
    const store = await openForTest({ dir })
    expect(await store.currentRevision()).toBeGreaterThan(1)
  })

  test('of many that start at once at most one gets it, and what they leave behind is cleared', async () => {
    const dir = await freshDir()
    const contenders = await Promise.allSettled(Array.from({ length: 8 }, () => lockDirectory(dir, clock)))
    const won = contenders.flatMap((contender) => (contender.status === 'fulfilled' ? [contender.value] : []))
    expect(won.length).toBeLessThanOrEqual(1)
    for (const lock of won) await lock.release()
    const lock = await lockDirectory(dir, clock)
    expect(await readdir(join(dir, 'lock'))).toHaveLength(1)
    await lock.release()
    expect(await readdir(join(dir, 'lock'))).toEqual([])
  })

  test('a directory whose path is too long for a socket works', async () => {
    const dir = join(await freshDir(), createHash('sha512').update('long').digest('hex'), 'and', 'more')
    const lock = await lockDirectory(dir, clock)
    expect(await caught(lockDirectory(dir, clock))).toMatchObject({ code: 'locked' })
    await lock.release()
  })

  test('files that no process listens on do not count', async () => {
    const dir = await freshDir()
    await mkdir(join(dir, 'lock'))
    const path = join(dir, 'lock', '1-abc')
    const server = createServer()
    await new Promise<void>((resolve) => server.listen(path, resolve))
    expect(await caught(lockDirectory(dir, clock))).toMatchObject({ code: 'locked', message: expect.stringContaining('process 1;') })
    await new Promise((resolve) => server.close(resolve))
    await copyFile(import.meta.filename, path)
    const lock = await lockDirectory(dir, clock)
    expect(await readdir(join(dir, 'lock'))).toHaveLength(1)
    await lock.release()
  })
})
