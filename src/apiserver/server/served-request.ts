// The request as the pipeline sees it, whatever protocol brought it. What is costly and seldom asked for (query, signal, id)
// is made when asked for: most requests are small reads, and there are many of them.
import type { ApiRequest, HeadFacts, RequestBody, RequestInfo, Upgrade, User } from '../request.ts'
import { givenId, newAuditId } from './audit-id.ts'
import type { RequestHead } from './request-head.ts'

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
  readonly head: RequestHead
  readonly body: RequestBody
  readonly upgrade: Upgrade | undefined
  readonly receivedAtMs: number
}

export class ServedRequest implements ApiRequest {
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
  readonly #head: RequestHead
  readonly #connection: Connection
  readonly #carrier: Carrier
  readonly #live: LiveSignals
  #id: string | undefined
  #signal: AbortSignal | undefined
  #warnings: string[] | undefined
  #auditAnnotations: Record<string, string> | undefined

  constructor(options: ServedRequestOptions) {
    this.#head = options.head
    this.#connection = options.connection
    this.#carrier = options.carrier
    this.#live = options.live
    this.body = options.body
    if (options.upgrade !== undefined) this.upgrade = options.upgrade
    this.receivedAtMs = options.receivedAtMs
  }

  get id(): string {
    this.#id ??= givenId(this.#head.headers['audit-id']) ?? newAuditId()
    return this.#id
  }

  get method(): string {
    return this.#head.method
  }

  get path(): string {
    return this.#head.path
  }

  get rawPath(): string {
    return this.#head.rawPath
  }

  get rawQuery(): string {
    return this.#head.rawQuery
  }

  get headers(): Readonly<Record<string, string | undefined>> {
    return this.#head.headers
  }

  get query(): URLSearchParams {
    return this.#head.query
  }

  get facts(): HeadFacts {
    return this.#head.facts
  }

  get warnings(): string[] {
    this.#warnings ??= []
    return this.#warnings
  }

  get auditAnnotations(): Record<string, string> {
    this.#auditAnnotations ??= {}
    return this.#auditAnnotations
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
