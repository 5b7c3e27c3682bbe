// The gRPC health check (grpc.health.v1.Health/Check) over plain HTTP/2. One tiny message each way, so written by hand:
// HealthCheckRequest { string service = 1 }, HealthCheckResponse { enum status = 1 }.
import { connect, constants } from 'node:http2'
import { bracketed } from './probe-target.ts'

const servingStatus = 1
const statusNames = ['UNKNOWN', 'SERVING', 'NOT_SERVING', 'SERVICE_UNKNOWN'] as const
const unimplemented = '12'
const answerBytesMax = 4_096

export interface GrpcAnswer {
  readonly healthy: boolean
  readonly message: string
}

export function grpcHealth(
  host: string,
  port: number,
  service: string,
  options: { readonly userAgent: string; readonly signal: AbortSignal },
): Promise<GrpcAnswer> {
  const { signal, userAgent } = options
  return new Promise((resolve, reject) => {
    const session = connect(`http://${bracketed(host)}:${port}`)
    const finish = (settle: () => void): void => {
      signal.removeEventListener('abort', abort)
      session.destroy()
      settle()
    }
    const fail = (error: unknown): void => finish(() => reject(error))
    const abort = (): void => fail(signal.reason)
    if (signal.aborted) return abort()
    signal.addEventListener('abort', abort, { once: true })
    session.on('error', fail)
    const stream = session.request({
      [constants.HTTP2_HEADER_METHOD]: 'POST',
      [constants.HTTP2_HEADER_PATH]: '/grpc.health.v1.Health/Check',
      [constants.HTTP2_HEADER_CONTENT_TYPE]: 'application/grpc',
      [constants.HTTP2_HEADER_USER_AGENT]: userAgent,
      [constants.HTTP2_HEADER_TE]: 'trailers',
    })
    stream.on('error', fail)
    const chunks: Buffer[] = []
    let bytes = 0
    let grpcStatus: string | undefined
    let grpcMessage = ''
    const note = (headers: Record<string, unknown>): void => {
      if (typeof headers['grpc-status'] === 'string') grpcStatus = headers['grpc-status']
      if (typeof headers['grpc-message'] === 'string') grpcMessage = decodeURIComponent(headers['grpc-message'])
    }
    stream.on('response', note)
    stream.on('trailers', note)
    stream.on('data', (chunk: Buffer) => {
      bytes += chunk.length
      if (bytes <= answerBytesMax) chunks.push(chunk)
    })
    stream.on('end', () => finish(() => resolve(verdict(grpcStatus, grpcMessage, Buffer.concat(chunks)))))
    stream.end(frame(encodeRequest(service)))
  })
}

function verdict(grpcStatus: string | undefined, grpcMessage: string, body: Buffer): GrpcAnswer {
  if (grpcStatus === unimplemented) {
    const message = `error: this server does not implement the grpc health protocol (grpc.health.v1.Health): ${grpcMessage}`
    return { healthy: false, message }
  }
  if (grpcStatus !== '0') {
    return { healthy: false, message: `error: health rpc probe failed: rpc error: code = ${grpcStatus ?? 'unknown'} desc = ${grpcMessage}` }
  }
  const status = decodeStatus(body)
  if (status === servingStatus) return { healthy: true, message: 'service healthy' }
  return { healthy: false, message: `service unhealthy (responded with "${statusNames[status] ?? status}")` }
}

function encodeRequest(service: string): Buffer {
  const name = Buffer.from(service)
  if (name.length === 0) return Buffer.alloc(0)
  const length: number[] = []
  for (let left = name.length; ; left >>>= 7) {
    length.push(left > 0x7f ? (left & 0x7f) | 0x80 : left)
    if (left <= 0x7f) break
  }
  return Buffer.concat([Buffer.from([0x0a, ...length]), name])
}

/** The gRPC wire frame: an uncompressed flag and the length. */
function frame(message: Buffer): Buffer {
  const header = Buffer.alloc(5)
  header.writeUInt32BE(message.length, 1)
  return Buffer.concat([header, message])
}

function decodeStatus(body: Buffer): number {
  // Frame header, then nothing (UNKNOWN, the zero value) or field 1 as a varint.
  return body.length >= 7 && body[5] === 0x08 ? body[6]! : 0
}
