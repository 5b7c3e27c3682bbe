// HTTP/2: one stream, one request. Uses Node's stream interface directly; its HTTP/1-like one costs half the throughput.
import { constants, type IncomingHttpHeaders, type ServerHttp2Session, type ServerHttp2Stream } from 'node:http2'
import type { Clock, Timer } from '#base/clock'
import { separateIdentityHeaders } from '../identity-headers.ts'
import type { Answer, ApiReply } from '../request.ts'
import { noBody, streamBody } from './body.ts'
import type { ExchangeContext } from './http1.ts'
import type { ServerLimits } from './limits.ts'
import { byteLength, discard, isStreamed, mayHaveBody, StreamSink, statusReply } from './reply.ts'
import { RequestHead } from './request-head.ts'
import { type Connection, ServedRequest } from './served-request.ts'

/** Answers one stream: in this turn, when the reply is there. */
export function answerHttp2(
  context: ExchangeContext,
  connection: Connection,
  stream: ServerHttp2Stream,
  headers: IncomingHttpHeaders,
  rawHeaders: readonly string[],
): void {
  stream.on('error', ignore)
  const method = headers[':method'] ?? ''
  let request: ServedRequest | undefined
  let answer: Answer
  const finish = (reply: ApiReply): void => send(stream, method, reply, () => request!.signal)
  try {
    request = new ServedRequest({
      connection,
      carrier: stream,
      live: context.live,
      head: headOf(context, stream, method, headers, rawHeaders),
      body: stream.endAfterHeaders
        ? noBody
        : streamBody(stream, {
            clock: context.clock,
            timeoutMs: context.limits.bodyTimeoutMs,
            contentLength: headers['content-length'] === undefined ? undefined : Number(headers['content-length']),
          }),
      upgrade: undefined,
      receivedAtMs: context.clock.now(),
    })
    answer = context.handle(request)
  } catch (error) {
    answer = statusReply(error)
  }
  if (answer instanceof Promise) answer.catch(statusReply).then(finish)
  else finish(answer)
}

function headOf(
  { heads }: ExchangeContext,
  stream: ServerHttp2Stream,
  method: string,
  headers: IncomingHttpHeaders,
  rawHeaders: readonly string[],
): RequestHead {
  const target = headers[':path'] ?? ''
  if (!stream.endAfterHeaders) return new RequestHead(method, target, plainHeaders(headers, rawHeaders))
  return heads.find(method, target, rawHeaders) ?? heads.meet(method, target, rawHeaders, plainHeaders(headers, rawHeaders))
}

// A reset stream is an everyday thing (clients end watches so); `close` follows.
function ignore(): void {}

// The host is called :authority here, and several cookies are one header.
function plainHeaders(headers: IncomingHttpHeaders, rawHeaders: readonly string[]): Record<string, string | undefined> {
  if (headers.host === undefined && headers[':authority'] !== undefined) headers.host = headers[':authority']
  separateIdentityHeaders(headers as Record<string, string | undefined>, rawHeaders)
  return headers as Record<string, string | undefined>
}

function send(stream: ServerHttp2Stream, method: string, reply: ApiReply, signal: () => AbortSignal): void {
  if (stream.destroyed || stream.closed) return discard(reply.body)
  const { status, body } = reply
  const headers = reply.headers as Record<string, string | number>
  headers[':status'] = status
  if (headers['connection'] !== undefined) {
    // There is no such header here: the connection takes no further streams and ends with this one.
    const { session } = stream
    if (headers['connection'] === 'close') stream.once('finish', () => session?.close())
    delete headers['connection']
  }
  // The answer is complete before the request is: the client is asked to stop sending (RFC 9113 section 8.1).
  if (!stream.endAfterHeaders) {
    stream.once('finish', () => {
      if (!stream.readableEnded) stream.close(constants.NGHTTP2_NO_ERROR)
    })
  }
  if (!mayHaveBody(method, status) || body === undefined) {
    if (body !== undefined && !isStreamed(body) && status !== 204) headers['content-length'] = lengthOf(body)
    discard(body)
    stream.respond(headers, { endStream: true })
    return
  }
  if (isStreamed(body)) {
    stream.respond(headers)
    // Not waited for: a watch would keep this call and all that it knows of the request for as long as it lasts.
    body(new StreamSink(stream), signal()).then(
      () => stream.end(),
      () => stream.close(constants.NGHTTP2_INTERNAL_ERROR),
    )
    return
  }
  headers['content-length'] = lengthOf(body)
  stream.respond(headers)
  if (body instanceof Uint8Array) stream.end(body)
  else {
    stream.cork()
    for (const chunk of body) stream.write(chunk)
    stream.uncork()
    stream.end()
  }
}

function lengthOf(body: Uint8Array | readonly Uint8Array[]): number {
  return body instanceof Uint8Array ? body.length : byteLength(body)
}

/**
 * Keeps one HTTP/2 connection within its bounds: idle time, and streams that the client resets before they were answered
 * (rapid reset, CVE-2023-44487). Returns what to call for every new stream.
 */
export function guardSession(
  session: ServerHttp2Session,
  clock: Clock,
  limits: Pick<ServerLimits, 'idleTimeoutMs' | 'resetBurst' | 'resetsPerSecond'>,
): (stream: ServerHttp2Stream) => void {
  let open = 0
  let idleSinceMs = clock.monotonic()
  let allowance = limits.resetBurst
  let allowanceAtMs = idleSinceMs
  let timer: Timer | undefined

  // One timer serves a whole busy time: it looks at when the last stream ended, and goes back to sleep for what is left.
  const watchIdle = (ms: number): void => {
    timer = clock.after(
      ms,
      () => {
        timer = undefined
        if (open > 0 || session.closed) return
        const leftMs = idleSinceMs + limits.idleTimeoutMs - clock.monotonic()
        if (leftMs > 0) watchIdle(leftMs)
        else session.close(() => session.destroy())
      },
      { background: true },
    )
  }
  watchIdle(limits.idleTimeoutMs)
  session.once('close', () => timer?.cancel())

  const countReset = (): void => {
    const nowMs = clock.monotonic()
    allowance = Math.min(limits.resetBurst, allowance + ((nowMs - allowanceAtMs) * limits.resetsPerSecond) / 1000)
    allowanceAtMs = nowMs
    allowance -= 1
    if (allowance < 0 && !session.destroyed) {
      session.goaway(constants.NGHTTP2_ENHANCE_YOUR_CALM)
      session.destroy()
    }
  }

  // One listener for all streams of the connection.
  function onStreamClose(this: ServerHttp2Stream): void {
    open--
    if (open === 0) {
      idleSinceMs = clock.monotonic()
      if (timer === undefined) watchIdle(limits.idleTimeoutMs)
    }
    if (this.rstCode !== constants.NGHTTP2_NO_ERROR && !this.headersSent) countReset()
  }

  return (stream) => {
    open++
    stream.on('close', onStreamClose)
  }
}
