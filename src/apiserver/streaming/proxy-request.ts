// Passing one request on to another server: a kubelet, a pod, a service's endpoint. Plain answers are streamed back; an upgrade is
// joined to the client's connection only after the other side has answered 101 (CVE-2018-1002105), and a redirect of a kubelet is an
// error, never followed nor passed on (CVE-2020-8559).
import { type ClientRequest, request as httpRequest, type IncomingMessage } from 'node:http'
import { request as httpsRequest } from 'node:https'
import type { Duplex } from 'node:stream'
import { ApiError, internalError, serviceUnavailable } from '#api/errors'
import type { ApiReply, ApiRequest, BodySink } from '../request.ts'

export interface ProxyTls {
  /** PEM. Absent: the other side's identity is not checked (pods and services behind `https:`, as Kubernetes does it). */
  readonly ca?: string
  readonly cert?: string
  readonly key?: string
}

export interface ProxyTarget {
  readonly scheme: 'http' | 'https'
  readonly host: string
  readonly port: number
  /** Path with its query. */
  readonly path: string
  readonly tls?: ProxyTls
  /** Names the other side in errors. */
  readonly what: string
  readonly redirects: 'refuse' | { readonly below: string }
  /** Method to use there, when not the client's own. */
  readonly method?: string
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
export async function proxyRequest(request: ApiRequest, target: ProxyTarget): Promise<ApiReply> {
  const upgrading = request.upgrade !== undefined
  const outgoing = openRequest(request, target, upgrading)
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

function openRequest(request: ApiRequest, target: ProxyTarget, upgrading: boolean): ClientRequest {
  const headers: Record<string, string> = {}
  for (const [name, value] of Object.entries(request.headers)) {
    if (value === undefined || name.startsWith(':') || notPassedOn.has(name)) continue
    if (name.startsWith('impersonate-') || name.startsWith('x-remote-')) continue
    headers[name] = value
  }
  // The token that WebSocket clients hide among their protocols is for us as well.
  const protocols = headers['sec-websocket-protocol']
  if (protocols !== undefined) {
    const kept = protocols.split(',').filter((protocol) => !protocol.trim().startsWith('base64url.bearer.authorization.k8s.io.'))
    headers['sec-websocket-protocol'] = kept.join(',').trim()
  }
  if (upgrading) {
    headers['connection'] = 'Upgrade'
    headers['upgrade'] = request.headers['upgrade'] ?? ''
  }
  const { scheme, host, port, path, tls } = target
  const options = { host, port, path, method: target.method ?? request.method, headers, agent: false as const, timeout: connectMs }
  if (scheme === 'http') return httpRequest(options)
  const identity = tls?.ca === undefined ? { rejectUnauthorized: false } : { ca: tls.ca, cert: tls.cert, key: tls.key }
  return httpsRequest({ ...options, ...identity })
}

function responseOf(outgoing: ClientRequest, target: ProxyTarget): Promise<IncomingMessage> {
  return new Promise((resolve, reject) => {
    outgoing.once('response', (response) => {
      outgoing.setTimeout(0)
      resolve(response)
    })
    outgoing.once('upgrade', (_response, socket) => {
      socket.destroy()
      reject(internalError(`${target.what} switched protocols without being asked`))
    })
    outgoing.once('timeout', () => outgoing.destroy(new Error(`no answer within ${connectMs / 1_000} s`)))
    outgoing.once('error', (error) => reject(unreachable(target, error)))
  })
}

function unreachable(target: ProxyTarget, error: Error): ApiError {
  return serviceUnavailable(`error trying to reach ${target.what}: ${error.message}`)
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
      outgoing.setTimeout(0)
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
    outgoing.once('timeout', () => outgoing.destroy(new Error(`no answer within ${connectMs / 1_000} s`)))
    outgoing.once('error', (error) => reject(unreachable(target, error)))
    outgoing.end()
  })
}

function switchingProtocols(response: IncomingMessage): string {
  const lines = ['HTTP/1.1 101 Switching Protocols']
  for (let i = 0; i + 1 < response.rawHeaders.length; i += 2) lines.push(`${response.rawHeaders[i]}: ${response.rawHeaders[i + 1]}`)
  return `${lines.join('\r\n')}\r\n\r\n`
}

/** Both directions, with each one's own end; the end of either connection as a whole ends the other. */
function join(client: Duplex, backend: Duplex): void {
  for (const [from, to] of [
    [client, backend],
    [backend, client],
  ] as const) {
    from.on('error', () => to.destroy())
    from.on('close', () => to.destroy())
    from.pipe(to)
  }
}

async function refused(target: ProxyTarget, response: IncomingMessage): Promise<ApiReply> {
  const status = response.statusCode ?? 0
  if (isRedirect(response) || status < 400) {
    response.destroy()
    throw internalError(`unable to upgrade connection: ${target.what} answered ${status} instead of switching protocols`)
  }
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
  const message = text === '' ? `unable to upgrade connection: ${target.what} answered ${status}` : text
  const reason = status === 404 ? 'NotFound' : status === 400 ? 'BadRequest' : status === 403 ? 'Forbidden' : 'InternalError'
  throw new ApiError({ kind: 'Status', apiVersion: 'v1', metadata: {}, status: 'Failure', message, reason, code: status })
}
