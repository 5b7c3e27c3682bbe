// The API server over the wire: HTTP/2 on one TLS connection, so that a hundred watches cost a hundred streams and not a
// hundred handshakes. A second connection is opened when the server's stream limit is near, a new one when one is lost.
import { type ClientHttp2Session, type ClientHttp2Stream, connect, constants } from 'node:http2'
import type { Clock, Timer } from '#base/clock'
import { type Transport, TransportError, type TransportRequest, type TransportResponse } from './transport.ts'

export interface HttpsTransportOptions {
  /** `https://host:port`. */
  readonly server: string
  /** PEM. */
  readonly ca: string
  readonly clientCert?: string
  readonly clientKey?: string
  /** A bearer token; a function is asked at each request (tokens rotate). */
  readonly token?: string | (() => string)
  /** Name to verify, when it is not the host. */
  readonly serverName?: string
  readonly clock: Clock
}

// Silence after which a connection that carries streams is asked for a sign of life, and the time it has to give it
// (client-go: ReadIdleTimeout 30 s, PingTimeout 15 s).
const readIdleMs = 30_000
const pingMs = 15_000
const connectMs = 10_000
// Node's default window makes big lists crawl.
const windowBytes = 4 << 20

interface Connection {
  readonly session: ClientHttp2Session
  readonly ready: Promise<void>
  streams: number
  dead: boolean
}

/** A transport to one server. Requests made while it is unreachable fail at once; the next one tries a new connection. */
export function createHttpsTransport(options: HttpsTransportOptions): Transport {
  const connections = new Set<Connection>()
  let closed = false

  function open(): Connection {
    const session = connect(options.server, {
      ca: options.ca,
      ...(options.clientCert !== undefined ? { cert: options.clientCert } : {}),
      ...(options.clientKey !== undefined ? { key: options.clientKey } : {}),
      ...(options.serverName !== undefined ? { servername: options.serverName } : {}),
      settings: { initialWindowSize: windowBytes, enablePush: false },
    })
    let failed: (error: Error) => void = () => {}
    const ready = new Promise<void>((resolve, reject) => {
      failed = reject
      session.once('connect', () => {
        session.setLocalWindowSize(windowBytes * 4)
        resolve()
      })
    })
    ready.catch(() => {})
    const connection: Connection = { session, ready, streams: 0, dead: false }
    const timeout = options.clock.after(connectMs, () => session.destroy(new Error(`no connection within ${connectMs} ms`)), {
      background: true,
    })
    ready.then(
      () => timeout.cancel(),
      () => timeout.cancel(),
    )
    const drop = (): void => {
      connection.dead = true
      connections.delete(connection)
      failed(new Error('connection closed'))
    }
    session.on('error', (error) => {
      failed(error)
      drop()
    })
    session.on('goaway', () => {
      connection.dead = true
      connections.delete(connection)
    })
    session.on('close', drop)
    watchLiveness(connection, options.clock)
    connections.add(connection)
    return connection
  }

  function pick(): Connection {
    for (const connection of connections) {
      const limit = connection.session.remoteSettings?.maxConcurrentStreams ?? 100
      if (!connection.dead && connection.streams < limit - 1) return connection
    }
    return open()
  }

  return {
    async send(request) {
      if (closed) throw new TransportError('unreachable', 'the transport is closed')
      if (request.signal?.aborted) throw aborted(request.signal)
      const connection = pick()
      try {
        await connection.ready
      } catch (error) {
        throw new TransportError('unreachable', `cannot reach ${options.server}: ${(error as Error).message}`, { cause: error })
      }
      return sendOn(connection, request, options)
    },
    async close() {
      closed = true
      for (const connection of [...connections]) {
        connection.dead = true
        connection.session.destroy()
      }
      connections.clear()
    },
  }
}

function watchLiveness(connection: Connection, clock: Clock): void {
  const { session } = connection
  let timer: Timer | undefined
  let heard = false
  const check = (): void => {
    timer = undefined
    if (session.destroyed) return
    if (heard || connection.streams === 0) return arm()
    const giveUp = clock.after(pingMs, () => session.destroy(new Error('the server gives no sign of life')), { background: true })
    const asked = session.ping((error) => {
      giveUp.cancel()
      if (error === null) arm()
    })
    if (!asked) giveUp.cancel()
  }
  const arm = (): void => {
    heard = false
    timer ??= clock.after(readIdleMs, check, { background: true })
  }
  session.on('connect', (_session, socket) => {
    socket.on('data', () => {
      heard = true
    })
    arm()
  })
  session.once('close', () => timer?.cancel())
}

function sendOn(connection: Connection, request: TransportRequest, options: HttpsTransportOptions): Promise<TransportResponse> {
  const { signal } = request
  const headers: Record<string, string> = { ...request.headers, ':method': request.method, ':path': request.path }
  if (options.token !== undefined)
    headers['authorization'] = `Bearer ${typeof options.token === 'string' ? options.token : options.token()}`
  if (request.body !== undefined) headers['content-length'] = String(request.body.length)
  let stream: ClientHttp2Stream
  try {
    stream = connection.session.request(headers, { endStream: request.body === undefined })
  } catch (error) {
    return Promise.reject(new TransportError('unreachable', (error as Error).message, { cause: error }))
  }
  connection.streams++
  const abort = (): void => stream.close(constants.NGHTTP2_CANCEL)
  signal?.addEventListener('abort', abort, { once: true })
  stream.once('close', () => {
    connection.streams--
    signal?.removeEventListener('abort', abort)
  })
  if (request.body !== undefined) stream.end(request.body)
  return new Promise((resolve, reject) => {
    const failed = (error?: Error): void => {
      if (signal?.aborted) return reject(aborted(signal))
      const refused = stream.rstCode === constants.NGHTTP2_REFUSED_STREAM
      reject(
        new TransportError(refused ? 'unreachable' : 'broken', error?.message ?? 'the connection closed before an answer came', {
          cause: error,
        }),
      )
    }
    stream.once('error', failed)
    stream.once('close', failed)
    stream.once('response', (answer) => {
      stream.off('error', failed)
      stream.off('close', failed)
      const status = Number(answer[':status'])
      resolve({ status, headers: answer as unknown as Record<string, string | undefined>, body: chunksOf(stream, signal) })
    })
  })
}

async function* chunksOf(stream: ClientHttp2Stream, signal: AbortSignal | undefined): AsyncGenerator<Uint8Array> {
  let whole = false
  try {
    for await (const chunk of stream) yield chunk as Buffer
    whole = true
  } catch (error) {
    if (signal?.aborted) throw aborted(signal)
    throw new TransportError('broken', (error as Error).message, { cause: error })
  } finally {
    if (!whole && !stream.closed) stream.close(constants.NGHTTP2_CANCEL)
  }
  if (signal?.aborted) throw aborted(signal)
  if (stream.rstCode !== constants.NGHTTP2_NO_ERROR) throw new TransportError('broken', `the stream ended with code ${stream.rstCode}`)
}

function aborted(signal: AbortSignal): TransportError {
  return new TransportError('aborted', 'the request was given up', { cause: signal.reason })
}
