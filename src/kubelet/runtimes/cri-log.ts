// Container log files in the CRI's format (kubernetes/design-proposals-archive, node/kubelet-cri-logging.md): one line per line of
// output, `<RFC 3339 with nanoseconds> <stream> <F|P> <content>`, where P marks a piece whose line goes on.

export type LogStream = 'stdout' | 'stderr'

/** The longest piece of a line; longer lines are cut into pieces, as containerd does. */
export const logPieceBytesMax = 16_384

const newline = 0x0a

/** One line of a log file, its newline included. `content` has none. */
export function formatLogLine(time: string, stream: LogStream, whole: boolean, content: Uint8Array): Buffer {
  const head = `${time} ${stream} ${whole ? 'F' : 'P'} `
  const line = Buffer.allocUnsafe(head.length + content.length + 1)
  line.write(head, 0, 'latin1')
  line.set(content, head.length)
  line[line.length - 1] = newline
  return line
}

/** `ms` since the epoch as log files write it: always nine digits, so that text order is time order. */
export function logTime(ms: number): string {
  return `${new Date(ms).toISOString().slice(0, 23)}000000Z`
}

/** Cuts output into log lines. Keeps what has no newline yet, up to a piece's length. One per stream of a process. */
export class LogSplitter {
  readonly #stream: LogStream
  #rest: Buffer = Buffer.alloc(0)

  constructor(stream: LogStream) {
    this.#stream = stream
  }

  /** The lines that `chunk` completes, stamped `time`. */
  push(chunk: Buffer, time: string): Buffer[] {
    const lines: Buffer[] = []
    let data = this.#rest.length === 0 ? chunk : Buffer.concat([this.#rest, chunk])
    for (;;) {
      const end = data.indexOf(newline)
      if (end >= 0 && end <= logPieceBytesMax) {
        lines.push(formatLogLine(time, this.#stream, true, data.subarray(0, end)))
        data = data.subarray(end + 1)
      } else if (data.length > logPieceBytesMax) {
        lines.push(formatLogLine(time, this.#stream, false, data.subarray(0, logPieceBytesMax)))
        data = data.subarray(logPieceBytesMax)
      } else {
        break
      }
    }
    this.#rest = Buffer.from(data)
    return lines
  }

  /** What is left when the stream ends without a newline. */
  end(time: string): Buffer[] {
    if (this.#rest.length === 0) return []
    const line = formatLogLine(time, this.#stream, false, this.#rest)
    this.#rest = Buffer.alloc(0)
    return [line]
  }
}
