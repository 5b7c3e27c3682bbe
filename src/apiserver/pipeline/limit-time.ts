// How long a request may take: 60 seconds, or less when its client says so (`?timeout=`). What is late is answered 504 and let go.
// Requests that last as long as their client wants have no deadline. One timer serves all: deadlines are almost always the same
// distance away, so the oldest request under way is the next to be late.

import { badRequest, timeout } from '#api/errors'
import { parseGoDuration } from '#api/go-duration'
import type { Clock } from '#base/clock'
import type { ApiReply, ApiRequest, Handler, Stage, StreamedBody } from '../request.ts'
import { discard } from '../server/reply.ts'
import { isLongRunning } from './request-info.ts'

/** Kubernetes' --request-timeout. */
export const requestTimeoutMsDefault = 60_000

export interface LimitTimeOptions {
  readonly clock: Clock
  /** The longest that any request may take, and what it takes when the client names no time. */
  readonly timeoutMs?: number
}

interface Deadline {
  readonly atMs: number
  readonly expire: () => void
}

export function limitTime({ clock, timeoutMs: timeoutMsMax = requestTimeoutMsDefault }: LimitTimeOptions): Stage {
  const usual = createDeadlines(clock)
  return {
    name: 'limitTime',
    run(request, next) {
      if (isLongRunning(request.info)) return next(request)
      const timeoutMs = timeoutOf(request, timeoutMsMax)
      request.timeoutMs = timeoutMs
      if (timeoutMs === timeoutMsMax) return runWithin(request, next, (expire) => usual.add(timeoutMs, expire))
      return runWithin(request, next, (expire) => {
        const timer = clock.after(timeoutMs, expire, { background: true })
        return () => timer.cancel()
      })
    },
  }
}

// Zero means that the client sets no limit of its own.
function timeoutOf({ query }: ApiRequest, timeoutMsMax: number): number {
  const text = query.size === 0 ? null : query.get('timeout')
  if (text === null || text === '') return timeoutMsMax
  let ms: number
  try {
    ms = parseGoDuration(text)
  } catch (error) {
    throw badRequest(`invalid timeout specified in the request URL - ${(error as RangeError).message}`)
  }
  return ms > 0 && ms < timeoutMsMax ? ms : timeoutMsMax
}

/** `arm` is given what to call when time is up, and returns what takes that back. */
function runWithin(request: ApiRequest, next: Handler, arm: (expire: () => void) => () => void): Promise<ApiReply> {
  return new Promise((resolve, reject) => {
    let late = false
    let cut: AbortController | undefined
    const disarm = arm(() => {
      late = true
      // An answer that has begun cannot become another one.
      if (cut !== undefined) cut.abort(timeout(lateText))
      else reject(timeout(lateText))
    })
    next(request).then(
      (reply) => {
        if (late) return discard(reply.body)
        if (typeof reply.body !== 'function') {
          disarm()
          return resolve(reply)
        }
        cut = new AbortController()
        resolve({ ...reply, body: streamedWithin(reply.body, cut.signal, disarm) })
      },
      (error: unknown) => {
        disarm()
        reject(error)
      },
    )
  })
}

const lateText = 'request did not complete within the allotted timeout'

function streamedWithin(body: StreamedBody, cut: AbortSignal, done: () => void): StreamedBody {
  return async (sink, signal) => {
    try {
      const written = body(sink, AbortSignal.any([signal, cut]))
      // A sink that a slow client never drains is not waited for.
      const late = new Promise<never>((_resolve, reject) => {
        cut.addEventListener('abort', () => reject(cut.reason), { once: true })
      })
      late.catch(() => undefined)
      await Promise.race([written, late])
      cut.throwIfAborted()
    } finally {
      done()
    }
  }
}

// Deadlines that all lie the same time away when they are made: the order of their making is the order of their falling due.
function createDeadlines(clock: Clock): { add(ms: number, expire: () => void): () => void } {
  const waiting = new Set<Deadline>()
  let looking = false
  const lookAfter = (ms: number): void => {
    looking = true
    clock.after(ms, look, { background: true })
  }
  const look = (): void => {
    looking = false
    const nowMs = clock.monotonic()
    for (const deadline of waiting) {
      if (deadline.atMs > nowMs) {
        lookAfter(deadline.atMs - nowMs)
        return
      }
      waiting.delete(deadline)
      deadline.expire()
    }
  }
  return {
    add(ms, expire) {
      const deadline = { atMs: clock.monotonic() + ms, expire }
      waiting.add(deadline)
      if (!looking) lookAfter(ms)
      return () => waiting.delete(deadline)
    },
  }
}
