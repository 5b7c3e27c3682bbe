// The service proxy of a node: watches Services and EndpointSlices, and makes the kernel follow, at its own pace.

import type { Service } from '#api/kinds/core/service'
import type { EndpointSlice } from '#api/kinds/discovery/endpoint-slice'
import { Backoff } from '#base/backoff'
import type { Clock } from '#base/clock'
import type { Random } from '#base/random'
import type { Informer } from '#client/informer'
import type { Logger } from '#platform/log'
import type { ProxyBackend } from './backends/backend.ts'
import { planRules } from './plan-rules.ts'

export interface ProxyDeps {
  readonly services: Informer<Service>
  readonly slices: Informer<EndpointSlice>
  readonly backend: ProxyBackend
  readonly nodeName: string
  readonly podCidrs: readonly string[]
  readonly ownAddresses: ReadonlySet<string>
  readonly clock: Clock
  readonly random: Random
  readonly log: Logger
  readonly signal: AbortSignal
  /** Called after each change that reached the kernel. */
  readonly onApplied?: () => void
}

// After a change the next one waits this long: a burst becomes a few transactions, a single change is not delayed.
const pauseMs = 50

/** Runs until the signal aborts. The rules stay: containers go on, and so do their connections. */
export async function runProxy(deps: ProxyDeps): Promise<void> {
  const { services, slices, backend, clock, signal } = deps
  await Promise.all([services.untilSynced(signal), slices.untilSynced(signal)])
  const backoff = new Backoff({ initialMs: 200, maxMs: 30_000, jitter: 0.2, random: deps.random })
  const changes = new Change()
  const stops = [services.subscribe(() => changes.note(), { replay: false }), slices.subscribe(() => changes.note(), { replay: false })]
  changes.note()
  while (await changes.next(signal)) {
    try {
      await backend.apply(planRules({ ...deps, services: services.list(), slices: slices.list() }))
      backoff.reset()
      deps.onApplied?.()
      await clock.sleep(pauseMs, signal).catch(() => {})
    } catch (error) {
      deps.log.error('service rules could not be set; trying again', { error })
      changes.note()
      await clock.sleep(backoff.next(), signal).catch(() => {})
    }
  }
  for (const stop of stops) stop()
}

/** A flag that can be waited for: many notes between two looks are one. */
class Change {
  #noted = false
  #wake: (() => void) | undefined

  note(): void {
    this.#noted = true
    this.#wake?.()
  }

  /** Resolves with true at the next note, with false when the signal aborts. */
  async next(signal: AbortSignal): Promise<boolean> {
    if (!this.#noted && !signal.aborted) {
      await new Promise<void>((resolve) => {
        this.#wake = () => {
          signal.removeEventListener('abort', this.#wake!)
          this.#wake = undefined
          resolve()
        }
        signal.addEventListener('abort', this.#wake, { once: true })
      })
    }
    this.#noted = false
    return !signal.aborted
  }
}
