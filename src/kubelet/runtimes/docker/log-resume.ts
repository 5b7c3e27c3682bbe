// Where a log file stands: its last line, and how often that very line ends it. From that, copying goes on after a restart or a
// broken connection without losing or doubling anything, since Docker gives its messages in one order always.
import { open } from 'node:fs/promises'
import { readFileIfExists, writeFileAtomic } from '#platform/files'

export interface LogPosition {
  readonly line: Buffer
  /** How many equal lines end the log; pieces of one long line may be equal. */
  readonly count: number
}

const newline = 0x0a
const windowBytes = 262_144
// Lines are pieces of at most 16 KiB; equal ones in a row beyond this are counted as this.
const scanBytesMax = 67_108_864

/**
 * The position at the end of the file. A line that a crash cut off is removed first. An empty or missing file continues what the
 * checkpoint says about the file before it (written at rotation).
 */
export async function findPosition(path: string, checkpointPath: string): Promise<LogPosition | undefined> {
  const before = await readCheckpoint(checkpointPath)
  let file: Awaited<ReturnType<typeof open>>
  try {
    file = await open(path, 'r+')
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return before
    throw error
  }
  try {
    let { size } = await file.stat()
    let tail: Buffer = Buffer.alloc(0)
    // Backwards, a window at a time, until a line before the last ones differs.
    for (let start = size; start > 0 && tail.length < scanBytesMax; ) {
      const length = Math.min(windowBytes, start)
      start -= length
      const window = Buffer.alloc(length)
      await file.read(window, 0, length, start)
      tail = Buffer.concat([window, tail])
      const end = tail.lastIndexOf(newline) + 1
      if (end < tail.length) {
        await file.truncate(start + end)
        tail = tail.subarray(0, end)
        size = start + end
      }
      const found = lastLines(tail, start === 0)
      if (found?.sure) return found.position
      if (found !== undefined && start === 0) {
        // The whole file is that line: those at the end of the file before it belong to it.
        const more = before?.line.equals(found.position.line) ? before.count : 0
        return { line: found.position.line, count: found.position.count + more }
      }
    }
    return size === 0 ? before : lastLines(tail, false)?.position
  } finally {
    await file.close()
  }
}

/** `sure`: a different line stands before the equal ones. The first line of a tail is only believed at the start of the file. */
function lastLines(tail: Buffer, atFileStart: boolean): { position: LogPosition; sure: boolean } | undefined {
  if (tail.length === 0) return undefined
  const startOf = (end: number): number => (end < 2 ? 0 : tail.lastIndexOf(newline, end - 2) + 1)
  let start = startOf(tail.length)
  const line = Buffer.from(tail.subarray(start))
  let count = 1
  while (start > 0) {
    const previous = startOf(start)
    if (previous === 0 && !atFileStart) return { position: { line, count }, sure: false }
    if (!tail.subarray(previous, start).equals(line)) return { position: { line, count }, sure: true }
    count++
    start = previous
  }
  return { position: { line, count }, sure: false }
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
