// Events are forgotten an hour after they were last seen, as Kubernetes does by a lease in etcd. Looked for now and then while
// there are any; a server without events has no timer.
import { ApiError } from '#api/errors'
import type { Event } from '#api/kinds/core/event'
import type { Clock, Timer } from '#base/clock'
import { internalCall } from './registry/call.ts'
import type { Registry } from './registry/registry.ts'
import { peekString } from './watch-cache/stored-json.ts'
import type { StoredObject } from './watch-cache/stored-object.ts'

const keptMsDefault = 3_600_000
const lookEveryMs = 300_000
const turnItems = 200

const timePaths = [['lastTimestamp'], ['series', 'lastObservedTime'], ['eventTime'], ['metadata', 'creationTimestamp']].map((path) =>
  path.map((name) => Buffer.from(name)),
)

export interface ExpireEventsDeps {
  readonly registry: Registry<Event>
  readonly clock: Clock
  /** How long an event is kept after it was last seen. */
  readonly keptMs?: number
  readonly log?: (message: string, error?: unknown) => void
}

/** Runs until `close`. */
export function expireEvents({ registry, clock, log, keptMs = keptMsDefault }: ExpireEventsDeps): { close(): void } {
  const { cache } = registry
  const stop = new AbortController()
  const call = internalCall('kube-apiserver', { signal: stop.signal })
  let timer: Timer | undefined

  const look = async (): Promise<void> => {
    const before = clock.now() - keptMs
    for (const [i, event] of cache.candidates({}).entries()) {
      if (stop.signal.aborted) return
      if (i % turnItems === turnItems - 1) await new Promise((resolve) => setImmediate(resolve))
      if (lastSeenMs(event) > before) continue
      const preconditions = { resourceVersion: String(event.revision) }
      try {
        await registry.delete({ namespace: event.namespace, name: event.name }, { preconditions }, call)
      } catch (error) {
        // Somebody else deleted it, or saw it again.
        if (!(error instanceof ApiError) || (error.reason !== 'NotFound' && error.reason !== 'Conflict')) throw error
      }
    }
  }
  const arm = (): void => {
    if (timer !== undefined || stop.signal.aborted || cache.size === 0) return
    timer = clock.after(
      lookEveryMs,
      () => {
        timer = undefined
        look()
          .catch((error: unknown) => log?.('cannot expire events', error))
          .finally(arm)
      },
      { background: true },
    )
  }
  const unsubscribe = cache.onChange(arm)
  arm()
  return {
    close() {
      stop.abort()
      unsubscribe()
      timer?.cancel()
    },
  }
}

// Read from the bytes: a look at all events is no reason to decode them.
function lastSeenMs(event: StoredObject): number {
  return event.look((stored) => {
    let latest = 0
    for (const path of timePaths) {
      const at = Date.parse(peekString(stored, path))
      if (at > latest) latest = at
    }
    return latest
  })
}
