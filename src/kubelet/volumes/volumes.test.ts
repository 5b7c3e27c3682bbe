import { lstat, mkdir, mkdtemp, readdir, readFile, readlink, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import type { ConfigMap, Secret, Volume } from '#api/generated/core-v1'
import { testPod } from '../test-support/pods.ts'
import { writeAtomically } from './atomic-files.ts'
import { prepareHostPath } from './host-path.ts'
import { mountPoints } from './mounter.ts'
import { openBeneath, readFileBeneath } from './open-beneath.ts'
import { type Payload, type PayloadSources, volumePayload } from './payload.ts'

let dir: string

beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), 'nvt-volumes-'))
})

afterEach(async () => {
  await rm(dir, { recursive: true, force: true })
})

const payloadOf = (files: Record<string, string>): Payload =>
  new Map(Object.entries(files).map(([path, text]) => [path, { data: Buffer.from(text), mode: 0o644 }]))
const visible = async (): Promise<string[]> => (await readdir(dir)).filter((name) => !name.startsWith('..')).sort()

describe('writeAtomically', () => {
  test('files stand behind links through ..data', async () => {
    expect(writeAtomically(dir, payloadOf({ a: '1', 'sub/b': '2' }), {}, 0)).toBe(true)
    expect(await visible()).toEqual(['a', 'sub'])
    expect(await readlink(join(dir, 'a'))).toBe('..data/a')
    expect(await readlink(join(dir, '..data'))).toBe('..1970_01_01_00_00_00.000000000')
    expect(await readFile(join(dir, 'sub/b'), 'utf8')).toBe('2')
  })

  test('a change swaps the whole set and leaves nothing of the old one', async () => {
    writeAtomically(dir, payloadOf({ a: '1', gone: 'x', 'sub/b': '2' }), {}, 0)
    const before = await readlink(join(dir, '..data'))
    writeAtomically(dir, payloadOf({ a: '1+', c: '3' }), {}, 0)
    expect(await visible()).toEqual(['a', 'c'])
    expect(await readlink(join(dir, '..data'))).not.toBe(before)
    expect((await readdir(dir)).filter((name) => name.startsWith('..'))).toHaveLength(2)
  })

  test('the same payload changes nothing', async () => {
    writeAtomically(dir, payloadOf({ a: '1' }), {}, 0)
    const before = await readlink(join(dir, '..data'))
    expect(writeAtomically(dir, payloadOf({ a: '1' }), {}, 5_000)).toBe(false)
    expect(await readlink(join(dir, '..data'))).toBe(before)
    expect(writeAtomically(dir, new Map([['a', { data: Buffer.from('1'), mode: 0o600 }]]), {}, 5_000)).toBe(true)
  })

  test('what an interrupted swap left is removed', async () => {
    await mkdir(join(dir, '..1999_01_01_00_00_00.000000000'))
    await symlink('nowhere', join(dir, '..data'))
    writeAtomically(dir, payloadOf({ a: '1' }), {}, 0)
    expect((await readdir(dir)).sort()).toEqual(['..1970_01_01_00_00_00.000000000', '..data', 'a'])
  })
})

