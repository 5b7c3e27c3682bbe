// Waiting longer after each failure, within bounds.
import type { Random } from './random.ts'

export interface BackoffOptions {
  readonly initialMs: number
  readonly maxMs: number
  /** Growth per failure; default 2. */
  readonly factor?: number
  /** Share of the delay that is random on top, 0 to 1; default 0. Needs `random`. */
  readonly jitter?: number
  readonly random?: Random
}

/** The delay after the `failures`-th failure in a row, counted from 1. */
export function backoffMs(failures: number, options: BackoffOptions): number {
  const grown = options.initialMs * (options.factor ?? 2) ** Math.min(Math.max(0, failures - 1), 60)
  const capped = Math.min(grown, options.maxMs)
  const jitter = options.jitter && options.random ? capped * options.jitter * options.random() : 0
  return capped + jitter
}

/** Counts failures in a row of one thing. */
export class Backoff {
  readonly #options: BackoffOptions
  #failures = 0

  constructor(options: BackoffOptions) {
    this.#options = options
  }

  /** Notes a failure and says how long to wait. */
  next(): number {
    this.#failures++
    return backoffMs(this.#failures, this.#options)
  }

  get failures(): number {
    return this.#failures
  }

  reset(): void {
    this.#failures = 0
  }
}
