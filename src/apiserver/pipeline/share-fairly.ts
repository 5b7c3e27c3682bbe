// Bounds on what is under way at once: reads and writes each have theirs (Kubernetes' --max-requests-inflight and
// --max-mutating-requests-inflight), long-running requests none. Members of system:masters always get in.
import { tooManyRequests } from '#api/errors'
import type { ApiReply, Stage, StreamedBody } from '../request.ts'
import { isLongRunning } from './request-info.ts'

export interface InFlight {
  readonly stage: Stage
  /** How many are under way now, for metrics. */
  readonly counts: { readonly readOnly: number; readonly mutating: number; readonly longRunning: number }
}

export function shareFairly({ readOnlyMax = 400, mutatingMax = 200 } = {}): InFlight {
  const counts = { readOnly: 0, mutating: 0, longRunning: 0 }
  const limits = { readOnly: readOnlyMax, mutating: mutatingMax, longRunning: Number.POSITIVE_INFINITY }
  const stage: Stage = {
    name: 'shareFairly',
    async run(request, next) {
      const { verb } = request.info
      const share = isLongRunning(request.info) ? 'longRunning' : verb === 'get' || verb === 'list' ? 'readOnly' : 'mutating'
      if (counts[share] >= limits[share] && !request.user.groups.includes('system:masters')) {
        throw tooManyRequests('Too many requests, please try again later.', 1)
      }
      counts[share]++
      let streaming = false
      try {
        const reply = await next(request)
        if (typeof reply.body !== 'function') return reply
        streaming = true
        return { ...reply, body: counted(reply.body, () => counts[share]--) } satisfies ApiReply
      } finally {
        if (!streaming) counts[share]--
      }
    },
  }
  return { stage, counts }
}

// A streamed answer keeps its place until it is written.
function counted(body: StreamedBody, done: () => void): StreamedBody {
  return async (sink, signal) => {
    try {
      await body(sink, signal)
    } finally {
      done()
    }
  }
}
