// Exec and attach through the URLs that a CRI engine gives: SPDY streams named by their use, and a last word on the error stream, a
// Kubernetes Status, that tells the exit code (stream protocol v4.channel.k8s.io).
import { Duplex, PassThrough } from 'node:stream'
import { deferred } from '../deferred.ts'
import { type ProcessStreams, RuntimeError } from '../runtime.ts'
import { openSpdy, type SpdyStream, upgradeToSpdy } from './spdy-client.ts'

const protocol = 'v4.channel.k8s.io'
const statusBytesMax = 65_536

export interface CriStreamOptions {
  readonly stdin: boolean
  readonly stdout: boolean
  readonly stderr: boolean
  readonly tty: boolean
  /** Whether the engine expects a stdin stream though the caller has none. */
  readonly needsStdin: boolean
}

/** Connects to the URL of an exec or attach. `exit` is the exit code; 0 when the engine says success. */
export async function openCriStreams(url: string, options: CriStreamOptions): Promise<ProcessStreams> {
  const socket = await upgradeToSpdy(reachable(url), protocol)
  const stdout = new PassThrough()
  const stderr = options.tty ? undefined : new PassThrough()
  const exit = deferred<number | undefined>()
  exit.promise.catch(() => undefined)
  const said: Buffer[] = []
  let saidBytes = 0
  let closed = false
  const open = new Set<string>()
  const finish = (): void => {
    stdout.end()
    stderr?.end()
  }

  const connection = openSpdy(socket, {
    async onData(name, data) {
      if (name === 'error') {
        saidBytes += data.length
        if (saidBytes <= statusBytesMax) said.push(Buffer.from(data))
        return
      }
      const target = name === 'stdout' ? stdout : name === 'stderr' ? stderr : undefined
      if (target !== undefined && !target.write(data)) await drained(target)
    },
    onEnd(name) {
      open.delete(name)
      if (name === 'stdout') stdout.end()
      if (name === 'stderr') stderr?.end()
      if (open.size === 0) connection.close()
    },
  })
  const openStream = (name: string, ends: boolean): SpdyStream => {
    // What is not waited for at the end: streams that only we write to.
    if (ends) open.add(name)
    return connection.open(name)
  }
  openStream('error', true)
  const stdin = options.stdin || options.needsStdin ? openStream('stdin', false) : undefined
  if (options.stdout) openStream('stdout', true)
  if (options.stderr && !options.tty) openStream('stderr', true)
  const resize = options.tty ? openStream('resize', false) : undefined

  connection.closed
    .then(() => {
      if (closed) exit.resolve(undefined)
      else exit.resolve(exitCodeFrom(Buffer.concat(said).toString()))
    })
    .catch((error: unknown) => exit.reject(error instanceof RuntimeError ? error : broken(error)))
    .finally(finish)

  const io = new Duplex({
    // Both directions may be over before the last word has come: only whoever lets go closes the connection.
    autoDestroy: false,
    read: () => void stdout.resume(),
    write(chunk: Buffer, _encoding, done) {
      if (stdin === undefined || !options.stdin) return done()
      stdin.write(chunk).then(() => done(), done)
    },
    final(done) {
      if (options.stdin) stdin?.end()
      done()
    },
    destroy(error, done) {
      // Whoever has read all the output still wants the exit code, which comes after it.
      if (!stdout.readableEnded) {
        closed = true
        connection.close()
      }
      done(error)
    },
  })
  stdout.on('data', (chunk: Buffer) => {
    if (!io.push(chunk)) stdout.pause()
  })
  stdout.on('end', () => io.push(null))
  stdout.pause()
  return {
    io,
    ...(stderr === undefined ? {} : { stderr }),
    exit: exit.promise,
    async resize(columns, rows) {
      await resize?.write(Buffer.from(`${JSON.stringify({ Width: columns, Height: rows })}\n`))
    },
    close() {
      closed = true
      connection.close()
    },
  }
}

/** The exit code in the Status that the error stream carried. A failure without a code is an error. */
export function exitCodeFrom(text: string): number {
  if (text === '') throw new RuntimeError('unknown', 'the streams ended without an exit code')
  const status = JSON.parse(text) as {
    status?: string
    reason?: string
    message?: string
    details?: { causes?: { reason?: string; message?: string }[] }
  }
  if (status.status === 'Success') return 0
  const code = status.details?.causes?.find((c) => c.reason === 'ExitCode')?.message
  if (status.reason === 'NonZeroExitCode' && code !== undefined) return Number(code)
  const message = status.message ?? text
  const failedToStart = /OCI runtime exec failed|failed to start exec/.test(message)
  throw new RuntimeError(failedToStart ? 'startFailed' : 'unknown', message)
}

// A server that listens on every address says so in its URL.
function reachable(text: string): URL {
  const url = new URL(text)
  if (url.protocol !== 'http:') throw new RuntimeError('invalid', `the engine streams over ${url.protocol}//, which is not spoken here`)
  if (url.hostname === '0.0.0.0') url.hostname = '127.0.0.1'
  if (url.hostname === '[::]') url.hostname = '[::1]'
  return url
}

function broken(cause: unknown): RuntimeError {
  return new RuntimeError('unknown', `the streams broke: ${(cause as Error).message}`, { cause })
}

function drained(stream: PassThrough): Promise<void> {
  return new Promise((resolve) => {
    const done = (): void => {
      stream.off('drain', done)
      stream.off('close', done)
      resolve()
    }
    stream.on('drain', done)
    stream.on('close', done)
  })
}
