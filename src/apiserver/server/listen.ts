// The API server's port: TLS with HTTP/2 and HTTP/1.1 side by side, chosen by ALPN; client certificates are asked for, verified
// and not required. Both versions end in one `Handler`.
import { constants as cryptoConstants, X509Certificate } from 'node:crypto'
import { once } from 'node:events'
import { createServer as createHttp2Server, type IncomingHttpHeaders, type ServerHttp2Session, type ServerHttp2Stream } from 'node:http2'
import { createServer as createHttpsServer } from 'node:https'
import type { AddressInfo, Socket } from 'node:net'
import type { SecureContextOptions, TLSSocket } from 'node:tls'
import type { Clock } from '#base/clock'
import { derBlocks, toPem } from '#platform/x509'
import type { Handler } from '../request.ts'
import { answerHttp1, answerUpgrade, type ExchangeContext } from './http1.ts'
import { answerHttp2, guardSession } from './http2.ts'
import { defaultLimits, type ServerLimits } from './limits.ts'
import { connectionOf, type PeerAuthorities } from './peer.ts'
import { RequestHeads } from './request-head.ts'
import type { Connection } from './served-request.ts'

export interface ServerTls {
  readonly certificatePem: string
  readonly privateKeyPem: string
  /** Authorities of client certificates, PEM. */
  readonly clientCaPem: string
  /** Authorities of front proxies, PEM; empty or absent: there are none. */
  readonly requestHeaderCaPem?: string
}

export interface ListenOptions {
  readonly handle: Handler
  readonly tls: ServerTls
  /** Default: all addresses, both families. */
  readonly host?: string
  /** 0: any free one. */
  readonly port: number
  readonly clock: Clock
  readonly limits?: Partial<ServerLimits>
}

export interface ApiListener {
  readonly address: string
  readonly port: number
  /** Serves new connections with another certificate or other authorities. */
  setTls(tls: ServerTls): void
  /** Open connections, for metrics. */
  connections(): number
  /**
   * Stops: no new connections, running streams are asked to end, requests under way may finish within `graceMs`; then
   * everything is cut. Resolves when nothing is open any more.
   */
  close(graceMs: number): Promise<void>
}

/** Listens; rejects when the port is taken (`code` EADDRINUSE) or not allowed. */
export async function listenApi(options: ListenOptions): Promise<ApiListener> {
  const { clock } = options
  const limits: ServerLimits = { ...defaultLimits, ...options.limits }
  const stopping = new AbortController()
  const live = { stopping: stopping.signal, controllers: new Set<AbortController>() }
  const context: ExchangeContext = { handle: options.handle, clock, limits, live, heads: new RequestHeads() }
  const connections = new WeakMap<object, Connection>()
  const sockets = new Set<Socket>()
  const sessions = new Set<ServerHttp2Session>()
  let authorities = authoritiesOf(options.tls)
  let opening: Connection = { remoteAddress: '', peerCertificate: undefined, proxyCertificate: undefined, certificateRefused: false }

  const http2 = createHttp2Server({
    maxSessionMemory: 32,
    maxHeaderListPairs: limits.headersMax,
    settings: {
      maxConcurrentStreams: limits.streamsMax,
      maxHeaderListSize: limits.headerBytesMax,
      initialWindowSize: 262_144,
      enablePush: false,
    },
  })
  const server = createHttpsServer({
    ...secureContext(options.tls),
    ALPNProtocols: ['h2', 'http/1.1'],
    requestCert: true,
    rejectUnauthorized: false,
    handshakeTimeout: limits.handshakeTimeoutMs,
    maxHeaderSize: limits.headerBytesMax,
    headersTimeout: limits.headerTimeoutMs,
    keepAliveTimeout: limits.idleTimeoutMs,
    // Bodies are timed where they are read; proxied ones may take as long as they like.
    requestTimeout: 0,
    connectionsCheckingInterval: Math.min(5_000, limits.headerTimeoutMs),
    noDelay: true,
  })
  server.maxHeadersCount = limits.headersMax
  server.maxConnections = limits.connectionsMax
  // Some clients vanish without a word; half-open connections must not count for ever.
  server.on('connection', (socket: Socket) => {
    socket.setKeepAlive(true, 180_000)
    sockets.add(socket)
    socket.once('close', () => sockets.delete(socket))
  })
  server.on('tlsClientError', (_error, socket) => socket.destroy())

  // The HTTPS server's own listener speaks HTTP/1.1 to whatever was connected; HTTP/2 is told apart before it.
  const serveHttp1 = server.listeners('secureConnection') as ((socket: TLSSocket) => void)[]
  server.removeAllListeners('secureConnection')
  server.on('secureConnection', (socket: TLSSocket) => {
    const connection = connectionOf(socket, authorities)
    connections.set(socket, connection)
    if (socket.alpnProtocol === 'h2') {
      opening = connection
      http2.emit('connection', socket)
    } else for (const serve of serveHttp1) serve.call(server, socket)
  })
  server.on('request', (message, response) => {
    answerHttp1(context, connections.get(message.socket)!, message, response)
  })
  server.on('upgrade', (message, socket, head) => {
    void answerUpgrade(context, connections.get(message.socket)!, message, socket, head)
  })
  http2.on('session', (session: ServerHttp2Session) => {
    // `session` is emitted while the connection is handed over; the session's own socket is a stand-in that is not in the map.
    const connection = opening
    const guard = guardSession(session, clock, limits)
    sessions.add(session)
    session.on('error', () => undefined)
    session.once('close', () => sessions.delete(session))
    session.on('stream', (stream: ServerHttp2Stream, headers: IncomingHttpHeaders, _flags: number, rawHeaders: string[]) => {
      guard(stream)
      answerHttp2(context, connection, stream, headers, rawHeaders)
    })
  })
  http2.on('sessionError', () => undefined)

  server.listen({ port: options.port, ...(options.host === undefined ? {} : { host: options.host }) })
  await once(server, 'listening')
  const { address, port } = server.address() as AddressInfo

  return {
    address,
    port,
    setTls(tls) {
      authorities = authoritiesOf(tls)
      server.setSecureContext(secureContext(tls))
    },
    connections: () => sockets.size,
    async close(graceMs) {
      if (stopping.signal.aborted) return
      const reason = new Error('the server is stopping')
      stopping.abort(reason)
      const closed = once(server, 'close')
      server.close()
      for (const session of sessions) session.close()
      for (const controller of live.controllers) controller.abort(reason)
      server.closeIdleConnections()
      const cut = clock.after(graceMs, () => {
        for (const session of sessions) session.destroy()
        for (const socket of sockets) socket.destroy()
      })
      await closed
      cut.cancel()
    },
  }
}

function secureContext(tls: ServerTls): SecureContextOptions {
  return {
    cert: tls.certificatePem,
    key: tls.privateKeyPem,
    ca: [tls.clientCaPem, tls.requestHeaderCaPem ?? ''].filter((pem) => pem !== ''),
    minVersion: 'TLSv1.2',
    // Certificates are looked at in every handshake: a resumed session would keep what an older authority once said.
    secureOptions: cryptoConstants.SSL_OP_NO_TICKET,
  }
}

function authoritiesOf(tls: ServerTls): PeerAuthorities {
  const prints = (pem: string): Set<string> =>
    new Set(derBlocks(pem).map((der) => new X509Certificate(toPem('CERTIFICATE', der)).fingerprint256))
  return { client: prints(tls.clientCaPem), requestHeader: prints(tls.requestHeaderCaPem ?? '') }
}
