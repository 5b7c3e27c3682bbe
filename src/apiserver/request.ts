// A request and its reply as the API server sees them, free of sockets: HTTP/1.1, HTTP/2 and the in-process connection
// all come down to these. The pipeline is a plain array of stages over them.
import type { Duplex } from 'node:stream'
import type { Kind } from '#api/kind'
import type { Eventual } from '#base/eventual'
import type { Form } from './verbs/encode.ts'

export interface User {
  readonly name: string
  readonly uid?: string
  readonly groups: readonly string[]
  readonly extra?: Readonly<Record<string, string[]>>
}

/** What the path and method ask for (Kubernetes' RequestInfo). */
export interface RequestInfo {
  readonly isResource: boolean
  /** get, list, watch, create, update, patch, delete, deletecollection; for other paths the lower-case method. */
  readonly verb: string
  readonly apiPrefix: 'api' | 'apis' | ''
  readonly group: string
  readonly version: string
  readonly namespace: string
  readonly resource: string
  readonly subresource: string
  readonly name: string
  /** What follows the subresource (proxy paths), with its leading slash; else empty. */
  readonly rest: string
  /** Verb, group, version, resource and subresource as one text: a key for what is remembered about requests of one form. */
  readonly action: string
}

/**
 * What follows from a request's head (method, target, headers) and from nothing else, put here by whoever works it out first: requests
 * that say the same share it. Nothing that may change from one request to the next belongs here.
 */
export interface HeadFacts {
  info?: RequestInfo
  /** Whether it names somebody to act as. */
  impersonates?: boolean
  /** Where the object that is read is cached, when it is of this kind. */
  place?: { readonly kind: Kind; readonly key: string }
  /** The form that is answered in, of this kind. */
  form?: { readonly kind: Kind; readonly form: Form }
}

/** A readable, bounded request body. */
export interface RequestBody {
  /** The whole body; throws RequestEntityTooLarge beyond `limitBytes`, BadRequest when the client went away. */
  read(limitBytes: number): Promise<Buffer>
  /** For proxied requests. */
  stream(): NodeJS.ReadableStream
}

/** Taking over the connection (exec, attach, port-forward, proxied upgrades); HTTP/1.1 only. */
export interface Upgrade {
  /** The raw socket, bytes already read included; the caller answers 101 itself. */
  accept(): Duplex
}

export interface ApiRequest {
  readonly id: string
  readonly method: string
  /** Decoded once for routing; `rawPath` is as it came. */
  readonly path: string
  readonly rawPath: string
  readonly query: URLSearchParams
  /** What stood behind the question mark; empty without one. */
  readonly rawQuery: string
  /** Lower-case names; several values joined as HTTP says. */
  readonly headers: Readonly<Record<string, string | undefined>>
  /** Absent within the process. */
  readonly facts?: HeadFacts
  /** The same object all along a connection: a key for what is remembered about its client. Absent within the process. */
  readonly connection?: object
  /** Replaced by who wants to see what is read of it. */
  body: RequestBody
  readonly upgrade?: Upgrade
  /** The client's certificate in DER, verified against the client CA; absent without one. The same buffer all along a connection. */
  readonly peerCertificate?: Uint8Array
  /** Likewise, verified against the request-header CA: the peer is a front proxy, whose headers name the user. */
  readonly proxyCertificate?: Uint8Array
  /** A certificate was shown that no authority of ours vouches for. */
  readonly certificateRefused: boolean
  readonly remoteAddress: string
  /** Aborts when the client goes away or the server must stop. */
  readonly signal: AbortSignal
  readonly receivedAtMs: number

  // Filled by stages; readonly for all but the stage that owns it.
  info: RequestInfo
  user: User
  /** Who the credentials were for, when `user` is impersonated. */
  originalUser?: User
  /** What bounds the impersonation, when that is not the right to be anybody: `impersonate:user-info`, … */
  impersonationConstraint?: string
  /** How long it may take in all; absent: as long as its client wants. */
  timeoutMs?: number
  /** When that time is over, on the monotonic clock. */
  dueMs?: number
  /** Which flow schema and priority level it was counted among; told to the client by their uids. */
  flow?: { readonly schemaUid: string | undefined; readonly levelUid: string }
  /** Warnings for the client (RFC 7234, code 299). */
  readonly warnings: string[]
  /** Annotations for the audit log. */
  readonly auditAnnotations: Record<string, string>
}

/** Where a streamed body goes. `write` returns false when the client is slow: then wait for `drained`. */
export interface BodySink {
  write(chunk: Uint8Array): boolean
  drained(): Promise<void>
  /** Sends what was written so far (chunk boundary); cheap to call. */
  flush(): void
}

/** Ends when it returns; throws to cut the connection. The signal aborts when the client has gone or the server stops. */
export type StreamedBody = (sink: BodySink, signal: AbortSignal) => Promise<void>

export interface ApiReply {
  readonly status: number
  readonly headers: Record<string, string>
  /**
   * Buffers are written as they are, never copied; undefined after an accepted upgrade. With status 101 the body accepts the upgrade
   * itself when it is run, and answers on the socket.
   */
  readonly body: Uint8Array | readonly Uint8Array[] | StreamedBody | undefined
  /** Of a watch that begins with what is there: resolves when that is written, or will not be. */
  readonly begun?: Promise<void>
}

/** A reply: reads of what is at hand have theirs at once, and need not wait for the loop to come round. */
export type Answer = Eventual<ApiReply>

/** Throws an ApiError, or gives a promise that rejects with one, where there is no reply. */
export type Handler = (request: ApiRequest) => Answer

/** One named step of a request. It answers itself, or calls `next`, or throws as a Handler does. */
export interface Stage {
  readonly name: string
  readonly run: (request: ApiRequest, next: Handler) => Answer
}

/** Reads of the API server's own state, from the watch caches, for authorizers, admission and allocators. Objects are frozen. */
export interface LocalReader {
  get<T extends import('#api/object').KubeObject>(kind: Kind<T>, namespace: string, name: string): T | undefined
  list<T extends import('#api/object').KubeObject>(kind: Kind<T>, namespace?: string): readonly T[]
  /** Calls back after any change of the kind, coalesced; returns the unsubscribe function. */
  onChange(kind: Kind, changed: () => void): () => void
}

/** The kinds that are served at the moment: the built-in ones, and those of custom resources as they come and go. */
export interface KindCatalog {
  all(): readonly Kind[]
  find(group: string, version: string, resource: string): Kind | undefined
  findByKind(apiVersion: string, kind: string): Kind | undefined
  onChange(changed: () => void): () => void
}
