// The requests that become streams: exec, attach and port-forward, over WebSocket or SPDY/3.1.
import type { IncomingMessage } from 'node:http'
import type { Duplex } from 'node:stream'
import { type WebSocket, WebSocketServer } from 'ws'
import type { ProcessStreams } from '../runtimes/runtime.ts'
import { refuseUpgrade } from './answers.ts'
import { findRunningContainer, findSandbox, TargetError } from './find-container.ts'
import { type RemoteStreams, serveRemoteCommand } from './remote-command.ts'
import type { Route } from './routes.ts'
import type { ServerContext } from './server.ts'
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
  const remote = await acceptCommand(request, socket, head, wanted)
  if (remote !== undefined) await serveRemoteCommand(remote, open, doing)
}

/** Both spellings: the API's `stdin` and the node's own `input`. */
function wantedStreams(query: URLSearchParams): CommandStreams {
  const flag = (...names: string[]): boolean => names.some((name) => ['1', 'true'].includes(query.get(name) ?? ''))
  const tty = flag('tty')
  return { stdin: flag('input', 'stdin'), stdout: flag('output', 'stdout'), stderr: flag('error', 'stderr') && !tty, tty }
}

async function acceptCommand(
  request: IncomingMessage,
  socket: Duplex,
  head: Buffer,
  wanted: CommandStreams,
): Promise<RemoteStreams | undefined> {
  if (!isWebSocket(request)) {
    refuseUpgrade(socket, 400, 'unable to upgrade: only the WebSocket protocol is supported')
    return undefined
  }
  const accepted = await acceptWebSocket(request, socket, head, channelProtocols)
  return accepted === undefined ? undefined : websocketCommand(accepted, wanted)
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
  if (!isWebSocket(request)) return refuseUpgrade(socket, 400, 'unable to upgrade: only the WebSocket protocol is supported')
  const ports = parsePorts(url.searchParams)
  const accepted = await acceptWebSocket(request, socket, head, portForwardChannelProtocols)
  if (accepted !== undefined) await websocketPortForward(accepted, ports, connect)
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

/** Speaks the first of our protocols that the client offers; without an offer the oldest. Undefined: refused. */
export function acceptWebSocket(
  request: IncomingMessage,
  socket: Duplex,
  head: Buffer,
  protocols: readonly string[],
): Promise<WebSocket | undefined> {
  const offered = (request.headers['sec-websocket-protocol'] ?? '')
    .split(',')
    .map((p) => p.trim())
    .filter((p) => p !== '')
  const chosen = protocols.find((p) => offered.includes(p))
  if (offered.length > 0 && chosen === undefined) {
    refuseUpgrade(socket, 400, `unable to upgrade: none of the subprotocols ${offered.join(', ')} is supported`)
    return Promise.resolve(undefined)
  }
  const server = new WebSocketServer({
    noServer: true,
    clientTracking: false,
    perMessageDeflate: false,
    maxPayload: messageBytesMax,
    handleProtocols: () => chosen ?? false,
  })
  return new Promise((resolve) => {
    server.handleUpgrade(request, socket, head, (accepted) => resolve(accepted))
    socket.once('close', () => resolve(undefined))
  })
}
