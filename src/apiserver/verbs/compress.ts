// Compression of large answers, off the loop: small ones cost less sent as they are. Level 1, as Kubernetes does.
import { promisify } from 'node:util'
import { createGzip, gzip } from 'node:zlib'
import type { Answer, ApiReply, BodySink, StreamedBody } from '../request.ts'

const compressFromBytes = 128 * 1024
const level = 1
const gzipBuffer = promisify(gzip)

export function acceptsGzip(acceptEncoding: string | undefined): boolean {
  return acceptEncoding !== undefined && /(^|[\s,])gzip(?!\s*;\s*q=0(\.0*)?\s*(,|$))/i.test(acceptEncoding)
}

/** The body compressed, or undefined when it is too small to gain. */
export async function compressBuffer(body: Uint8Array): Promise<Buffer | undefined> {
  if (body.length < compressFromBytes) return undefined
  return gzipBuffer(body, { level })
}

/** An answer of one object, compressed when it is large and the client takes that. Lists see to it themselves. */
export function compressReply(reply: ApiReply, acceptEncoding: string | undefined): Answer {
  const { body, headers } = reply
  if (!(body instanceof Uint8Array) || body.length < compressFromBytes) return reply
  if (headers['content-encoding'] !== undefined || !acceptsGzip(acceptEncoding)) return reply
  return gzipBuffer(body, { level }).then((zipped) => ({ ...reply, headers: { ...headers, 'content-encoding': 'gzip' }, body: zipped }))
}

/** A streamed body that compresses as it goes. */
export function compressStream(body: StreamedBody): StreamedBody {
  return async (sink, signal) => {
    const transform = createGzip({ level })
    const sent = forward(transform, sink, signal)
    const inner: BodySink = {
      write: (chunk) => transform.write(chunk),
      drained: () => (transform.writableNeedDrain ? new Promise((resolve) => transform.once('drain', resolve)) : Promise.resolve()),
      flush: () => {},
    }
    try {
      await body(inner, signal)
      transform.end()
      await sent
    } finally {
      transform.destroy()
      await sent.catch(() => {})
    }
  }
}

async function forward(transform: AsyncIterable<Uint8Array>, sink: BodySink, signal: AbortSignal): Promise<void> {
  for await (const chunk of transform) {
    if (signal.aborted) return
    if (!sink.write(chunk)) await sink.drained()
  }
}
