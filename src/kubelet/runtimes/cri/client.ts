// A client of a CRI engine's socket: one call per method, streams of events, and errors in our own words.
import {
  type CallOptions,
  type Client,
  type ClientReadableStream,
  credentials,
  loadPackageDefinition,
  Metadata,
  type ServiceClientConstructor,
  type ServiceError,
  status,
} from '@grpc/grpc-js'
import { fromJSON } from '@grpc/proto-loader'
import type { Clock } from '#base/clock'
import { RuntimeError, type RuntimeErrorCode } from '../runtime.ts'
import type { Answers, ContainerEventMessage } from './messages.ts'
import { descriptor } from './schema.ts'

/** An error of the engine with the gRPC status it came with. */
export class CriError extends RuntimeError {
  readonly status: number
  constructor(code: RuntimeErrorCode, message: string, grpcStatus: number, cause: unknown) {
    super(code, message, { cause })
    this.status = grpcStatus
  }
}

export interface CriCall {
  /** Default two minutes; Infinity: no limit. */
  readonly timeoutMs?: number
  readonly signal?: AbortSignal
}

/** One event of containerd: its topic and the ids of the container (and, for execs, of the process). */
export interface ContainerdEvent {
  readonly topic: string
  readonly containerId: string
  readonly processId: string
}

export interface CriClient {
  call<M extends keyof Answers>(method: M, request: object, options?: CriCall): Promise<Answers[M]>
  /** The engine's own stream of container events; rejects with status UNIMPLEMENTED where there is none. */
  containerEvents(onEvent: (event: ContainerEventMessage) => void, signal: AbortSignal): Promise<void>
  /** containerd's event service on the same socket. */
  containerdEvents(filters: readonly string[], onEvent: (event: ContainerdEvent) => void, signal: AbortSignal): Promise<void>
  close(): void
}

const timeoutMsDefault = 120_000
const messageBytesMax = 33_554_432
const imageMethods = new Set<string>(['ListImages', 'ImageStatus', 'PullImage', 'RemoveImage', 'ImageFsInfo'])

type Unary = (
  request: object,
  metadata: Metadata,
  options: CallOptions,
  done: (error: ServiceError | null, answer: unknown) => void,
) => { cancel(): void }
type Streaming = (request: object, metadata?: Metadata) => ClientReadableStream<unknown>

/** Opens a client for `unix:///path`; the connection is made on the first call and again whenever it broke. */
export function openCriClient({ endpoint, clock }: { endpoint: string; clock: Clock }): CriClient {
  const definition = fromJSON(descriptor() as Parameters<typeof fromJSON>[0], {
    keepCase: true,
    longs: Number,
    defaults: true,
    arrays: true,
    objects: true,
  })
  const root = loadPackageDefinition(definition) as unknown as {
    runtime: { v1: { RuntimeService: ServiceClientConstructor; ImageService: ServiceClientConstructor } }
    containerd: { services: { events: { v1: { Events: ServiceClientConstructor } } } }
  }
  const options = {
    // Without it grpc-js sends the socket's path as the authority, which Go's HTTP/2 server refuses.
    'grpc.default_authority': 'localhost',
    'grpc.max_receive_message_length': messageBytesMax,
    'grpc.initial_reconnect_backoff_ms': 100,
    'grpc.max_reconnect_backoff_ms': 2_000,
    'grpc.enable_http_proxy': 0,
    'grpc.service_config_disable_resolution': 1,
  }
  const open = (service: ServiceClientConstructor): Client => new service(endpoint, credentials.createInsecure(), options)
  const runtime = open(root.runtime.v1.RuntimeService)
  const images = open(root.runtime.v1.ImageService)
  const events = open(root.containerd.services.events.v1.Events)

  const listen = <T>(
    client: Client,
    method: string,
    request: object,
    metadata: Metadata,
    onData: (data: T) => void,
    signal: AbortSignal,
  ): Promise<void> =>
    new Promise((resolve, reject) => {
      if (signal.aborted) return resolve()
      const stream = (client as unknown as Record<string, Streaming>)[method]!.call(client, request, metadata)
      const stop = (): void => stream.cancel()
      const ended = (error?: ServiceError): void => {
        signal.removeEventListener('abort', stop)
        if (error === undefined || signal.aborted) resolve()
        else reject(translate(method, error))
      }
      signal.addEventListener('abort', stop, { once: true })
      stream.on('data', onData)
      stream.on('error', ended)
      stream.on('end', () => ended())
    })

  return {
    call: (method, request, { timeoutMs = timeoutMsDefault, signal } = {}) =>
      new Promise((resolve, reject) => {
        if (signal?.aborted) return reject(signal.reason)
        const client = imageMethods.has(method) ? images : runtime
        const callOptions: CallOptions = timeoutMs === Number.POSITIVE_INFINITY ? {} : { deadline: clock.now() + timeoutMs }
        const stop = (): void => call.cancel()
        const call = (client as unknown as Record<string, Unary>)[method]!.call(
          client,
          request,
          new Metadata(),
          callOptions,
          (error, answer) => {
            signal?.removeEventListener('abort', stop)
            if (error === null) resolve(answer as Answers[typeof method])
            else reject(signal?.aborted ? signal.reason : translate(method, error))
          },
        )
        signal?.addEventListener('abort', stop, { once: true })
      }),
    containerEvents: (onEvent, signal) => listen(runtime, 'GetContainerEvents', {}, new Metadata(), onEvent, signal),
    containerdEvents(filters, onEvent, signal) {
      const metadata = new Metadata()
      metadata.set('containerd-namespace', 'k8s.io')
      return listen<Envelope>(events, 'Subscribe', { filters }, metadata, (envelope) => onEvent(decodeEvent(envelope)), signal)
    },
    close() {
      for (const client of [runtime, images, events]) client.close()
    },
  }
}

