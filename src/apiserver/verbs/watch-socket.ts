// A watch over WebSocket (RFC 6455), for clients that cannot read a chunked answer as it comes: an event is a message, of text when
// it is JSON, else of bytes. What the client sends is ignored; when it closes, the watch is over.
import type { IncomingMessage } from 'node:http'
import type { Duplex } from 'node:stream'
import { type WebSocket, WebSocketServer } from 'ws'
import { badRequest } from '#api/errors'
import type { ApiReply, ApiRequest, BodySink, StreamedBody } from '../request.ts'

// What a client has to say is thrown away, but not before it has arrived.
const messageBytesMax = 4_096
// Over HTTP a message in protobuf follows its length; a WebSocket's messages have theirs.
const lengthBytes = 4
const tokenPrefix = 'base64url.bearer.authorization.k8s.io.'

const sockets = new WebSocketServer({
  noServer: true,
  clientTracking: false,
  perMessageDeflate: false,
  maxPayload: messageBytesMax,
  // A protocol is confirmed if it is the only one; a token passed as one is none.
  handleProtocols: (protocols) => {
    const [first, ...others] = [...protocols].filter((protocol) => !protocol.startsWith(tokenPrefix))
    return first !== undefined && others.length === 0 ? first : false
  },
})

/** Whether the request asks for a WebSocket. */
export function wantsWebSocket({ upgrade, headers }: ApiRequest): boolean {
  return upgrade !== undefined && headers['upgrade']?.toLowerCase() === 'websocket'
}

/** The answer to a watch, over the WebSocket that the request asks for: status 101, and a body that takes the connection over. */
export function overWebSocket(request: ApiRequest, reply: ApiReply): ApiReply {
  const { headers } = request
  if (!/^[+/0-9A-Za-z]{22}==$/.test(headers['sec-websocket-key'] ?? '') || headers['sec-websocket-version'] !== '13') {
    throw badRequest('the request is no valid WebSocket handshake')
  }
  const body = reply.body as StreamedBody
  const text = reply.headers['content-type'] === 'application/json'
  return { status: 101, headers: {}, body: (_sink, signal) => serve(request, body, text, signal) }
}

async function serve(request: ApiRequest, body: StreamedBody, text: boolean, signal: AbortSignal): Promise<void> {
  const socket = request.upgrade!.accept()
  const connection = await handshake(request, socket)
  const gone = new AbortController()
  connection.once('close', () => gone.abort())
  connection.on('error', () => gone.abort())
  await body(sinkOf(connection, socket, text), AbortSignal.any([signal, gone.signal]))
  connection.close(1_000)
}

function handshake({ headers }: ApiRequest, socket: Duplex): Promise<WebSocket> {
  const asked = { headers, method: 'GET', url: '/' } as unknown as IncomingMessage
  return new Promise((resolve, reject) => {
    socket.once('close', () => reject(new Error('the client has gone')))
    sockets.handleUpgrade(asked, socket, Buffer.alloc(0), resolve)
  })
}

function sinkOf(connection: WebSocket, socket: Duplex, text: boolean): BodySink {
  return {
    write(chunk) {
      if (connection.readyState !== connection.OPEN) return true
      connection.send(text ? chunk : chunk.subarray(lengthBytes), { binary: !text }, () => undefined)
      return !socket.writableNeedDrain
    },
    async drained() {
      if (socket.destroyed || !socket.writableNeedDrain) return
      await new Promise<void>((resolve) => {
        const done = (): void => {
          socket.off('drain', done)
          socket.off('close', done)
          resolve()
        }
        socket.on('drain', done)
        socket.on('close', done)
      })
    },
    flush: () => undefined,
  }
}
