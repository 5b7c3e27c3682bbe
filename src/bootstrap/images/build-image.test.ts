import { createHash } from 'node:crypto'
import { mkdirSync, mkdtempSync, readdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { gunzipSync } from 'node:zlib'
import { afterAll, describe, expect, test } from 'vitest'
import { buildImage, type ImageSpec } from './build-image.ts'
import { pauseImage } from './catalog.ts'
import { directoryLayer } from './directory-layer.ts'
import { type ArchiveBlob, readImageArchive } from './image-archive.ts'

const dir = mkdtempSync(join(tmpdir(), 'image-test-'))
afterAll(() => rmSync(dir, { recursive: true }))

async function bytesOf(blob: ArchiveBlob): Promise<Buffer> {
  const chunks: Uint8Array[] = []
  for await (const chunk of blob.read()) chunks.push(chunk)
  return Buffer.concat(chunks)
}

const sha256 = (bytes: Uint8Array): string => `sha256:${createHash('sha256').update(bytes).digest('hex')}`

const twoLayers: ImageSpec = {
  reference: 'navarch.local/two:1',
  architecture: 'amd64',
  layers: [
    { comment: 'base', entries: [{ kind: 'directory', path: 'etc' }] },
    { comment: 'top', entries: [{ kind: 'file', path: 'etc/hello', source: { bytes: 'hello\n' } }] },
  ],
  process: { Cmd: ['/bin/true'], Env: ['A=b'] },
}

describe('an image', () => {
  test('has the same digest whenever and wherever it is built', async () => {
    const first = await buildImage(pauseImage('amd64'), join(dir, 'a.tar'))
    const second = await buildImage(pauseImage('amd64'), join(dir, 'b.tar'))
    expect({ ...second, path: '' }).toEqual({ ...first, path: '' })
    expect(first.digest).toBe('sha256:f3c88bcd635185c57beee7bd0f2cb6ca12094d9d12139bd2d8351840fb7ee183')
  })

  test.each(['none', 'gzip'] as const)('is read back with every digest true (compression %s)', async (compression) => {
    const built = await buildImage({ ...twoLayers, compression }, join(dir, 'two.tar'))
    const [image] = await readImageArchive(built.path)
    expect(image!.reference).toBe('navarch.local/two:1')
    expect(sha256(image!.manifest)).toBe(built.digest)
    const contents = await Promise.all(image!.blobs.map(bytesOf))
    expect(contents.map(sha256)).toEqual(image!.blobs.map((blob) => blob.digest))
    const config = JSON.parse(contents[0]!.toString())
    expect(config.config).toEqual({ Cmd: ['/bin/true'], Env: ['A=b'] })
    const plain = contents.slice(1).map((layer) => (compression === 'gzip' ? gunzipSync(layer) : layer))
    expect(config.rootfs.diff_ids).toEqual(plain.map(sha256))
  })

  test('leaves nothing behind when a file of it cannot be read', async () => {
    const target = join(dir, 'broken')
    const layers = [{ comment: '', entries: [{ kind: 'file', path: 'x', source: { path: '/nowhere' } } as const] }]
    await expect(buildImage({ ...twoLayers, layers }, join(target, 'x.tar'))).rejects.toThrow('ENOENT')
    expect(readdirSync(target)).toEqual([])
  })
})

describe('an image on a base', () => {
  test('has the layers of the base first, says what the base said unless told otherwise, and adds variables', async () => {
    const [base] = await readImageArchive((await buildImage({ ...twoLayers, compression: 'gzip' }, join(dir, 'base.tar'))).path)
    const files = join(dir, 'files')
    mkdirSync(join(files, 'bin'), { recursive: true })
    writeFileSync(join(files, 'bin/app'), 'run', { mode: 0o755 })
    symlinkSync('app', join(files, 'bin/link'))
    const layer = await directoryLayer(files, '/opt/app')
    const spec: ImageSpec = {
      reference: 'a.example/app:1',
      architecture: 'amd64',
      base,
      layers: [layer],
      process: { Entrypoint: ['/opt/app/bin/app'], Env: ['C=d'] },
    }
    const [image] = await readImageArchive((await buildImage(spec, join(dir, 'app.tar'))).path)
    const contents = await Promise.all(image!.blobs.map(bytesOf))
    expect(contents.map(sha256)).toEqual(image!.blobs.map(({ digest }) => digest))
    expect(image!.blobs.slice(1, 3).map(({ digest }) => digest)).toEqual(base!.blobs.slice(1).map(({ digest }) => digest))
    const config = JSON.parse(contents[0]!.toString())
    expect(config.config).toEqual({ Entrypoint: ['/opt/app/bin/app'], Env: ['A=b', 'C=d'], Labels: {}, ExposedPorts: {} })
    expect(config.rootfs.diff_ids).toEqual([...contents.slice(1, 3).map((bytes) => sha256(gunzipSync(bytes))), sha256(contents[3]!)])
    expect(config.history).toHaveLength(3)
    expect(layer.entries.map(({ path }) => path)).toEqual(['opt', 'opt/app', 'opt/app/bin', 'opt/app/bin/app', 'opt/app/bin/link'])
  })

  test('of another architecture is refused', async () => {
    const [base] = await readImageArchive((await buildImage(twoLayers, join(dir, 'base.tar'))).path)
    const spec: ImageSpec = { ...twoLayers, architecture: 'arm64', base }
    await expect(buildImage(spec, join(dir, 'x.tar'))).rejects.toThrow('navarch.local/two:1 is for amd64, not for arm64')
  })
})

describe('what is no image archive', () => {
  test.each([
    ['text', 'x'.repeat(2_000), 'is not an image archive'],
    ['an empty archive', Buffer.alloc(1_024), 'it has neither index.json nor manifest.json'],
  ])('%s is refused by name', async (_, bytes, message) => {
    const path = join(dir, 'other')
    writeFileSync(path, bytes)
    await expect(readImageArchive(path)).rejects.toThrow(message)
  })
})
