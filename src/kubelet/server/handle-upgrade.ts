// The requests that become streams: exec, attach and port-forward, over WebSocket or SPDY/3.1.
import type { IncomingMessage } from 'node:http'
import type { Duplex } from 'node:stream'
import { createWebSocketStream, type WebSocket, WebSocketServer } from 'ws'
import type { ProcessStreams } from '../runtimes/runtime.ts'
import { refuseUpgrade } from './answers.ts'
import { findRunningContainer, findSandbox, TargetError } from './find-container.ts'
import { type RemoteStreams, serveRemoteCommand } from './remote-command.ts'
import type { Route } from './routes.ts'
import type { ServerContext } from './server.ts'
import { spdyCommand, spdyCommandProtocols } from './spdy-command.ts'
import { portForwardProtocol, spdyPortForward, tunnelProtocol } from './spdy-port-forward.ts'
import { channelProtocols } from './websocket-channels.ts'
import { type CommandStreams, websocketCommand } from './websocket-command.ts'
import { portForwardChannelProtocols, websocketPortForward } from './websocket-port-forward.ts'

const messageBytesMax = 32 * 1024 * 1024
const commandBytesMax = 1024 * 1024

export async function handleUpgrade(
  context: ServerContext,
  route: Route,
  url: URL,
  request: IncomingMessage,
  socket: Duplex,
  head: Buffer,
): Promise<void> {
  try {
    switch (route.name) {
      case 'exec':
      case 'attach':
        return await upgradeCommand(context, route, url, request, socket, head)
      case 'portForward':
        return await upgradePortForward(context, route, url, request, socket, head)
      default:
        return refuseUpgrade(socket, 400, 'this path cannot be upgraded')
    }
  } catch (error) {
    if (!(error instanceof TargetError)) throw error
    refuseUpgrade(socket, error.code, error.message)
  }
}

type CommandRoute = Extract<Route, { name: 'containerLogs' | 'exec' | 'attach' | 'run' }>

async function upgradeCommand(
  context: ServerContext,
  route: CommandRoute,
  url: URL,
  request: IncomingMessage,
  socket: Duplex,
  head: Buffer,
): Promise<void> {
  const container = findRunningContainer(context, route)
  const wanted = wantedStreams(url.searchParams)
  const command = url.searchParams.getAll('command')
  if (!wanted.stdin && !wanted.stdout && !wanted.stderr) throw new TargetError(400, 'you must specify at least 1 of stdin, stdout, stderr')
  if (route.name === 'exec' && command.length === 0) throw new TargetError(400, 'you must specify at least one command argument')
  if (command.reduce((sum, word) => sum + word.length, 0) > commandBytesMax) throw new TargetError(400, 'the command is too long')
  const open = (): Promise<ProcessStreams> =>
    route.name === 'exec' ? context.runtime.exec(container.id, { ...wanted, command }) : context.runtime.attach(container.id, wanted)
  const doing = route.name === 'exec' ? 'error executing command in container' : 'error attaching to container'
  const remote = await acceptCommand(context, request, socket, head, wanted)
  if (remote !== undefined) await serveRemoteCommand(remote, open, doing)
}

/** Both spellings: the API's `stdin` and the node's own `input`. */
function wantedStreams(query: URLSearchParams): CommandStreams {
  const flag = (...names: string[]): boolean => names.some((name) => ['1', 'true'].includes(query.get(name) ?? ''))
  const tty = flag('tty')
  return { stdin: flag('input', 'stdin'), stdout: flag('output', 'stdout'), stderr: flag('error', 'stderr') && !tty, tty }
}

async function acceptCommand(
  context: ServerContext,
  request: IncomingMessage,
  socket: Duplex,
  head: Buffer,
  wanted: CommandStreams,
): Promise<RemoteStreams | undefined> {
  if (isSpdy(request)) {
    const protocol = acceptSpdy(request, socket, head, spdyCommandProtocols)
    return protocol === undefined ? undefined : await spdyCommand(socket, protocol, wanted, context.clock)
  }
  if (!isWebSocket(request)) return refuseProtocol(request, socket)
  const accepted = await acceptWebSocket(request, socket, head, channelProtocols)
  return accepted === undefined ? undefined : websocketCommand(accepted.socket, accepted.protocol, wanted)
}

function refuseProtocol(request: IncomingMessage, socket: Duplex): undefined {
  refuseUpgrade(socket, 400, `unable to upgrade: unsupported protocol ${JSON.stringify(request.headers.upgrade ?? '')}`)
  return undefined
}

