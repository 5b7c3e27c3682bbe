// The way to the API server for components of the same process: the same pipeline, without sockets. Who they are is a property
// of the request object that only this file can set, so nothing that comes over the wire can claim it.
import { Readable } from 'node:stream'
import { requestEntityTooLarge } from '#api/errors'
import type { Clock } from '#base/clock'
import { type Transport, TransportError, type TransportRequest, type TransportResponse } from '#client/transport'
import type { ApiReply, ApiRequest, BodySink, Handler, RequestBody, RequestInfo, StreamedBody, User } from '../request.ts'
import { givenId, newAuditId } from './audit-id.ts'
import { isStreamed, statusReply } from './reply.ts'
import { decodePath } from './request-head.ts'

const noInfo: RequestInfo = {
  isResource: false,
  verb: '',
  apiPrefix: '',
  group: '',
  version: '',
  namespace: '',
  resource: '',
  subresource: '',
  name: '',
  rest: '',
  action: '',
}

const nobody: User = { name: '', groups: [] }

/** Bytes that may wait for a reader of a streamed answer before its writer is asked to wait. */
const waitingBytesMax = 1_048_576

class InProcessRequest implements ApiRequest {
  readonly method: string
  readonly path: string
  readonly rawPath: string
  readonly rawQuery: string
  readonly headers: Readonly<Record<string, string | undefined>>
  body: RequestBody
  readonly remoteAddress = '127.0.0.1'
  readonly certificateRefused = false
  readonly signal: AbortSignal
  readonly receivedAtMs: number
  info: RequestInfo = noInfo
  user: User = nobody
  originalUser?: User
  impersonationConstraint?: string
  timeoutMs?: number
  dueMs?: number
  flow?: { readonly schemaUid: string | undefined; readonly levelUid: string }
  readonly warnings: string[] = []
  readonly auditAnnotations: Record<string, string> = {}
  readonly #loopbackUser: User
  #query: URLSearchParams | undefined
  #id: string | undefined

  constructor(request: TransportRequest, user: User, signal: AbortSignal, receivedAtMs: number) {
    const mark = request.path.indexOf('?')
    this.method = request.method
    this.rawPath = mark < 0 ? request.path : request.path.slice(0, mark)
    this.path = decodePath(this.rawPath)
    this.rawQuery = mark < 0 ? '' : request.path.slice(mark + 1)
    this.headers = lowerCased(request.headers)
    this.body = bodyOf(request.body)
    this.signal = signal
    this.receivedAtMs = receivedAtMs
    this.#loopbackUser = user
  }

  get id(): string {
    this.#id ??= givenId(this.headers['audit-id']) ?? newAuditId()
    return this.#id
  }

  get query(): URLSearchParams {
    this.#query ??= new URLSearchParams(this.rawQuery)
    return this.#query
  }

  static userOf(request: ApiRequest): User | undefined {
    return #loopbackUser in request ? (request as InProcessRequest).#loopbackUser : undefined
  }
}

/** The user of a request made within this process; undefined for every request that came over the wire. */
export function inProcessUser(request: ApiRequest): User | undefined {
  return InProcessRequest.userOf(request)
}

function lowerCased(headers: Readonly<Record<string, string>> | undefined): Record<string, string> {
  const out: Record<string, string> = {}
  if (headers !== undefined) for (const name in headers) out[name.toLowerCase()] = headers[name]!
  return out
}

function bodyOf(bytes: Uint8Array | undefined): RequestBody {
  const buffer = bytes === undefined ? Buffer.alloc(0) : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  return {
    read: (limitBytes) => (buffer.length > limitBytes ? Promise.reject(requestEntityTooLarge(limitBytes)) : Promise.resolve(buffer)),
    stream: () => Readable.from([buffer]),
  }
}

/** A transport straight into `handle`, as `user`. Closing it ends every stream it opened. */
export function inProcessTransport(handle: Handler, user: User, { clock }: { clock: Clock }): Transport {
  // Exchanges under way, so that closing ends them all.
  const live = new Set<Exchange>()
  let closed = false
  return {
    async send(request) {
      if (closed || request.signal?.aborted) throw new TransportError('aborted', 'the request was aborted')
      const ended = exchange(request.signal, live)
      let reply: ApiReply
      try {
        reply = await handle(new InProcessRequest(request, user, ended.signal, clock.now()))
      } catch (error) {
        reply = statusReply(error)
      }
      return responseOf(reply, request, ended)
    },
    async close() {
      closed = true
      for (const ended of live) ended.abort()
    },
  }
}

interface Exchange {
  readonly signal: AbortSignal
  abort(): void
  /** Lets go of the caller's signal: nothing is under way any more. */
  release(): void
}

// A signal of this exchange alone, tied to the caller's until it is released.
function exchange(source: AbortSignal | undefined, live: Set<Exchange>): Exchange {
  const controller = new AbortController()
  const abort = (): void => controller.abort(new TransportError('aborted', 'the request was aborted'))
  source?.addEventListener('abort', abort, { once: true })
  const made: Exchange = {
    signal: controller.signal,
    abort,
    release() {
      source?.removeEventListener('abort', abort)
      live.delete(made)
    },
  }
  live.add(made)
  return made
}

function responseOf(reply: ApiReply, request: TransportRequest, ended: Exchange): TransportResponse {
  const { status, headers, body } = reply
  if (isStreamed(body)) return { status, headers, body: streamOf(body, ended) }
  ended.release()
  const chunks = body === undefined || (request.method as string) === 'HEAD' ? [] : body instanceof Uint8Array ? [body] : body
  return { status, headers, body: chunksOf(chunks) }
}

async function* chunksOf(chunks: readonly Uint8Array[]): AsyncGenerator<Uint8Array> {
  for (const chunk of chunks) if (chunk.length > 0) yield chunk
}

// The writer runs at once; what it wrote waits here, within bounds, for the reader.
function streamOf(body: StreamedBody, ended: Exchange): AsyncGenerator<Uint8Array> {
  let waiting: Uint8Array[] = []
  let waitingBytes = 0
  let finished = false
  let failure: unknown
  let wakeReader = (): void => undefined
  let wakeWriter = (): void => undefined
  const sink: BodySink = {
    write(chunk) {
      waiting.push(chunk)
      waitingBytes += chunk.length
      wakeReader()
      return waitingBytes < waitingBytesMax
    },
    async drained() {
      while (waitingBytes >= waitingBytesMax && !ended.signal.aborted) {
        await new Promise<void>((resolve) => {
          wakeWriter = resolve
        })
      }
    },
    flush: () => undefined,
  }
  const onAbort = (): void => {
    wakeReader()
    wakeWriter()
  }
  ended.signal.addEventListener('abort', onAbort, { once: true })
  const written = body(sink, ended.signal).then(
    () => {
      finished = true
    },
    (error: unknown) => {
      failure = new TransportError('broken', 'the answer was cut off', { cause: error })
      finished = true
    },
  )
  void written.then(() => wakeReader())
  return read()

  async function* read(): AsyncGenerator<Uint8Array> {
    try {
      for (;;) {
        while (waiting.length > 0) {
          const ready = waiting
          waiting = []
          waitingBytes = 0
          wakeWriter()
          yield* ready
        }
        if (ended.signal.aborted) throw ended.signal.reason
        if (finished) break
        await new Promise<void>((resolve) => {
          wakeReader = resolve
        })
      }
      if (failure !== undefined) throw failure
    } finally {
      if (!finished) ended.abort()
      ended.release()
    }
  }
}
