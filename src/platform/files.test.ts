// Whole files or none.
import { mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { readFileIfExists, writeFileAtomic } from './files.ts'

let directory: string
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'navarch-files-'))
})
afterEach(() => rm(directory, { recursive: true, force: true }))

describe('writeFileAtomic', () => {
  test('replaces the file, leaves nothing beside it, and keeps it private', async () => {
    const path = join(directory, 'key.pem')
    await writeFile(path, 'old', { mode: 0o644 })
    await writeFileAtomic(path, 'new')
    expect(await readFile(path, 'utf8')).toBe('new')
    expect((await stat(path)).mode & 0o777).toBe(0o600)
    expect(await readdir(directory)).toEqual(['key.pem'])
  })

  test('a failed write leaves the old file and no remains', async () => {
    const path = join(directory, 'sub')
    await writeFileAtomic(path, 'old')
    await expect(writeFileAtomic(join(path, 'x'), 'new')).rejects.toThrow('ENOTDIR')
    expect(await readFile(path, 'utf8')).toBe('old')
    expect(await readdir(directory)).toEqual(['sub'])
  })

  test('a file that is not there is undefined', async () => {
    expect(await readFileIfExists(join(directory, 'none'))).toBeUndefined()
  })
})
