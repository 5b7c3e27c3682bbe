// What Docker's log endpoint sends, as lines of a CRI log file. With `timestamps`, every message is one piece of output, begun by
// its time in fixed form; a message without newline at its end is a piece whose line goes on, with the same time.
import { formatLogLine, type LogStream, logPieceBytesMax } from '../cri-log.ts'
import { FrameSplitter } from './raw-streams.ts'

const timeLength = '2006-01-02T15:04:05.000000000Z'.length
const newline = 0x0a
const space = 0x20

export interface LogLines {
  /** The file lines that the chunk completes. */
  push(chunk: Buffer): Buffer[]
}

/** Reads the framed form, which containers without a terminal have. */
export function framedLogLines(): LogLines {
  const frames = new FrameSplitter()
  let pieces: Buffer[] = []
  return {
    push(chunk) {
      const lines: Buffer[] = []
      for (const { stream, data, last } of frames.split(chunk)) {
        if (!last) {
          pieces.push(data)
          continue
        }
        const message = pieces.length === 0 ? data : Buffer.concat([...pieces, data])
        pieces = []
        lines.push(lineOf(stream, message))
      }
      return lines
    },
  }
}

/**
 * Reads the plain form, which containers with a terminal have: messages follow each other with nothing between them. One that is cut
 * has exactly a piece's length, and the next begins with the same time.
 */
export function terminalLogLines(): LogLines {
  let rest: Buffer = Buffer.alloc(0)
  return {
    push(chunk) {
      const lines: Buffer[] = []
      let data = rest.length === 0 ? chunk : Buffer.concat([rest, chunk])
      for (;;) {
        const end = data.indexOf(newline)
        const cut = timeLength + 1 + logPieceBytesMax
        if (end >= 0 && end <= cut) {
          lines.push(lineOf('stdout', data.subarray(0, end + 1)))
          data = data.subarray(end + 1)
        } else if (data.length > cut) {
          lines.push(lineOf('stdout', data.subarray(0, cut)))
          data = data.subarray(cut)
        } else break
      }
      rest = Buffer.from(data)
      return lines
    },
  }
}

function lineOf(stream: LogStream, message: Buffer): Buffer {
  const time = message.toString('latin1', 0, timeLength)
  const whole = message[message.length - 1] === newline
  // The time is followed by one space.
  const start = message[timeLength] === space ? timeLength + 1 : timeLength
  return formatLogLine(time, stream, whole, message.subarray(start, whole ? message.length - 1 : message.length))
}

/** The time that a file line begins with. */
export function timeOfLine(line: Buffer): string {
  return line.toString('latin1', 0, timeLength)
}
