// Plain answers of the node's server, on a request and on a connection that asked to be upgraded.
import type { ServerResponse } from 'node:http'
import type { Duplex } from 'node:stream'

/** Answers with a text, as the kubelet's own errors are. */
export function answerText(response: ServerResponse, code: number, text: string): void {
  const body = Buffer.from(text)
  response.writeHead(code, {
    'content-type': 'text/plain; charset=utf-8',
    'content-length': body.length,
    'x-content-type-options': 'nosniff',
    ...(code === 401 ? { 'www-authenticate': 'Bearer' } : {}),
  })
  response.end(body)
}

/** An answer other than 101 on a connection that asked to be upgraded; the connection ends with it. */
export function refuseUpgrade(socket: Duplex, code: number, message: string): void {
  const body = Buffer.from(message)
  const head = [
    `HTTP/1.1 ${code} ${statusTexts[code] ?? 'Error'}`,
    'content-type: text/plain; charset=utf-8',
    `content-length: ${body.length}`,
    'connection: close',
  ]
  socket.end(Buffer.concat([Buffer.from(`${head.join('\r\n')}\r\n\r\n`), body]))
}

const statusTexts: Readonly<Record<number, string>> = {
  400: 'Bad Request',
  401: 'Unauthorized',
  403: 'Forbidden',
  404: 'Not Found',
  405: 'Method Not Allowed',
  500: 'Internal Server Error',
}
