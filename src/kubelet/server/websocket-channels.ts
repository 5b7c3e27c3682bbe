// The WebSocket protocols of exec, attach and port-forward: messages whose first byte names a channel (documentation of
// `v4.channel.k8s.io` and KEP-4006 for `v5`, which adds a message that closes one channel).
import { Readable, Writable } from 'node:stream'
import type { WebSocket } from 'ws'

export const channelProtocols = [
  'v5.channel.k8s.io',
  'v4.channel.k8s.io',
  'v4.base64.channel.k8s.io',
  'channel.k8s.io',
  'base64.channel.k8s.io',
] as const

const closeChannel = 255

export interface Channels {
  /** What the client sends on a channel. */
  readable(channel: number): Readable
  /** What goes to the client on a channel. */
  writable(channel: number): Writable
  /** Called for each message of a channel instead of a stream. */
  onMessage(channel: number, handler: (data: Buffer) => void): void
  send(channel: number, data: Uint8Array): Promise<void>
  close(code?: number, reason?: string): void
  /** Aborts when the socket is gone. */
  readonly signal: AbortSignal
}

export function openChannels(socket: WebSocket, protocol: string): Channels {
  const base64 = protocol.includes('base64.')
  const signalsClose = protocol.startsWith('v5.')
  const readables = new Map<number, Readable>()
  const handlers = new Map<number, (data: Buffer) => void>()
  const gone = new AbortController()

  const end = (channel: number): void => {
    const readable = readables.get(channel)
    readables.delete(channel)
    readable?.push(null)
  }

  socket.on('message', (data: Buffer, isBinary: boolean) => {
    const message = base64 && !isBinary ? decodeBase64(data.toString('latin1')) : data
    if (message === undefined || message.length === 0) return
    const channel = message[0]!
    const payload = message.subarray(1)
    if (signalsClose && channel === closeChannel) {
      if (payload[0] !== undefined) end(payload[0])
      return
    }
    const handler = handlers.get(channel)
    if (handler !== undefined) handler(payload)
    // Older clients say the end of input with an empty message only after data; it carries nothing.
    else if (payload.length > 0 && readables.get(channel)?.push(payload) === false) socket.pause()
  })
  socket.on('close', () => {
    for (const channel of [...readables.keys()]) end(channel)
    gone.abort(new Error('the client is gone'))
  })
  socket.on('error', () => socket.terminate())

  // Message after message, each on the wire before the next.
  // Compat: older clients in Python wait for the socket after each message, unaware of a second one that came in the same TLS record.
  let last = Promise.resolve()
  const wire = (message: string | Buffer): Promise<void> => {
    const sent = last.then(
      () => new Promise<void>((resolve, reject) => socket.send(message, (error) => (error ? reject(error) : resolve()))),
    )
    last = sent.catch(() => undefined)
    return sent
  }

  async function send(channel: number, data: Uint8Array): Promise<void> {
    const message = base64 ? `${String.fromCharCode(0x30 + channel)}${Buffer.from(data).toString('base64')}` : frame(channel, data)
    await wire(message)
  }

  return {
    signal: gone.signal,
    send,
    readable(channel) {
      const readable = new Readable({ read: () => socket.resume() })
      if (gone.signal.aborted) readable.push(null)
      else readables.set(channel, readable)
      return readable
    },
    writable: (channel) =>
      new Writable({
        write(chunk: Buffer, _encoding, done) {
          if (gone.signal.aborted) return done()
          send(channel, chunk).then(() => done(), done)
        },
      }),
    onMessage: (channel, handler) => void handlers.set(channel, handler),
    close: (code = 1000, reason = '') => void last.then(() => socket.close(code, reason)),
  }
}

function frame(channel: number, data: Uint8Array): Buffer {
  const message = Buffer.allocUnsafe(data.length + 1)
  message[0] = channel
  message.set(data, 1)
  return message
}

function decodeBase64(text: string): Buffer | undefined {
  const channel = text.charCodeAt(0) - 0x30
  return channel >= 0 && channel < 10 ? frame(channel, Buffer.from(text.slice(1), 'base64')) : undefined
}
