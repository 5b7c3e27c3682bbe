// A thin client of the Docker Engine API: JSON calls, long answers as streams, and raw connections for exec and attach. On node:http
// itself, because the libraries hide the socket, and the end of stdin is told by half-closing it.
import { Agent, request as httpRequest, type IncomingMessage } from 'node:http'
import { request as httpsRequest, Agent as TlsAgent } from 'node:https'
import type { Socket } from 'node:net'
import type { Clock } from '#base/clock'
import { RuntimeError, type RuntimeErrorCode } from '../runtime.ts'

/** An answer of the engine other than success. `status` is HTTP's. */
export class DockerError extends RuntimeError {
  readonly status: number
  constructor(status: number, message: string) {
    super(codeOf(status), message)
    this.status = status
  }
}

export interface DockerTls {
  readonly ca?: string
  readonly cert?: string
  readonly key?: string
}

export interface Call {
  readonly query?: Readonly<Record<string, string | number | boolean | undefined>>
  readonly body?: unknown
  readonly headers?: Readonly<Record<string, string>>
  readonly signal?: AbortSignal
  /** How long the engine may take; default two minutes. Infinity for calls that wait by design. */
  readonly timeoutMs?: number
  /** Statuses that are no error besides 2xx, e.g. 304 for "is so already". */
  readonly accept?: readonly number[]
}

export interface DockerVersion {
  readonly engine: string
  /** The version that both sides speak. */
  readonly api: string
}

export interface DockerClient {
  /** The engine's version; asked once, on the first call. */
  version(): Promise<DockerVersion>
  /** One call with a JSON answer, or none. */
  call<T>(method: string, path: string, options?: Call): Promise<T>
  /** One call whose answer is read as it comes. Destroy it to stop. */
  stream(method: string, path: string, options?: Call): Promise<IncomingMessage>
  /** A raw connection (exec, attach). The HTTP exchange is over. */
  hijack(path: string, options?: Call): Promise<Socket>
  close(): void
}

const timeoutMsDefault = 120_000
const answerBytesMax = 64 * 1024 * 1024
const apiOldest = [1, 41] as const
// The newest version that was tried; newer engines speak it as well.
const apiNewest = [1, 51] as const

/** Where an engine listens: `unix:///path`, `tcp://host:port`, `http://…` or `https://…`. */
export function parseDockerHost(host: string): { socketPath?: string; host?: string; port?: number; tls: boolean } {
  if (host.startsWith('unix://')) return { socketPath: host.slice('unix://'.length), tls: false }
  const url = URL.canParse(host) ? new URL(host) : undefined
  if (url === undefined || !['tcp:', 'http:', 'https:'].includes(url.protocol) || url.hostname === '') {
    throw new RuntimeError('invalid', `Docker host "${host}" is neither unix:///path nor tcp://host:port`)
  }
  const tls = url.protocol === 'https:'
  return { host: url.hostname.replace(/^\[|\]$/g, ''), port: Number(url.port) || (tls ? 2376 : 2375), tls }
}

