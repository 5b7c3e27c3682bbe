// A look over the file before LMDB maps it. LMDB believes what it reads: a torn or foreign page ends the process by a signal, again
// at every start. So the pages that hold structure (not those that hold only a value's bytes) are read once and checked to be what
// their parents say they are; a few tens of milliseconds for a hundred thousand objects. The layout is that of LMDB's data
// version 2 (lmdb.h, mdb.c of the binding's source).
import { type FileHandle, open, unlink } from 'node:fs/promises'
import { corruptError, unavailableError } from './errors.ts'

const pageBytes = 4096
const pageHeadBytes = 24
const nodeHeadBytes = 8
const magic = 0xbeefc0de
const dataVersion = 2
const noPage = 2 ** 64

const branchPage = 1
const leafPage = 2
const metaPage = 8

const bigValue = 1
const subTable = 2

/** Checks the file at `path`; one that is missing or was never written to is fine. Throws StoreError 'corrupt'. */
export async function checkFile(path: string): Promise<void> {
  let file: FileHandle
  try {
    file = await open(path, 'r')
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return
    throw unavailableError(path, error)
  }
  try {
    const { size } = await file.stat()
    if (size === 0) return
    // A machine that stopped while the file was being made leaves zeros, and nothing that was ever acknowledged.
    if (size <= 2 * pageBytes && (await isZero(file, size))) return void (await unlink(path))
    await checkTrees(file, size)
  } catch (error) {
    if (error instanceof Damage) throw corruptError(path, error.message)
    throw error
  } finally {
    await file.close()
  }
}

class Damage extends Error {}

interface Meta {
  readonly pages: number
  readonly transaction: bigint
  readonly roots: readonly Tree[]
}

interface Tree {
  readonly root: number
  readonly depth: number
}

async function isZero(file: FileHandle, size: number): Promise<boolean> {
  const { buffer } = await file.read(Buffer.alloc(size), 0, size, 0)
  return buffer.every((byte) => byte === 0)
}

async function checkTrees(file: FileHandle, size: number): Promise<void> {
  const metas = [await readMeta(file, 0), await readMeta(file, 1)]
  const { pages, roots } = metas[0]!.transaction >= metas[1]!.transaction ? metas[0]! : metas[1]!
  const bounds = { pages, size }
  let level: (Tree & { named: boolean })[] = roots.map((tree, i) => ({ ...tree, named: i === 1 }))
  while (level.length > 0) {
    const next: (Tree & { named: boolean })[] = []
    level = level.filter(({ root }) => root !== noPage).sort((a, b) => a.root - b.root)
    for (let at = 0; at < level.length; at += readsAtOnce) {
      const some = level.slice(at, at + readsAtOnce)
      const read = await Promise.all(some.map(({ root }) => readPage(file, root, bounds)))
      read.forEach((page, i) => {
        const { depth, named, root } = some[i]!
        if (depth > 1) for (const child of checkBranch(page, root)) next.push({ root: child, depth: depth - 1, named })
        else for (const tree of checkLeaf(page, root, bounds, named)) next.push({ ...tree, named: false })
      })
    }
    level = next
  }
}

const readsAtOnce = 64

interface FileBounds {
  readonly pages: number
  readonly size: number
}

async function readMeta(file: FileHandle, number: number): Promise<Meta> {
  const page = await read(file, number)
  const at = pageHeadBytes
  if ((page.readUInt16LE(18) & metaPage) === 0 || page.readUInt32LE(at) !== magic) throw new Damage('it is not a store')
  if (page.readUInt32LE(at + 4) !== dataVersion) throw new Damage(`its version is ${page.readUInt32LE(at + 4)}, not ${dataVersion}`)
  if (page.readUInt32LE(at + 24) !== pageBytes) throw new Damage(`its pages are of ${page.readUInt32LE(at + 24)} bytes`)
  return {
    pages: number64(page, at + 120) + 1,
    transaction: page.readBigUInt64LE(at + 128),
    roots: [readTree(page, at + 24), readTree(page, at + 72)],
  }
}

function readTree(page: Buffer, at: number): Tree {
  return { root: number64(page, at + 40), depth: page.readUInt16LE(at + 6) }
}

async function readPage(file: FileHandle, number: number, bounds: FileBounds): Promise<Buffer> {
  checkWithin(number, 1, bounds)
  const page = await read(file, number)
  if (number64(page, 0) !== number) throw new Damage(`page ${number} holds something else`)
  return page
}

async function read(file: FileHandle, number: number): Promise<Buffer> {
  const { bytesRead, buffer } = await file.read(Buffer.allocUnsafe(pageBytes), 0, pageBytes, number * pageBytes)
  if (bytesRead !== pageBytes) throw new Damage(`page ${number} is cut off`)
  return buffer
}

function checkWithin(first: number, count: number, { pages, size }: FileBounds): void {
  if (first < 2 || count < 1 || first + count > pages) throw new Damage(`page ${first} does not exist`)
  if ((first + count) * pageBytes > size) throw new Damage(`page ${first} is cut off`)
}

function checkBranch(page: Buffer, number: number): number[] {
  if ((page.readUInt16LE(18) & branchPage) === 0) throw new Damage(`page ${number} is of the wrong kind`)
  return nodes(page, number).map((at) => page.readUInt32LE(at) + page.readUInt16LE(at + 4) * 2 ** 32)
}

// The trees that begin here; only the table of tables has any.
function checkLeaf(page: Buffer, number: number, bounds: FileBounds, named: boolean): Tree[] {
  if ((page.readUInt16LE(18) & leafPage) === 0) throw new Damage(`page ${number} is of the wrong kind`)
  const trees: Tree[] = []
  for (const at of nodes(page, number)) {
    const dataBytes = page.readUInt32LE(at)
    const flags = page.readUInt16LE(at + 4)
    const data = at + nodeHeadBytes + page.readUInt16LE(at + 6)
    const storedBytes = (flags & bigValue) !== 0 ? 24 : dataBytes
    if (data + storedBytes > pageBytes) throw new Damage(`page ${number} is torn`)
    if ((flags & bigValue) !== 0) checkWithin(number64(page, data), number64(page, data + 16), bounds)
    if (named && (flags & subTable) !== 0) trees.push(readTree(page, data))
  }
  return trees
}

// Where the page's nodes begin. What a page says of places in it counts from the end of its head.
function nodes(page: Buffer, number: number): number[] {
  const lower = page.readUInt16LE(20)
  const upper = page.readUInt16LE(22)
  if (lower > upper || upper > pageBytes - pageHeadBytes) throw new Damage(`page ${number} is torn`)
  const starts: number[] = []
  for (let i = 0; i < lower; i += 2) {
    const start = page.readUInt16LE(pageHeadBytes + i)
    if (start < upper || pageHeadBytes + start + nodeHeadBytes > pageBytes) throw new Damage(`page ${number} is torn`)
    starts.push(pageHeadBytes + start)
  }
  return starts
}

function number64(page: Buffer, at: number): number {
  return page.readUInt32LE(at) + page.readUInt32LE(at + 4) * 2 ** 32
}
