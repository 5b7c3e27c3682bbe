// Requests made by hand, for tests of stages and handlers.

import { parseRequestInfo } from './pipeline/request-info.ts'
import type { ApiRequest, Upgrade, User } from './request.ts'
import { noBody } from './server/body.ts'
import { RequestHead } from './server/request-head.ts'
import { ServedRequest } from './server/served-request.ts'

export interface FakeRequestOptions {
  readonly method?: string
  readonly headers?: Readonly<Record<string, string>>
  readonly body?: string
  readonly user?: User
  readonly peerCertificate?: Uint8Array
  readonly proxyCertificate?: Uint8Array
  readonly certificateRefused?: boolean
  readonly upgrade?: Upgrade
}

/** A request as it would come over the wire, its info already read. */
export function fakeRequest(target: string, options: FakeRequestOptions = {}): ApiRequest {
  const request = new ServedRequest({
    connection: {
      remoteAddress: '192.0.2.1',
      peerCertificate: options.peerCertificate,
      proxyCertificate: options.proxyCertificate,
      certificateRefused: options.certificateRefused ?? false,
    },
    carrier: { destroyed: false, once: () => undefined },
    live: { stopping: new AbortController().signal, controllers: new Set() },
    head: new RequestHead(options.method ?? 'GET', target, options.headers ?? {}),
    body: options.body === undefined ? noBody : { ...noBody, read: async () => Buffer.from(options.body!) },
    upgrade: options.upgrade,
    receivedAtMs: 0,
  })
  request.info = parseRequestInfo(request.method, request.rawPath, request.query)
  if (options.user !== undefined) request.user = options.user
  return request
}
