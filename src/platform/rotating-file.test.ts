// A bounded file of lines.
import { mkdtemp, readdir, readFile, rm, stat } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { openRotatingFile } from './rotating-file.ts'

let directory: string
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'navarch-rotate-'))
})
afterEach(() => rm(directory, { recursive: true, force: true }))

describe('rotating file', () => {
  test('moves on when full, keeps the newest, drops the oldest', async () => {
    const path = join(directory, 'audit.log')
    const file = openRotatingFile({ path, bytesMax: 20, backupsMax: 2 })
    for (let i = 0; i < 8; i++) file.write(`line ${i} 89\n`)
    await file.close()
    expect((await readdir(directory)).sort()).toEqual(['audit.log', 'audit.log.1', 'audit.log.2'])
    expect(await readFile(path, 'utf8')).toContain('line 7')
    expect((await stat(path)).mode & 0o777).toBe(0o600)
    for (const name of await readdir(directory)) expect((await stat(join(directory, name))).size).toBeLessThanOrEqual(20)
  })

  test('goes on where an earlier process stopped', async () => {
    const path = join(directory, 'audit.log')
    for (const text of ['one\n', 'two\n']) {
      const file = openRotatingFile({ path, bytesMax: 100, backupsMax: 1 })
      file.write(text)
      await file.close()
    }
    expect(await readFile(path, 'utf8')).toBe('one\ntwo\n')
  })

  test('what the disk does not take in time is dropped and counted', async () => {
    const file = openRotatingFile({ path: join(directory, 'x'), bytesMax: 1e9, backupsMax: 1, bufferBytesMax: 10 })
    for (let i = 0; i < 5; i++) file.write('0123456789\n')
    expect(file.dropped).toBe(4)
    await file.close()
  })

  test('a place that cannot be written costs lines, not the process', async () => {
    const file = openRotatingFile({ path: join(directory, 'none', 'x'), bytesMax: 10, backupsMax: 1 })
    file.write('lost\n')
    file.write('lost too\n')
    await file.close()
    expect(file.dropped).toBe(2)
    expect(await readdir(directory)).toEqual([])
  })
})
