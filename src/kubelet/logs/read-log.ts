// Reads a container's log as `kubectl logs` wants it: the tail, since a time, with timestamps, up to so many bytes, following
// what is still being written, across rotations.
import { constants, watch } from 'node:fs'
import { type FileHandle, open, readFile, stat } from 'node:fs/promises'
import { basename, dirname } from 'node:path'
import { promisify } from 'node:util'
import { gunzip } from 'node:zlib'
import { rotatedFiles } from './log-files.ts'
import { parseLogLine } from './log-line.ts'

export interface LogOptions {
  readonly follow: boolean
  readonly timestamps: boolean
  /** Undefined: everything. */
  readonly tailLines?: number
  /** Lines older than this are left out; milliseconds since the epoch. */
  readonly sinceMs?: number
  /** Undefined: no limit. */
  readonly limitBytes?: number
  readonly stream?: 'stdout' | 'stderr'
}

export interface LogFollowing {
  readonly signal: AbortSignal
  /** Resolves when nothing will be written any more. */
  readonly ended: Promise<void>
}

const chunkBytes = 64 * 1024
const newline = 0x0a
const lineBytesMax = 1024 * 1024
const gunzipAsync = promisify(gunzip)

/** The text of the log, in pieces. Ends with the log, with the limit, or with the signal. */
export async function* readLog(path: string, options: LogOptions, following: LogFollowing): AsyncGenerator<Buffer> {
  const format = createFormatter(options)
  const from = options.tailLines === undefined ? { skipFiles: 0, offset: 0 } : await findTail(path, options.tailLines)
  for await (const lines of logLines(path, from, options.follow, following)) {
    const { text, full } = format(lines)
    if (text.length > 0) yield text
    if (full) return
  }
}

/** The last lines' text, without timestamps; for the last words of a container. */
export async function tailLog(path: string, lines: number): Promise<Buffer> {
  const never = new Promise<void>(() => undefined)
  const parts: Buffer[] = []
  for await (const part of readLog(
    path,
    { follow: false, timestamps: false, tailLines: lines },
    { signal: new AbortController().signal, ended: never },
  )) {
    parts.push(part)
  }
  return Buffer.concat(parts)
}

/** Turns raw lines into text; remembers the limit and whether a line is unfinished. */
function createFormatter(options: LogOptions): (lines: readonly Buffer[]) => { text: Buffer; full: boolean } {
  let left = options.limitBytes ?? Number.POSITIVE_INFINITY
  const unfinished = { stdout: false, stderr: false }
  const since = options.sinceMs === undefined ? undefined : new Date(options.sinceMs).toISOString().slice(0, -1)
  return (lines) => {
    const parts: Buffer[] = []
    for (const raw of lines) {
      const line = parseLogLine(raw)
      if (line === undefined) continue
      if (options.stream !== undefined && line.stream !== options.stream) continue
      if (since !== undefined && isBefore(line.time, since, options.sinceMs!)) continue
      if (options.timestamps && !unfinished[line.stream]) parts.push(Buffer.from(`${line.time} `))
      parts.push(line.content)
      if (!line.partial) parts.push(Buffer.from([newline]))
      unfinished[line.stream] = line.partial
    }
    const text = Buffer.concat(parts)
    if (text.length < left) {
      left -= text.length
      return { text, full: false }
    }
    const cut = text.subarray(0, left)
    left = 0
    return { text: cut, full: true }
  }
}

function isBefore(time: string, sinceText: string, sinceMs: number): boolean {
  // Times in UTC compare as text; others are parsed.
  return time.endsWith('Z') ? time.slice(0, sinceText.length) < sinceText : Date.parse(time) < sinceMs
}

interface Start {
  /** Rotated files, oldest first, that are not needed. */
  readonly skipFiles: number
  /** Where to begin in the first one that is. */
  readonly offset: number
}

/** Where the last `count` lines begin. */
async function findTail(path: string, count: number): Promise<Start> {
  const rotated = await rotatedFiles(path)
  const files = [...rotated, path]
  if (count === 0) return { skipFiles: rotated.length, offset: (await sizeOf(path)) ?? 0 }
  let missing = count
  for (let i = files.length - 1; i >= 0; i--) {
    const found = await tailOffset(files[i]!, missing)
    if (found === undefined) continue
    if (found.lines >= missing) return { skipFiles: i, offset: found.offset }
    missing -= found.lines
  }
  return { skipFiles: 0, offset: 0 }
}

async function sizeOf(path: string): Promise<number | undefined> {
  return (await stat(path).catch(() => undefined))?.size
}

/** Counts lines from the end, at most `count`; where the first of them begins. */
async function tailOffset(path: string, count: number): Promise<{ lines: number; offset: number } | undefined> {
  if (path.endsWith('.gz')) {
    const bytes = await readWhole(path)
    return bytes === undefined ? undefined : tailOf(bytes, count)
  }
  const handle = await openLog(path)
  if (handle === undefined) return undefined
  try {
    const { size } = await handle.stat()
    let lines = 0
    const buffer = Buffer.allocUnsafe(chunkBytes)
    for (let end = size; end > 0; ) {
      const begin = Math.max(0, end - chunkBytes)
      const { bytesRead } = await handle.read(buffer, 0, end - begin, begin)
      for (let i = bytesRead - 1; i >= 0; i--) {
        if (buffer[i] !== newline || begin + i === size - 1) continue
        if (++lines === count) return { lines, offset: begin + i + 1 }
      }
      end = begin
    }
    return { lines: size > 0 ? lines + 1 : 0, offset: 0 }
  } finally {
    await handle.close()
  }
}

