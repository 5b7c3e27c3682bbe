// A file of lines that is kept within bounds by size, number and age: when it is full it is put aside under the time of that moment
// (`audit-2026-01-02T03-04-05.678.log`), and a new one is begun. The names are those of Go programs' rotated logs.
import { createWriteStream, openSync, readdirSync, renameSync, rmSync, statSync, type WriteStream } from 'node:fs'
import { basename, dirname, extname, join } from 'node:path'
import type { Clock } from '#base/clock'

export interface DatedFile {
  /** Appends a line, which ends with a newline. Never throws; what the disk does not take in time is dropped and counted. */
  write(line: string): void
  /** Lines dropped so far. */
  readonly dropped: number
  close(): Promise<void>
}

export interface DatedFileOptions {
  readonly path: string
  readonly clock: Clock
  /** Size of one file. */
  readonly bytesMax: number
  /** Old files that are kept; 0: all. */
  readonly backupsMax: number
  /** How long old files are kept; 0: for ever. */
  readonly ageMsMax: number
  /** Bytes that may wait for the disk. */
  readonly bufferBytesMax?: number
}

/** Opens it at once: throws when the path cannot be written. */
export function openDatedFile(options: DatedFileOptions): DatedFile {
  const { path, clock, bytesMax, bufferBytesMax = 16_777_216 } = options
  let stream: WriteStream | undefined = open(path)
  let bytes = statSync(path).size
  let dropped = 0
  const reopen = (): WriteStream | undefined => {
    try {
      return open(path)
    } catch {
      return undefined
    }
  }
  const rotate = (): void => {
    stream?.end()
    const aside = asideName(path, clock.now())
    try {
      renameSync(path, aside)
    } catch {
      // It may have been taken away by somebody else's rotation.
    }
    tidy(options)
    bytes = 0
    stream = reopen()
  }
  tidy(options)
  return {
    get dropped() {
      return dropped
    },
    write(line) {
      stream ??= reopen()
      const size = Buffer.byteLength(line)
      if (stream === undefined || stream.writableLength > bufferBytesMax || size > bytesMax) {
        dropped++
        return
      }
      if (bytes > 0 && bytes + size > bytesMax) rotate()
      bytes += size
      stream?.write(line)
    },
    close: () => new Promise((resolve) => (stream === undefined ? resolve() : stream.end(() => resolve()))),
  }
}

// Opened at once, so that a rename right after moves this file and not the next.
function open(path: string): WriteStream {
  const stream = createWriteStream(path, { fd: openSync(path, 'a', 0o600) })
  // A full disk costs lines, not the process.
  stream.on('error', () => undefined)
  return stream
}

function asideName(path: string, nowMs: number): string {
  const stamp = new Date(nowMs).toISOString().slice(0, 23).replaceAll(':', '-')
  const extension = extname(path)
  return join(dirname(path), `${basename(path, extension)}-${stamp}${extension}`)
}

function tidy({ path, clock, backupsMax, ageMsMax }: DatedFileOptions): void {
  const extension = extname(path)
  const prefix = `${basename(path, extension)}-`
  const old = readdirSync(dirname(path))
    .filter((name) => name.startsWith(prefix) && name.endsWith(extension))
    .map((name) => ({ name, atMs: timeIn(name.slice(prefix.length, name.length - extension.length)) }))
    .filter(({ atMs }) => !Number.isNaN(atMs))
    .sort((a, b) => b.atMs - a.atMs)
  for (const [i, { name, atMs }] of old.entries()) {
    const tooMany = backupsMax > 0 && i >= backupsMax
    const tooOld = ageMsMax > 0 && clock.now() - atMs > ageMsMax
    if (tooMany || tooOld) rmSync(join(dirname(path), name), { force: true })
  }
}

function timeIn(stamp: string): number {
  const match = /^(\d{4}-\d\d-\d\d)T(\d\d)-(\d\d)-(\d\d\.\d{3})$/.exec(stamp)
  return match === null ? Number.NaN : Date.parse(`${match[1]}T${match[2]}:${match[3]}:${match[4]}Z`)
}
