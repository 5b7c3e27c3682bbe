// Pods that wait for a node: ready ones by priority, failed ones until their backoff is over and something has changed that
// could help them (KEP-4247, in the grain of plugins).
import { backoffMs } from '#base/backoff'
import type { Clock, Timer } from '#base/clock'
import { Heap } from '#base/heap'
import type { PodInfo } from './node-info.ts'
import type { ClusterChange, SchedulerPlugin } from './plugin.ts'

export interface QueuedPod {
  info: PodInfo
  readonly uid: string
  attempts: number
  /** Order among equals. */
  readonly order: number
  /** Plugins that rejected it last. */
  rejectedBy: ReadonlySet<string>
  /** Monotonic time of the last attempt's end. */
  triedAtMs: number
  /** When it is tried again in any case. */
  retry: { readonly atMs: number; readonly timer: Timer } | undefined
}

const backoff = { initialMs: 1_000, maxMs: 10_000 }
// A pod is tried again after this long in any case.
const unschedulableMsMax = 300_000

export class SchedulingQueue {
  readonly #clock: Clock
  readonly #plugins: ReadonlyMap<string, SchedulerPlugin>
  readonly #active = new Heap<QueuedPod>((a, b) => priorityOf(a) > priorityOf(b) || (priorityOf(a) === priorityOf(b) && a.order < b.order))
  readonly #waiting = new Map<string, QueuedPod>()
  readonly #known = new Map<string, QueuedPod>()
  readonly #changesDuring = new Map<string, Set<ClusterChange>>()
  #order = 0
  #taker: ((pod: QueuedPod | undefined) => void) | undefined
  #closed = false

  constructor(clock: Clock, plugins: readonly SchedulerPlugin[]) {
    this.#clock = clock
    this.#plugins = new Map(plugins.map((plugin) => [plugin.name, plugin]))
  }

  get length(): number {
    return this.#known.size
  }

  /** A pod to be scheduled, new or changed. A changed one that waits is tried again at once. */
  set(info: PodInfo): void {
    const { uid } = info.pod.metadata
    const known = this.#known.get(uid)
    if (known === undefined) {
      const pod: QueuedPod = { info, uid, attempts: 0, order: this.#order++, rejectedBy: new Set(), triedAtMs: 0, retry: undefined }
      this.#known.set(uid, pod)
      this.#activate(pod)
      return
    }
    const wasActive = this.#active.remove(known)
    known.info = info
    if (wasActive || this.#waiting.has(uid)) this.#activate(known)
  }

  /** Scheduled, deleted, or no longer ours. */
  remove(uid: string): void {
    const known = this.#known.get(uid)
    if (known === undefined) return
    this.#known.delete(uid)
    this.#waiting.delete(uid)
    known.retry?.timer.cancel()
    this.#changesDuring.delete(uid)
    this.#active.remove(known)
  }

  /** The next pod; undefined when the queue is closed. */
  take(): Promise<QueuedPod | undefined> {
    const next = this.#active.pop()
    if (next !== undefined) {
      this.#changesDuring.set(next.uid, new Set())
      return Promise.resolve(next)
    }
    if (this.#closed) return Promise.resolve(undefined)
    return new Promise((resolve) => {
      this.#taker = resolve
    })
  }

  /** The attempt failed: the pod waits until a change that could help, or for a backoff when one has come meanwhile. */
  failed(pod: QueuedPod, rejectedBy: ReadonlySet<string>): void {
    if (this.#known.get(pod.uid) !== pod) return
    pod.attempts++
    pod.rejectedBy = rejectedBy
    pod.triedAtMs = this.#clock.monotonic()
    this.#waiting.set(pod.uid, pod)
    const missed = this.#changesDuring.get(pod.uid) ?? new Set()
    this.#changesDuring.delete(pod.uid)
    if (rejectedBy.size === 0 || [...missed].some((change) => this.#couldHelp(pod, change))) this.#retryAfterBackoff(pod)
    else this.#retryAfter(pod, unschedulableMsMax)
  }

  /** Something changed in the cluster. */
  note(change: ClusterChange): void {
    for (const changes of this.#changesDuring.values()) changes.add(change)
    for (const pod of this.#waiting.values()) if (this.#couldHelp(pod, change)) this.#retryAfterBackoff(pod)
  }

  close(): void {
    this.#closed = true
    for (const { retry } of this.#known.values()) retry?.timer.cancel()
    this.#taker?.(undefined)
    this.#taker = undefined
  }

  #couldHelp(pod: QueuedPod, change: ClusterChange): boolean {
    for (const name of pod.rejectedBy) if (this.#plugins.get(name)?.wakesOn?.includes(change) ?? true) return true
    return false
  }

  #retryAfterBackoff(pod: QueuedPod): void {
    const leftMs = pod.triedAtMs + backoffMs(pod.attempts, backoff) - this.#clock.monotonic()
    if (leftMs <= 0) this.#activate(pod)
    else this.#retryAfter(pod, leftMs)
  }

  #retryAfter(pod: QueuedPod, ms: number): void {
    const atMs = this.#clock.monotonic() + ms
    if (pod.retry !== undefined && pod.retry.atMs <= atMs) return
    pod.retry?.timer.cancel()
    const timer = this.#clock.after(
      ms,
      () => {
        pod.retry = undefined
        if (!this.#closed && this.#waiting.get(pod.uid) === pod) this.#activate(pod)
      },
      { background: true },
    )
    pod.retry = { atMs, timer }
  }

  #activate(pod: QueuedPod): void {
    this.#waiting.delete(pod.uid)
    pod.retry?.timer.cancel()
    pod.retry = undefined
    const taker = this.#taker
    if (taker === undefined) {
      this.#active.push(pod)
      return
    }
    this.#taker = undefined
    this.#changesDuring.set(pod.uid, new Set())
    taker(pod)
  }
}

function priorityOf({ info }: QueuedPod): number {
  return info.pod.spec.priority ?? 0
}
