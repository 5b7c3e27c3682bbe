// Port-forward over SPDY/3.1: for each connection the client opens a pair of streams, data and error, with the same
// `requestID` and the port in their headers. The same frames also come tunnelled through a WebSocket (KEP-4006).
import type { Duplex } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import type { Clock, Timer } from '#base/clock'
import { type SpdyStream, serveSpdy } from '#platform/spdy'

export const portForwardProtocol = 'portforward.k8s.io'
export const tunnelProtocol = 'SPDY/3.1+portforward.k8s.io'

const streamsMax = 1_024
const pairWaitMs = 30_000

interface Pair {
  data?: SpdyStream
  error?: SpdyStream
  timer?: Timer
}

/** Serves until the connection is over. */
export async function spdyPortForward(socket: Duplex, connect: (port: number) => Promise<Duplex>, clock: Clock): Promise<void> {
  const pairs = new Map<string, Pair>()
  const session = serveSpdy(socket, {
    streamsMax,
    onStream(stream) {
      const { streamtype: type, port: portText, requestid: id = portText ?? '' } = stream.headers
      const port = Number(portText)
      if ((type !== 'data' && type !== 'error') || !Number.isInteger(port) || port < 1 || port > 65_535) return false
      const pair = pairs.get(id) ?? {}
      if (pair[type] !== undefined) return false
      pair[type] = stream
      pairs.set(id, pair)
      if (pair.data === undefined || pair.error === undefined) {
        pair.timer = clock.after(pairWaitMs, () => {
          pairs.delete(id)
          stream.reset()
        })
        return true
      }
      pair.timer?.cancel()
      pairs.delete(id)
      void forward(pair.data, pair.error, port, connect)
      return true
    },
  })
  await session.closed
  for (const { timer } of pairs.values()) timer?.cancel()
}

async function forward(data: SpdyStream, error: SpdyStream, port: number, connect: (port: number) => Promise<Duplex>): Promise<void> {
  try {
    const connection = await connect(port)
    // Failures reach the pipelines; what comes after them concerns nobody.
    connection.on('error', () => undefined)
    data.io.once('close', () => connection.destroy())
    await Promise.all([pipeline(data.io, connection, { end: true }), pipeline(connection, data.io, { end: true })])
    error.io.end()
  } catch (cause) {
    const text = `an error occurred forwarding port ${port} inside the pod: ${cause instanceof Error ? cause.message : String(cause)}`
    error.io.end(text)
    data.io.end()
  }
}