interface Envelope {
  readonly topic: string
  readonly event: { readonly value: Buffer } | null
}

// The ids are strings in low fields of every event that is asked for; which field depends on the topic.
function decodeEvent({ topic, event }: Envelope): ContainerdEvent {
  const strings = stringFields(event?.value ?? Buffer.alloc(0))
  if (topic.startsWith('/containers/')) return { topic, containerId: strings.get(1) ?? '', processId: '' }
  return { topic, containerId: strings.get(1) ?? '', processId: strings.get(topic === '/tasks/delete' ? 5 : 2) ?? '' }
}

/** The length-delimited fields of a message as text, by number; others are skipped. */
function stringFields(message: Buffer): Map<number, string> {
  const found = new Map<number, string>()
  let at = 0
  const varint = (): number => {
    let value = 0
    for (let shift = 0; at < message.length; shift += 7) {
      const byte = message[at++]!
      value += (byte & 0x7f) * 2 ** shift
      if (byte < 0x80) break
    }
    return value
  }
  while (at < message.length) {
    const key = varint()
    const type = key & 7
    if (type === 0) varint()
    else if (type === 2) {
      const length = varint()
      found.set(key >>> 3, message.toString('utf8', at, at + length))
      at += length
    } else at += type === 1 ? 8 : 4
  }
  return found
}

const codes: Readonly<Record<number, RuntimeErrorCode>> = {
  [status.NOT_FOUND]: 'notFound',
  [status.ALREADY_EXISTS]: 'alreadyExists',
  [status.INVALID_ARGUMENT]: 'invalid',
  [status.DEADLINE_EXCEEDED]: 'timeout',
  [status.UNAVAILABLE]: 'unavailable',
}

function translate(method: string, error: ServiceError): CriError {
  const message = error.details || error.message
  return new CriError(codeOf(method, error.code, message), message, error.code, error)
}

// Engines answer with status UNKNOWN where they could say more; then their words have to do.
function codeOf(method: string, grpcStatus: number, message: string): RuntimeErrorCode {
  if (/is reserved for/.test(message)) return 'alreadyExists'
  if (/is in CONTAINER_\w+ state|container is not created or running|is not running/.test(message)) return 'notRunning'
  if (method === 'CreateContainer' && /image/.test(message) && grpcStatus === status.NOT_FOUND && !/sandbox/.test(message))
    return 'imageNotFound'
  if (method === 'RunPodSandbox' && /cni plugin not initialized|network.*not ready/i.test(message)) return 'networkNotReady'
  if (method === 'ExecSync' && /OCI runtime exec failed|failed to start exec/.test(message)) return 'startFailed'
  return codes[grpcStatus] ?? 'unknown'
}

/** Whether the engine does not know the method. */
export function isUnimplemented(error: unknown): boolean {
  return error instanceof CriError && error.status === status.UNIMPLEMENTED
}

/** For calls whose object may be gone already: then the answer is nothing. */
export function undefinedIfGone(error: unknown): undefined {
  if (error instanceof CriError && error.code === 'notFound') return undefined
  throw error
}
