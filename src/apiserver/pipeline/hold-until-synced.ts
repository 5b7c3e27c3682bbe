// A server that has just begun does not yet know its own roles and accounts: it would turn away everybody. So it lets them wait,
// within bounds, until it does. Health and version are answered at once; the process's own components make what others wait for.
import { ApiError, serviceUnavailable } from '#api/errors'
import type { Clock } from '#base/clock'
import type { Stage } from '../request.ts'
import { inProcessUser } from '../server/in-process.ts'

export interface HoldOptions {
  readonly synced: () => boolean
  readonly untilSynced: () => Promise<void>
  /** Reads can be answered, though not all that a cluster has is there (a full disk, say). Good enough once the wait was in vain. */
  readonly usable: () => boolean
  readonly clock: Clock
}

const waitMs = 15_000
const openPaths = /^\/(healthz|livez|readyz|metrics|version)(\/|$)/

export function holdUntilSynced({ synced, untilSynced, usable, clock }: HoldOptions): Stage {
  let inVain = false
  return {
    name: 'holdUntilSynced',
    run(request, next) {
      if (synced() || (inVain && usable()) || openPaths.test(request.path) || inProcessUser(request) !== undefined) return next(request)
      const stop = new AbortController()
      const late = clock.sleep(waitMs, AbortSignal.any([request.signal, stop.signal]))
      return Promise.race([untilSynced(), late])
        .finally(() => {
          stop.abort()
          late.catch(() => undefined)
        })
        .then(() => {
          inVain = !synced()
          if (!inVain || usable()) return next(request)
          const { status } = serviceUnavailable('the server is still loading its state')
          throw new ApiError({ ...status, details: { retryAfterSeconds: 1 } })
        })
    },
  }
}
