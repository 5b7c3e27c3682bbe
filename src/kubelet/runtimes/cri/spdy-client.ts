// The client's half of SPDY/3.1 (the draft of that name), as far as an engine's streaming server needs it: streams that are opened
// by us, data both ways, and each direction's own end, which the WebSocket protocols of that server cannot tell. Header blocks are
// sent as zlib streams of stored blocks, and those that come back are skipped: nothing in them matters here.
import { request } from 'node:http'
import type { Socket } from 'node:net'
import { RuntimeError } from '../runtime.ts'

export interface SpdyStream {
  readonly name: string
  /** Sends data; the promise is the socket's backpressure. */
  write(data: Buffer): Promise<void>
  /** Ends our direction of the stream. */
  end(): void
}

export interface SpdyHandlers {
  /** Data of a stream; the next is not read before the promise resolves. */
  onData(name: string, data: Buffer): Promise<void>
  /** The server ended its direction. */
  onEnd(name: string): void
}

export interface SpdyConnection {
  open(name: string): SpdyStream
  /** Settles when the connection is over; rejects when it broke. */
  readonly closed: Promise<void>
  close(): void
}

const frameType = { synStream: 1, rstStream: 3, ping: 6, goAway: 7 } as const
const version = 0x8003
const finFlag = 1
const frameBytesMax = 0xffffff
const dataBytesMax = 65_536
const handshakeHeadersMax = 16_384

/** Upgrades a URL that the engine gave. An answer other than 101 is an error; redirects are never followed. */
export function upgradeToSpdy(url: URL, protocol: string): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const outgoing = request(url, {
      method: 'POST',
      agent: false,
      maxHeaderSize: handshakeHeadersMax,
      headers: { Connection: 'Upgrade', Upgrade: 'SPDY/3.1', 'X-Stream-Protocol-Version': protocol, 'Content-Length': 0 },
    })
    outgoing.on('upgrade', (response, socket: Socket, head: Buffer) => {
      if (head.length > 0) socket.unshift(head)
      const agreed = response.headers['x-stream-protocol-version']
      if (response.headers.upgrade?.toUpperCase() === 'SPDY/3.1' && agreed === protocol) return resolve(socket)
      socket.destroy()
      reject(new RuntimeError('unknown', `the engine offers stream protocol ${agreed}, not ${protocol}`))
    })
    outgoing.on('response', (response) => {
      response.destroy()
      reject(new RuntimeError('unknown', `the engine's streaming server answered ${response.statusCode} instead of switching protocols`))
    })
    outgoing.on('error', (cause) => reject(new RuntimeError('unavailable', `the engine's streaming server: ${cause.message}`, { cause })))
    outgoing.end()
  })
}

/** Speaks SPDY on an upgraded connection. */
export function openSpdy(socket: Socket, handlers: SpdyHandlers): SpdyConnection {
  const names = new Map<number, string>()
  let lastId = -1
  let sentHeaders = false
  let closedByUs = false

  const send = (frame: Buffer): boolean => socket.destroyed || socket.writableEnded || socket.write(frame)

  const receive = async (): Promise<void> => {
    let rest: Buffer = Buffer.alloc(0)
    try {
      for await (const chunk of socket as AsyncIterable<Buffer>) {
        rest = rest.length === 0 ? chunk : Buffer.concat([rest, chunk])
        for (;;) {
          const length = rest.length < 8 ? frameBytesMax : rest.readUIntBE(5, 3)
          if (rest.length < 8 + length) break
          await handle(rest.subarray(0, 8 + length))
          rest = rest.subarray(8 + length)
        }
      }
    } catch (error) {
      if (!closedByUs) throw error
    }
  }

  const handle = async (frame: Buffer): Promise<void> => {
    const flags = frame[4]!
    const body = frame.subarray(8)
    if ((frame[0]! & 0x80) === 0) {
      const name = names.get(frame.readUInt32BE(0))
      if (name === undefined) return
      if (body.length > 0) await handlers.onData(name, body)
      if ((flags & finFlag) !== 0) handlers.onEnd(name)
      return
    }
    const type = frame.readUInt16BE(2)
    if (type === frameType.ping) send(Buffer.from(frame))
    else if (type === frameType.goAway) socket.end()
    else if (body.length >= 4) {
      const name = names.get(body.readUInt32BE(0) & 0x7fffffff)
      const ends = type === frameType.rstStream || (flags & finFlag) !== 0
      if (name !== undefined && ends) handlers.onEnd(name)
    }
  }

  socket.on('error', () => undefined)
  const closed = receive()
  closed.catch(() => undefined)
  return {
    closed,
    open(name) {
      lastId += 2
      const id = lastId
      names.set(id, name)
      send(synStream(id, name, !sentHeaders))
      sentHeaders = true
      let ended = false
      return {
        name,
        async write(data) {
          for (let at = 0; at < data.length && !ended; at += dataBytesMax) {
            if (!send(dataFrame(id, 0, data.subarray(at, at + dataBytesMax)))) await drained(socket)
          }
        },
        end() {
          if (ended) return
          ended = true
          send(dataFrame(id, finFlag, Buffer.alloc(0)))
        },
      }
    },
    close() {
      closedByUs = true
      socket.destroy()
    },
  }
}

function dataFrame(id: number, flags: number, data: Buffer): Buffer {
  const head = Buffer.alloc(8)
  head.writeUInt32BE(id, 0)
  head.writeUInt32BE(data.length, 4)
  head[4] = flags
  return Buffer.concat([head, data])
}

function synStream(id: number, name: string, first: boolean): Buffer {
  const headers = headerBlock({ streamtype: name })
  // The empty block makes the other side take what came before it without looking for more.
  const block = Buffer.concat([storedHead(headers.length), headers, storedHead(0)])
  const zlibHead = first ? Buffer.from([0x78, 0x01]) : Buffer.alloc(0)
  const body = Buffer.alloc(10)
  body.writeUInt32BE(id, 0)
  const head = Buffer.alloc(8)
  head.writeUInt16BE(version, 0)
  head.writeUInt16BE(frameType.synStream, 2)
  head.writeUInt32BE(body.length + zlibHead.length + block.length, 4)
  return Buffer.concat([head, body, zlibHead, block])
}

/** The head of a stored deflate block that is not the last: a zero byte, its length and that length's complement (RFC 1951, section 3.2.4). */
function storedHead(length: number): Buffer {
  const head = Buffer.alloc(5)
  head.writeUInt16LE(length, 1)
  head.writeUInt16LE(length ^ 0xffff, 3)
  return head
}

function headerBlock(headers: Readonly<Record<string, string>>): Buffer {
  const entries = Object.entries(headers)
  const text = (value: string): Buffer[] => {
    const length = Buffer.alloc(4)
    length.writeUInt32BE(Buffer.byteLength(value))
    return [length, Buffer.from(value)]
  }
  const count = Buffer.alloc(4)
  count.writeUInt32BE(entries.length)
  return Buffer.concat([count, ...entries.flatMap(([name, value]) => [...text(name), ...text(value)])])
}

function drained(socket: Socket): Promise<void> {
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
