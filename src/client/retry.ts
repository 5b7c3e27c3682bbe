// A transport that asks again when the server says when to come back: too many requests, or not at the moment. As Kubernetes' own
// clients do, for every verb: such an answer means that nothing was done. What got no answer is not sent again.
import type { Clock } from '#base/clock'
import type { Transport, TransportRequest, TransportResponse } from './transport.ts'

const retriesMax = 10
// A server that asks for longer than this is not waited for.
const waitSecondsMax = 60
// What is read of an answer that is not wanted, so that its connection can be used again.
const drainBytesMax = 64 * 1024

/** Over `transport`, which stays the caller's to close through it. */
export function withRetries(transport: Transport, clock: Clock): Transport {
  return {
    async send(request) {
      for (let retries = 0; ; retries++) {
        const response = await transport.send(request)
        const seconds = retries < retriesMax ? secondsToWait(response) : undefined
        if (seconds === undefined) return response
        await drain(response)
        await wait(clock, seconds, request)
      }
    },
    close: () => transport.close(),
  }
}

// Undefined: this is the answer.
function secondsToWait({ status, headers }: TransportResponse): number | undefined {
  if (status !== 429 && status < 500) return undefined
  const text = headers['retry-after'] ?? ''
  // A date is not understood, as with Kubernetes' clients.
  if (!/^\d{1,6}$/.test(text)) return undefined
  const seconds = Number(text)
  return seconds <= waitSecondsMax ? seconds : undefined
}

async function drain({ body }: TransportResponse): Promise<void> {
  let bytes = 0
  try {
    for await (const chunk of body) {
      bytes += chunk.length
      if (bytes > drainBytesMax) return
    }
  } catch {
    // The connection went; the next attempt has another.
  }
}

async function wait(clock: Clock, seconds: number, { signal }: TransportRequest): Promise<void> {
  await clock.sleep(seconds * 1000, signal)
}
