// Removes a tree below a directory without following a link on the way or in it, whatever somebody swaps in meanwhile: volumes lie
// where others may write (the cure for CVE-2021-25741, for deletion).
import type { FileHandle } from 'node:fs/promises'
import { readdir, rmdir, unlink } from 'node:fs/promises'
import { basename, dirname } from 'node:path'
import { openBeneath, UnsafePathError } from './open-beneath.ts'

// Each level holds a directory open.
const depthMax = 256

/** Removes `relative`, below `root`, with all that it holds; what is not there is no error. Throws UnsafePathError for a link on the way. */
export async function removeBeneath(root: string, relative: string): Promise<void> {
  const name = basename(relative)
  if (name === '' || name === '.' || name === '..') throw new UnsafePathError(`path must stay below its volume: ${relative}`)
  const parent = await openBeneath(root, dirname(relative)).catch(unlessGone)
  if (parent === undefined) return
  try {
    await removeEntry(parent.handle, name, 1)
  } finally {
    await parent.handle.close()
  }
}

async function removeEntry(directory: FileHandle, name: string, depth: number): Promise<void> {
  const path = `/proc/self/fd/${directory.fd}/${name}`
  try {
    await unlink(path)
    return
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    if (code === 'ENOENT') return
    if (code !== 'EISDIR') throw error
  }
  if (depth > depthMax) throw new Error(`directories are nested more than ${depthMax} deep`)
  const opened = await openBeneath(`/proc/self/fd/${directory.fd}`, name).catch(unlessGone)
  if (opened === undefined) return
  try {
    for (const inner of await readdir(`/proc/self/fd/${opened.handle.fd}`)) await removeEntry(opened.handle, inner, depth + 1)
  } finally {
    await opened.handle.close()
  }
  await rmdir(path).catch(unlessGone)
}

function unlessGone(error: NodeJS.ErrnoException): undefined {
  if (error.code === 'ENOENT') return undefined
  throw error
}
