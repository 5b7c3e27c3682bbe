// The node's heartbeat: a Lease in kube-node-lease, renewed every ten seconds (KEP-589).

import { isApiError } from '#api/errors'
import type { Lease as LeaseV1 } from '#api/generated/coordination-v1'
import { Lease } from '#api/kinds/coordination/lease'
import { type Clock, microTimestamp } from '#base/clock'
import type { Random } from '#base/random'
import type { Client } from '#client/client'
import type { Log } from '../deps.ts'

const namespace = 'kube-node-lease'
const durationSeconds = 40
const renewEveryMs = 10_000
const retryEveryMs = 1_000
const callTimeoutMs = 10_000

export interface LeaseDeps {
  readonly client: Client
  readonly clock: Clock
  readonly random: Random
  readonly log: Log
  readonly nodeName: string
  readonly nodeUid: string
  readonly signal: AbortSignal
}

/** Renews until the signal aborts. */
export async function keepLease(deps: LeaseDeps): Promise<void> {
  const { clock, random, signal } = deps
  let lease: LeaseV1 | undefined
  while (!signal.aborted) {
    let wait: number
    try {
      lease = await renew(deps, lease)
      wait = renewEveryMs * (1 - 0.04 * random())
    } catch (error) {
      if (signal.aborted) return
      // Read anew: somebody else has written, or it is gone.
      lease = undefined
      wait = isApiError(error, 'Conflict') ? 0 : retryEveryMs
      deps.log.debug('renewing the node lease failed', { error: String(error) })
    }
    await clock.sleep(wait, signal).catch(() => undefined)
  }
}

async function renew(deps: LeaseDeps, known: LeaseV1 | undefined): Promise<LeaseV1> {
  const { client, clock, nodeName, nodeUid } = deps
  const timeout = new AbortController()
  const timer = clock.after(callTimeoutMs, () => timeout.abort(new Error('timed out')), { background: true })
  const signal = AbortSignal.any([deps.signal, timeout.signal])
  const spec = { holderIdentity: nodeName, leaseDurationSeconds: durationSeconds, renewTime: microTimestamp(clock.now()) }
  const owner = { apiVersion: 'v1', kind: 'Node', name: nodeName, uid: nodeUid }
  try {
    const current = known ?? (await findLease(client, nodeName, signal))
    if (current === undefined) {
      return await client.create(Lease, { metadata: { name: nodeName, namespace, ownerReferences: [owner] }, spec }, { signal })
    }
    return await client.update(Lease, { ...current, spec: { ...current.spec, ...spec } }, { signal })
  } finally {
    timer.cancel()
  }
}

async function findLease(client: Client, name: string, signal: AbortSignal): Promise<LeaseV1 | undefined> {
  try {
    return await client.get(Lease, { namespace, name }, { signal })
  } catch (error) {
    if (isApiError(error, 'NotFound')) return undefined
    throw error
  }
}