describe('volumePayload', () => {
  const sources: PayloadSources = {
    configMap: async (name) =>
      name === 'cm' ? ({ data: { a: '1', b: '2' }, binaryData: { c: 'AAE=' } } as unknown as ConfigMap) : undefined,
    secret: async (name) => (name === 's' ? ({ data: { p: Buffer.from('geheim').toString('base64') } } as unknown as Secret) : undefined),
    token: async (audience, seconds) => `token for ${audience} ${seconds}`,
    downward: { podIps: [], nodeIps: [], nodeName: '', allocatable: {} },
  }
  const filesOf = async (source: Omit<Volume, 'name'>, pod = testPod()): Promise<Record<string, string>> => {
    const payload = await volumePayload(pod, { name: 'v', ...source }, sources)
    return Object.fromEntries(
      [...(payload ?? [])].map(([path, f]) => [path, `${Buffer.from(f.data).toString('latin1')} ${f.mode.toString(8)}`]),
    )
  }

  test('a config map: text and bytes', async () => {
    expect(await filesOf({ configMap: { name: 'cm', defaultMode: 0o640 } })).toEqual({ a: '1 640', b: '2 640', c: '\u0000\u0001 640' })
  })

  test('chosen items, with paths and modes of their own', async () => {
    expect(await filesOf({ secret: { secretName: 's', items: [{ key: 'p', path: 'x/y', mode: 0o400 }] } })).toEqual({ 'x/y': 'geheim 400' })
  })

  test('everything projected into one', async () => {
    const sourcesOf = [
      { configMap: { name: 'cm', items: [{ key: 'a', path: 'cm/a' }] } },
      { secret: { name: 'none', optional: true } },
      { serviceAccountToken: { path: 'token', audience: 'vault', expirationSeconds: 600 } },
      { downwardAPI: { items: [{ path: 'name', fieldRef: { fieldPath: 'metadata.name' } }] } },
    ]
    expect(await filesOf({ projected: { sources: sourcesOf } })).toEqual({
      'cm/a': '1 644',
      token: 'token for vault 600 644',
      name: 'web 644',
    })
  })

  test('a token is for the pod’s user alone when it has one', async () => {
    const projected = { sources: [{ serviceAccountToken: { path: 'token' } }] }
    const pod = testPod({ securityContext: { runAsUser: 7 } })
    const payload = await volumePayload(pod, { name: 'v', projected }, sources)
    expect(payload?.get('token')).toMatchObject({ mode: 0o600, uid: 7 })
  })

  test.each([
    ['a missing config map', { configMap: { name: 'none' } }, 'configmap "none" not found'],
    ['a missing secret', { secret: { secretName: 'none' } }, 'secret "none" not found'],
    ['a missing key', { configMap: { name: 'cm', items: [{ key: 'z', path: 'z' }] } }, 'configmap references non-existent config key: z'],
    ['a path upwards', { configMap: { name: 'cm', items: [{ key: 'a', path: '../a' }] } }, "must be relative and without '..'"],
    ['an absolute path', { configMap: { name: 'cm', items: [{ key: 'a', path: '/a' }] } }, 'must be relative'],
  ])('MUSTHOLD 17: %s is an error', async (_, source, error) => {
    await expect(filesOf(source)).rejects.toThrow(error)
  })
})

describe('MUSTHOLD 17: paths that a container may have tampered with', () => {
  test('a link anywhere in the path is refused, wherever it points', async () => {
    await mkdir(join(dir, 'volume/real'), { recursive: true })
    await writeFile(join(dir, 'secret'), 'geheim')
    await symlink(dir, join(dir, 'volume/out'))
    await symlink('real', join(dir, 'volume/in'))
    await symlink('../secret', join(dir, 'volume/file'))
    for (const path of ['out', 'out/secret', 'in', 'in/x', 'file', '../secret', 'real/../../secret', '/etc']) {
      await expect(openBeneath(join(dir, 'volume'), path)).rejects.toThrow()
    }
    expect(await readFileBeneath(join(dir, 'volume'), 'file', 100)).toBeUndefined()
  })

  test('missing directories are made, as open as the root, and nothing through a link', async () => {
    await mkdir(join(dir, 'volume'), { mode: 0o755 })
    await symlink(join(dir, 'elsewhere'), join(dir, 'volume/link'))
    await expect(openBeneath(join(dir, 'volume'), 'link/new', { create: true })).rejects.toThrow()
    await expect(lstat(join(dir, 'elsewhere'))).rejects.toThrow()
    const { handle, stats } = await openBeneath(join(dir, 'volume'), 'a/b', { create: true })
    await handle.close()
    expect([stats.isDirectory(), stats.mode & 0o777]).toEqual([true, 0o755])
  })

  test('of a long file only the end is read; what is no file is not read', async () => {
    await writeFile(join(dir, 'long'), `${'x'.repeat(10_000)}end`)
    expect((await readFileBeneath(dir, 'long', 5))?.toString()).toBe('xxend')
    await mkdir(join(dir, 'directory'))
    expect(await readFileBeneath(dir, 'directory', 5)).toBeUndefined()
  })
})

describe('prepareHostPath', () => {
  test('makes what it may make and checks the rest', async () => {
    await prepareHostPath({ path: join(dir, 'd/e'), type: 'DirectoryOrCreate' })
    await prepareHostPath({ path: join(dir, 'f/g'), type: 'FileOrCreate' })
    expect([(await lstat(join(dir, 'd/e'))).isDirectory(), (await lstat(join(dir, 'f/g'))).isFile()]).toEqual([true, true])
    await expect(prepareHostPath({ path: join(dir, 'none'), type: 'Directory' })).rejects.toThrow(
      `hostPath type check failed: ${dir}/none is not a directory`,
    )
    await expect(prepareHostPath({ path: join(dir, 'd'), type: 'File' })).rejects.toThrow('is not a file')
    await expect(prepareHostPath({ path: join(dir, 'd'), type: 'Socket' })).rejects.toThrow('is not a socket file')
    await prepareHostPath({ path: '/dev/null', type: 'CharDevice' })
  })
})

test('mount points are read with their escapes undone', () => {
  const line = String.raw`36 25 0:32 / /a\040b/c rw,relatime shared:1 - tmpfs tmpfs rw`
  expect(mountPoints(`${line}\n`)).toEqual(['/a b/c'])
})
