// Docker's own log of a container, read from its files: JSON lines in `<id>-json.log`, the older ones in `.1`, `.2` and so on. Read as
// files and not through the API, whose following readers lose and repeat lines when Docker rotates (seen with 20.10).
import { type FileHandle, open, stat } from 'node:fs/promises'
import { formatLogLine } from '../cri-log.ts'

/** What containers are created with: Docker's copy is a buffer for the time that the agent is away. */
export const jsonLogConfig = { Type: 'json-file', Config: { 'max-size': '8m', 'max-file': '3', compress: 'false', mode: 'blocking' } }
const filesMax = 3

const timeLength = '2006-01-02T15:04:05.000000000Z'.length
const newline = 0x0a
const readBytes = 262_144
// Docker cuts output into pieces of 16 KiB; escaped, a byte takes at most six.
const lineBytesMax = 1_048_576

/** The time that a line of our log file begins with. */
export function timeOfLine(line: Buffer): string {
  return line.toString('latin1', 0, timeLength)
}

/** The line of our log file for one of Docker's; undefined for what a crash of Docker left unreadable. */
export function lineFromJson(json: Buffer): Buffer | undefined {
  try {
    const { log, stream, time } = JSON.parse(json.toString()) as { log: string; stream: string; time: string }
    const whole = log.endsWith('\n')
    const content = Buffer.from(whole ? log.slice(0, -1) : log)
    return formatLogLine(nineDigits(time), stream === 'stderr' ? 'stderr' : 'stdout', whole, content)
  } catch {
    return undefined
  }
}

// Docker leaves out trailing zeros; with all nine digits, text order is time order.
function nineDigits(time: string): string {
  const [seconds = '', fraction = ''] = time.slice(0, -1).split('.')
  return `${seconds}.${fraction.padEnd(9, '0')}Z`
}

export interface JsonLog {
  /** The next lines of our form, in the order of the container's output; undefined when there are none for now. */
  next(): Promise<Buffer[] | undefined>
  close(): Promise<void>
}

/**
 * Reads from the oldest file that is there, and follows rotations. `path` is that of the newest. `since` (a time as our lines have it)
 * leaves out most of what is older: times may be a little out of order, so it is to be earlier than what is looked for.
 */
export function openJsonLog(path: string, since?: string): JsonLog {
  let file: FileHandle | undefined
  let inode = 0
  let offset = 0
  let rest: Buffer = Buffer.alloc(0)

  /** Opens the file after the one that was read to its end; false when that is the newest, or none is there. */
  const advance = async (): Promise<boolean> => {
    const chain: { path: string; inode: number }[] = []
    for (let age = filesMax - 1; age >= 0; age--) {
      const at = age === 0 ? path : `${path}.${age}`
      const found = await stat(at).catch(() => undefined)
      if (found !== undefined) chain.push({ path: at, inode: found.ino })
    }
    const here = chain.findIndex((f) => f.inode === inode)
    // Not there: it was rotated away altogether, and the oldest that is left comes next. While Docker renames, the newest is missing.
    const following = file === undefined || here < 0 ? chain[0] : chain[here + 1]
    if (following === undefined) return false
    const opened = await open(following.path, 'r').catch(() => undefined)
    if (opened === undefined) return false
    // Renamed meanwhile: then it is another file, and its turn may not have come.
    const { ino, size } = await opened.stat()
    if (ino !== following.inode) {
      await opened.close()
      return false
    }
    await file?.close()
    file = opened
    inode = ino
    offset = since === undefined ? 0 : await offsetOf(opened, size, since)
    rest = Buffer.alloc(0)
    return true
  }

  const read = async (): Promise<Buffer> => {
    const chunk = Buffer.allocUnsafe(readBytes)
    const { bytesRead } = (await file?.read(chunk, 0, readBytes, offset)) ?? { bytesRead: 0 }
    offset += bytesRead
    return chunk.subarray(0, bytesRead)
  }

  return {
    async next() {
      for (;;) {
        let chunk = await read()
        if (chunk.length === 0) {
          if (!(await hasSuccessor())) return undefined
          // A file that has a successor gets nothing more: what is read now is its end.
          chunk = await read()
          if (chunk.length === 0) {
            if (await advance()) continue
            return undefined
          }
        }
        const data = rest.length === 0 ? chunk : Buffer.concat([rest, chunk])
        const end = data.lastIndexOf(newline) + 1
        rest = end === data.length ? Buffer.alloc(0) : Buffer.from(data.subarray(end))
        if (rest.length > lineBytesMax) rest = Buffer.alloc(0)
        const lines = linesIn(data.subarray(0, end))
        if (lines.length > 0) return lines
      }
    },
    async close() {
      await file?.close()
      file = undefined
    },
  }

  async function hasSuccessor(): Promise<boolean> {
    if (file === undefined) return true
    const newest = await stat(path).catch(() => undefined)
    return newest !== undefined && newest.ino !== inode
  }
}

const searchBytes = 65_536

/** Where a line begins before which all times are earlier than `since`: found by halving, not by reading everything. */
async function offsetOf(file: FileHandle, size: number, since: string): Promise<number> {
  const chunk = Buffer.alloc(searchBytes)
  let low = 0
  for (let high = size; high - low > searchBytes; ) {
    const middle = Math.floor((low + high) / 2)
    const { bytesRead } = await file.read(chunk, 0, searchBytes, middle)
    const begin = chunk.indexOf(newline) + 1
    const end = chunk.indexOf(newline, begin)
    const line = begin === 0 || end < 0 || end >= bytesRead ? undefined : lineFromJson(chunk.subarray(begin, end))
    // A line longer than the window, or a broken one: what follows it is read.
    if (line !== undefined && timeOfLine(line) < since) low = middle + begin
    else high = middle
  }
  return low
}

function linesIn(data: Buffer): Buffer[] {
  const lines: Buffer[] = []
  for (let start = 0; start < data.length; ) {
    const end = data.indexOf(newline, start)
    const line = lineFromJson(data.subarray(start, end))
    if (line !== undefined) lines.push(line)
    start = end + 1
  }
  return lines
}
