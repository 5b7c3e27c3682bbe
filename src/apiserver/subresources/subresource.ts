// What a subresource, or a kind that is never stored (reviews), is made of. Each is one file; all.ts lists them.

import type { StatusBody } from '#api/errors'
import type { KubeObject } from '#api/object'
import type { Call } from '../registry/call.ts'
import type { Handler } from '../request.ts'

/** Which path: group and plural as in discovery, and the subresource; empty for the resource itself. */
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

/** What a create on a subresource is about. */
export interface CreateTarget {
  /** Empty at cluster scope. */
  readonly namespace: string
  /** The parent object's name; empty when the resource itself is posted to. */
  readonly name: string
}

/**
 * Answers a POST of an object with an object: reviews, tokens, bindings, evictions. The body was decoded (and defaulted) as
 * `bodyKind`; the answer is encoded as the client wishes, with status 201 unless it is a Status that says otherwise.
 */
export interface CreateHandler extends HandlerPath {
  readonly type: 'create'
  /** `apiVersion` and `kind` of the body: one or several that are accepted, the first when the body says none. */
  readonly bodyKinds: readonly { readonly apiVersion: string; readonly kind: string }[]
  create(body: KubeObject, target: CreateTarget, call: Call): Promise<KubeObject | StatusBody>
}

/** Answers get, update and patch of an object in the place of the stored one: scale, status of special kinds. */
export type ResourceHandler = RawHandler | CreateHandler
