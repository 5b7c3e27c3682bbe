// What the two HTTP versions have in common when they answer.
import type { Writable } from 'node:stream'
import { ApiError, type StatusBody } from '#api/errors'
import type { ApiReply, BodySink, StreamedBody } from '../request.ts'

/** A Status in JSON, for answers that are given before the pipeline could. */
export function statusReply(error: unknown): ApiReply {
  const status: StatusBody =
    error instanceof ApiError
      ? error.status
      : {
          kind: 'Status',
          apiVersion: 'v1',
          metadata: {},
          status: 'Failure',
          message: 'Internal Server Error',
          reason: 'InternalError',
          code: 500,
        }
  return {
    status: status.code ?? 500,
    headers: { 'content-type': 'application/json', 'x-content-type-options': 'nosniff' },
    body: Buffer.from(`${JSON.stringify(status)}\n`),
  }
}

/** Whether an answer of this status may carry a body (RFC 9110 section 6.4.1). */
export function mayHaveBody(method: string, status: number): boolean {
  return method !== 'HEAD' && status !== 204 && status !== 304
}

export function byteLength(body: readonly Uint8Array[]): number {
  let bytes = 0
  for (const chunk of body) bytes += chunk.length
  return bytes
}

export function isStreamed(body: ApiReply['body']): body is StreamedBody {
  return typeof body === 'function'
}

/**
 * A sink over a writable stream. Chunks written in one turn of the loop leave together: the stream is corked until the turn
 * ends or `flush` is called, so that a burst of watch events costs one record and not one each.
 */
export class StreamSink implements BodySink {
  readonly #stream: Writable
  #corked = false

  constructor(stream: Writable) {
    this.#stream = stream
  }

  write(chunk: Uint8Array): boolean {
    const stream = this.#stream
    if (stream.destroyed || stream.writableEnded) return true
    if (!this.#corked) {
      this.#corked = true
      stream.cork()
      if (corked.length === 0) process.nextTick(uncorkAll)
      corked.push(this)
    }
    return stream.write(chunk)
  }

  drained(): Promise<void> {
    const stream = this.#stream
    if (stream.destroyed || !stream.writableNeedDrain) return Promise.resolve()
    // When the client has gone, the body's own signal says so.
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

  flush(): void {
    if (!this.#corked) return
    this.#corked = false
    this.#stream.uncork()
  }
}

let corked: StreamSink[] = []

function uncorkAll(): void {
  const sinks = corked
  corked = []
  for (const sink of sinks) sink.flush()
}

/** Where answers go that nobody reads. */
export const nowhere: BodySink = { write: () => true, drained: () => Promise.resolve(), flush: () => undefined }
const ended = AbortSignal.abort(new Error('nobody reads this answer'))

/** Runs a streamed body that will not be sent, so that it lets go of what it holds: its signal has aborted already. */
export function discard(body: ApiReply['body']): void {
  if (isStreamed(body)) body(nowhere, ended).catch(() => undefined)
}
