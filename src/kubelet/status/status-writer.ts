// The one writer of pod statuses on this node. It keeps the newest status of each pod, writes what differs from what the API
// has, one write at a time for each pod and a bounded number altogether, and keeps trying while the API is away.

import { isApiError } from '#api/errors'
import type { PodStatus, Pod as PodV1 } from '#api/generated/core-v1'
import { Pod } from '#api/kinds/core/pod'
import type { Clock, Timer } from '#base/clock'
import type { Client } from '#client/client'
import type { Log } from '../deps.ts'
import { same, statusPatch } from './status-patch.ts'

export interface StatusWriterDeps {
  readonly client: Client
  readonly clock: Clock
  readonly log: Log
  readonly signal: AbortSignal
  /** The uid under which the API knows the pod: its own, or its mirror's; undefined while the API does not have it. */
  readonly apiUid: (pod: PodV1) => string | undefined
}

const writesMax = 16
const retryMs = { first: 100, max: 5_000 } as const

interface Entry {
  readonly key: { readonly namespace: string; readonly name: string }
  readonly uid: string
  readonly pod: PodV1
  /** What we want the API to say. */
  wanted: PodStatus
  /** What the API says, as far as known. */
  stored: PodStatus
  queued: boolean
  writing: boolean
  retryMs: number
  retry: Timer | undefined
  /** The API has no such pod any more. */
  gone: boolean
  waiters: (() => void)[]
}

export interface StatusWriter {
  /** The newest status of this pod, written or not. */
  get(podUid: string): PodStatus | undefined
  /** Takes note of the status and sees to it that the API gets it. */
  set(pod: PodV1, status: PodStatus): void
  /** Resolves once everything noted has been written, or the pod is gone from the API. */
  flush(podUid: string): Promise<void>
  /** The API knows the pod by another uid now, or again: everything is written anew. */
  retarget(podUid: string): void
  /** Forgets the pod. */
  remove(podUid: string): void
}

export function createStatusWriter(deps: StatusWriterDeps): StatusWriter {
  const entries = new Map<string, Entry>()
  const queue: Entry[] = []
  let writing = 0

  function enqueue(entry: Entry): void {
    if (entry.queued || entry.writing || entry.gone) return
    entry.queued = true
    entry.retry?.cancel()
    entry.retry = undefined
    queue.push(entry)
    pump()
  }

  function pump(): void {
    while (writing < writesMax && !deps.signal.aborted) {
      const entry = queue.shift()
      if (entry === undefined) return
      entry.queued = false
      if (entries.get(entry.uid) !== entry) continue
      writing++
      void write(entry).finally(() => {
        writing--
        pump()
      })
    }
  }

  async function write(entry: Entry): Promise<void> {
    const wanted = entry.wanted
    const patch = statusPatch(entry.stored, wanted)
    const uid = deps.apiUid(entry.pod)
    if (patch === undefined || uid === undefined) return settle(entry)
    entry.writing = true
    try {
      const body = { metadata: { uid }, status: patch }
      const answer = await deps.client.patch(Pod, entry.key, 'strategic', body, { subresource: 'status', signal: deps.signal })
      entry.stored = answer?.status === undefined ? wanted : merged(wanted, answer.status)
      entry.retryMs = retryMs.first
    } catch (error) {
      if (isApiError(error, 'NotFound') || isApiError(error, 'Conflict') || isOfAnother(error)) entry.gone = true
      else if (isApiError(error) && error.code >= 400 && error.code < 500 && error.code !== 429) {
        deps.log.error('the API refused a pod status', { pod: `${entry.key.namespace}/${entry.key.name}`, error: error.message })
        // Trying the same again would be refused again; the next change is written whole.
        entry.stored = {}
        entry.wanted = entry.wanted === wanted ? { ...wanted } : entry.wanted
        return later(entry, 10_000)
      } else if (!deps.signal.aborted) return later(entry, nextRetry(entry))
    } finally {
      entry.writing = false
    }
    if (entry.wanted !== wanted && !entry.gone) enqueue(entry)
    else settle(entry)
  }

  /** What we wrote, with the server's word on what we did not. Our own fields count as stored as we wrote them. */
  function merged(wanted: PodStatus, answer: PodStatus): PodStatus {
    return { ...answer, ...wanted }
  }

  function nextRetry(entry: Entry): number {
    const wait = entry.retryMs
    entry.retryMs = Math.min(wait * 2, retryMs.max)
    return wait
  }

  function later(entry: Entry, ms: number): void {
    entry.retry?.cancel()
    entry.retry = deps.clock.after(ms, () => {
      entry.retry = undefined
      enqueue(entry)
    })
  }

  function settle(entry: Entry): void {
    for (const waiter of entry.waiters.splice(0)) waiter()
  }

  deps.signal.addEventListener('abort', () => {
    for (const entry of entries.values()) {
      entry.retry?.cancel()
      settle(entry)
    }
  })

  return {
    get: (podUid) => entries.get(podUid)?.wanted,
    set(pod, status) {
      let entry = entries.get(pod.metadata.uid)
      if (entry === undefined) {
        entry = {
          key: { namespace: pod.metadata.namespace ?? '', name: pod.metadata.name },
          uid: pod.metadata.uid,
          pod,
          wanted: pod.status ?? {},
          stored: pod.status ?? {},
          queued: false,
          writing: false,
          retryMs: retryMs.first,
          retry: undefined,
          gone: false,
          waiters: [],
        }
        entries.set(pod.metadata.uid, entry)
      }
      if (same(entry.wanted, status)) return
      entry.wanted = status
      enqueue(entry)
    },
    flush(podUid) {
      const entry = entries.get(podUid)
      const idle = entry === undefined || entry.gone || (!entry.queued && !entry.writing && entry.retry === undefined)
      if (idle || deps.signal.aborted) return Promise.resolve()
      return new Promise((resolve) => entry.waiters.push(resolve))
    },
    retarget(podUid) {
      const entry = entries.get(podUid)
      if (entry === undefined) return
      entry.stored = {}
      entry.gone = false
      enqueue(entry)
    },
    remove(podUid) {
      const entry = entries.get(podUid)
      if (entry === undefined) return
      entry.retry?.cancel()
      entry.gone = true
      settle(entry)
      entries.delete(podUid)
    },
  }
}

// The API refuses to change a uid: under this name stands another pod by now.
function isOfAnother(error: unknown): boolean {
  return isApiError(error, 'Invalid') && (error.status.details?.causes ?? []).some(({ field }) => field === 'metadata.uid')
}
