// One of several copies leads: whoever holds the Lease and keeps renewing it. The others wait until it has not been renewed for as
// long as it says it lasts, by their own clock from when they saw it change, so that clocks need not agree.
import { setTimeout as sleep } from 'node:timers/promises'
import * as k8s from '@kubernetes/client-node'

export interface ElectionOptions {
  readonly coordination: k8s.CoordinationV1Api
  readonly namespace: string
  readonly name: string
  readonly identity: string
  readonly leaseSeconds: number
  readonly signal: AbortSignal
  /** Runs while this copy leads; its signal aborts when it must stop leading. */
  lead(signal: AbortSignal): Promise<void>
}

/** Resolves when this copy has led and lost, or when the signal aborts. */
export async function electLeader(options: ElectionOptions): Promise<void> {
  const { leaseSeconds, signal } = options
  let seen: { version: string | undefined; atMs: number } | undefined
  while (!signal.aborted) {
    const lease = await find(options)
    const version = lease?.metadata?.resourceVersion
    if (seen === undefined || seen.version !== version) seen = { version, atMs: performance.now() }
    const held = lease?.spec?.holderIdentity
    const isFree = held === undefined || held === '' || held === options.identity || performance.now() - seen.atMs > leaseSeconds * 1_000
    if (isFree && (await write(options, lease))) return leadWhileHeld(options)
    await sleep(leaseSeconds * 200, undefined, { signal }).catch(() => undefined)
  }
}

async function leadWhileHeld(options: ElectionOptions): Promise<void> {
  const lost = new AbortController()
  const signal = AbortSignal.any([options.signal, lost.signal])
  const renewing = (async () => {
    while (!signal.aborted) {
      await sleep(options.leaseSeconds * 300, undefined, { signal }).catch(() => undefined)
      if (!signal.aborted && !(await write(options, await find(options)))) lost.abort(new Error('the lease is another’s'))
    }
  })()
  await options.lead(signal)
  lost.abort()
  await renewing
}

async function find({ coordination, namespace, name }: ElectionOptions): Promise<k8s.V1Lease | undefined> {
  try {
    return await coordination.readNamespacedLease({ namespace, name })
  } catch (error) {
    if ((error as k8s.ApiException<unknown>).code === 404) return undefined
    throw error
  }
}

/** Takes or keeps the lease as it was read; false when somebody else was faster. */
async function write(
  { coordination, namespace, name, identity, leaseSeconds }: ElectionOptions,
  lease: k8s.V1Lease | undefined,
): Promise<boolean> {
  const now = new k8s.V1MicroTime(Date.now())
  const isOurs = lease?.spec?.holderIdentity === identity
  const spec: k8s.V1LeaseSpec = {
    holderIdentity: identity,
    leaseDurationSeconds: leaseSeconds,
    renewTime: now,
    acquireTime: isOurs ? lease.spec!.acquireTime! : now,
    leaseTransitions: (lease?.spec?.leaseTransitions ?? 0) + (lease === undefined || isOurs ? 0 : 1),
  }
  try {
    if (lease === undefined) await coordination.createNamespacedLease({ namespace, body: { metadata: { name }, spec } })
    else await coordination.replaceNamespacedLease({ namespace, name, body: { ...lease, spec } })
    return true
  } catch (error) {
    if ((error as k8s.ApiException<unknown>).code === 409) return false
    throw error
  }
}
