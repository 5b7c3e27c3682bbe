// HTTP/1.1: requests in, replies out, and the only place where a connection can be taken over.
import { type IncomingMessage, ServerResponse } from 'node:http'
import type { Duplex } from 'node:stream'
import { badRequest } from '#api/errors'
import type { Clock } from '#base/clock'
import { separateIdentityHeaders } from '../identity-headers.ts'
import type { Answer, ApiReply, Handler, RequestBody, Upgrade } from '../request.ts'
import { noBody, streamBody } from './body.ts'
import type { ServerLimits } from './limits.ts'
import { byteLength, discard, isStreamed, mayHaveBody, nowhere, StreamSink, statusReply } from './reply.ts'
import { RequestHead, type RequestHeads } from './request-head.ts'
import { type Connection, type LiveSignals, ServedRequest } from './served-request.ts'

export interface ExchangeContext {
  readonly handle: Handler
  readonly clock: Clock
  readonly limits: ServerLimits
  readonly live: LiveSignals
  readonly heads: RequestHeads
}

// How long a client that still sends its body may go on after the answer, to read it, before the connection is cut.
const lingerMs = 500

/** Answers one request on its own ServerResponse: in this turn, when the reply is there. */
export function answerHttp1(context: ExchangeContext, connection: Connection, message: IncomingMessage, response: ServerResponse): void {
  const withBody = hasBody(message)
  let request: ServedRequest | undefined
  let answer: Answer
  const finish = (reply: ApiReply): void => send(context, message, response, reply, () => request!.signal, withBody)
  try {
    request = new ServedRequest({
      connection,
      carrier: response,
      live: context.live,
      head: headOf(context, message, withBody),
      body: withBody ? bodyOf(context, message) : noBody,
      upgrade: undefined,
      receivedAtMs: context.clock.now(),
    })
    answer = context.handle(request)
  } catch (error) {
    answer = statusReply(error)
  }
  // A body that came along with the headers is read to its end before this is answered: then the connection may stay.
  if (answer instanceof Promise || withBody) Promise.resolve(answer).catch(statusReply).then(finish)
  else finish(answer)
}

// The headers object is Node's own, made anew for each message; of a head that came before the first one is kept.
function headOf({ heads }: ExchangeContext, message: IncomingMessage, withBody: boolean): RequestHead {
  const { method, url, rawHeaders } = message as { method: string; url: string; rawHeaders: string[] }
  if (withBody) return new RequestHead(method, url, headersOf(message))
  return heads.find(method, url, rawHeaders) ?? heads.meet(method, url, rawHeaders, headersOf(message))
}

function headersOf(message: IncomingMessage): Record<string, string | undefined> {
  const headers = message.headers as Record<string, string | undefined>
  separateIdentityHeaders(headers, message.rawHeaders)
  return headers
}

function hasBody({ headers }: IncomingMessage): boolean {
  const length = headers['content-length']
  return headers['transfer-encoding'] !== undefined || (length !== undefined && length !== '0')
}

function bodyOf({ clock, limits }: ExchangeContext, message: IncomingMessage): RequestBody {
  const length = message.headers['content-length']
  return streamBody(message, {
    clock,
    timeoutMs: limits.bodyTimeoutMs,
    contentLength: length === undefined ? undefined : Number(length),
  })
}

function send(
  { clock, live }: ExchangeContext,
  message: IncomingMessage,
  response: ServerResponse,
  { status, headers, body }: ApiReply,
  signal: () => AbortSignal,
  withBody = true,
): void {
  if (response.destroyed) return discard(body)
  if (withBody && !message.complete) {
    headers['connection'] = 'close'
    response.once('finish', () => clock.after(lingerMs, () => message.socket.destroy(), { background: true }))
  } else if (live.stopping.aborted) headers['connection'] = 'close'

  if (isStreamed(body)) {
    response.writeHead(status, headers)
    if (!mayHaveBody(message.method!, status)) {
      discard(body)
      return void response.end()
    }
    response.flushHeaders()
    // Not waited for: a watch would keep this call and all that it knows of the request for as long as it lasts. The status line
    // has gone out: when it fails, all that is left to say is that the body is not whole.
    body(new StreamSink(response), signal()).then(
      () => response.end(),
      () => response.destroy(),
    )
    return
  }
  if (body === undefined) {
    if (mayHaveBody('', status)) headers['content-length'] = '0'
    response.writeHead(status, headers)
    response.end()
  } else if (body instanceof Uint8Array) {
    headers['content-length'] = String(body.length)
    response.writeHead(status, headers)
    response.end(body)
  } else {
    headers['content-length'] = String(byteLength(body))
    response.writeHead(status, headers)
    // Corked, so that headers and all chunks reach the socket as one vectored write.
    response.cork()
    for (const chunk of body) response.write(chunk)
    response.end()
    response.uncork()
  }
}

/** Answers a request that asked for another protocol: the handler takes the socket over, or its reply is sent and the socket closed. */
export async function answerUpgrade(
  context: ExchangeContext,
  connection: Connection,
  message: IncomingMessage,
  socket: Duplex,
  head: Buffer,
): Promise<void> {
  const upgrade = new TakenOver(socket, head)
  socket.on('error', () => undefined)
  let reply: ApiReply
  try {
    if (Number(message.headers['content-length'] ?? 0) > 0 || message.headers['transfer-encoding'] !== undefined) {
      throw badRequest('a request to upgrade the connection must not have a body')
    }
    const request = new ServedRequest({
      connection,
      carrier: socket,
      live: context.live,
      head: new RequestHead(message.method!, message.url!, headersOf(message)),
      body: noBody,
      upgrade,
      receivedAtMs: context.clock.now(),
    })
    reply = await context.handle(request)
    if (upgrade.accepted) return
    // A body that takes the connection over itself, when everybody on its way has had a look at it.
    if (reply.status === 101 && isStreamed(reply.body)) await reply.body(nowhere, request.signal)
    else sendOnSocket(context, message, socket, reply, () => request.signal)
  } catch (error) {
    if (upgrade.accepted) socket.destroy()
    else sendOnSocket(context, message, socket, statusReply(error), () => context.live.stopping)
  }
}

function sendOnSocket(
  context: ExchangeContext,
  message: IncomingMessage,
  socket: Duplex,
  reply: ApiReply,
  signal: () => AbortSignal,
): void {
  const response = new ServerResponse(message)
  response.shouldKeepAlive = false
  response.assignSocket(socket as Parameters<ServerResponse['assignSocket']>[0])
  response.once('finish', () => socket.end())
  send(context, message, response, reply, signal)
}

class TakenOver implements Upgrade {
  accepted = false
  readonly #socket: Duplex
  readonly #head: Buffer

  constructor(socket: Duplex, head: Buffer) {
    this.#socket = socket
    this.#head = head
  }

  accept(): Duplex {
    if (this.accepted) throw new Error('assertion failed: the connection was taken over already')
    this.accepted = true
    if (this.#head.length > 0) this.#socket.unshift(this.#head)
    return this.#socket
  }
}
