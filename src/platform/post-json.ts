// One exchange of JSON with a server that is configured by an administrator: over HTTPS with certificates of both sides, or HTTP; within
// bounds of size and time. Redirects are not followed.
import { Agent as HttpAgent, request as httpRequest, type RequestOptions } from 'node:http'
import { Agent as HttpsAgent, request as httpsRequest } from 'node:https'

export interface JsonServer {
  readonly url: string
  /** Who vouches for the server, PEM; empty: the machine's authorities. */
  readonly ca: string
  /** The name that its certificate must have; absent: that of the URL. */
  readonly serverName?: string
  readonly insecure?: boolean
  readonly clientCert?: string
  readonly clientKey?: string
  /** Sent as a bearer token. */
  readonly token?: string
  readonly username?: string
  readonly password?: string
}

/** The server answered, and not with success. `text` is the beginning of what it said. */
export class HttpStatusError extends Error {
  override readonly name = 'HttpStatusError'
  readonly status: number
  readonly retryAfter: boolean
  readonly text: string
  constructor(url: string, status: number, text: string, retryAfter: boolean) {
    super(`Post ${JSON.stringify(url)}: the server answered ${status}`)
    this.status = status
    this.text = text
    this.retryAfter = retryAfter
  }
}

export interface JsonPoster {
  /** The parsed answer to a POST. Rejects with an HttpStatusError, or an Error that says what went wrong on the way. */
  post(body: unknown, timeoutMs: number): Promise<unknown>
  /** The same for who wants to know only that it arrived. */
  deliver(body: unknown, timeoutMs: number): Promise<void>
  close(): void
}

const answerBytesMax = 1_048_576
const socketsMax = 64

/** Keeps connections to the server open between exchanges. */
export function jsonPoster(server: JsonServer): JsonPoster {
  const secure = server.url.startsWith('https:')
  const options = { keepAlive: true, maxSockets: socketsMax, timeout: 60_000 }
  const agent = secure ? new HttpsAgent(options) : new HttpAgent(options)
  const { url, ca, serverName, insecure, clientCert, clientKey, token, username, password } = server
  const basic = Buffer.from(`${username ?? ''}:${password ?? ''}`).toString('base64')
  const authorization = token !== undefined ? `Bearer ${token}` : username === undefined ? undefined : `Basic ${basic}`
  const send = (body: unknown, timeoutMs: number): Promise<string> => {
    const bytes = Buffer.from(JSON.stringify(body))
    const all: RequestOptions & Record<string, unknown> = {
      agent,
      method: 'POST',
      headers: {
        accept: 'application/json, */*',
        'content-type': 'application/json',
        'content-length': bytes.length,
        ...(authorization === undefined ? {} : { authorization }),
      },
      signal: AbortSignal.timeout(timeoutMs),
      ...(ca === '' ? {} : { ca }),
      ...(serverName === undefined ? {} : { servername: serverName }),
      ...(insecure ? { rejectUnauthorized: false } : {}),
      ...(clientCert === undefined ? {} : { cert: clientCert, key: clientKey }),
    }
    return exchange(url, all, bytes, secure)
  }
  return {
    async post(body, timeoutMs) {
      const text = await send(body, timeoutMs)
      try {
        return JSON.parse(text)
      } catch (error) {
        throw new Error(`Post ${JSON.stringify(url)}: the answer is no JSON`, { cause: error })
      }
    },
    async deliver(body, timeoutMs) {
      await send(body, timeoutMs)
    },
    close: () => agent.destroy(),
  }
}

function exchange(url: string, options: RequestOptions, bytes: Buffer, secure: boolean): Promise<string> {
  return new Promise((resolve, reject) => {
    const outgoing = (secure ? httpsRequest : httpRequest)(url, options)
    const fail = (why: string, cause?: unknown): void => {
      outgoing.destroy()
      reject(new Error(`Post ${JSON.stringify(url)}: ${why}`, { cause }))
    }
    outgoing.on('error', (error) => fail(error.name === 'AbortError' || error.name === 'TimeoutError' ? timedOut : error.message, error))
    outgoing.on('response', (response) => {
      const chunks: Buffer[] = []
      let size = 0
      response.on('data', (chunk: Buffer) => {
        size += chunk.length
        if (size > answerBytesMax) return fail(`the answer is longer than ${answerBytesMax} bytes`)
        chunks.push(chunk)
      })
      response.on('error', (error) => fail(error.message, error))
      response.on('end', () => {
        const text = Buffer.concat(chunks).toString()
        const status = response.statusCode ?? 0
        if (status < 200 || status > 299) {
          return reject(new HttpStatusError(url, status, text.slice(0, 2_048), response.headers['retry-after'] !== undefined))
        }
        resolve(text)
      })
    })
    outgoing.end(bytes)
  })
}

const timedOut = 'context deadline exceeded (Client.Timeout exceeded while awaiting headers)'
