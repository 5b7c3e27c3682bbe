// As much of a SPDY/3.1 client as tests need: opens streams, sends data and ends, collects what comes.
import type { Duplex } from 'node:stream'
import { constants, createDeflate } from 'node:zlib'
import { headerDictionary } from '#platform/spdy'

export class SpdyTestClient {
  readonly #socket: Duplex
  readonly #deflate = createDeflate({ dictionary: headerDictionary(), flush: constants.Z_SYNC_FLUSH })
  #rest = Buffer.alloc(0)
  /** What came on each stream, as text; ended and reset streams. */
  readonly received = new Map<number, string>()
  readonly ended = new Set<number>()
  readonly reset = new Set<number>()

  constructor(socket: Duplex) {
    this.#socket = socket
    socket.on('data', (chunk: Buffer) => this.#read(chunk))
    socket.on('error', () => undefined)
  }

  async open(id: number, headers: Readonly<Record<string, string>>): Promise<void> {
    const texts = Object.entries(headers).flatMap(([name, value]) => [sized(name), sized(value)])
    const block = Buffer.concat([uint32(Object.keys(headers).length), ...texts])
    const packed: Buffer[] = []
    const collect = (chunk: Buffer): void => void packed.push(chunk)
    this.#deflate.on('data', collect)
    await new Promise<void>((resolve) => this.#deflate.write(block, () => this.#deflate.flush(constants.Z_SYNC_FLUSH, () => resolve())))
    this.#deflate.off('data', collect)
    const body = Buffer.concat([uint32(id), Buffer.alloc(6), ...packed])
    this.#socket.write(Buffer.concat([Buffer.from([0x80, 3, 0, 1, 0]), uint32(body.length).subarray(1), body]))
  }

  send(id: number, text: string, end = false): void {
    this.#socket.write(Buffer.concat([uint32(id), Buffer.from([end ? 1 : 0]), uint32(text.length).subarray(1), Buffer.from(text)]))
  }

  #read(chunk: Buffer): void {
    this.#rest = Buffer.concat([this.#rest, chunk])
    while (this.#rest.length >= 8) {
      const length = this.#rest.readUIntBE(5, 3)
      if (this.#rest.length < 8 + length) return
      const frame = this.#rest.subarray(0, 8 + length)
      this.#rest = this.#rest.subarray(8 + length)
      if ((frame[0]! & 0x80) !== 0) {
        if (frame.readUInt16BE(2) === 3) this.reset.add(frame.readUInt32BE(8))
        continue
      }
      const id = frame.readUInt32BE(0)
      this.received.set(id, (this.received.get(id) ?? '') + frame.subarray(8).toString('latin1'))
      if ((frame[4]! & 1) !== 0) this.ended.add(id)
    }
  }
}

function uint32(value: number): Buffer {
  const bytes = Buffer.alloc(4)
  bytes.writeUInt32BE(value)
  return bytes
}

function sized(text: string): Buffer {
  return Buffer.concat([uint32(text.length), Buffer.from(text)])
}
