// A client that opens watches and counts their events in what arrives, without decoding anything: over HTTP/2 it reads nothing but
// frame heads, so that what is measured is the server and not its client. Good for nothing else: it trusts the server, and the
// windows that it grants are never renewed.
import { connect, type TLSSocket } from 'node:tls'

export interface EventCounter {
  count(events: number): void
}

export interface RawWatch {
  readonly port: number
  readonly path: string
  readonly token: string
  readonly counter: EventCounter
}

function connected(port: number, protocol: string): Promise<TLSSocket> {
  return new Promise((resolve, reject) => {
    const socket = connect({ host: '127.0.0.1', port, rejectUnauthorized: false, ALPNProtocols: [protocol] }, () => resolve(socket))
    socket.once('error', reject)
  })
}

const newline = 0x0a

function linesIn(bytes: Buffer): number {
  let lines = 0
  for (let at = bytes.indexOf(newline); at >= 0; at = bytes.indexOf(newline, at + 1)) lines++
  return lines
}

/** One watch on a connection of its own. */
export async function openHttp1Watch({ port, path, token, counter }: RawWatch): Promise<void> {
  const socket = await connected(port, 'http/1.1')
  socket.write(`GET ${path} HTTP/1.1\r\nHost: bench\r\nAuthorization: Bearer ${token}\r\n\r\n`)
  await new Promise<void>((resolve) => socket.once('data', () => resolve()))
  socket.on('data', (chunk: Buffer) => {
    // Each chunk of the transfer coding has two line ends of its own; those of events follow a brace.
    let events = 0
    for (let at = chunk.indexOf('}\n'); at >= 0; at = chunk.indexOf('}\n', at + 2)) events++
    if (events > 0) counter.count(events)
  })
}

const frameTypes = { data: 0, headers: 1, settings: 4, ping: 6, goaway: 7, windowUpdate: 8 } as const
const windowBytes = 2 ** 31 - 1

function frame(type: number, flags: number, stream: number, payload: Buffer): Buffer {
  const head = Buffer.alloc(9)
  head.writeUIntBE(payload.length, 0, 3)
  head[3] = type
  head[4] = flags
  head.writeUInt32BE(stream, 5)
  return Buffer.concat([head, payload])
}

// HPACK without its tables: every field spelled out (RFC 7541, section 6.2.2).
function field(name: string, value: string): Buffer {
  const text = (it: string): Buffer => {
    const bytes = Buffer.from(it)
    if (bytes.length < 127) return Buffer.concat([Buffer.from([bytes.length]), bytes])
    return Buffer.concat([Buffer.from([127, ((bytes.length - 127) & 127) | 128, (bytes.length - 127) >> 7]), bytes])
  }
  return Buffer.concat([Buffer.from([0]), text(name), text(value)])
}

/** Watches on one connection; resolves when all of them have been answered. Every line is an event. */
export async function openHttp2Watches({ port, path, token, counter, streams }: RawWatch & { streams: number }): Promise<void> {
  const socket = await connected(port, 'h2')
  const settings = Buffer.alloc(6)
  settings.writeUInt16BE(4, 0)
  settings.writeUInt32BE(windowBytes, 2)
  const grant = Buffer.alloc(4)
  grant.writeUInt32BE(windowBytes - 65_535)
  const head = Buffer.concat([
    field(':method', 'GET'),
    field(':scheme', 'https'),
    field(':authority', 'bench'),
    field(':path', path),
    field('authorization', `Bearer ${token}`),
    field('accept', 'application/json'),
  ])
  const opening = [
    Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n'),
    frame(frameTypes.settings, 0, 0, settings),
    frame(frameTypes.windowUpdate, 0, 0, grant),
  ]
  for (let i = 0; i < streams; i++) opening.push(frame(frameTypes.headers, 0x5, 2 * i + 1, head))
  let answered = 0
  await new Promise<void>((resolve, reject) => {
    const reader = new FrameReader((type, flags, payload) => {
      if (type === frameTypes.data) counter.count(linesIn(payload))
      else if (type === frameTypes.headers && ++answered === streams) resolve()
      else if (type === frameTypes.settings && (flags & 1) === 0) socket.write(frame(frameTypes.settings, 1, 0, Buffer.alloc(0)))
      else if (type === frameTypes.ping && (flags & 1) === 0) socket.write(frame(frameTypes.ping, 1, 0, payload))
      else if (type === frameTypes.goaway) reject(new Error('the server says goodbye'))
    })
    socket.on('data', (chunk: Buffer) => reader.read(chunk))
    socket.write(Buffer.concat(opening))
  })
}

class FrameReader {
  readonly #onFrame: (type: number, flags: number, payload: Buffer) => void
  #rest: Buffer = Buffer.alloc(0)

  constructor(onFrame: (type: number, flags: number, payload: Buffer) => void) {
    this.#onFrame = onFrame
  }

  read(chunk: Buffer): void {
    const bytes = this.#rest.length === 0 ? chunk : Buffer.concat([this.#rest, chunk])
    let at = 0
    while (bytes.length - at >= 9) {
      const length = bytes.readUIntBE(at, 3)
      if (bytes.length - at < 9 + length) break
      const end = at + 9 + length
      this.#onFrame(bytes[at + 3]!, bytes[at + 4]!, bytes.subarray(at + 9, end))
      at = end
    }
    this.#rest = bytes.subarray(at)
  }
}
