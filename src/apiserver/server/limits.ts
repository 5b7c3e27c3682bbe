// Bounds of the API server's port. A connection that goes past one of them goes; the server stays (CVE-2023-44487 and kin).

export interface ServerLimits {
  /** Open connections; the next one is closed at once. */
  readonly connectionsMax: number
  /** Until the TLS handshake is done. */
  readonly handshakeTimeoutMs: number
  /** All headers of one request together. */
  readonly headerBytesMax: number
  readonly headersMax: number
  /** Until the headers of a request are complete. */
  readonly headerTimeoutMs: number
  /** Until a body that somebody reads as a whole is complete. */
  readonly bodyTimeoutMs: number
  /** A connection without a request. */
  readonly idleTimeoutMs: number
  /** Requests at once on one HTTP/2 connection. */
  readonly streamsMax: number
  /** Streams that a client may reset before they were answered: a burst, and a rate at which the allowance comes back. */
  readonly resetBurst: number
  readonly resetsPerSecond: number
}

/** Kubernetes' figures where it has them (kube-apiserver's secure serving: headers 32 s, idle 90 s, 100 streams). */
export const defaultLimits: ServerLimits = {
  connectionsMax: 8_000,
  handshakeTimeoutMs: 10_000,
  headerBytesMax: 65_536,
  headersMax: 128,
  headerTimeoutMs: 32_000,
  bodyTimeoutMs: 60_000,
  idleTimeoutMs: 90_000,
  streamsMax: 100,
  resetBurst: 200,
  resetsPerSecond: 50,
}
