// Time, as a value that is passed in. Nobody else touches Date.now, setTimeout or performance.now.

/** A timer that can be taken back. Cancelling twice, or after it fired, does nothing. */
export interface Timer {
  cancel(): void
}

/** Now, monotonic now, sleep and timers. Times are milliseconds. */
export interface Clock {
  /** Wall-clock milliseconds since the Unix epoch. */
  now(): number
  /** Milliseconds that only grow; good for measuring, meaningless as a date. */
  monotonic(): number
  /** Calls `run` once, after at least `ms`. The timer never keeps the process alive on its own when `background` is set. */
  after(ms: number, run: () => void, options?: { background?: boolean }): Timer
  /** Resolves after at least `ms`, or rejects with the signal's reason. */
  sleep(ms: number, signal?: AbortSignal): Promise<void>
}

/** `clock.now()` as Kubernetes writes a `Time`: RFC 3339, UTC, whole seconds. */
export function timestamp(ms: number): string {
  const second = Math.floor(ms / 1000)
  if (second !== lastSecond) {
    lastTimestamp = `${new Date(ms).toISOString().slice(0, 19)}Z`
    lastSecond = second
  }
  return lastTimestamp
}

// Asked for over and over within one second.
let lastSecond = Number.NaN
let lastTimestamp = ''

/** `clock.now()` as Kubernetes writes a `MicroTime`: RFC 3339, UTC, six fractional digits. */
export function microTimestamp(ms: number): string {
  return `${new Date(ms).toISOString().slice(0, 23)}000Z`
}

// setTimeout's own limit: longer waits would fire at once, so they are taken in steps.
const stepMsMax = 2 ** 31 - 1

/** The machine's clock. */
export const systemClock: Clock = {
  now: () => Date.now(),
  monotonic: () => performance.now(),
  after(ms, run, options) {
    let timer: ReturnType<typeof setTimeout>
    const deadline = performance.now() + ms
    const arm = (): void => {
      const left = deadline - performance.now()
      timer = setTimeout(left > stepMsMax ? arm : run, Math.min(Math.max(0, left), stepMsMax))
      if (options?.background) (timer as unknown as { unref?: () => void }).unref?.()
    }
    arm()
    return { cancel: () => clearTimeout(timer) }
  },
  sleep(ms, signal) {
    return sleepOn(this, ms, signal)
  },
}

/** `sleep` in terms of `after`, for every clock. */
export function sleepOn(clock: Pick<Clock, 'after'>, ms: number, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    if (signal?.aborted) return reject(signal.reason)
    const stop = (): void => {
      timer.cancel()
      reject(signal?.reason)
    }
    const timer = clock.after(ms, () => {
      signal?.removeEventListener('abort', stop)
      resolve()
    })
    signal?.addEventListener('abort', stop, { once: true })
  })
}
