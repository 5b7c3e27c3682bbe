// A loop of rounds: one at the start, one after each change (changes in between count once), and one when the last asked for it. What
// the API server looks after among its own objects is such a loop.
import { isApiError } from '#api/errors'
import type { Clock } from '#base/clock'

export interface ChangeLoop {
  readonly clock: Clock
  /** Registers for changes; the functions returned take that back. */
  readonly subscribe: (changed: () => void) => readonly (() => void)[]
  /** Resolves with the milliseconds after which to look again without a change, if any. */
  readonly round: () => Promise<number | undefined>
  readonly onError: (error: unknown) => void
  readonly signal: AbortSignal
}

const retryMs = 1_000

/**
 * Runs until the signal aborts. A round that fails is told to `onError` and tried again after a while, or with the next change; one that
 * fails because somebody else was faster just waits, since what they wrote is a change.
 */
export async function runWhenChanged({ clock, subscribe, round, onError, signal }: ChangeLoop): Promise<void> {
  let dirty = true
  let wake = (): void => undefined
  const changed = (): void => {
    dirty = true
    wake()
  }
  const unsubscribe = subscribe(changed)
  signal.addEventListener('abort', changed, { once: true })
  while (!signal.aborted) {
    dirty = false
    let againMs: number | undefined
    try {
      againMs = await round()
    } catch (error) {
      if (signal.aborted) break
      if (!isRace(error)) {
        onError(error)
        againMs = retryMs
      }
    }
    if (dirty) continue
    const timer = againMs === undefined ? undefined : clock.after(againMs, changed, { background: true })
    await new Promise<void>((resolve) => {
      wake = resolve
      if (dirty) resolve()
    })
    timer?.cancel()
  }
  for (const end of unsubscribe) end()
}

/** Whether a write failed because somebody else was faster. */
export function isRace(error: unknown): boolean {
  return isApiError(error, 'AlreadyExists') || isApiError(error, 'Conflict') || isApiError(error, 'NotFound')
}
