// The streams of an exec or attach over a raw connection to the Docker engine. Without a terminal, stdout and stderr come interleaved
// in frames: one byte of stream, three of nothing, four of length (Docker Engine API, "Attach to a container", stream format).
import type { Socket } from 'node:net'
import { Duplex, PassThrough, type Readable } from 'node:stream'
import type { LogStream } from '../cri-log.ts'

const headBytes = 8

/** A frame or a part of one; `last` ends the frame. */
export interface FramePiece {
  readonly stream: LogStream
  readonly data: Buffer
  readonly last: boolean
}

/** Cuts frames out of a byte stream. Frames may span chunks; pieces of a frame are given on as they come. */
export class FrameSplitter {
  #head = Buffer.alloc(0)
  #left = 0
  #stream: LogStream = 'stdout'

  /** The pieces in the chunk, in order. */
  split(chunk: Buffer): FramePiece[] {
    const pieces: FramePiece[] = []
    let rest = chunk
    while (rest.length > 0) {
      if (this.#left === 0) {
        const need = headBytes - this.#head.length
        this.#head = Buffer.concat([this.#head, rest.subarray(0, need)])
        rest = rest.subarray(need)
        if (this.#head.length < headBytes) break
        this.#stream = this.#head[0] === 2 ? 'stderr' : 'stdout'
        this.#left = this.#head.readUInt32BE(4)
        this.#head = Buffer.alloc(0)
        if (this.#left === 0) continue
      }
      const data = rest.subarray(0, this.#left)
      rest = rest.subarray(data.length)
      this.#left -= data.length
      if (data.length > 0) pieces.push({ stream: this.#stream, data, last: this.#left === 0 })
    }
    return pieces
  }
}

export interface RawStreams {
  readonly io: Duplex
  readonly stderr?: Readable
  /** Settles when the engine ended the connection: with it, all output was given on. Rejects when it broke. */
  readonly ended: Promise<void>
  close(): void
}

export interface RawOptions {
  readonly tty: boolean
  readonly stdin: boolean
  readonly stdout: boolean
  readonly stderr: boolean
  /** Sees the first output; true holds all output back until `release` or the end of the connection. */
  readonly hold?: (first: Buffer) => boolean
}

/** Output that was held back: `release` gives it on, `held` is what it is. */
export interface Held {
  readonly held: Buffer
  release(): void
}

const heldBytesMax = 65_536

/** Takes over the connection. What nobody reads stops the engine from sending, not us from living. */
export function openRawStreams(socket: Socket, options: RawOptions): RawStreams & { readonly whenHeld: () => Held | undefined } {
  const stdout = new PassThrough()
  const stderr = options.tty ? undefined : new PassThrough()
  const held: Buffer[] = []
  let closed = false
  let holding = false

  const give = async (stream: LogStream, data: Buffer): Promise<void> => {
    const target = stream === 'stderr' ? stderr : stdout
    if (target === undefined || !(stream === 'stderr' ? options.stderr : options.stdout)) return
    if (!target.write(data)) await drained(target)
  }
  const finish = (): void => {
    stdout.end()
    stderr?.end()
  }
  const pump = async (): Promise<void> => {
    const frames = options.tty ? undefined : new FrameSplitter()
    let first = true
    try {
      for await (const chunk of socket as AsyncIterable<Buffer>) {
        const pieces = frames === undefined ? [{ stream: 'stdout' as const, data: chunk }] : frames.split(chunk)
        for (const { stream, data } of pieces) {
          if (first) holding = options.hold?.(data) ?? false
          first = false
          if (holding && held.reduce((n, b) => n + b.length, 0) < heldBytesMax) held.push(data)
          else await give(stream, data)
        }
      }
    } catch (error) {
      // We closed it ourselves: then its breaking is what was wanted.
      if (!closed) throw error
    } finally {
      if (!holding) finish()
    }
  }
  const ended = pump()
  // Whoever is interested awaits it; nobody has to.
  ended.catch(() => undefined)

  const io = new Duplex({
    allowHalfOpen: true,
    read: () => void stdout.resume(),
    write(chunk: Buffer, _encoding, done) {
      if (!options.stdin || socket.destroyed || socket.writableEnded) return done()
      // A process that ended takes no more input; its exit code tells the rest.
      socket.write(chunk, () => done())
    },
    final(done) {
      if (options.stdin && !socket.destroyed) socket.end()
      done()
    },
    destroy(error, done) {
      closed = true
      socket.destroy()
      finish()
      done(error)
    },
  })
  stdout.on('data', (chunk: Buffer) => {
    if (!io.push(chunk)) stdout.pause()
  })
  stdout.on('end', () => io.push(null))
  stdout.pause()
  socket.on('error', () => undefined)

  return {
    io,
    ...(stderr === undefined ? {} : { stderr }),
    ended,
    close() {
      closed = true
      socket.destroy()
      finish()
    },
    whenHeld() {
      if (!holding) return undefined
      return {
        held: Buffer.concat(held),
        release() {
          for (const data of held) stdout.write(data)
          finish()
        },
      }
    },
  }
}

function drained(stream: PassThrough): Promise<void> {
  return new Promise((resolve) => {
    const done = (): void => {
      stream.off('drain', done)
      stream.off('close', done)
      resolve()
    }
    stream.on('drain', done)
    stream.on('close', done)
  })
}
