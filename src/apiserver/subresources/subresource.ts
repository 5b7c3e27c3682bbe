// What a subresource, or a kind that is never stored (reviews), is made of. Each is one file; all.ts lists them.
import type { StatusBody } from '#api/errors'
import type { Column, Kind } from '#api/kind'
import type { KubeObject } from '#api/object'
import type { Call } from '../registry/call.ts'
import type { Handler } from '../request.ts'

/** Which path: group and plural as in discovery, and the subresource; empty for the resource itself. Any version. */
export interface HandlerPath {
  readonly group: string
  readonly resource: string
  readonly subresource: string
}

/** Answers every request on its path itself, byte for byte: log, exec, attach, port-forward, proxy. */
export interface RawHandler extends HandlerPath {
  readonly type: 'raw'
  readonly handle: Handler
}

/** What a request on a subresource is about. */
export interface SubresourceTarget {
  /** Empty at cluster scope. */
  readonly namespace: string
  /** The parent object's name; empty when the resource itself is posted to. */
  readonly name: string
}

/** An API type by its two names. */
export interface TypeName {
  readonly apiVersion: string
  readonly kind: string
  /** The version whose fields it has, for an old one that is no longer served. */
  readonly sameAs?: string
}

/**
 * Answers a POST of an object with an object: reviews, tokens, bindings, evictions. The body was decoded as one of `bodyKinds`;
 * the answer is encoded as the client wishes, with status 201 unless it is a Status that says otherwise.
 */
export interface CreateHandler extends HandlerPath {
  readonly type: 'create'
  /** What the body may be; the first when it does not say. */
  readonly bodyKinds: readonly TypeName[]
  create(body: KubeObject, target: SubresourceTarget, call: Call): Promise<KubeObject | StatusBody>
}

/**
 * A view of the parent object that is read and written as an object of another type: scale. Writing a view changes the parent,
 * with all that belongs to an update.
 */
export interface ViewHandler extends HandlerPath {
  readonly type: 'view'
  readonly viewKind: TypeName
  /** What a table of it shows. */
  readonly columns: readonly Column[]
  /** The view of a parent. */
  read(parent: KubeObject): KubeObject
  /** Throws when a parent has nothing to be read. */
  checkRead?(parent: KubeObject): void
  /** An applied configuration of the view as one of the parent. */
  asParent(view: KubeObject, parent: Kind): object
  /** Brings a changed view into `parent`, a private copy. Throws Invalid when it makes no sense. */
  write(parent: KubeObject, view: KubeObject): void
}

/**
 * A part of the object that is read and written as the object itself: status, ephemeralcontainers, resize, finalize, approval.
 * `take` leaves in `object`, as a client sent it, only what this subresource may change; the rest becomes as in `old`.
 */
export interface PartHandler extends HandlerPath {
  readonly type: 'part'
  take(object: KubeObject, old: KubeObject): void
}

/** Objects that are made when they are asked for. */
export interface ComputedHandler extends HandlerPath {
  readonly type: 'computed'
  list(): Promise<readonly KubeObject[]>
}

export type ResourceHandler = RawHandler | CreateHandler | ViewHandler | PartHandler | ComputedHandler
