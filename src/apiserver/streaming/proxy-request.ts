// Passing one request on to another server: a kubelet, a pod, a service's endpoint. Plain answers are streamed back; an upgrade is
// joined to the client's connection only after the other side has answered 101 (CVE-2018-1002105), and a redirect of a kubelet is an
// error, never followed nor passed on (CVE-2020-8559).
import { type ClientRequest, request as httpRequest, type IncomingMessage } from 'node:http'
import { request as httpsRequest, type RequestOptions } from 'node:https'
import { type Duplex, Writable } from 'node:stream'
import { checkServerIdentity, type PeerCertificate } from 'node:tls'
import { ApiError, internalError, serviceUnavailable } from '#api/errors'
import type { Clock } from '#base/clock'
import { withoutTokenProtocol } from '../authn/tokens.ts'
import type { ApiReply, ApiRequest, BodySink } from '../request.ts'
import type { AddressGuard } from './address-guard.ts'

/** How both sides prove themselves. PEM. */
export interface ProxyTls {
  /** Who must vouch for the other side; absent: the authorities that the machine trusts. */
  readonly ca?: string
  readonly cert?: string
  readonly key?: string
  /** The name that the other side's certificate must be for; absent: its address. */
  readonly serverName?: string
  /** The common name that the other side's certificate must carry as well. */
  readonly commonName?: string
  /** The other side need not prove anything, because whoever registered it said so. */
  readonly unverified?: boolean
}

export interface ProxyDeps {
  readonly clock: Clock
  readonly guard: AddressGuard
}

export interface ProxyTarget {
  readonly scheme: 'http' | 'https'
  readonly host: string
  readonly port: number
  /** Path with its query. */
  readonly path: string
  /** Absent: the other side's identity is not checked (pods and services behind `https:`, as Kubernetes does it). */
  readonly tls?: ProxyTls
  /** A kubelet's failures are told as Go's HTTP client tells them; those of others as troubles with a service. */
  readonly kubelet?: boolean
  /** Names the other side in errors. */
  readonly what: string
  /** The `Host` header; absent: address and port. */
  readonly hostHeader?: string
  /** Headers beyond those passed on, and in place of any of the same names: who the client is, said to a server that trusts us. */
  readonly headers?: Readonly<Record<string, string | string[]>>
  readonly redirects: 'refuse' | { readonly below: string }
  /** A plain answer of 400 or above becomes a Status with the answer's text as its message. Absent: it is passed on as it is. */
  readonly failuresAsStatus?: boolean
}

const connectMs = 30_000
const errorBytesMax = 65_536
// RFC 9110, 7.6.1, and what was meant for us alone.
const notPassedOn = new Set([
  'connection',
  'keep-alive',
  'proxy-authenticate',
  'proxy-authorization',
  'te',
  'trailer',
  'transfer-encoding',
  'upgrade',
  'http2-settings',
  'host',
  'authorization',
])

/** The reply to the client's request, as the other side gives it. */
export async function proxyRequest(deps: ProxyDeps, request: ApiRequest, target: ProxyTarget): Promise<ApiReply> {
  deps.guard.check(target.host, target.port)
  const upgrading = request.upgrade !== undefined
  const outgoing = openRequest(deps, request, target, upgrading)
  // Whoever waits for an answer hears of an error; one that comes later concerns a client that has gone.
  outgoing.on('error', () => undefined)
  const abort = (): void => void outgoing.destroy()
  request.signal.addEventListener('abort', abort, { once: true })
  if (request.signal.aborted) abort()
  try {
    if (upgrading) return await upgrade(request, target, outgoing)
    const body = request.body.stream()
    body.on('error', abort)
    body.pipe(outgoing)
    return await plainReply(request, target, await responseOf(outgoing, target))
  } catch (error) {
    outgoing.destroy()
    throw error
  }
}

function openRequest({ clock, guard }: ProxyDeps, request: ApiRequest, target: ProxyTarget, upgrading: boolean): ClientRequest {
  const { scheme, host, port, path, tls } = target
  const options: RequestOptions = {
    host,
    port,
    path,
    method: request.method,
    headers: {
      ...passedOn(request, upgrading),
      ...target.headers,
      ...(target.hostHeader === undefined ? {} : { host: target.hostHeader }),
    },
    agent: false,
    lookup: guard.lookup(port),
  }
  const outgoing = scheme === 'http' ? httpRequest(options) : httpsRequest({ ...options, ...identityOf(tls) })
  // Only the way there is timed: what is asked for may take as long as the client waits.
  const timer = clock.after(connectMs, () => outgoing.destroy(new Error(`no connection within ${connectMs / 1_000} s`)), {
    background: true,
  })
  outgoing.once('socket', (socket) => socket.once(scheme === 'http' ? 'connect' : 'secureConnect', () => timer.cancel()))
  outgoing.once('close', () => timer.cancel())
  return outgoing
}

