// A signal that aborts after a while on the agent's clock, or when another signal does.
import type { Clock } from '#base/clock'

export class TimeoutError extends Error {
  override readonly name = 'TimeoutError'
}

/** Runs `work` with a signal that aborts after `ms` or with `parent`; the timer ends with the work. */
export async function withTimeout<T>(clock: Clock, ms: number, parent: AbortSignal, work: (signal: AbortSignal) => Promise<T>): Promise<T> {
  const controller = new AbortController()
  const onParent = (): void => controller.abort(parent.reason)
  if (parent.aborted) onParent()
  parent.addEventListener('abort', onParent, { once: true })
  const timer = clock.after(ms, () => controller.abort(new TimeoutError(`timed out after ${ms} ms`)))
  try {
    return await work(controller.signal)
  } finally {
    timer.cancel()
    parent.removeEventListener('abort', onParent)
  }
}
