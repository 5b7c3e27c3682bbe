import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { removeBeneath } from './remove-beneath.ts'

let base: string
let root: string
let outside: string

beforeEach(() => {
  base = mkdtempSync(join(tmpdir(), 'navarch-remove-'))
  root = join(base, 'root')
  outside = join(base, 'outside')
  mkdirSync(join(root, 'one/deep/er'), { recursive: true })
  mkdirSync(join(root, 'two'))
  mkdirSync(join(outside, 'data'), { recursive: true })
  writeFileSync(join(outside, 'data/kept'), 'kept')
  writeFileSync(join(root, 'one/deep/file'), 'gone')
})
afterEach(() => rmSync(base, { recursive: true, force: true }))

test('a tree goes with all that it holds, and nothing beside it', async () => {
  await removeBeneath(root, 'one')
  expect(readdirSync(root)).toEqual(['two'])
  await removeBeneath(root, 'one')
  await removeBeneath(root, 'missing/too')
})

test('MUSTHOLD 17: links in a volume go as links; what they lead to stays', async () => {
  symlinkSync(outside, join(root, 'one/deep/link'))
  await removeBeneath(root, 'one')
  symlinkSync(outside, join(root, 'three'))
  await removeBeneath(root, 'three')
  expect(readdirSync(root)).toEqual(['two'])
  expect(existsSync(join(outside, 'data/kept'))).toBe(true)
})

test('MUSTHOLD 17: a link on the way is refused', async () => {
  symlinkSync(outside, join(root, 'link'))
  await expect(removeBeneath(root, 'link/data')).rejects.toThrow('unexpected symbolic link in path: link')
  expect(existsSync(join(outside, 'data/kept'))).toBe(true)
})

test.each(['', '.', '..', '../outside', 'one/..', 'one/../../outside', '/outside'])('%j is no path below the root', async (relative) => {
  await expect(removeBeneath(root, relative)).rejects.toThrow('path must stay below its volume')
  expect(readdirSync(base).sort()).toEqual(['outside', 'root'])
})

test('more levels than there are handles for are refused', async () => {
  mkdirSync(join(root, 'two', ...Array.from({ length: 300 }, () => 'd')), { recursive: true })
  await expect(removeBeneath(root, 'two')).rejects.toThrow('directories are nested more than 256 deep')
})
