// The server's half of SPDY/3.1 (the draft of that name) on an upgraded connection: streams that the client opens, data both
// ways, each direction's own end. What kubectl's exec, attach and port-forward speak; npm's `spdy` does not run on current Node.js.
//
// Like its Go counterpart it knows no flow control windows: a slow reader holds up the whole connection, which bounds memory.
import { Duplex } from 'node:stream'
import { constants, createInflate } from 'node:zlib'

/** A stream that the client opened. Readable: what the client sends; writable: to the client. */
export interface SpdyStream {
  readonly id: number
  /** Lower-case names. */
  readonly headers: Readonly<Record<string, string>>
  readonly io: Duplex
  /** Cuts the stream both ways. */
  reset(): void
}

export interface SpdySession {
  /** Resolves when the connection is over, however it ended. */
  readonly closed: Promise<void>
  /** Says goodbye, sends what is queued and closes the connection. */
  close(): void
}

export interface SpdyOptions {
  /** Called for each stream the client opens; false refuses it. */
  readonly onStream: (stream: SpdyStream) => boolean
  /** Streams open at once; more are refused. */
  readonly streamsMax?: number
}

const version = 0x8003
const frameType = { synStream: 1, synReply: 2, rstStream: 3, settings: 4, ping: 6, goAway: 7, headers: 8 } as const
const resetStatus = { protocolError: 1, invalidStream: 2, refusedStream: 3, cancel: 5 } as const
const finFlag = 1
const unidirectionalFlag = 2
const frameBytesMax = 1 << 20
const headerBytesMax = 1 << 16
const dataBytesMax = 1 << 15
const readAheadBytesMax = 1 << 18

/** Speaks SPDY/3.1 on a connection whose upgrade was answered already. */
export function serveSpdy(socket: Duplex, { onStream, streamsMax = 1_024 }: SpdyOptions): SpdySession {
  const streams = new Map<number, ServedStream>()
  const inflate = createHeaderReader()
  let repliedBefore = false
  let closing = false

  const send = (frame: Buffer): boolean => {
    if (socket.destroyed || socket.writableEnded) return true
    return socket.write(frame)
  }
  const reset = (id: number, status: number): void => {
    const body = Buffer.alloc(8)
    body.writeUInt32BE(id, 0)
    body.writeUInt32BE(status, 4)
    send(controlFrame(frameType.rstStream, 0, body))
  }

  async function open(flags: number, body: Buffer): Promise<void> {
    const id = body.readUInt32BE(0) & 0x7fffffff
    const headers = await inflate(body.subarray(10))
    const stream = new ServedStream(id, headers, {
      send,
      drained: () => drained(socket),
      reset: () => {
        streams.delete(id)
        reset(id, resetStatus.cancel)
      },
      ended: () => streams.delete(id),
    })
    if (streams.has(id)) throw new Error(`the client opened stream ${id} twice`)
    if (streams.size >= streamsMax || !onStream(stream)) return reset(id, resetStatus.refusedStream)
    streams.set(id, stream)
    if ((flags & unidirectionalFlag) === 0) {
      send(replyFrame(id, !repliedBefore))
      repliedBefore = true
    }
    if ((flags & finFlag) !== 0) await stream.receive(undefined)
  }

  async function control(frame: Buffer): Promise<void> {
    if (frame.readUInt16BE(0) !== version) throw new Error('the client does not speak SPDY/3')
    const flags = frame.readUInt8(4)
    const body = frame.subarray(8)
    switch (frame.readUInt16BE(2)) {
      case frameType.synStream:
        return body.length < 10 ? Promise.reject(new Error('a SYN_STREAM is too short')) : open(flags, body)
      case frameType.headers:
        // Nothing is done with these, but the compression of all header blocks is one stream.
        if (body.length >= 4) await inflate(body.subarray(4))
        return
      case frameType.rstStream: {
        const id = body.length >= 4 ? body.readUInt32BE(0) & 0x7fffffff : 0
        streams.get(id)?.io.destroy()
        streams.delete(id)
        return
      }
      case frameType.ping:
        send(Buffer.from(frame))
        return
      case frameType.goAway:
        closing = true
        if (streams.size === 0) socket.end()
        return
      default:
    }
  }

  async function data(frame: Buffer): Promise<void> {
    const id = frame.readUInt32BE(0)
    const stream = streams.get(id)
    // Data of a stream that has just been reset may still be on its way.
    if (stream === undefined) return
    if (frame.length > 8) await stream.receive(frame.subarray(8))
    if ((frame.readUInt8(4) & finFlag) !== 0) await stream.receive(undefined)
  }

  async function run(): Promise<void> {
    let rest: Buffer = Buffer.alloc(0)
    for await (const chunk of socket as AsyncIterable<Buffer>) {
      rest = rest.length === 0 ? chunk : Buffer.concat([rest, chunk])
      while (rest.length >= 8) {
        const length = rest.readUIntBE(5, 3)
        if (length > frameBytesMax) throw new Error(`the client sent a frame of ${length} bytes`)
        if (rest.length < 8 + length) break
        const frame = rest.subarray(0, 8 + length)
        rest = rest.subarray(8 + length)
        await ((frame.readUInt8(0) & 0x80) === 0 ? data(frame) : control(frame))
      }
      if (closing && streams.size === 0) break
    }
  }

  socket.on('error', () => undefined)
  const closed = run()
    .catch(() => undefined)
    .then(() => {
      for (const { io } of streams.values()) io.destroy()
      streams.clear()
      socket.destroy()
    })
  return {
    closed,
    close() {
      const body = Buffer.alloc(8)
      send(controlFrame(frameType.goAway, 0, body))
      socket.end()
    },
  }
}

