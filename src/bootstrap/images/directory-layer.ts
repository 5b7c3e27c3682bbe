// A layer that holds a directory of the disk: what `navarch image build DIR` puts into an image.
import { lstat, readdir, readlink } from 'node:fs/promises'
import { join } from 'node:path'
import type { ImageLayer } from './build-image.ts'
import type { TarEntry } from './tar.ts'

const entriesMax = 200_000

/**
 * The files, links and directories of `directory`, in the order of their names, to stand below `target` in the image ('' is its root).
 * Everything belongs to root; of the modes only the permission bits are kept. Sockets and devices are an error.
 */
export async function directoryLayer(directory: string, target = ''): Promise<ImageLayer> {
  const entries: TarEntry[] = []
  const parts = target.split('/').filter((part) => part !== '')
  for (let depth = 1; depth <= parts.length; depth++) entries.push({ kind: 'directory', path: parts.slice(0, depth).join('/') })
  await collect(directory, parts.join('/'), entries)
  return { comment: `files of ${target === '' ? '/' : target}`, entries }
}

async function collect(directory: string, target: string, entries: TarEntry[]): Promise<void> {
  for (const name of (await readdir(directory)).sort()) {
    const source = join(directory, name)
    const path = target === '' ? name : `${target}/${name}`
    const stats = await lstat(source)
    const mode = stats.mode & 0o7777
    if (entries.length >= entriesMax) throw new Error(`${directory} holds more than ${entriesMax} files`)
    if (stats.isSymbolicLink()) entries.push({ kind: 'symlink', path, target: await readlink(source) })
    else if (stats.isFile()) entries.push({ kind: 'file', path, mode, source: { path: source } })
    else if (stats.isDirectory()) {
      entries.push({ kind: 'directory', path, mode })
      await collect(source, path, entries)
    } else throw new Error(`${source} is neither file, link nor directory and cannot be in an image`)
  }
}
