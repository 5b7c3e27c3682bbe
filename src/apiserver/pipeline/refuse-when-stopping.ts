// A server that is about to end takes no new work: it says so, and closes the connection, so that the client goes elsewhere or waits.
import { tooManyRequests } from '#api/errors'
import type { Stage } from '../request.ts'
import { statusReply } from './answer-panics.ts'

/** Refuses requests once `stopping` has aborted. Health and metrics are answered to the end. */
export function refuseWhenStopping(stopping: AbortSignal): Stage {
  return {
    name: 'refuseWhenStopping',
    run(request, next) {
      if (!stopping.aborted || isObservation(request.path)) return next(request)
      const { status } = tooManyRequests('The apiserver is shutting down, please try again later.', 5)
      const reply = statusReply(request, status)
      reply.headers['connection'] = 'close'
      return Promise.resolve(reply)
    },
  }
}

function isObservation(path: string): boolean {
  return path.startsWith('/healthz') || path.startsWith('/livez') || path.startsWith('/readyz') || path === '/metrics'
}
