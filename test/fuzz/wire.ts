// Requests over real sockets, in both HTTP versions. A client here expects nothing: what becomes of a request is a value.
import { type ClientHttp2Session, connect as connectHttp2, constants } from 'node:http2'
import { Agent, request as httpsRequest } from 'node:https'
import { connect as connectTls, type TLSSocket } from 'node:tls'
import { systemClock } from '#base/clock'
import type { CertifiedKey } from '#platform/x509'
import type { Target } from './target.ts'

export interface FuzzRequest {
  /** The maker, for reports. */
  readonly what: string
  readonly method: string
  readonly path: string
  readonly headers?: Readonly<Record<string, string>>
  readonly body?: Buffer
  /** The answer may be a stream without an end: it is left soon after it began. */
  readonly endless?: boolean
}

export interface Answer {
  /** `refused`: no answer, but the stream or connection was closed. `hung`: neither in time. */
  readonly outcome: 'answered' | 'refused' | 'hung'
  readonly status: number
  readonly headers: Readonly<Record<string, string | string[] | undefined>>
  readonly body: Buffer
  /** Whether the body came to its end. */
  readonly whole: boolean
}

export interface Wire {
  send(request: FuzzRequest): Promise<Answer>
  close(): void
}

// How long an endless answer is listened to.
const listenMs = 60

const nothing = { status: 0, headers: {}, body: Buffer.alloc(0), whole: false } as const

interface Collected {
  status: number
  headers: Readonly<Record<string, string | string[] | undefined>>
}

/** Collects one answer; `leave` ends the exchange from this side. */
function exchange(
  { endless = false }: FuzzRequest,
  hangMs: number,
  begin: (to: { head(status: number, headers: Collected['headers']): void; data(chunk: Buffer): void; end(whole: boolean): void }) => {
    leave(): void
  },
): Promise<Answer> {
  return new Promise((resolve) => {
    let collected: Collected | undefined
    const chunks: Buffer[] = []
    let over = false
    const finish = (outcome: Answer['outcome'], whole: boolean): void => {
      if (over) return
      over = true
      timer.cancel()
      resolve(collected === undefined ? { ...nothing, outcome } : { ...collected, body: Buffer.concat(chunks), outcome, whole })
    }
    const timer = systemClock.after(hangMs, () => {
      finish('hung', false)
      started.leave()
    })
    const started = begin({
      head(status, headers) {
        collected = { status, headers }
        if (!endless) return
        systemClock.after(listenMs, () => {
          finish('answered', false)
          started.leave()
        })
      },
      data: (chunk) => void chunks.push(chunk),
      end: (whole) => finish(collected === undefined ? 'refused' : 'answered', whole),
    })
  })
}

/** HTTP/2 on one session, opened anew when the server has ended it. */
export function http2Wire(target: Target, identity: CertifiedKey | undefined, hangMs: number): Wire {
  let session: ClientHttp2Session | undefined
  const open = (): ClientHttp2Session => {
    if (session !== undefined && !session.closed && !session.destroyed) return session
    session = connectHttp2(`https://127.0.0.1:${target.port}`, { ca: target.caPem, ...credentials(identity) })
    session.setMaxListeners(0)
    session.on('error', () => undefined)
    session.unref()
    return session
  }
  return {
    send: (request) =>
      exchange(request, hangMs, (to) => {
        const headers = { ...request.headers, ':method': request.method, ':path': request.path }
        let stream: ReturnType<ClientHttp2Session['request']>
        try {
          stream = open().request(headers, { endStream: request.body === undefined })
        } catch {
          // This client does not send such a thing at all.
          to.end(false)
          return { leave: () => undefined }
        }
        let ended = false
        stream.on('response', ({ [constants.HTTP2_HEADER_STATUS]: status, ...rest }) =>
          to.head(Number(status), rest as Collected['headers']),
        )
        stream.on('data', (chunk: Buffer) => to.data(chunk))
        stream.on('end', () => {
          ended = true
        })
        stream.on('error', () => undefined)
        stream.on('close', () => to.end(ended))
        if (request.body !== undefined) stream.end(request.body)
        return { leave: () => stream.close(constants.NGHTTP2_CANCEL) }
      }),
    close: () => session?.destroy(),
  }
}

/** HTTP/1.1 with kept connections. */
export function http1Wire(target: Target, identity: CertifiedKey | undefined, hangMs: number): Wire {
  const agent = new Agent({ keepAlive: true, maxSockets: 8 })
  return {
    send: (request) =>
      exchange(request, hangMs, (to) => {
        let sent: ReturnType<typeof httpsRequest>
        try {
          const { method, path, headers } = request
          const length = request.body === undefined ? {} : { 'content-length': String(request.body.length) }
          const where = { host: '127.0.0.1', port: target.port, ca: target.caPem, agent, ...credentials(identity) }
          sent = httpsRequest({ ...where, method, path, headers: { ...headers, ...length } }, (response) => {
            to.head(response.statusCode!, response.headers)
            response.on('data', (chunk: Buffer) => to.data(chunk))
            response.on('error', () => undefined)
            response.on('close', () => to.end(response.complete))
          })
        } catch {
          to.end(false)
          return { leave: () => undefined }
        }
        sent.on('error', () => to.end(false))
        sent.on('upgrade', (response, socket) => {
          to.head(response.statusCode!, response.headers)
          socket.destroy()
          to.end(true)
        })
        sent.end(request.body)
        return { leave: () => sent.destroy() }
      }),
    close: () => agent.destroy(),
  }
}

function credentials(identity: CertifiedKey | undefined): { cert?: string; key?: string } {
  return identity === undefined ? {} : { cert: identity.certificatePem, key: identity.privateKeyPem }
}

/** A TLS connection for bytes that no HTTP client would send. */
export function rawConnection(
  target: Target,
  identity: CertifiedKey | undefined,
  protocol: 'http/1.1' | 'h2' = 'http/1.1',
): Promise<TLSSocket> {
  return new Promise((resolve, reject) => {
    const options = { host: '127.0.0.1', port: target.port, ca: target.caPem, ALPNProtocols: [protocol], ...credentials(identity) }
    const socket = connectTls(options)
    socket.once('error', reject)
    socket.once('secureConnect', () => {
      socket.on('error', () => undefined)
      resolve(socket)
    })
  })
}

/** What the server sends until it closes the connection; `open` when it did not within `waitMs`. */
export function untilClosed(socket: TLSSocket, waitMs: number): Promise<{ text: string; open: boolean }> {
  return new Promise((resolve) => {
    const chunks: Buffer[] = []
    const done = (open: boolean): void => {
      timer.cancel()
      resolve({ text: Buffer.concat(chunks).toString('latin1'), open })
    }
    const timer = systemClock.after(waitMs, () => {
      done(true)
      socket.destroy()
    })
    socket.on('data', (chunk) => chunks.push(chunk))
    socket.on('close', () => done(false))
  })
}
