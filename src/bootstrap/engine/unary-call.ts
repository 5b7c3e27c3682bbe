// One gRPC call with one answer over a unix socket, on bytes: enough to ask an engine whether it is there and what images it holds
// without loading a gRPC library ("gRPC over HTTP2", the wire protocol).
import { type ClientHttp2Session, connect as connectHttp2, constants } from 'node:http2'
import { connect } from 'node:net'
import type { Clock } from '#base/clock'

/** The server answered with a gRPC status other than OK. `code` is the status's number. */
export class GrpcError extends Error {
  readonly code: number
  constructor(code: number, message: string) {
    super(message)
    this.code = code
  }
}

const answerBytesMax = 64 << 20

/** An HTTP/2 session over the unix socket at `path`. Resolves once connected. */
export function openSession(path: string): Promise<ClientHttp2Session> {
  return new Promise((resolve, reject) => {
    const session = connectHttp2('http://localhost', { createConnection: () => connect(path) })
    session.once('connect', () => {
      session.off('error', reject)
      session.on('error', () => {})
      resolve(session)
    })
    session.once('error', reject)
  })
}

/** Calls `method` (`/package.Service/Name`) and returns the answer's message. Fails with a GrpcError, a connection error or a time-out. */
export async function unaryCall(
  path: string,
  method: string,
  message: Uint8Array,
  options: { clock: Clock; timeoutMs: number },
): Promise<Buffer> {
  const session = await openSession(path)
  const timer = options.clock.after(options.timeoutMs, () =>
    session.destroy(new Error(`${method}: no answer after ${options.timeoutMs} ms`)),
  )
  try {
    return await callOn(session, method, message)
  } finally {
    timer.cancel()
    session.destroy()
  }
}

function callOn(session: ClientHttp2Session, method: string, message: Uint8Array): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    const stream = session.request({
      [constants.HTTP2_HEADER_METHOD]: 'POST',
      [constants.HTTP2_HEADER_PATH]: method,
      [constants.HTTP2_HEADER_CONTENT_TYPE]: 'application/grpc',
      te: 'trailers',
    })
    const chunks: Buffer[] = []
    let bytes = 0
    let status: { code: number; text: string } | undefined
    const readStatus = (headers: Record<string, unknown>): void => {
      if (headers['grpc-status'] === undefined) return
      status = { code: Number(headers['grpc-status']), text: decodeURIComponent(String(headers['grpc-message'] ?? '')) }
    }
    session.once('error', reject)
    session.once('close', () => reject(new Error(`${method}: the connection closed`)))
    stream.on('response', readStatus)
    stream.on('trailers', readStatus)
    stream.on('error', reject)
    stream.on('data', (chunk: Buffer) => {
      bytes += chunk.length
      if (bytes > answerBytesMax) stream.destroy(new Error(`${method}: an answer of more than ${answerBytesMax} bytes`))
      else chunks.push(chunk)
    })
    stream.on('end', () => {
      if (status === undefined) reject(new Error(`${method}: the answer has no gRPC status`))
      else if (status.code !== 0) reject(new GrpcError(status.code, status.text))
      // A message is framed by a compression flag and its length, five bytes.
      else resolve(Buffer.concat(chunks).subarray(5))
    })
    const frame = Buffer.alloc(5)
    frame.writeUInt32BE(message.length, 1)
    stream.end(Buffer.concat([frame, message]))
  })
}
