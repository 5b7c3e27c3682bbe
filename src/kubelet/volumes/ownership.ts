// fsGroup: the files of a volume belong to the pod's group, which may use them (documentation: "Configure volume permission
// and ownership change policy for Pods").
import { constants } from 'node:fs'
import { lchown, lstat, open, opendir } from 'node:fs/promises'
import { join } from 'node:path'

const fileBits = 0o660
const directoryBits = 0o2770

/** Gives a whole tree to the group. With `onRootMismatch` a root that is already right means the rest is. Links are not followed. */
export async function giveToGroup(path: string, gid: number, onRootMismatch: boolean): Promise<void> {
  if (onRootMismatch) {
    const root = await lstat(path)
    if (root.gid === gid && (root.mode & directoryBits) === directoryBits) return
  }
  await give(path, gid)
}

async function give(path: string, gid: number): Promise<void> {
  const stats = await lstat(path)
  if (stats.isSymbolicLink()) return await lchown(path, stats.uid, gid)
  if (!stats.isDirectory() && !stats.isFile()) return
  const handle = await open(path, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK)
  try {
    await handle.chown(stats.uid, gid)
    await handle.chmod((stats.mode & 0o7777) | (stats.isDirectory() ? directoryBits : fileBits))
  } finally {
    await handle.close()
  }
  if (!stats.isDirectory()) return
  for await (const entry of await opendir(path)) await give(join(path, entry.name), gid)
}
