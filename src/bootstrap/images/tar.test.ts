import { execFileSync } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, describe, expect, test } from 'vitest'
import { type TarEntry, writeTar } from './tar.ts'

const dir = mkdtempSync(join(tmpdir(), 'tar-test-'))
afterAll(() => rmSync(dir, { recursive: true }))

async function archiveOf(entries: readonly TarEntry[]): Promise<Buffer> {
  const chunks: Uint8Array[] = []
  for await (const chunk of writeTar(entries)) chunks.push(chunk)
  return Buffer.concat(chunks)
}

/** What tar itself says is in the archive. */
async function listed(entries: readonly TarEntry[]): Promise<string[]> {
  const path = join(dir, 'x.tar')
  writeFileSync(path, await archiveOf(entries))
  const text = execFileSync('tar', ['--numeric-owner', '--utc', '-tvf', path], { encoding: 'utf8', env: { ...process.env, LC_ALL: 'C' } })
  return text
    .trimEnd()
    .split('\n')
    .map((line) => line.replace(/ +/g, ' '))
}

describe('an archive read by tar', () => {
  test('keeps kinds, modes, owners and link targets, and no times', async () => {
    const entries: TarEntry[] = [
      { kind: 'directory', path: 'tmp', mode: 0o1777 },
      { kind: 'file', path: 'tmp/run', mode: 0o755, uid: 65532, gid: 5, source: { bytes: 'hello' } },
      { kind: 'symlink', path: 'tmp/link', target: '/tmp/run' },
      { kind: 'file', path: 'tmp/empty', source: { bytes: '' } },
    ]
    expect(await listed(entries)).toEqual([
      'drwxrwxrwt 0/0 0 1970-01-01 00:00 tmp/',
      '-rwxr-xr-x 65532/5 5 1970-01-01 00:00 tmp/run',
      'lrwxrwxrwx 0/0 0 1970-01-01 00:00 tmp/link -> /tmp/run',
      '-rw-r--r-- 0/0 0 1970-01-01 00:00 tmp/empty',
    ])
  })

  test('keeps names and targets that are longer than a plain header holds, and those that are not ASCII', async () => {
    const long = `${'directory/'.repeat(12)}naïve`
    const target = 't'.repeat(150)
    expect(
      await listed([
        { kind: 'file', path: long, source: { bytes: 'x' } },
        { kind: 'symlink', path: 'link', target },
      ]).then((lines) => lines.map((line) => line.split(' ').slice(5).join(' '))),
    ).toEqual([long.replace('ï', '\\303\\257'), `link -> ${target}`])
  })

  test('holds a file of the disk byte for byte, and is made of whole blocks', async () => {
    const path = join(dir, 'source')
    const bytes = Buffer.alloc(700_001, 'abc')
    writeFileSync(path, bytes)
    const archive = await archiveOf([{ kind: 'file', path: 'copy', source: { path } }])
    expect(archive.length % 512).toBe(0)
    expect(archive.subarray(512, 512 + bytes.length).equals(bytes)).toBe(true)
  })
})
