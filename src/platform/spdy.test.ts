import { constants, createDeflate } from 'node:zlib'
import { describe, expect, test } from 'vitest'
import { duplexPair } from './spdy.testing.ts'
import { headerDictionary, type SpdyStream, serveSpdy } from './spdy.ts'

function adler32(data: Buffer): number {
  let a = 1
  let b = 0
  for (const byte of data) {
    a = (a + byte) % 65_521
    b = (b + a) % 65_521
  }
  return ((b << 16) | a) >>> 0
}

/** A client that compresses its headers against the dictionary, as spdystream does. */
class Client {
  readonly #deflate = createDeflate({ dictionary: headerDictionary(), flush: constants.Z_SYNC_FLUSH })

  async synStream(id: number, headers: Record<string, string>, flags = 0): Promise<Buffer> {
    const number = (value: number): Buffer => {
      const bytes = Buffer.alloc(4)
      bytes.writeUInt32BE(value)
      return bytes
    }
    const entries = Object.entries(headers)
    const block = Buffer.concat([
      number(entries.length),
      ...entries.flatMap(([n, v]) => [number(n.length), Buffer.from(n), number(v.length), Buffer.from(v)]),
    ])
    const chunks: Buffer[] = []
    const collect = (chunk: Buffer): void => void chunks.push(chunk)
    this.#deflate.on('data', collect)
    await new Promise<void>((resolve) => this.#deflate.write(block, () => this.#deflate.flush(constants.Z_SYNC_FLUSH, () => resolve())))
    this.#deflate.off('data', collect)
    const body = Buffer.concat([number(id), Buffer.alloc(6), ...chunks])
    return Buffer.concat([Buffer.from([0x80, 3, 0, 1, flags]), number(body.length).subarray(1), body])
  }
}

function data(id: number, text: string, flags = 0): Buffer {
  const head = Buffer.alloc(8)
  head.writeUInt32BE(id, 0)
  head.writeUInt32BE(text.length, 4)
  head.writeUInt8(flags, 4)
  return Buffer.concat([head, Buffer.from(text)])
}

describe('serveSpdy', () => {
  test('the dictionary is the one of the specification', () => {
    expect([headerDictionary().length, adler32(headerDictionary()).toString(16)]).toEqual([1423, 'e3c6a7c2'])
  })

  test('streams open with their headers, carry data both ways and end one way at a time', async () => {
    const [near, far] = duplexPair()
    const opened: SpdyStream[] = []
    serveSpdy(near, { onStream: (stream) => opened.push(stream) > 0 })
    const client = new Client()
    const received: Buffer[] = []
    far.on('data', (chunk: Buffer) => received.push(chunk))
    far.write(await client.synStream(1, { streamtype: 'error' }))
    far.write(await client.synStream(3, { streamtype: 'data', port: '80' }))
    far.write(data(3, 'hello', 1))
    const text = await new Promise<string>((resolve) => {
      const look = (): void => {
        const io = opened[1]?.io
        if (io === undefined) return void setImmediate(look)
        let all = ''
        io.on('data', (chunk) => {
          all += chunk
        })
        io.on('end', () => resolve(all))
      }
      look()
    })
    opened[1]?.io.end('world')
    await new Promise((resolve) => far.once('data', resolve))
    await new Promise((resolve) => setImmediate(resolve))
    expect([text, opened.map(({ headers }) => headers)]).toEqual(['hello', [{ streamtype: 'error' }, { streamtype: 'data', port: '80' }]])
    expect(Buffer.concat(received).toString('latin1')).toContain('world')
  })

  test('a client that says nonsense is cut off', async () => {
    const [near, far] = duplexPair()
    const session = serveSpdy(near, { onStream: () => true })
    far.on('error', () => undefined)
    far.resume()
    far.write(Buffer.from([0xff, 0xff, 0, 1, 0, 0, 0, 0]))
    await session.closed
    expect(near.destroyed).toBe(true)
  })

  test('a frame that claims to be huge is refused before it is read', async () => {
    const [near, far] = duplexPair()
    const session = serveSpdy(near, { onStream: () => true })
    far.on('error', () => undefined)
    far.resume()
    far.write(Buffer.from([0x80, 3, 0, 1, 0, 0xff, 0xff, 0xff]))
    await session.closed
    expect(near.destroyed).toBe(true)
  })
})
