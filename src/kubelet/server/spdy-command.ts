// exec and attach over SPDY/3.1: the client opens one stream for each of error, stdin, stdout, stderr and resize, each named
// by its `streamType` header.
import type { Duplex } from 'node:stream'
import type { Clock } from '#base/clock'
import { type SpdyStream, serveSpdy } from '#platform/spdy'
import type { RemoteStreams } from './remote-command.ts'
import type { RemoteStatus } from './remote-status.ts'
import { type CommandStreams, parseSize } from './websocket-command.ts'

/** Newest first. The first two say how it ended in words only, without an exit code. */
export const spdyCommandProtocols = [
  'v5.channel.k8s.io',
  'v4.channel.k8s.io',
  'v3.channel.k8s.io',
  'v2.channel.k8s.io',
  'channel.k8s.io',
] as const

const streamsWaitMs = 30_000
const sizeBytesMax = 4_096

type StreamType = 'error' | 'stdin' | 'stdout' | 'stderr' | 'resize'

/** Waits for the streams that were asked for. Undefined when the client never opens them; the connection is over then. */
export async function spdyCommand(
  socket: Duplex,
  protocol: string,
  wanted: CommandStreams,
  clock: Clock,
): Promise<RemoteStreams | undefined> {
  const structured = protocol.startsWith('v4.') || protocol.startsWith('v5.')
  const expected = new Set<StreamType>(['error'])
  if (wanted.stdin) expected.add('stdin')
  if (wanted.stdout) expected.add('stdout')
  if (wanted.stderr && !wanted.tty) expected.add('stderr')
  if (wanted.tty && !['channel.k8s.io', 'v2.channel.k8s.io'].includes(protocol)) expected.add('resize')
  const streams = new Map<StreamType, SpdyStream>()
  const gone = new AbortController()
  let complete: () => void = () => undefined
  const session = serveSpdy(socket, {
    streamsMax: 8,
    onStream(stream) {
      const type = stream.headers['streamtype'] as StreamType
      if (!expected.has(type) || streams.has(type)) return false
      streams.set(type, stream)
      if (streams.size === expected.size) complete()
      return true
    },
  })
  void session.closed.then(() => gone.abort(new Error('the client is gone')))
  const arrived = await new Promise<boolean>((resolve) => {
    const timer = clock.after(streamsWaitMs, () => resolve(false))
    complete = () => {
      timer.cancel()
      resolve(true)
    }
    gone.signal.addEventListener('abort', () => {
      timer.cancel()
      resolve(false)
    })
  })
  if (!arrived) {
    session.close()
    return undefined
  }
  const io = (type: StreamType): Duplex | undefined => streams.get(type)?.io
  const sizes = io('resize')
  return {
    ...(wanted.stdin ? { stdin: io('stdin')! } : {}),
    ...(wanted.stdout ? { stdout: io('stdout')! } : {}),
    ...(expected.has('stderr') ? { stderr: io('stderr')! } : {}),
    onResize: (handler) => void (sizes === undefined ? undefined : readSizes(sizes, handler)),
    async finish(status: RemoteStatus) {
      for (const type of ['stdout', 'stderr'] as const) io(type)?.end()
      const text = structured ? JSON.stringify(status) : status.status === 'Success' ? '' : (status.message ?? '')
      await new Promise<void>((resolve) => io('error')?.end(text, () => resolve()) ?? resolve())
      session.close()
    },
    signal: gone.signal,
  }
}

/** Sizes follow each other without separators: `{"Width":80,"Height":24}{"Width":…`. */
async function readSizes(stream: Duplex, handler: (columns: number, rows: number) => void): Promise<void> {
  let text = ''
  try {
    for await (const chunk of stream as AsyncIterable<Buffer>) {
      text = (text + chunk.toString('utf8')).slice(-sizeBytesMax)
      for (let end = text.indexOf('}'); end >= 0; end = text.indexOf('}')) {
        const size = parseSize(text.slice(0, end + 1))
        text = text.slice(end + 1)
        if (size !== undefined) handler(size.columns, size.rows)
      }
    }
  } catch {
    // The stream was cut: no more sizes.
  }
}