async function upgradePortForward(
  context: ServerContext,
  route: Extract<Route, { name: 'portForward' }>,
  url: URL,
  request: IncomingMessage,
  socket: Duplex,
  head: Buffer,
): Promise<void> {
  const sandbox = findSandbox(context, route)
  const connect = (port: number): Promise<Duplex> => context.runtime.portForward(sandbox.id, port)
  if (isSpdy(request)) {
    const protocol = acceptSpdy(request, socket, head, [portForwardProtocol])
    return protocol === undefined ? undefined : await spdyPortForward(socket, connect, context.clock)
  }
  if (!isWebSocket(request)) return refuseProtocol(request, socket)
  if (offeredProtocols(request).includes(tunnelProtocol)) {
    const tunnel = await acceptWebSocket(request, socket, head, [tunnelProtocol])
    if (tunnel !== undefined) await spdyPortForward(createWebSocketStream(tunnel.socket), connect, context.clock)
    return
  }
  const ports = parsePorts(url.searchParams)
  const accepted = await acceptWebSocket(request, socket, head, portForwardChannelProtocols)
  if (accepted !== undefined) await websocketPortForward(accepted.socket, accepted.protocol, ports, connect)
}

export function parsePorts(query: URLSearchParams): number[] {
  const texts = [...query.getAll('port'), ...query.getAll('ports')].flatMap((text) => text.split(','))
  if (texts.length === 0) throw new TargetError(400, 'query parameter "port" is required')
  return texts.map((text) => {
    const port = Number(text)
    if (!Number.isInteger(port) || port < 1 || port > 65_535)
      throw new TargetError(400, `unable to parse ${JSON.stringify(text)} as a port`)
    return port
  })
}

export function isWebSocket(request: IncomingMessage): boolean {
  return request.headers.upgrade?.toLowerCase() === 'websocket'
}

function isSpdy(request: IncomingMessage): boolean {
  return request.headers.upgrade?.toLowerCase() === 'spdy/3.1'
}

/** Answers the handshake. Returns the protocol spoken on the streams; undefined: refused. */
function acceptSpdy(request: IncomingMessage, socket: Duplex, head: Buffer, protocols: readonly string[]): string | undefined {
  // Node joins repeated headers with commas.
  const offered = [request.headers['x-stream-protocol-version'] ?? []].flat().flatMap((text) => text.split(',').map((p) => p.trim()))
  // Clients from before the header existed speak the oldest.
  const chosen = offered.length === 0 ? protocols.at(-1) : protocols.find((p) => offered.includes(p))
  if (chosen === undefined) {
    refuseUpgrade(
      socket,
      403,
      `unable to upgrade: unable to negotiate protocol: client supports [${offered.join(' ')}], server accepts [${protocols.join(' ')}]`,
    )
    return undefined
  }
  const lines = ['HTTP/1.1 101 Switching Protocols', 'Connection: Upgrade', 'Upgrade: SPDY/3.1', `X-Stream-Protocol-Version: ${chosen}`]
  socket.write(`${lines.join('\r\n')}\r\n\r\n`)
  if (head.length > 0) socket.unshift(head)
  return chosen
}

function offeredProtocols(request: IncomingMessage): string[] {
  return (request.headers['sec-websocket-protocol'] ?? '')
    .split(',')
    .map((p) => p.trim())
    .filter((p) => p !== '')
}

interface AcceptedWebSocket {
  readonly socket: WebSocket
  /** Empty when the client offered none. */
  readonly protocol: string
}

/** Speaks the first of our protocols that the client offers; without an offer the oldest. Undefined: refused. */
export function acceptWebSocket(
  request: IncomingMessage,
  socket: Duplex,
  head: Buffer,
  protocols: readonly string[],
): Promise<AcceptedWebSocket | undefined> {
  const offered = offeredProtocols(request)
  const chosen = protocols.find((p) => offered.includes(p))
  if (offered.length > 0 && chosen === undefined) {
    refuseUpgrade(socket, 400, `unable to upgrade: none of the subprotocols ${offered.join(', ')} is supported`)
    return Promise.resolve(undefined)
  }
  // Compat: `SPDY/3.1+portforward.k8s.io`, which kubectl offers, is no token in RFC 6455's sense, and `ws` refuses the header for
  // it. What was chosen is settled here, so the header is taken away before and written into the answer by hand.
  delete request.headers['sec-websocket-protocol']
  const server = new WebSocketServer({
    noServer: true,
    clientTracking: false,
    perMessageDeflate: false,
    maxPayload: messageBytesMax,
  })
  server.on('headers', (headers) => {
    if (chosen !== undefined) headers.push(`Sec-WebSocket-Protocol: ${chosen}`)
  })
  return new Promise((resolve) => {
    server.handleUpgrade(request, socket, head, (accepted) => resolve({ socket: accepted, protocol: chosen ?? '' }))
    socket.once('close', () => resolve(undefined))
  })
}
