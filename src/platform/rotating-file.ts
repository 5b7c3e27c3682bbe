// A file of lines that is bounded: when it is full it becomes `<path>.1`, the older ones move on, the oldest goes.
import { createWriteStream, openSync, renameSync, rmSync, statSync, type WriteStream } from 'node:fs'

export interface RotatingFile {
  /** Appends a line, which ends with a newline. Never throws; what the disk does not take in time is dropped and counted. */
  write(line: string): void
  /** Lines dropped so far. */
  readonly dropped: number
  close(): Promise<void>
}

export interface RotatingFileOptions {
  readonly path: string
  readonly bytesMax: number
  /** Old files kept beside the current one. */
  readonly backupsMax: number
  /** Bytes that may wait for the disk; default 4 MiB. */
  readonly bufferBytesMax?: number
}

export function openRotatingFile({ path, bytesMax, backupsMax, bufferBytesMax = 4_194_304 }: RotatingFileOptions): RotatingFile {
  let bytes = sizeOf(path)
  let stream = open(path)
  let dropped = 0

  const rotate = (): void => {
    stream?.end()
    rmSync(`${path}.${backupsMax}`, { force: true })
    for (let i = backupsMax - 1; i >= 0; i--) {
      const from = i === 0 ? path : `${path}.${i}`
      try {
        if (backupsMax === 0) rmSync(path, { force: true })
        else renameSync(from, `${path}.${i + 1}`)
      } catch {
        // There are not that many yet.
      }
    }
    bytes = 0
    stream = open(path)
  }

  return {
    get dropped() {
      return dropped
    },
    write(line) {
      stream ??= open(path)
      if (stream === undefined || stream.writableLength > bufferBytesMax) {
        dropped++
        return
      }
      const size = Buffer.byteLength(line)
      if (bytes > 0 && bytes + size > bytesMax) rotate()
      bytes += size
      stream?.write(line)
    },
    close: () => new Promise((resolve) => (stream === undefined ? resolve() : stream.end(() => resolve()))),
  }
}

// Opened at once, so that a rename right after moves this file and not the next.
function open(path: string): WriteStream | undefined {
  try {
    const stream = createWriteStream(path, { fd: openSync(path, 'a', 0o600) })
    // A full disk costs lines, not the process.
    stream.on('error', () => undefined)
    return stream
  } catch {
    return undefined
  }
}

function sizeOf(path: string): number {
  try {
    return statSync(path).size
  } catch {
    return 0
  }
}