interface StreamConnection {
  send(frame: Buffer): boolean
  drained(): Promise<void>
  reset(): void
  ended(): void
}

class ServedStream implements SpdyStream {
  readonly id: number
  readonly headers: Readonly<Record<string, string>>
  readonly io: Duplex
  readonly #connection: StreamConnection
  #room: (() => void) | undefined
  #remoteEnded = false
  #localEnded = false

  constructor(id: number, headers: Readonly<Record<string, string>>, connection: StreamConnection) {
    this.id = id
    this.headers = headers
    this.#connection = connection
    this.io = new Duplex({
      allowHalfOpen: true,
      readableHighWaterMark: readAheadBytesMax,
      read: () => {
        this.#room?.()
        this.#room = undefined
      },
      write: (chunk: Buffer, _encoding, done) => {
        this.#write(chunk).then(() => done(), done)
      },
      final: (done) => {
        this.#localEnded = true
        connection.send(dataFrame(id, finFlag, Buffer.alloc(0)))
        this.#forgetWhenDone()
        done()
      },
      destroy: (error, done) => {
        this.#room?.()
        if (!this.#localEnded || !this.#remoteEnded) connection.reset()
        this.#localEnded = true
        this.#remoteEnded = true
        done(error)
      },
    })
    this.io.on('error', () => undefined)
  }

  reset(): void {
    this.io.destroy()
  }

  /** Data from the client, or its end. Resolves when there is room for more. */
  receive(chunk: Buffer | undefined): Promise<void> {
    if (this.#remoteEnded) return Promise.resolve()
    if (chunk === undefined) {
      this.#remoteEnded = true
      this.io.push(null)
      this.#forgetWhenDone()
      return Promise.resolve()
    }
    if (this.io.push(Buffer.from(chunk)) || this.io.destroyed) return Promise.resolve()
    return new Promise((resolve) => {
      this.#room = resolve
    })
  }

  async #write(chunk: Buffer): Promise<void> {
    for (let at = 0; at < chunk.length; at += dataBytesMax) {
      const frame = dataFrame(this.id, 0, chunk.subarray(at, at + dataBytesMax))
      if (!this.#connection.send(frame)) await this.#connection.drained()
    }
  }

  #forgetWhenDone(): void {
    if (this.#localEnded && this.#remoteEnded) this.#connection.ended()
  }
}

function dataFrame(id: number, flags: number, data: Buffer): Buffer {
  const head = Buffer.alloc(8)
  head.writeUInt32BE(id, 0)
  head.writeUInt32BE(data.length, 4)
  head.writeUInt8(flags, 4)
  return data.length === 0 ? head : Buffer.concat([head, data])
}

function controlFrame(type: number, flags: number, body: Buffer): Buffer {
  const head = Buffer.alloc(8)
  head.writeUInt16BE(version, 0)
  head.writeUInt16BE(type, 2)
  head.writeUInt32BE(body.length, 4)
  head.writeUInt8(flags, 4)
  return Buffer.concat([head, body])
}

/**
 * A SYN_REPLY without headers: a zlib stream of stored blocks (RFC 1951, section 3.2.4), begun by the first reply.
 * Compat: Go's inflate hands data out only at the empty block that ends a flush, and is spoilt for good when it meets the end of
 * the frame before one (kubectl port-forward).
 */
function replyFrame(id: number, first: boolean): Buffer {
  const noHeaders = Buffer.alloc(4)
  const stream = Buffer.alloc(4)
  stream.writeUInt32BE(id)
  const zlibHead = first ? Buffer.from([0x78, 0x01]) : Buffer.alloc(0)
  return controlFrame(frameType.synReply, 0, Buffer.concat([stream, zlibHead, storedBlock(noHeaders), storedBlock(Buffer.alloc(0))]))
}

function storedBlock(data: Buffer): Buffer {
  const head = Buffer.alloc(5)
  head.writeUInt16LE(data.length, 1)
  head.writeUInt16LE(data.length ^ 0xffff, 3)
  return Buffer.concat([head, data])
}

/** Reads header blocks, which share one compression context, in the order of their arrival. */
function createHeaderReader(): (block: Buffer) => Promise<Record<string, string>> {
  const inflate = createInflate({ dictionary: headerDictionary(), finishFlush: constants.Z_SYNC_FLUSH })
  let output: Buffer[] = []
  let bytes = 0
  inflate.on('data', (chunk: Buffer) => {
    bytes += chunk.length
    // A block that unpacks to more is an attack: the rest is not even kept.
    if (bytes <= headerBytesMax) output.push(chunk)
  })
  return (block) =>
    new Promise((resolve, reject) => {
      inflate.once('error', reject)
      inflate.write(block, () => {
        inflate.flush(constants.Z_SYNC_FLUSH, () => {
          inflate.off('error', reject)
          const text = Buffer.concat(output)
          const tooMuch = bytes > headerBytesMax
          output = []
          bytes = 0
          if (tooMuch) return reject(new Error(`a header block holds more than ${headerBytesMax} bytes`))
          try {
            resolve(parseHeaders(text))
          } catch (error) {
            reject(error)
          }
        })
      })
    })
}

function parseHeaders(block: Buffer): Record<string, string> {
  const headers: Record<string, string> = {}
  let at = 4
  const text = (): string => {
    const length = block.readUInt32BE(at)
    at += 4 + length
    if (at > block.length) throw new Error('a header block is cut')
    return block.toString('utf8', at - length, at)
  }
  for (let left = block.readUInt32BE(0); left > 0; left--) {
    const name = text().toLowerCase()
    // Several values of a name are separated by NUL.
    Object.defineProperty(headers, name, { value: text().replaceAll('\0', ', '), enumerable: true, configurable: true })
  }
  return headers
}

function drained(socket: Duplex): Promise<void> {
  return new Promise((resolve) => {
    const done = (): void => {
      socket.off('drain', done)
      socket.off('close', done)
      resolve()
    }
    socket.on('drain', done)
    socket.on('close', done)
  })
}

// The words that SPDY/3 header blocks are compressed against (draft section 2.6.10.1): each with its length in four bytes, then one
// text without. 1423 bytes, Adler-32 e3c6a7c2.
const dictionaryWords =
  'options head post put delete trace accept accept-charset accept-encoding accept-language accept-ranges age allow authorization ' +
  'cache-control connection content-base content-encoding content-language content-length content-location content-md5 content-range ' +
  'content-type date etag expect expires from host if-match if-modified-since if-none-match if-range if-unmodified-since last-modified ' +
  'location max-forwards pragma proxy-authenticate proxy-authorization range referer retry-after server te trailer transfer-encoding ' +
  'upgrade user-agent vary via warning www-authenticate method get status'
const dictionaryPhrases = ['200 OK', 'version', 'HTTP/1.1', 'url', 'public', 'set-cookie', 'keep-alive', 'origin']
const dictionaryText =
  '100101201202205206300302303304305306307402405406407408409410411412413414415416417502504505203 Non-Authoritative Information204 No ' +
  'Content301 Moved Permanently400 Bad Request401 Unauthorized403 Forbidden404 Not Found500 Internal Server Error501 Not Implemented503 ' +
  'Service UnavailableJan Feb Mar Apr May Jun Jul Aug Sept Oct Nov Dec 00:00:00 Mon, Tue, Wed, Thu, Fri, Sat, Sun, GMTchunked,text/html,' +
  'image/png,image/jpg,image/gif,application/xml,application/xhtml+xml,text/plain,text/javascript,publicprivatemax-age=gzip,deflate,' +
  'sdchcharset=utf-8charset=iso-8859-1,utf-,*,enq=0.'

/** The compression dictionary of SPDY/3 header blocks. */
export function headerDictionary(): Buffer {
  const words = [...dictionaryWords.split(' '), ...dictionaryPhrases].map((word) => {
    const length = Buffer.alloc(4)
    length.writeUInt32BE(word.length)
    return Buffer.concat([length, Buffer.from(word)])
  })
  return Buffer.concat([...words, Buffer.from(dictionaryText)])
}
