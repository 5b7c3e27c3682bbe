// How long a request may take: 60 seconds, or less when its client says so (`?timeout=`). What is late is answered 504 and let go.
// Requests that last as long as their client wants have no deadline. One timer serves all: deadlines are almost always the same
// distance away, so the oldest request under way is the next to be late.

import { type ApiError, badRequest, timeout } from '#api/errors'
import { parseGoDuration } from '#api/go-duration'
import type { Clock } from '#base/clock'
import type { ApiReply, ApiRequest, Stage, StreamedBody } from '../request.ts'
import { discard } from '../server/reply.ts'
import { isLongRunning } from './request-info.ts'

/** Kubernetes' --request-timeout. */
export const requestTimeoutMsDefault = 60_000

export interface LimitTimeOptions {
  readonly clock: Clock
  /** The longest that any request may take, and what it takes when the client names no time. */
  readonly timeoutMs?: number
}

export function limitTime({ clock, timeoutMs: timeoutMsMax = requestTimeoutMsDefault }: LimitTimeOptions): Stage {
  // Those that have the usual time: the order of their beginning is the order of their falling due.
  const usual = new Set<TimedRun>()
  let looking = false
  const lookAfter = (ms: number): void => {
    looking = true
    clock.after(ms, look, { background: true })
  }
  const look = (): void => {
    looking = false
    const nowMs = clock.monotonic()
    for (const run of usual) {
      if (run.dueMs > nowMs) return lookAfter(run.dueMs - nowMs)
      usual.delete(run)
      run.expire()
    }
  }
  return {
    name: 'limitTime',
    run(request, next) {
      if (isLongRunning(request.info)) return next(request)
      const timeoutMs = timeoutOf(request, timeoutMsMax)
      request.timeoutMs = timeoutMs
      request.dueMs = clock.monotonic() + timeoutMs
      const answer = next(request)
      // What is there already cannot be late any more.
      if (!(answer instanceof Promise) && typeof answer.body !== 'function') return answer
      const run = new TimedRun(request.dueMs)
      if (timeoutMs === timeoutMsMax) {
        usual.add(run)
        if (!looking) lookAfter(timeoutMs)
        return run.start(Promise.resolve(answer), () => usual.delete(run))
      }
      const timer = clock.after(timeoutMs, () => run.expire(), { background: true })
      return run.start(Promise.resolve(answer), () => timer.cancel())
    },
  }
}

// Zero means that the client sets no limit of its own.
function timeoutOf(request: ApiRequest, timeoutMsMax: number): number {
  const text = request.rawQuery === '' ? null : request.query.get('timeout')
  if (text === null || text === '') return timeoutMsMax
  let ms: number
  try {
    ms = parseGoDuration(text)
  } catch (error) {
    throw badRequest(`invalid timeout specified in the request URL - ${(error as RangeError).message}`)
  }
  return ms > 0 && ms < timeoutMsMax ? ms : timeoutMsMax
}

const late = (): ApiError => timeout('request did not complete within the allotted timeout')

/** One request against its deadline. */
class TimedRun {
  readonly dueMs: number
  #late = false
  #reject: ((error: unknown) => void) | undefined
  #cut: AbortController | undefined

  constructor(dueMs: number) {
    this.dueMs = dueMs
  }

  expire(): void {
    this.#late = true
    // An answer that has begun cannot become another one.
    if (this.#cut === undefined) this.#reject?.(late())
    else this.#cut.abort(late())
  }

  /** `ended` is called once the deadline does not matter any more. */
  start(answer: Promise<ApiReply>, ended: () => void): Promise<ApiReply> {
    return new Promise((resolve, reject) => {
      this.#reject = reject
      answer.then(
        (reply) => {
          if (this.#late) return discard(reply.body)
          if (typeof reply.body !== 'function') ended()
          else {
            this.#cut = new AbortController()
            reply = { ...reply, body: streamedWithin(reply.body, this.#cut.signal, ended) }
          }
          resolve(reply)
        },
        (error: unknown) => {
          ended()
          reject(error)
        },
      )
    })
  }
}

function streamedWithin(body: StreamedBody, cut: AbortSignal, done: () => void): StreamedBody {
  return async (sink, signal) => {
    try {
      const written = body(sink, AbortSignal.any([signal, cut]))
      // A sink that a slow client never drains is not waited for.
      const ended = new Promise<never>((_resolve, reject) => {
        cut.addEventListener('abort', () => reject(cut.reason), { once: true })
      })
      ended.catch(() => undefined)
      await Promise.race([written, ended])
      cut.throwIfAborted()
    } finally {
      done()
    }
  }
}
