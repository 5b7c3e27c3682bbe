// Reading answers: a whole body, or one JSON document a line.
import { TransportError } from './transport.ts'

// Far above any list of ours; a server that sends more is broken or not ours.
const bodyBytesMax = 1 << 30
const lineBytesMax = 64 << 20

/** The whole body in one piece. Throws TransportError `broken` beyond the bound. */
export async function readAll(body: AsyncIterable<Uint8Array>): Promise<Uint8Array> {
  const chunks: Uint8Array[] = []
  let length = 0
  for await (const chunk of body) {
    chunks.push(chunk)
    length += chunk.length
    if (length > bodyBytesMax) throw new TransportError('broken', `the server sent more than ${bodyBytesMax} bytes`)
  }
  return chunks.length === 1 ? chunks[0]! : Buffer.concat(chunks, length)
}

/** The documents of a stream with one JSON value a line, as they come in. A cut last line is dropped: the stream broke there. */
export async function* jsonLines(body: AsyncIterable<Uint8Array>): AsyncGenerator<unknown> {
  let rest: Buffer[] = []
  let restLength = 0
  for await (const part of body) {
    const chunk = Buffer.isBuffer(part) ? part : Buffer.from(part.buffer, part.byteOffset, part.byteLength)
    let start = 0
    for (let end = chunk.indexOf(10); end >= 0; end = chunk.indexOf(10, start)) {
      const line = rest.length === 0 ? chunk.subarray(start, end) : Buffer.concat([...rest, chunk.subarray(start, end)])
      rest = []
      restLength = 0
      start = end + 1
      if (line.length > 0) yield JSON.parse(line.toString('utf8'))
    }
    if (start < chunk.length) {
      rest.push(chunk.subarray(start))
      restLength += chunk.length - start
      if (restLength > lineBytesMax) throw new TransportError('broken', `the server sent a line of more than ${lineBytesMax} bytes`)
    }
  }
}
