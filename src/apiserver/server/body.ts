// Request bodies: read as a whole, within a limit and a time, or handed on as a stream.
import { Readable } from 'node:stream'
import { badRequest, requestEntityTooLarge, timeout } from '#api/errors'
import type { Clock } from '#base/clock'
import type { RequestBody } from '../request.ts'

const empty = Buffer.alloc(0)

/** The body of a request that has none. */
export const noBody: RequestBody = {
  read: () => Promise.resolve(empty),
  stream: () => Readable.from([]),
}

export interface BodyOptions {
  /** What the client announced; undefined when it streams. */
  readonly contentLength: number | undefined
  readonly clock: Clock
  readonly timeoutMs: number
}

/** A body that arrives on `source`. */
export function streamBody(source: Readable, options: BodyOptions): RequestBody {
  return {
    read: (limitBytes) => readAll(source, limitBytes, options),
    stream: () => source,
  }
}

function readAll(source: Readable, limitBytes: number, { contentLength, clock, timeoutMs }: BodyOptions): Promise<Buffer> {
  if (contentLength !== undefined && contentLength > limitBytes) return Promise.reject(requestEntityTooLarge(limitBytes))
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = []
    let bytes = 0
    const timer = clock.after(timeoutMs, () => done(timeout('the body of the request did not arrive in time')), { background: true })
    const onData = (chunk: Buffer): void => {
      bytes += chunk.length
      if (bytes > limitBytes) return done(requestEntityTooLarge(limitBytes))
      chunks.push(chunk)
    }
    const onEnd = (): void => done(undefined)
    const onGone = (): void => done(badRequest('the connection was closed before the body of the request was complete'))
    const done = (error: Error | undefined): void => {
      timer.cancel()
      source.off('data', onData)
      source.off('end', onEnd)
      source.off('close', onGone)
      source.off('error', onGone)
      if (error === undefined) return resolve(chunks.length === 1 ? chunks[0]! : Buffer.concat(chunks, bytes))
      // Whoever still sends is told nothing more; the reply ends the exchange.
      source.on('error', () => undefined)
      source.pause()
      reject(error)
    }
    source.on('data', onData)
    source.on('end', onEnd)
    source.on('close', onGone)
    source.on('error', onGone)
  })
}
