// Writes the files of a volume so that a reader sees the old set or the new one, never a mixture: the files stand in a
// directory with a time in its name, `..data` points at it, and what the container sees are links through `..data`.
// The layout is Kubernetes'; programs that watch `..data` rely on it.
//
// Calls are synchronous on purpose: they touch a handful of small files in memory, and nobody else may see a half-done swap.
import {
  chmodSync,
  chownSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { dirname, join } from 'node:path'
import type { Payload, PayloadFile } from './payload.ts'

const dataLink = '..data'
const newDataLink = '..data_tmp'

export interface FileOwnership {
  /** Group of every file and directory; files become readable for it. */
  readonly fsGroup?: number
}

/** Makes the directory hold exactly this payload. Returns whether anything changed. */
export function writeAtomically(directory: string, payload: Payload, ownership: FileOwnership, nowMs: number): boolean {
  mkdirSync(directory, { recursive: true, mode: 0o755 })
  const oldName = readLink(join(directory, dataLink))
  const oldDir = oldName === undefined ? undefined : join(directory, oldName)
  if (oldDir !== undefined && holds(oldDir, payload)) return false

  const name = freshName(directory, nowMs)
  const newDir = join(directory, name)
  mkdirSync(newDir, { mode: 0o755 })
  setGroup(newDir, ownership, true)
  for (const [path, file] of payload) writeFile(newDir, path, file, ownership)
  symlinkSync(name, join(directory, newDataLink))
  renameSync(join(directory, newDataLink), join(directory, dataLink))
  linkTopLevel(directory, payload)
  setGroup(directory, ownership, true)
  // Leftovers of an interrupted swap go too.
  for (const entry of readdirSync(directory)) {
    if (entry.startsWith('..') && entry !== dataLink && entry !== name) rmSync(join(directory, entry), { recursive: true, force: true })
  }
  return true
}

/** Whether a set of files has been written here before. */
export function holdsFiles(directory: string): boolean {
  return readLink(join(directory, dataLink)) !== undefined
}

function freshName(directory: string, nowMs: number): string {
  const stamp = new Date(nowMs).toISOString().slice(0, 19).replaceAll('-', '_').replace('T', '_').replaceAll(':', '_')
  for (let i = 0; ; i++) {
    const name = `..${stamp}.${String(i).padStart(9, '0')}`
    if (lstatOf(join(directory, name)) === undefined) return name
  }
}

function writeFile(root: string, path: string, file: PayloadFile, ownership: FileOwnership): void {
  const target = join(root, path)
  makeParents(root, dirname(path), ownership)
  writeFileSync(target, file.data, { mode: 0o600, flag: 'wx' })
  if (file.uid !== undefined || ownership.fsGroup !== undefined) chownSync(target, file.uid ?? 0, ownership.fsGroup ?? 0)
  // The group may read what it owns; nobody may write: the volume is mounted read-only.
  chmodSync(target, ownership.fsGroup === undefined ? file.mode : file.mode | 0o440)
}

function makeParents(root: string, relative: string, ownership: FileOwnership): void {
  if (relative === '.') return
  makeParents(root, dirname(relative), ownership)
  const target = join(root, relative)
  if (lstatOf(target) !== undefined) return
  mkdirSync(target, { mode: 0o755 })
  setGroup(target, ownership, true)
}

function setGroup(path: string, { fsGroup }: FileOwnership, directory: boolean): void {
  if (fsGroup === undefined) return
  chownSync(path, 0, fsGroup)
  const { mode } = statSync(path)
  chmodSync(path, (mode & 0o7777) | (directory ? 0o2550 : 0o440))
}

function linkTopLevel(directory: string, payload: Payload): void {
  const wanted = new Set([...payload.keys()].map((path) => path.split('/')[0]!))
  for (const name of wanted) {
    if (readLink(join(directory, name)) === undefined) symlinkSync(`${dataLink}/${name}`, join(directory, name))
  }
  for (const entry of readdirSync(directory)) {
    if (!entry.startsWith('..') && !wanted.has(entry)) rmSync(join(directory, entry), { recursive: true, force: true })
  }
}

/** Whether the directory already holds the payload, contents and modes, and nothing else. */
function holds(directory: string, payload: Payload): boolean {
  let count = 0
  try {
    for (const [path, file] of payload) {
      const target = join(directory, path)
      const stat = lstatSync(target)
      if (!stat.isFile() || (stat.mode & 0o777 & ~0o440) !== (file.mode & ~0o440) || stat.size !== file.data.length) return false
      if (!readFileSync(target).equals(file.data)) return false
      count++
    }
    return countFiles(directory) === count
  } catch {
    return false
  }
}

function countFiles(directory: string): number {
  let count = 0
  for (const entry of readdirSync(directory, { withFileTypes: true })) {
    count += entry.isDirectory() ? countFiles(join(directory, entry.name)) : 1
  }
  return count
}

function readLink(path: string): string | undefined {
  try {
    return readlinkSync(path)
  } catch {
    return undefined
  }
}

function lstatOf(path: string): ReturnType<typeof lstatSync> | undefined {
  return lstatSync(path, { throwIfNoEntry: false })
}
