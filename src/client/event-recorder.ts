// The EventRecorder over a Client: core/v1 Events, with repeats counted on the first one and floods dropped.
import { isApiError } from '#api/errors'
import { Event } from '#api/kinds/core/event'
import type { KubeObject } from '#api/object'
import type { Clock } from '#base/clock'
import { timestamp } from '#base/clock'
import type { Random } from '#base/random'
import type { Client } from './client.ts'
import type { EventRecorder, EventSubject } from './events.ts'

export interface EventRecorderDeps {
  readonly client: Client
  readonly clock: Clock
  readonly random: Random
  /** Shown as the event's source, e.g. `kubelet`, `default-scheduler`, `deployment-controller`. */
  readonly component: string
  /** Node name, for node agents. */
  readonly host?: string
}

// client-go's spam filter: each object may have a burst of 25 events, refilled by one in five minutes.
const burst = 25
const refillMs = 300_000
// Repeats of an event are counted on it for this long.
const repeatMs = 600_000
const queueMax = 1_000
const rememberedMax = 4_096

interface Remembered {
  name: string
  count: number
  firstTimestamp: string
  lastAtMs: number
}

interface Allowance {
  left: number
  atMs: number
}

interface Pending {
  readonly subject: EventSubject
  readonly type: 'Normal' | 'Warning'
  readonly reason: string
  readonly message: string
  readonly atMs: number
}

/** A recorder that sends in the background, in order, one at a time. */
export function createEventRecorder({ client, clock, random, component, host }: EventRecorderDeps): EventRecorder {
  const remembered = new Map<string, Remembered>()
  const allowances = new Map<string, Allowance>()
  const queue: Pending[] = []
  let sending: Promise<void> | undefined
  let latest = { atMs: 0, order: 0 }

  // Compat: nanoseconds in hexadecimal, as client-go names events. What happens within a second has equal timestamps; kubectl shows it
  // in the order of the names. The last three digits are not known, and tell recorders apart.
  function nextSuffix(atMs: number): string {
    latest = { atMs, order: latest.atMs === atMs ? Math.min(latest.order + 1, 999) : 0 }
    return (BigInt(atMs) * 1_000_000n + BigInt(latest.order * 1_000 + Math.floor(random() * 1_000))).toString(16)
  }

  function allowed(uid: string): boolean {
    const now = clock.monotonic()
    const allowance = allowances.get(uid) ?? { left: burst, atMs: now }
    allowance.left = Math.min(burst, allowance.left + (now - allowance.atMs) / refillMs)
    allowance.atMs = now
    forgetOldest(allowances, uid)
    allowances.set(uid, allowance)
    if (allowance.left < 1) return false
    allowance.left--
    return true
  }

  async function drain(): Promise<void> {
    for (let next = queue.shift(); next !== undefined; next = queue.shift()) {
      await send(next).catch(() => {
        // Events are best effort: the cluster's state does not depend on them.
      })
    }
    sending = undefined
  }

  async function send(pending: Pending): Promise<void> {
    const { object, fieldPath } = pending.subject
    const identity = [object.metadata.uid, fieldPath, pending.type, pending.reason, pending.message].join('\n')
    const at = timestamp(pending.atMs)
    const before = remembered.get(identity)
    const namespace = object.metadata.namespace || 'default'
    if (before !== undefined && pending.atMs - before.lastAtMs < repeatMs) {
      try {
        before.count++
        before.lastAtMs = pending.atMs
        await client.patch(Event, { namespace, name: before.name }, 'strategic', { count: before.count, lastTimestamp: at })
        return
      } catch (error) {
        if (!isApiError(error, 'NotFound')) throw error
      }
    }
    const name = `${object.metadata.name}.${nextSuffix(pending.atMs)}`
    await client.create(Event, {
      metadata: { name, namespace },
      involvedObject: {
        kind: object.kind,
        apiVersion: object.apiVersion,
        name: object.metadata.name,
        ...(object.metadata.namespace ? { namespace: object.metadata.namespace } : {}),
        uid: object.metadata.uid,
        resourceVersion: object.metadata.resourceVersion,
        ...(fieldPath === '' ? {} : { fieldPath }),
      },
      type: pending.type,
      reason: pending.reason,
      message: pending.message.slice(0, 1_024),
      source: { component, ...(host === undefined ? {} : { host }) },
      reportingComponent: component,
      ...(host === undefined ? {} : { reportingInstance: host }),
      firstTimestamp: at,
      lastTimestamp: at,
      count: 1,
    })
    forgetOldest(remembered, identity)
    remembered.set(identity, { name, count: 1, firstTimestamp: at, lastAtMs: pending.atMs })
  }

  return {
    record(about, type, reason, message) {
      const subject: EventSubject = isSubject(about) ? about : { object: about, fieldPath: '' }
      if (queue.length >= queueMax || !allowed(subject.object.metadata.uid || subject.object.metadata.name)) return
      queue.push({ subject, type, reason, message, atMs: clock.now() })
      sending ??= drain()
    },
    async flush() {
      await sending
    },
  }
}

function isSubject(about: KubeObject | EventSubject): about is EventSubject {
  return 'fieldPath' in about
}

function forgetOldest<V>(map: Map<string, V>, key: string): void {
  map.delete(key)
  if (map.size < rememberedMax) return
  const oldest = map.keys().next().value
  if (oldest !== undefined) map.delete(oldest)
}
