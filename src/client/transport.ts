// A way to reach an API server: HTTPS, unix socket or in-process. Request in, response or stream out.
// Every component sees the API through this alone, so each also runs against any other Kubernetes API server.

export interface TransportRequest {
  readonly method: 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE'
  /** Path with its query, e.g. `/api/v1/pods?limit=500`. */
  readonly path: string
  readonly headers?: Readonly<Record<string, string>>
  /** Sent as it is. */
  readonly body?: Uint8Array
  readonly signal?: AbortSignal
}

export interface TransportResponse {
  readonly status: number
  readonly headers: Readonly<Record<string, string | undefined>>
  /** The body's chunks; ending the iteration early lets go of the connection's stream. */
  readonly body: AsyncIterable<Uint8Array>
}

/** Sends a request. Throws TransportError when no answer came; any HTTP status is an answer. */
export interface Transport {
  send(request: TransportRequest): Promise<TransportResponse>
  close(): Promise<void>
}

/** `unreachable`: nothing was processed; `broken`: the connection went while the answer was due. */
export class TransportError extends Error {
  override readonly name = 'TransportError'
  readonly code: 'unreachable' | 'broken' | 'aborted'
  constructor(code: 'unreachable' | 'broken' | 'aborted', message: string, options?: { cause?: unknown }) {
    super(message, options)
    this.code = code
  }
}
