// A file of lines within bounds of size, number and age.
import { mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { FakeClock } from '#base/fake-clock'
import { openDatedFile } from './dated-file.ts'

let directory: string
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'navarch-dated-'))
})
afterEach(() => rm(directory, { recursive: true, force: true }))

test('a full file is put aside under its time, and the oldest go', async () => {
  const clock = new FakeClock()
  const path = join(directory, 'audit.log')
  await writeFile(join(directory, 'audit-notes.log'), 'somebody’s own')
  const file = openDatedFile({ path, clock, bytesMax: 20, backupsMax: 2, ageMsMax: 0 })
  for (let i = 0; i < 8; i++) {
    file.write(`line ${i} 89\n`)
    await clock.advance(1_000)
  }
  await file.close()
  expect((await readdir(directory)).sort()).toEqual([
    'audit-2026-01-01T00-00-04.000.log',
    'audit-2026-01-01T00-00-06.000.log',
    'audit-notes.log',
    'audit.log',
  ])
  expect(await readFile(path, 'utf8')).toBe('line 6 89\nline 7 89\n')
  expect((await stat(path)).mode & 0o777).toBe(0o600)
})

test('old files go when they are too old; what fits no file is dropped and counted', async () => {
  const clock = new FakeClock()
  const path = join(directory, 'audit.log')
  const file = openDatedFile({ path, clock, bytesMax: 20, backupsMax: 0, ageMsMax: 3_600_000 })
  file.write(`${'0'.repeat(19)}\n`)
  file.write('next\n')
  await clock.advance(3_600_001)
  file.write(`${'1'.repeat(19)}\n`)
  file.write(`${'2'.repeat(20)}\n`)
  expect(file.dropped).toBe(1)
  await file.close()
  expect((await readdir(directory)).sort()).toEqual(['audit-2026-01-01T01-00-00.001.log', 'audit.log'])
})

test('a path that cannot be written is refused at once', () => {
  expect(() => openDatedFile({ path: join(directory, 'none/x'), clock: new FakeClock(), bytesMax: 1, backupsMax: 0, ageMsMax: 0 })).toThrow(
    /ENOENT/,
  )
})
