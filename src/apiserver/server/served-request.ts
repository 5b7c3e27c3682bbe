// The request as the pipeline sees it, whatever protocol brought it. What is costly and seldom asked for (query, signal, id)
// is made when asked for: most requests are small reads, and there are many of them.
import { randomUUID } from 'node:crypto'
import { badRequest } from '#api/errors'
import type { ApiRequest, RequestBody, RequestInfo, Upgrade, User } from '../request.ts'

/** What is the same for all requests of a connection. */
export interface Connection {
  readonly remoteAddress: string
  readonly peerCertificate: Uint8Array | undefined
  readonly proxyCertificate: Uint8Array | undefined
  readonly certificateRefused: boolean
}

/** The stream that carries the answer: closed when it is done or when the client has gone. */
export interface Carrier {
  readonly destroyed: boolean
  once(event: 'close', listener: () => void): unknown
}

/** The signals of requests under way, so that a stopping server can end them. */
export interface LiveSignals {
  readonly stopping: AbortSignal
  readonly controllers: Set<AbortController>
}

export const clientGone = new Error('the client has gone')

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

export interface ServedRequestOptions {
  readonly connection: Connection
  readonly carrier: Carrier
  readonly live: LiveSignals
  readonly method: string
  /** The request target as it came: path and query. */
  readonly target: string
  readonly headers: Readonly<Record<string, string | undefined>>
  readonly body: RequestBody
  readonly upgrade: Upgrade | undefined
  readonly receivedAtMs: number
}

export class ServedRequest implements ApiRequest {
  readonly method: string
  readonly path: string
  readonly rawPath: string
  readonly rawQuery: string
  readonly headers: Readonly<Record<string, string | undefined>>
  body: RequestBody
  readonly upgrade?: Upgrade
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
  readonly #connection: Connection
  readonly #carrier: Carrier
  readonly #live: LiveSignals
  #id: string | undefined
  #query: URLSearchParams | undefined
  #signal: AbortSignal | undefined

  /** Throws BadRequest when the path is no valid percent-encoding. */
  constructor(options: ServedRequestOptions) {
    const target = options.target.startsWith('/') ? options.target : originForm(options.target)
    const mark = target.indexOf('?')
    this.#connection = options.connection
    this.#carrier = options.carrier
    this.#live = options.live
    this.method = options.method
    this.rawPath = mark < 0 ? target : target.slice(0, mark)
    this.path = decodePath(this.rawPath)
    this.rawQuery = mark < 0 ? '' : target.slice(mark + 1)
    this.headers = options.headers
    this.body = options.body
    if (options.upgrade !== undefined) this.upgrade = options.upgrade
    this.receivedAtMs = options.receivedAtMs
  }

  get id(): string {
    if (this.#id === undefined) {
      this.#id = givenId(this.headers['audit-id']) ?? randomUUID()
      // It is put together of fourteen pieces, and stays so until somebody looks into it: half a kilobyte for as long as a watch
      // lasts, whose headers Node keeps.
      this.#id.charCodeAt(0)
    }
    return this.#id
  }

  get query(): URLSearchParams {
    this.#query ??= new URLSearchParams(this.rawQuery)
    return this.#query
  }

  get connection(): object {
    return this.#connection
  }

  get remoteAddress(): string {
    return this.#connection.remoteAddress
  }

  get peerCertificate(): Uint8Array | undefined {
    return this.#connection.peerCertificate
  }

  get proxyCertificate(): Uint8Array | undefined {
    return this.#connection.proxyCertificate
  }

  get certificateRefused(): boolean {
    return this.#connection.certificateRefused
  }

  get signal(): AbortSignal {
    this.#signal ??= this.#openSignal()
    return this.#signal
  }

  #openSignal(): AbortSignal {
    const controller = new AbortController()
    const { stopping, controllers } = this.#live
    if (stopping.aborted) controller.abort(stopping.reason)
    else if (this.#carrier.destroyed) controller.abort(clientGone)
    else {
      controllers.add(controller)
      this.#carrier.once('close', () => {
        controllers.delete(controller)
        controller.abort(clientGone)
      })
    }
    return controller.signal
  }
}

const idCharsMax = 64

/** The id that a client gave its request, so that it finds it in the audit log; undefined when there is none that could stand there. */
export function givenId(header: string | undefined): string | undefined {
  return header !== undefined && header !== '' && header.length <= idCharsMax && /^[\x21-\x7e]+$/.test(header) ? header : undefined
}

// RFC 9112 section 3.2.2: a server accepts the absolute form as well.
function originForm(target: string): string {
  const path = /^https?:\/\/[^/?#]*/i.exec(target)
  if (path === null) throw badRequest('the request target is not a path')
  const rest = target.slice(path[0].length)
  return rest.startsWith('/') ? rest : `/${rest}`
}

/** The path, percent-decoded once. Throws BadRequest for a malformed encoding or a NUL. */
export function decodePath(rawPath: string): string {
  if (!rawPath.includes('%')) return rawPath
  try {
    const path = decodeURIComponent(rawPath)
    if (!path.includes('\u0000')) return path
  } catch {
    // Said below, in the same words for both.
  }
  throw badRequest('the path of the request is not validly encoded')
}