function tailOf(bytes: Buffer, count: number): { lines: number; offset: number } {
  let lines = 0
  for (let i = bytes.length - 2; i >= 0; i--) {
    if (bytes[i] === newline && ++lines === count) return { lines, offset: i + 1 }
  }
  return { lines: bytes.length > 0 ? lines + 1 : 0, offset: 0 }
}

async function readWhole(path: string): Promise<Buffer | undefined> {
  try {
    const bytes = await readFile(path)
    return path.endsWith('.gz') ? await gunzipAsync(bytes) : bytes
  } catch (error) {
    // Rotated away, or still being compressed: its lines are in the other file.
    const { code } = error as NodeJS.ErrnoException
    if (code === 'ENOENT' || code?.startsWith('Z_')) return undefined
    throw error
  }
}

async function openLog(path: string): Promise<FileHandle | undefined> {
  try {
    return await open(path, constants.O_RDONLY | constants.O_NOFOLLOW)
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    if (code === 'ENOENT' || code === 'ELOOP') return undefined
    throw error
  }
}

async function* logLines(path: string, from: Start, follow: boolean, following: LogFollowing): AsyncGenerator<Buffer[]> {
  const rotated = (await rotatedFiles(path)).slice(from.skipFiles)
  let { offset } = from
  for (const file of rotated) {
    const bytes = await readWhole(file)
    if (bytes === undefined) continue
    yield splitLines(bytes.subarray(offset)).lines
    offset = 0
  }
  yield* currentLines(path, offset, follow, following)
}

/** The file that is being written: to its end, and on from there while it is followed, also when it is rotated. */
async function* currentLines(path: string, from: number, follow: boolean, { signal, ended }: LogFollowing): AsyncGenerator<Buffer[]> {
  const changes = follow ? watchFile(path, signal) : undefined
  let over = false
  void ended.then(() => {
    over = true
    changes?.wake()
  })
  let handle = await openLog(path)
  let position = from
  let rest = Buffer.alloc(0)
  try {
    while (!signal.aborted) {
      const wasOver = over
      const next = await nextFile(path, handle)
      // After the new file is there nothing is written to the old one: what it holds now is all.
      if (handle !== undefined) {
        for await (const chunk of chunks(handle, position)) {
          position += chunk.length
          const split = splitLines(rest.length === 0 ? chunk : Buffer.concat([rest, chunk]))
          rest = Buffer.from(split.rest.length > lineBytesMax ? split.rest.subarray(0, lineBytesMax) : split.rest)
          if (split.lines.length > 0) yield split.lines
          if (signal.aborted) return
        }
      }
      if (next !== undefined) {
        await handle?.close()
        handle = next
        position = 0
        rest = Buffer.alloc(0)
        continue
      }
      if (changes === undefined || wasOver) return
      await changes.next()
    }
  } finally {
    changes?.close()
    await handle?.close()
  }
}

/** The file that stands at the path now, if it is another one than is open. */
async function nextFile(path: string, handle: FileHandle | undefined): Promise<FileHandle | undefined> {
  const now = await stat(path).catch(() => undefined)
  if (now === undefined) return undefined
  if (handle !== undefined && (await handle.stat()).ino === now.ino) return undefined
  return await openLog(path)
}

async function* chunks(handle: FileHandle, from: number): AsyncGenerator<Buffer> {
  for (let position = from; ; ) {
    const buffer = Buffer.allocUnsafe(chunkBytes)
    const { bytesRead } = await handle.read(buffer, 0, chunkBytes, position)
    if (bytesRead === 0) return
    position += bytesRead
    yield buffer.subarray(0, bytesRead)
  }
}

function splitLines(bytes: Buffer): { lines: Buffer[]; rest: Buffer } {
  const lines: Buffer[] = []
  let begin = 0
  for (let end = bytes.indexOf(newline); end >= 0; end = bytes.indexOf(newline, begin)) {
    lines.push(bytes.subarray(begin, end))
    begin = end + 1
  }
  return { lines, rest: bytes.subarray(begin) }
}

interface Changes {
  /** Resolves at the next change, or at once when there was one since the last call. */
  next(): Promise<void>
  wake(): void
  close(): void
}

/** Tells of writes to the file and of files coming and going beside it. */
function watchFile(path: string, signal: AbortSignal): Changes {
  let pending = true
  let resolve: (() => void) | undefined
  const wake = (): void => {
    pending = true
    resolve?.()
  }
  const name = basename(path)
  const watcher = watch(dirname(path), { persistent: false }, (_event, file) => {
    if (file === null || file === name) wake()
  })
  watcher.on('error', wake)
  signal.addEventListener('abort', wake, { once: true })
  return {
    wake,
    async next() {
      if (!pending && !signal.aborted) {
        await new Promise<void>((done) => {
          resolve = done
        })
      }
      resolve = undefined
      pending = false
    },
    close() {
      watcher.close()
      signal.removeEventListener('abort', wake)
    },
  }
}
