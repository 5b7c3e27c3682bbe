// TCP connections to 127.0.0.1 inside another network namespace, for port-forward. Neither engine gives us that in a form that
// fits both (Docker has none at all), and Node cannot enter a namespace itself: a small helper process is started in it, connects,
// and hands the connected socket over. What remains is an ordinary socket of ours: half-close, backpressure and resets are the
// kernel's. The helper stays for a while, since a browser opens many connections.
import { type ChildProcess, spawn } from 'node:child_process'
import { connect, type Socket } from 'node:net'
import type { Clock, Timer } from '#base/clock'
import { type Deferred, deferred } from './deferred.ts'
import { RuntimeError } from './runtime.ts'

export interface NetnsDialer {
  /** Connects to the port on 127.0.0.1, else on ::1, in the namespace at `netns` (a path); undefined is the node's own. */
  dial(netns: string | undefined, port: number): Promise<Socket>
  /** Ends the helpers. Connections that were handed over go on. */
  close(): void
}

interface Answer {
  readonly id: number
  readonly errors?: readonly (readonly [address: string, code: string])[]
}

interface Helper {
  readonly child: ChildProcess
  readonly waiting: Map<number, { readonly port: number; readonly socket: Deferred<Socket> }>
  idle: Timer | undefined
}

const idleMs = 10_000
const dialTimeoutMs = 10_000

// Runs by itself in the namespace, so it is text. Reading is paused until the other side has the socket: no byte is lost.
const helperProgram = `
'use strict'
process.title = 'navarch-dialer'
const net = require('node:net')
process.on('disconnect', () => process.exit(0))
process.on('message', ({ id, port }) => {
  const errors = []
  const attempt = (hosts) => {
    const [host, ...rest] = hosts
    if (host === undefined) return process.send({ id, errors })
    const socket = net.connect({ host, port, allowHalfOpen: true })
    socket.pause()
    socket.once('error', (error) => { errors.push([host, error.code ?? error.message]); attempt(rest) })
    socket.once('connect', () => { socket.removeAllListeners('error'); socket.on('error', () => {}); process.send({ id }, socket) })
  }
  attempt(['127.0.0.1', '::1'])
})
`

/** A dialer with no helpers yet. */
export function openNetnsDialer(clock: Clock): NetnsDialer {
  const helpers = new Map<string, Helper>()
  let lastId = 0

  function helperFor(netns: string): Helper {
    const known = helpers.get(netns)
    if (known !== undefined) return known
    const child = spawn('nsenter', [`--net=${netns}`, process.execPath, '-e', helperProgram], {
      stdio: ['ignore', 'ignore', 'ignore', 'ipc'],
      env: { PATH: process.env['PATH'] ?? '/usr/sbin:/usr/bin:/sbin:/bin' },
      // The socket crosses as a file descriptor; what goes along is a number or two.
      serialization: 'json',
    })
    const helper: Helper = { child, waiting: new Map(), idle: undefined }
    helpers.set(netns, helper)
    const fail = (cause: unknown): void => {
      if (helpers.get(netns) === helper) helpers.delete(netns)
      helper.idle?.cancel()
      const error = new RuntimeError('notRunning', `cannot enter network namespace ${netns}`, { cause })
      for (const { socket } of helper.waiting.values()) socket.reject(error)
      helper.waiting.clear()
    }
    child.on('error', fail)
    child.on('exit', (code) => fail(new Error(`the helper ended with ${code}`)))
    child.on('message', (message, handle) => answer(netns, helper, message as Answer, handle as Socket | undefined))
    child.unref()
    child.channel?.unref()
    return helper
  }

  function answer(netns: string, helper: Helper, { id, errors = [] }: Answer, socket: Socket | undefined): void {
    const waiting = helper.waiting.get(id)
    helper.waiting.delete(id)
    rest(netns, helper)
    if (waiting === undefined) socket?.destroy()
    else if (socket === undefined) waiting.socket.reject(refusal(netns, waiting.port, errors))
    else {
      socket.allowHalfOpen = true
      waiting.socket.resolve(socket)
    }
  }

  function rest(netns: string, helper: Helper): void {
    helper.idle?.cancel()
    if (helper.waiting.size > 0) return
    helper.idle = clock.after(
      idleMs,
      () => {
        if (helpers.get(netns) === helper) helpers.delete(netns)
        helper.child.disconnect()
      },
      { background: true },
    )
  }

  async function dialInside(netns: string, port: number): Promise<Socket> {
    const helper = helperFor(netns)
    helper.idle?.cancel()
    const id = ++lastId
    const socket = deferred<Socket>()
    helper.waiting.set(id, { port, socket })
    const timer = clock.after(dialTimeoutMs, () => {
      helper.waiting.delete(id)
      rest(netns, helper)
      socket.reject(new RuntimeError('timeout', `dial tcp4 127.0.0.1:${port}: i/o timeout`))
    })
    // While somebody waits, the helper keeps this process alive.
    helper.child.channel?.ref()
    helper.child.send({ id, port }, (cause) => {
      if (cause) socket.reject(new RuntimeError('notRunning', `cannot enter network namespace ${netns}`, { cause }))
    })
    try {
      return await socket.promise
    } finally {
      timer.cancel()
      if (helper.waiting.size === 0) helper.child.channel?.unref()
    }
  }

  return {
    dial: (netns, port) => (netns === undefined ? dialHere(port) : dialInside(netns, port)),
    close() {
      for (const { child, idle } of helpers.values()) {
        idle?.cancel()
        child.disconnect()
      }
      helpers.clear()
    },
  }
}

async function dialHere(port: number): Promise<Socket> {
  const errors: [string, string][] = []
  for (const host of ['127.0.0.1', '::1']) {
    const result = await new Promise<Socket | NodeJS.ErrnoException>((resolve) => {
      const socket = connect({ host, port, allowHalfOpen: true }, () => {
        socket.off('error', resolve)
        resolve(socket)
      })
      socket.once('error', resolve)
    })
    if ('destroy' in result) return result
    errors.push([host, result.code ?? result.message])
  }
  throw refusal('host', port, errors)
}

const words: Readonly<Record<string, string>> = {
  ECONNREFUSED: 'connection refused',
  ETIMEDOUT: 'i/o timeout',
  ENETUNREACH: 'network is unreachable',
  EADDRNOTAVAIL: 'cannot assign requested address',
}

// The sentence that containerd says in its place, which kubectl shows to the user.
function refusal(netns: string, port: number, errors: Answer['errors'] = []): RuntimeError {
  const said = (address: string, family: number): string => {
    const code = errors.find(([a]) => a === address)?.[1] ?? ''
    return `dial tcp${family} ${family === 6 ? `[${address}]` : address}:${port}: connect: ${words[code] ?? code}`
  }
  const message = `failed to connect to localhost:${port} inside namespace "${netns}", IPv4: ${said('127.0.0.1', 4)} IPv6 ${said('::1', 6)}`
  return new RuntimeError('unavailable', message)
}
