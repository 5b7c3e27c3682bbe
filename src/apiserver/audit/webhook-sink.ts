// Audit events sent to another server, several at once (audit.k8s.io/v1 EventList). Requests never wait for it: what does not fit into the
// buffer, and what cannot be sent after several tries, is lost and counted.
import type { Clock, Timer } from '#base/clock'
import type { Random } from '#base/random'
import type { JsonPoster } from '#platform/post-json'
import type { AuditEvent, AuditSink } from './audit.ts'

export interface AuditWebhookSettings {
  /** Events that may wait. */
  readonly bufferMax: number
  /** Events of one batch. */
  readonly batchMax: number
  /** Bytes of one batch, about; Infinity: any. */
  readonly batchBytesMax: number
  /** How long a batch that is not full waits for more. */
  readonly batchWaitMs: number
  /** Batches a second, and how many at once when it was quiet before; absent: as fast as they come. */
  readonly throttle?: { readonly perSecond: number; readonly burst: number }
  /** The wait before the first of the further tries. */
  readonly firstWaitMs: number
}

export interface AuditWebhookDeps {
  readonly poster: Pick<JsonPoster, 'deliver' | 'close'>
  readonly settings: AuditWebhookSettings
  readonly clock: Clock
  readonly random: Random
  /** Told of what is lost: why, and how many events. */
  readonly onError: (error: Error, events: number) => void
}

export interface AuditWebhook extends AuditSink {
  /** Sends what waits, and resolves when that is done or `withinMs` are over. */
  close(withinMs: number): Promise<void>
}

const triesMax = 5
const waitFactor = 1.5
const jitter = 0.2
const timeoutMs = 30_000
const sendingMax = 64

export function auditWebhook({ poster, settings, clock, random, onError }: AuditWebhookDeps): AuditWebhook {
  const { bufferMax, batchMax, batchBytesMax, batchWaitMs, throttle, firstWaitMs } = settings
  const closing = new AbortController()
  const sending = new Set<Promise<void>>()
  let waiting: { readonly item: AuditEvent; readonly bytes: number }[] = []
  let timer: Timer | undefined
  let tokens = throttle?.burst ?? 0
  let tokensAtMs = clock.monotonic()

  // Milliseconds until the next batch may go.
  const restMs = (): number => {
    if (sending.size >= sendingMax) return 100
    if (throttle === undefined) return 0
    const now = clock.monotonic()
    tokens = Math.min(throttle.burst, tokens + ((now - tokensAtMs) / 1_000) * throttle.perSecond)
    tokensAtMs = now
    return tokens >= 1 ? 0 : Math.ceil(((1 - tokens) / throttle.perSecond) * 1_000)
  }
  const wake = (ms: number): void => {
    timer?.cancel()
    timer = clock.after(ms, () => drain(true), { background: true })
  }
  const drain = (partly: boolean): void => {
    timer?.cancel()
    timer = undefined
    while (waiting.length >= batchMax || (partly && waiting.length > 0)) {
      const ms = closing.signal.aborted ? 0 : restMs()
      if (ms > 0) return wake(ms)
      tokens -= 1
      send(takeBatch())
    }
    if (waiting.length > 0) wake(batchWaitMs)
  }
  const takeBatch = (): AuditEvent[] => {
    let bytes = 0
    let count = 0
    while (count < Math.min(batchMax, waiting.length) && (count === 0 || bytes + waiting[count]!.bytes <= batchBytesMax)) {
      bytes += waiting[count++]!.bytes
    }
    const batch = waiting.slice(0, count).map(({ item }) => item)
    waiting = waiting.slice(count)
    return batch
  }
  const send = (items: readonly AuditEvent[]): void => {
    const list = { kind: 'EventList', apiVersion: 'audit.k8s.io/v1', metadata: {}, items }
    const sent = deliver(list).catch((error: unknown) => onError(error as Error, items.length))
    const done = sent.finally(() => sending.delete(done))
    sending.add(done)
  }
  const deliver = async (list: object): Promise<void> => {
    let waitMs = firstWaitMs
    for (let tries = 1; ; tries++) {
      try {
        await poster.deliver(list, timeoutMs)
        return
      } catch (error) {
        if (tries === triesMax || closing.signal.aborted) throw error
        await clock.sleep(waitMs * (1 + jitter * random()), closing.signal).catch(() => {})
        waitMs *= waitFactor
      }
    }
  }
  return {
    write(line, { kind: _kind, apiVersion: _version, ...item }) {
      if (closing.signal.aborted) return onError(new Error('audit backend shut down'), 1)
      if (waiting.length >= bufferMax) return onError(new Error('audit buffer queue blocked'), 1)
      waiting.push({ item, bytes: line.length })
      if (waiting.length >= batchMax) drain(false)
      else if (timer === undefined) wake(batchWaitMs)
    },
    async close(withinMs) {
      closing.abort(new Error('the server is stopping'))
      drain(true)
      await Promise.race([Promise.all(sending), clock.sleep(withinMs)])
      poster.close()
    },
  }
}
