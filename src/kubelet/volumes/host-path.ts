// hostPath volumes: the path must be what its type says (documentation: "hostPath volume types").
import { mkdir, open, stat } from 'node:fs/promises'
import { dirname } from 'node:path'
import type { HostPathVolumeSource } from '#api/generated/core-v1'

/** Makes the path where the type says so and checks it. Throws in Kubernetes' words. */
export async function prepareHostPath({ path, type }: HostPathVolumeSource): Promise<void> {
  if (type === undefined || type === '') return
  const stats = await stat(path).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT' || error.code === 'ENOTDIR') return undefined
    throw error
  })
  const check = (ok: boolean | undefined, what: string): void => {
    if (!ok) throw new Error(`hostPath type check failed: ${path} is not ${what}`)
  }
  switch (type) {
    case 'DirectoryOrCreate':
      if (stats === undefined) await mkdir(path, { recursive: true, mode: 0o755 })
      else check(stats.isDirectory(), 'a directory')
      return
    case 'Directory':
      return check(stats?.isDirectory(), 'a directory')
    case 'FileOrCreate':
      if (stats === undefined) {
        await mkdir(dirname(path), { recursive: true, mode: 0o755 })
        await (await open(path, 'a', 0o644)).close()
      } else check(stats.isFile(), 'a file')
      return
    case 'File':
      return check(stats?.isFile(), 'a file')
    case 'Socket':
      return check(stats?.isSocket(), 'a socket file')
    case 'CharDevice':
      return check(stats?.isCharacterDevice(), 'a character device')
    case 'BlockDevice':
      return check(stats?.isBlockDevice(), 'a block device')
  }
}