/** Opens a client; nothing is sent yet. */
export function openDockerClient({ host, tls, clock }: { host: string; tls?: DockerTls; clock: Clock }): DockerClient {
  const place = parseDockerHost(host)
  const secure = place.tls || tls !== undefined
  const request = secure ? httpsRequest : httpRequest
  const agent = secure ? new TlsAgent({ keepAlive: true, maxFreeSockets: 4, ...tls }) : new Agent({ keepAlive: true, maxFreeSockets: 4 })
  let version: Promise<DockerVersion> | undefined

  const send = (method: string, path: string, options: Call, raw: boolean): Promise<Reply> =>
    new Promise((resolve, reject) => {
      const body = options.body === undefined ? undefined : Buffer.from(JSON.stringify(options.body))
      const ended = new AbortController()
      const timeoutMs = options.timeoutMs ?? timeoutMsDefault
      const late = (): void => ended.abort(new RuntimeError('timeout', `${method} ${path}: Docker did not answer within ${timeoutMs} ms`))
      const timer = timeoutMs === Number.POSITIVE_INFINITY ? undefined : clock.after(timeoutMs, late, { background: true })
      const outgoing = request({
        socketPath: place.socketPath,
        host: place.host ?? 'docker',
        port: place.port,
        method,
        path: path + queryString(options.query),
        agent: raw ? false : agent,
        ...(raw && secure ? tls : {}),
        signal: options.signal === undefined ? ended.signal : AbortSignal.any([options.signal, ended.signal]),
        headers: {
          Host: 'docker',
          ...(body === undefined ? {} : { 'Content-Type': 'application/json', 'Content-Length': body.length }),
          ...(raw ? { Connection: 'Upgrade', Upgrade: 'tcp' } : {}),
          ...options.headers,
        },
      })
      outgoing.on('response', (response) => {
        timer?.cancel()
        resolve({ response })
      })
      outgoing.on('upgrade', (_response, socket: Socket, head: Buffer) => {
        timer?.cancel()
        if (head.length > 0) socket.unshift(head)
        resolve({ socket })
      })
      outgoing.on('error', (error: NodeJS.ErrnoException) => {
        timer?.cancel()
        if (ended.signal.aborted) reject(ended.signal.reason)
        else if (options.signal?.aborted) reject(options.signal.reason)
        // The engine closed an idle connection just as it was taken again. Asking once more harms nothing when it only asks.
        else if (method === 'GET' && outgoing.reusedSocket && error.code === 'ECONNRESET')
          send(method, path, options, raw).then(resolve, reject)
        else reject(new RuntimeError('unavailable', `Docker does not answer at ${host}: ${error.message}`, { cause: error }))
      })
      outgoing.end(body)
    })

  const negotiate = async (): Promise<DockerVersion> => {
    const { response } = await send('GET', '/version', {}, false)
    const found = (await readJson(response!)) as { Version?: string; ApiVersion?: string; MinAPIVersion?: string }
    const newest = parseApi(found.ApiVersion)
    const oldest = parseApi(found.MinAPIVersion)
    if (compareApi(newest, apiOldest) < 0) {
      throw new RuntimeError(
        'invalid',
        `Docker Engine API ${apiOldest.join('.')} or newer is needed; this engine speaks ${found.ApiVersion}`,
      )
    }
    if (compareApi(oldest, apiNewest) > 0) {
      throw new RuntimeError(
        'invalid',
        `this Docker engine no longer speaks API ${apiNewest.join('.')}; the oldest it does is ${found.MinAPIVersion}`,
      )
    }
    const api = compareApi(newest, apiNewest) < 0 ? newest : apiNewest
    return { engine: found.Version ?? '', api: api.join('.') }
  }

  const client: DockerClient = {
    version() {
      version ??= negotiate().catch((error: unknown) => {
        // Another time the engine may be there.
        version = undefined
        throw error
      })
      return version
    },
    async call<T>(method: string, path: string, options: Call = {}) {
      const { api } = await client.version()
      const { response } = await send(method, `/v${api}${path}`, options, false)
      if (response === undefined) throw new RuntimeError('unknown', `${method} ${path}: Docker answered with an upgrade nobody asked for`)
      if (!isFine(response, options)) throw await errorFrom(response)
      return (await readJson(response)) as T
    },
    async stream(method, path, options = {}) {
      const { api } = await client.version()
      const { response } = await send(method, `/v${api}${path}`, options, false)
      if (response === undefined) throw new RuntimeError('unknown', `${method} ${path}: Docker answered with an upgrade nobody asked for`)
      if (!isFine(response, options)) throw await errorFrom(response)
      return response
    },
    async hijack(path, options = {}) {
      const { api } = await client.version()
      const { response, socket } = await send('POST', `/v${api}${path}`, options, true)
      if (socket !== undefined) return socket
      if (response !== undefined && !isFine(response, options)) throw await errorFrom(response)
      response?.destroy()
      throw new RuntimeError('unknown', `POST ${path}: Docker did not hand over the connection`)
    },
    close: () => agent.destroy(),
  }
  return client
}

interface Reply {
  readonly response?: IncomingMessage
  readonly socket?: Socket
}

function isFine(response: IncomingMessage, options: Call): boolean {
  const status = response.statusCode ?? 0
  return (status >= 200 && status < 300) || (options.accept ?? []).includes(status)
}

async function readText(response: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = []
  let bytes = 0
  for await (const chunk of response as AsyncIterable<Buffer>) {
    bytes += chunk.length
    if (bytes > answerBytesMax) throw new RuntimeError('unknown', `Docker's answer is longer than ${answerBytesMax} bytes`)
    chunks.push(chunk)
  }
  return Buffer.concat(chunks).toString()
}

async function readJson(response: IncomingMessage): Promise<unknown> {
  const text = await readText(response)
  return text === '' ? undefined : response.headers['content-type']?.startsWith('application/json') ? JSON.parse(text) : text
}

async function errorFrom(response: IncomingMessage): Promise<DockerError> {
  const text = await readText(response)
  let message = text.trim()
  try {
    message = (JSON.parse(text) as { message?: string }).message ?? message
  } catch {
    // Not every answer is JSON; then the text is the message.
  }
  return new DockerError(response.statusCode ?? 0, message || `Docker answered with status ${response.statusCode}`)
}

function codeOf(status: number): RuntimeErrorCode {
  if (status === 404) return 'notFound'
  if (status === 409) return 'alreadyExists'
  if (status === 400) return 'invalid'
  if (status === 503) return 'unavailable'
  return 'unknown'
}

function queryString(query: Call['query']): string {
  const entries = Object.entries(query ?? {}).filter(([, value]) => value !== undefined)
  return entries.length === 0 ? '' : `?${new URLSearchParams(Object.fromEntries(entries.map(([k, v]) => [k, String(v)])))}`
}

function parseApi(text: string | undefined): readonly [number, number] {
  const [major = 0, minor = 0] = (text ?? '').split('.').map(Number)
  return [major, minor]
}

function compareApi(a: readonly [number, number], b: readonly [number, number]): number {
  return a[0] - b[0] || a[1] - b[1]
}

/** Whether the error is one of the engine with one of these statuses. */
export function isStatus(error: unknown, ...statuses: number[]): boolean {
  return error instanceof DockerError && statuses.includes(error.status)
}