function passedOn(request: ApiRequest, upgrading: boolean): Record<string, string> {
  const headers: Record<string, string> = {}
  for (const [name, value] of Object.entries(request.headers)) {
    if (value === undefined || name.startsWith(':') || notPassedOn.has(name)) continue
    // Who the client is, or wants to be, was between it and us.
    if (name.startsWith('impersonate-') || name.startsWith('x-remote-')) continue
    headers[name] = value
  }
  const protocols = headers['sec-websocket-protocol']
  if (protocols !== undefined) headers['sec-websocket-protocol'] = withoutTokenProtocol(protocols)
  const forwarded = headers['x-forwarded-for']
  headers['x-forwarded-for'] = forwarded === undefined ? request.remoteAddress : `${forwarded}, ${request.remoteAddress}`
  if (upgrading) {
    headers['connection'] = 'Upgrade'
    headers['upgrade'] = request.headers['upgrade'] ?? ''
  }
  return headers
}

function identityOf(tls: ProxyTls | undefined): RequestOptions {
  if (tls === undefined) return { rejectUnauthorized: false }
  const { ca, cert, key, serverName, commonName } = tls
  return {
    ca,
    cert,
    key,
    rejectUnauthorized: tls.unverified !== true,
    ...(serverName === undefined ? {} : { servername: serverName }),
    checkServerIdentity: (host: string, certificate: PeerCertificate) => {
      const error = checkServerIdentity(serverName ?? host, certificate)
      if (error !== undefined || commonName === undefined) return error
      // Every server of the cluster has a certificate of this authority: that it is one is not enough.
      const { CN } = certificate.subject
      return CN === commonName ? undefined : new Error(`the certificate is for ${JSON.stringify(CN)}, not ${JSON.stringify(commonName)}`)
    },
  }
}

function responseOf(outgoing: ClientRequest, target: ProxyTarget): Promise<IncomingMessage> {
  return new Promise((resolve, reject) => {
    outgoing.once('response', resolve)
    outgoing.once('upgrade', (_response, socket) => {
      socket.destroy()
      reject(internalError(`${target.what} switched protocols without being asked`))
    })
    outgoing.once('error', (error) => reject(unreachable(target, error)))
  })
}

function unreachable(target: ProxyTarget, error: Error): ApiError {
  const { scheme, host, port, path } = target
  if (target.kubelet) return failed(`Get "${scheme}://${host.includes(':') ? `[${host}]` : host}:${port}${path}": ${wordsOf(error)}`)
  return serviceUnavailable(`error trying to reach ${target.what}: ${error.message}`)
}

// Compat: scripts look for "error dialing backend" and "connect: connection refused" in what kubectl prints.
function failed(message: string): ApiError {
  return new ApiError({ kind: 'Status', apiVersion: 'v1', metadata: {}, status: 'Failure', message, code: 500 })
}

const dialErrors: Readonly<Record<string, string>> = {
  ECONNREFUSED: 'connection refused',
  EHOSTUNREACH: 'no route to host',
  ENETUNREACH: 'network is unreachable',
  ETIMEDOUT: 'connection timed out',
}

function wordsOf(error: Error & { code?: string; address?: string; port?: number }): string {
  const words = dialErrors[error.code ?? '']
  if (words === undefined || error.address === undefined) return error.message
  return `dial tcp ${error.address.includes(':') ? `[${error.address}]` : error.address}:${error.port}: connect: ${words}`
}

function isRedirect(response: IncomingMessage): boolean {
  const status = response.statusCode ?? 0
  return status >= 300 && status < 400 && status !== 304
}

async function plainReply(request: ApiRequest, target: ProxyTarget, response: IncomingMessage): Promise<ApiReply> {
  const headers: Record<string, string> = {}
  for (const [name, value] of Object.entries(response.headers)) {
    if (value === undefined || notPassedOn.has(name)) continue
    headers[name] = Array.isArray(value) ? value.join(', ') : value
  }
  if (isRedirect(response)) {
    if (target.redirects === 'refuse') {
      response.destroy()
      throw internalError(`${target.what} answered with a redirect, which is not followed`)
    }
    const location = headers['location']
    if (location?.startsWith('/')) headers['location'] = `${target.redirects.below}${location}`
  }
  if (target.failuresAsStatus && (response.statusCode ?? 0) >= 400)
    return failure(response, `${target.what} answered ${response.statusCode}`)
  delete headers['content-length']
  return { status: response.statusCode ?? 502, headers, body: (sink, signal) => copyBody(response, sink, signal, request) }
}

