// Where a log file stands: its last line, and how often that very line is in it. From that, copying goes on after a restart or a broken
// connection without losing or doubling anything, since Docker gives its messages in one order always.
import type { FileHandle } from 'node:fs/promises'
import { readFileIfExists, writeFileAtomic } from '#platform/files'
import { timeOfLine } from './log-lines.ts'

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
  if (found === undefined) return before
  return before?.line.equals(found.line) ? { line: found.line, count: found.count + before.count } : found
}

/** The line's time, moved, as text that compares with times of lines. */
export function shiftTime(line: Buffer, byMs: number): string {
  return `${new Date(Date.parse(timeOfLine(line)) + byMs).toISOString().slice(0, 23)}000000Z`
}

/** Keeps the position of a file that is about to be replaced. */
export async function writeCheckpoint(path: string, position: LogPosition): Promise<void> {
  await writeFileAtomic(path, JSON.stringify({ line: position.line.toString('base64'), count: position.count }))
}

async function readCheckpoint(path: string): Promise<LogPosition | undefined> {
  const text = await readFileIfExists(path)
  if (text === undefined) return undefined
  const { line, count } = JSON.parse(text) as { line: string; count: number }
  return { line: Buffer.from(line, 'base64'), count }
}

export interface Resumer {
  /** The lines among these that are not in the log yet. */
  fresh(lines: Buffer[]): Buffer[]
  /** Whether the position has been passed: from there on every line is fresh. */
  readonly found: boolean
  /** Whether lines so much later came that the position is gone from what Docker keeps. */
  readonly lost: boolean
}

/** Drops lines up to and including the position; gives up at lines whose time (as text) is after `giveUpAfter`. */
export function resumeAfter(position: LogPosition | undefined, timeOf: (line: Buffer) => string, giveUpAfter: string): Resumer {
  let left = position?.count ?? 0
  let lost = false
  return {
    get found() {
      return left === 0
    },
    get lost() {
      return lost
    },
    fresh(lines) {
      if (left === 0 || position === undefined) return lines
      for (const [i, line] of lines.entries()) {
        if (line.equals(position.line)) left--
        if (left === 0) return lines.slice(i + 1)
        lost ||= timeOf(line) > giveUpAfter
      }
      return []
    },
  }
}
