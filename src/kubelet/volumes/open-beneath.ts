// Opens a path component by component so that no link in it is followed and nothing outside the root is reached, whatever
// somebody swaps in meanwhile (the cure for CVE-2017-1002101 and CVE-2021-25741).
//
// Node has no openat(2); `/proc/self/fd/<dir>/<name>` with O_NOFOLLOW is the same thing: the kernel resolves the magic link
// to the open directory, then one plain name.
import { constants, type Stats } from 'node:fs'
import { chmod, type FileHandle, mkdir, open } from 'node:fs/promises'
import { join } from 'node:path'

// O_PATH is missing from Node's constants. Octal 010000000 on every Linux architecture that Node runs on.
const pathOnly = 0o10000000

export interface Opened {
  readonly handle: FileHandle
  readonly stats: Stats
}

export class UnsafePathError extends Error {
  override readonly name = 'UnsafePathError'
}

/**
 * Opens `relative` below `root` without following links, by path only (the handle is good for binding and stat, not reading).
 * With `create`, missing directories are made, with the root's own permission bits. The caller closes the handle.
 */
export async function openBeneath(root: string, relative: string, options: { create?: boolean } = {}): Promise<Opened> {
  const components = relative.split('/').filter((c) => c !== '' && c !== '.')
  if (components.includes('..') || relative.startsWith('/')) throw new UnsafePathError(`path must stay below its volume: ${relative}`)
  let current = await open(root, constants.O_DIRECTORY | pathOnly)
  try {
    const mode = options.create ? (await current.stat()).mode & 0o7777 : undefined
    for (const component of components) {
      const next = await step(current, component, mode)
      await current.close()
      current = next
    }
    return { handle: current, stats: await current.stat() }
  } catch (error) {
    await current.close().catch(() => undefined)
    throw error
  }
}

async function step(directory: FileHandle, name: string, create: number | undefined): Promise<FileHandle> {
  const path = join(`/proc/self/fd/${directory.fd}`, name)
  const flags = constants.O_NOFOLLOW | pathOnly
  let handle: FileHandle
  try {
    handle = await open(path, flags)
  } catch (error) {
    if (create === undefined || (error as NodeJS.ErrnoException).code !== 'ENOENT') throw error
    const made = await mkdir(path).then(
      () => true,
      (e: NodeJS.ErrnoException) => {
        if (e.code !== 'EEXIST') throw e
        return false
      },
    )
    handle = await open(path, flags)
    // Through the open directory, whatever stands at the path by now; the umask would have taken bits away.
    if (made && (await handle.stat()).isDirectory()) await chmod(`/proc/self/fd/${handle.fd}`, create)
  }
  // With O_PATH a link opens as itself instead of failing.
  if ((await handle.stat()).isSymbolicLink()) {
    await handle.close()
    throw new UnsafePathError(`unexpected symbolic link in path: ${name}`)
  }
  return handle
}

/** Reads the end of a file that a container may have replaced: no links, no devices, at most `bytesMax`. */
export async function readFileBeneath(root: string, relative: string, bytesMax: number): Promise<Buffer | undefined> {
  let opened: Opened | undefined
  try {
    opened = await openBeneath(root, relative)
    if (!opened.stats.isFile()) return undefined
    const reader = await open(`/proc/self/fd/${opened.handle.fd}`, constants.O_RDONLY | constants.O_NONBLOCK)
    try {
      const { size } = await reader.stat()
      const buffer = Buffer.alloc(Math.min(size, bytesMax))
      const { bytesRead } = await reader.read(buffer, 0, buffer.length, Math.max(0, size - bytesMax))
      return buffer.subarray(0, bytesRead)
    } finally {
      await reader.close()
    }
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    if (code === 'ENOENT' || code === 'ENOTDIR' || error instanceof UnsafePathError) return undefined
    throw error
  } finally {
    await opened?.handle.close()
  }
}