async function copyBody(response: IncomingMessage, sink: BodySink, signal: AbortSignal, request: ApiRequest): Promise<void> {
  const abort = (): void => void response.destroy()
  signal.addEventListener('abort', abort, { once: true })
  try {
    for await (const chunk of response as AsyncIterable<Buffer>) {
      if (!sink.write(chunk)) await sink.drained()
      sink.flush()
    }
  } catch (error) {
    // Cut off by the client's going: there is nobody left to tell.
    if (!signal.aborted && !request.signal.aborted) throw error
  } finally {
    signal.removeEventListener('abort', abort)
    response.destroy()
  }
}

function upgrade(request: ApiRequest, target: ProxyTarget, outgoing: ClientRequest): Promise<ApiReply> {
  return new Promise((resolve, reject) => {
    outgoing.once('upgrade', (response, backend, head) => {
      const client = request.upgrade?.accept()
      if (client === undefined) return reject(internalError('the connection cannot be upgraded'))
      client.write(switchingProtocols(response))
      if (head.length > 0) client.write(head)
      join(client, backend)
      resolve({ status: 101, headers: {}, body: undefined })
    })
    // Any other answer is an error, told to the client; the backend's connection goes.
    outgoing.once('response', (response) => {
      refused(target, response).then(resolve, reject)
    })
    outgoing.once('error', (error) => reject(failed(`error dialing backend: ${wordsOf(error)}`)))
    outgoing.end()
  })
}

function switchingProtocols(response: IncomingMessage): string {
  const lines = ['HTTP/1.1 101 Switching Protocols']
  for (let i = 0; i + 1 < response.rawHeaders.length; i += 2) lines.push(`${response.rawHeaders[i]}: ${response.rawHeaders[i + 1]}`)
  return `${lines.join('\r\n')}\r\n\r\n`
}

/**
 * Both directions, with each one's own end. When one connection is gone, the other goes too: at once when it broke off, after what
 * is still to be written when it came to its end (the exit status of a command comes last).
 */
function join(client: Duplex, backend: Duplex): void {
  for (const [from, to] of [
    [client, backend],
    [backend, client],
  ] as const) {
    from.on('error', () => to.destroy())
    from.on('close', () => {
      if (!from.readableEnded) to.destroy()
      else if (to.writableFinished) to.destroy()
      else to.once('finish', () => to.destroy())
    })
  }
  client.pipe(backend)
  backend.pipe(piecemeal(client))
}

/**
 * Writes piece after piece, and never several in one.
 *
 * Compat: older clients in Python wait for the socket after each message, unaware of a second one that came in the same TLS record.
 */
function piecemeal(to: Duplex): Writable {
  const pieces = new Writable({
    write: (chunk, _encoding, done) => void to.write(chunk, done),
    final: (done) => void to.end(done),
  })
  // What breaks the connection is told by the connection.
  pieces.on('error', () => undefined)
  return pieces
}

async function refused(target: ProxyTarget, response: IncomingMessage): Promise<ApiReply> {
  const status = response.statusCode ?? 0
  if (isRedirect(response) || status < 400) {
    response.destroy()
    throw internalError(`unable to upgrade connection: ${target.what} answered ${status} instead of switching protocols`)
  }
  return failure(response, `unable to upgrade connection: ${target.what} answered ${status}`)
}

/** The Status that an error answer holds or tells in words; `without` is the message when it has none. */
async function failure(response: IncomingMessage, without: string): Promise<ApiReply> {
  const status = response.statusCode ?? 0
  const chunks: Buffer[] = []
  let bytes = 0
  for await (const chunk of response as AsyncIterable<Buffer>) {
    bytes += chunk.length
    if (bytes > errorBytesMax) break
    chunks.push(chunk)
  }
  response.destroy()
  const body = Buffer.concat(chunks)
  const text = body.toString('utf8').trim()
  if (response.headers['content-type']?.includes('json')) return { status, headers: { 'content-type': 'application/json' }, body }
  const message = text === '' ? without : text
  const reason = status === 404 ? 'NotFound' : status === 400 ? 'BadRequest' : status === 403 ? 'Forbidden' : 'InternalError'
  throw new ApiError({ kind: 'Status', apiVersion: 'v1', metadata: {}, status: 'Failure', message, reason, code: status })
}
