// Where a log file stands: its last line, and how often that very line is in it. From that, copying goes on after a restart or a broken
// connection without losing or doubling anything, since Docker gives its messages in one order always.
import type { FileHandle } from 'node:fs/promises'
import { readFileIfExists, writeFileAtomic } from '#platform/files'
import { timeOfLine } from './json-log.ts'

export interface LogPosition {
  readonly line: Buffer
  /** How many equal lines the log has, time included: pieces of one long line may be equal. */
  readonly count: number
}

/** Two streams of one container are written by two threads: their times may be this much out of order. */
export const disorderMs = 1_000

const newline = 0x0a
const windowBytes = 262_144
const scanBytesMax = 67_108_864

/**
 * The position at the end of the file, which is open for reading. A line that a crash cut off is removed first. An empty file
 * continues what the checkpoint says about the file before it (written at rotation).
 */
export async function findPosition(file: FileHandle, checkpointPath: string): Promise<LogPosition | undefined> {
  const before = await readCheckpoint(checkpointPath)
  const beforeCount = (line: Buffer): number => before.filter((b) => b.equals(line)).length
  const { size } = await file.stat()
  let found: { line: Buffer; count: number } | undefined
  let oldest = ''
  // The beginning of the line that a window begins in the middle of belongs to the next window.
  let rest: Buffer = Buffer.alloc(0)
  for (let start = size; start > 0 && size - start < scanBytesMax; ) {
    const length = Math.min(windowBytes, start)
    start -= length
    const window = Buffer.alloc(length)
    await file.read(window, 0, length, start)
    let data = Buffer.concat([window, rest])
    if (found === undefined) {
      const end = data.lastIndexOf(newline) + 1
      if (end < data.length) await file.truncate(start + end)
      data = data.subarray(0, end)
    }
    const whole = start === 0 ? 0 : data.indexOf(newline) + 1
    for (let end = data.length; end > whole; ) {
      const begin = end < 2 ? 0 : data.lastIndexOf(newline, end - 2) + 1
      const line = data.subarray(begin, end)
      if (found === undefined) {
        found = { line: Buffer.from(line), count: 0 }
        oldest = shiftTime(line, -disorderMs)
      }
      // Lines before this cannot have the last one's time.
      if (timeOfLine(line) < oldest) return found
      if (line.equals(found.line)) found.count++
      end = begin
    }
    rest = data.subarray(0, whole)
  }
  if (found !== undefined) return { line: found.line, count: found.count + beforeCount(found.line) }
  const line = before.at(-1)
  return line === undefined ? undefined : { line, count: beforeCount(line) }
}

/** The line's time, moved, as text that compares with times of lines. */
export function shiftTime(line: Buffer, byMs: number): string {
  return `${new Date(Date.parse(timeOfLine(line)) + byMs).toISOString().slice(0, 23)}000000Z`
}

// A line of some megabytes that is cut into pieces fits in whole.
const checkpointLinesMax = 256

/** Keeps the last lines of a file that is about to be replaced, open for reading: those of the next one may be equal to them. */
export async function writeCheckpoint(path: string, file: FileHandle): Promise<void> {
  const before = await readCheckpoint(path)
  const { size } = await file.stat()
  let lines: Buffer[] = []
  let data: Buffer = Buffer.alloc(0)
  for (let start = size; start > 0 && lines.length < checkpointLinesMax; ) {
    const length = Math.min(windowBytes, start)
    start -= length
    const window = Buffer.alloc(length)
    await file.read(window, 0, length, start)
    data = Buffer.concat([window, data])
    lines = wholeLines(data, start === 0)
  }
  const kept = [...before, ...lines].slice(-checkpointLinesMax)
  await writeFileAtomic(path, JSON.stringify(kept.map((line) => line.toString('base64'))))
}

function wholeLines(data: Buffer, fromFileStart: boolean): Buffer[] {
  const lines: Buffer[] = []
  for (let start = fromFileStart ? 0 : data.indexOf(newline) + 1; start < data.length; ) {
    const end = data.indexOf(newline, start) + 1
    if (end === 0) break
    lines.push(data.subarray(start, end))
    start = end
  }
  return lines
}

async function readCheckpoint(path: string): Promise<Buffer[]> {
  const text = await readFileIfExists(path)
  return text === undefined ? [] : (JSON.parse(text) as string[]).map((line) => Buffer.from(line, 'base64'))
}

export interface Resumer {
  /** The lines among these that are not in the log yet. */
  fresh(lines: Buffer[]): Buffer[]
  /** Whether the position has been passed: from there on every line is fresh. */
  readonly found: boolean
}

/** Drops lines up to and including the position. */
export function resumeAfter(position: LogPosition | undefined): Resumer {
  let left = position?.count ?? 0
  return {
    get found() {
      return left === 0
    },
    fresh(lines) {
      if (left === 0 || position === undefined) return lines
      for (const [i, line] of lines.entries()) {
        if (line.equals(position.line)) left--
        if (left === 0) return lines.slice(i + 1)
      }
      return []
    },
  }
}

/** For a position that Docker no longer has: only lines with a later time are fresh. */
export function resumeLater(position: LogPosition): Resumer {
  const time = timeOfLine(position.line)
  return { found: true, fresh: (lines) => lines.filter((line) => timeOfLine(line) > time) }
}
