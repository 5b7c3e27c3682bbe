// One of several processes leads: whoever holds the Lease (coordination.k8s.io/v1). As client-go does it: the holder renews,
// the others wait until the lease has stood still, by their own clocks, for its whole duration.
import { isApiError } from '#api/errors'
import type { Lease } from '#api/generated/coordination-v1'
import { Lease as LeaseKind } from '#api/kinds/coordination/lease'
import { type Clock, microTimestamp } from '#base/clock'
import type { Client } from './client.ts'

export interface LeaderElectionOptions {
  readonly client: Client
  readonly clock: Clock
  readonly namespace: string
  readonly name: string
  /**
   * Who we are. A process that restarts under the same identity takes its lease up again at once, so an identity
   * must never be shared by two processes that can run at the same time.
   */
  readonly identity: string
  readonly leaseSeconds?: number
  readonly renewSeconds?: number
  readonly retrySeconds?: number
  readonly signal: AbortSignal
}

// How soon an attempt that failed without an answer is repeated.
const errorRetryMs = 100

/**
 * Waits for leadership, then runs `lead`; its signal aborts as soon as leadership can no longer be vouched for.
 * Resolves when the signal aborts (the lease is given up first) and rejects when leadership was lost: the caller should
 * then end the process or call again.
 */
export async function leadWhenElected(options: LeaderElectionOptions, lead: (signal: AbortSignal) => Promise<void>): Promise<void> {
  const { clock, signal } = options
  const leaseMs = (options.leaseSeconds ?? 15) * 1_000
  const renewMs = (options.renewSeconds ?? 10) * 1_000
  const retryMs = (options.retrySeconds ?? 2) * 1_000
  const seen = { record: '', atMs: 0 }
  while (!signal.aborted) {
    const taken = await tryAcquire(options, leaseMs, seen).catch(() => undefined)
    if (taken) break
    // Held by another: that takes its time. An error, most often a server that is not up yet, is over soon.
    await clock.sleep(taken === undefined ? errorRetryMs : retryMs, signal).catch(() => {})
  }
  if (signal.aborted) return
  const leading = new AbortController()
  const work = lead(AbortSignal.any([leading.signal, signal]))
  let lost = false
  let lastRenewedMs = clock.monotonic()
  const renewing = (async () => {
    while (!signal.aborted && !leading.signal.aborted) {
      await clock.sleep(retryMs, AbortSignal.any([signal, leading.signal])).catch(() => {})
      if (signal.aborted || leading.signal.aborted) return
      if (await tryAcquire(options, leaseMs, seen).catch(() => false)) lastRenewedMs = clock.monotonic()
      else if (clock.monotonic() - lastRenewedMs > renewMs) {
        lost = true
        leading.abort(new Error(`lost the lease ${options.namespace}/${options.name}`))
      }
    }
  })()
  try {
    await work
  } finally {
    leading.abort(new Error('done'))
    await renewing
  }
  if (lost) throw new Error(`lost the lease ${options.namespace}/${options.name}`)
  if (signal.aborted) await release(options).catch(() => {})
}

async function tryAcquire(options: LeaderElectionOptions, leaseMs: number, seen: { record: string; atMs: number }): Promise<boolean> {
  const { client, clock, identity } = options
  const key = { namespace: options.namespace, name: options.name }
  const now = microTimestamp(clock.now())
  let lease: Lease
  try {
    lease = await client.get(LeaseKind, key)
  } catch (error) {
    if (!isApiError(error, 'NotFound')) throw error
    const spec = { holderIdentity: identity, leaseDurationSeconds: leaseMs / 1_000, acquireTime: now, renewTime: now, leaseTransitions: 0 }
    await client.create(LeaseKind, { metadata: key, spec })
    return true
  }
  const { holderIdentity, renewTime, leaseTransitions = 0 } = lease.spec
  const record = `${holderIdentity} ${renewTime} ${leaseTransitions}`
  if (record !== seen.record) {
    seen.record = record
    seen.atMs = clock.monotonic()
  }
  const mine = holderIdentity === identity
  if (!mine && holderIdentity && clock.monotonic() - seen.atMs < leaseMs) return false
  lease.spec.leaseDurationSeconds = leaseMs / 1_000
  lease.spec.renewTime = now
  if (!mine) {
    lease.spec.holderIdentity = identity
    lease.spec.acquireTime = now
    lease.spec.leaseTransitions = leaseTransitions + 1
  }
  await client.update(LeaseKind, lease)
  return true
}

async function release({ client, clock, namespace, name, identity }: LeaderElectionOptions): Promise<void> {
  const lease = await client.get(LeaseKind, { namespace, name })
  if (lease.spec.holderIdentity !== identity) return
  lease.spec.holderIdentity = ''
  lease.spec.leaseDurationSeconds = 1
  lease.spec.renewTime = microTimestamp(clock.now())
  await client.update(LeaseKind, lease)
}
