// The files of one container's log: the current one and the rotated ones beside it, `<n>.log.<time>` and `<n>.log.<time>.gz`.
import { readdir } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'

/** `20060102-150405`, as rotated files are stamped. Text order is time order. */
export function rotationStamp(ms: number): string {
  const text = new Date(ms).toISOString()
  return `${text.slice(0, 10).replaceAll('-', '')}-${text.slice(11, 19).replaceAll(':', '')}`
}

/** Rotated files, oldest first. None when the directory is not there. */
export async function rotatedFiles(path: string): Promise<string[]> {
  const directory = dirname(path)
  const prefix = `${basename(path)}.`
  const names = await readdir(directory).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return []
    throw error
  })
  const stamped = names.filter((name) => name.startsWith(prefix) && /^\d{8}-\d{6}(\.gz)?$/.test(name.slice(prefix.length)))
  return stamped.sort().map((name) => join(directory, name))
}
