// Port-forward over WebSocket channels: for the i-th port, data on channel 2i and errors on 2i+1; the first message of each
// channel tells the client the port (two bytes, little endian).

import type { Duplex } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import type { WebSocket } from 'ws'
import { openChannels } from './websocket-channels.ts'

export const portForwardChannelProtocols = ['v4.channel.k8s.io', 'v4.base64.channel.k8s.io'] as const

export async function websocketPortForward(
  socket: WebSocket,
  protocol: string,
  ports: readonly number[],
  connect: (port: number) => Promise<Duplex>,
): Promise<void> {
  const channels = openChannels(socket, protocol)
  // Opened before the first wait, or early data would find no reader.
  const streams = ports.map((_, index) => ({ incoming: channels.readable(2 * index), outgoing: channels.writable(2 * index) }))
  for (const [index, port] of ports.entries()) {
    const number = Buffer.from([port & 0xff, port >> 8])
    await channels.send(2 * index, number)
    await channels.send(2 * index + 1, number)
  }
  await Promise.all(
    ports.map(async (port, index) => {
      const { incoming, outgoing } = streams[index]!
      try {
        const connection = await connect(port)
        // Failures reach the pipelines; what comes after them concerns nobody.
        connection.on('error', () => undefined)
        channels.signal.addEventListener('abort', () => connection.destroy(), { once: true })
        await Promise.all([pipeline(incoming, connection), pipeline(connection, outgoing, { end: false })])
      } catch (error) {
        const text = `error forwarding port ${port} to pod: ${error instanceof Error ? error.message : String(error)}`
        if (!channels.signal.aborted) await channels.send(2 * index + 1, Buffer.from(text)).catch(() => undefined)
      }
    }),
  )
  channels.close()
}
