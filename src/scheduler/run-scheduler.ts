// The scheduler: takes one pod after the other from the queue, decides on a snapshot, assumes the decision and binds in the
// background, so that the next decision does not wait for the API server.

import { isApiError } from '#api/errors'
import type { Pod as PodObject } from '#api/generated/core-v1'
import type { Kind } from '#api/kind'
import { Namespace } from '#api/kinds/core/namespace'
import { Node } from '#api/kinds/core/node'
import { PersistentVolume } from '#api/kinds/core/persistent-volume'
import { PersistentVolumeClaim } from '#api/kinds/core/persistent-volume-claim'
import { Pod } from '#api/kinds/core/pod'
import { PodDisruptionBudget } from '#api/kinds/policy/pod-disruption-budget'
import { StorageClass } from '#api/kinds/storage/storage-class'
import { findPodCondition, isPodTerminal, setPodCondition } from '#api/pods'
import type { Clock } from '#base/clock'
import type { Random } from '#base/random'
import type { Client } from '#client/client'
import type { Cache } from '#client/controller'
import type { EventRecorder } from '#client/events'
import { ClusterState } from './cluster-state.ts'
import { type Decision, decide, explain } from './decide.ts'
import { type PodInfo, podInfo } from './node-info.ts'
import type { Reservation, SchedulerPlugin } from './plugin.ts'
import { defaultPlugins } from './plugins/all.ts'
import { type Preemption, planPreemption } from './preempt.ts'
import { type QueuedPod, SchedulingQueue } from './scheduling-queue.ts'
import { StorageView } from './volumes/storage-view.ts'

export interface SchedulerDeps {
  readonly cache: Cache
  readonly client: Client
  readonly clock: Clock
  readonly random: Random
  readonly events: EventRecorder
  readonly signal: AbortSignal
  /** Which pods are ours: `spec.schedulerName`. */
  readonly schedulerName?: string
  readonly plugins?: readonly SchedulerPlugin[]
  /** Binds under way at once. */
  readonly bindsMax?: number
  readonly onError?: (pod: string, error: unknown) => void
}

const defaultBindsMax = 64
const storageKinds = [PersistentVolumeClaim, PersistentVolume, StorageClass] as const

/** Runs until the signal aborts. */
export async function runScheduler(deps: SchedulerDeps): Promise<void> {
  const { cache, clock, signal } = deps
  const onClaims = (): void => queue.note('storageChanged')
  const plugins = deps.plugins ?? defaultPlugins({ ...deps, view: new StorageView(cache), onClaims })
  const state = new ClusterState((name) => cache.get(Namespace, name))
  const queue = new SchedulingQueue(clock, plugins)
  const kinds: readonly Kind[] = [Pod, Node, Namespace, PodDisruptionBudget, ...storageKinds]
  await Promise.all(kinds.map((kind) => cache.informer(kind).untilSynced(signal)))
  const stops = followCluster(deps, state, queue, plugins)
  signal.addEventListener('abort', () => queue.close(), { once: true })
  if (signal.aborted) queue.close()
  const binds = new Set<Promise<void>>()
  const cycle = new Cycle(deps, state, queue, plugins)
  for (let next = await queue.take(); next !== undefined; next = await queue.take()) {
    const binding = cycle.schedule(next)
    if (binding === undefined) continue
    binds.add(binding)
    void binding.finally(() => binds.delete(binding))
    if (binds.size >= (deps.bindsMax ?? defaultBindsMax)) await Promise.race(binds)
  }
  for (const stop of stops) stop()
  await Promise.allSettled([...binds, ...cycle.waiting])
}

function followCluster(
  deps: SchedulerDeps,
  state: ClusterState,
  queue: SchedulingQueue,
  plugins: readonly SchedulerPlugin[],
): (() => void)[] {
  const { cache } = deps
  const name = deps.schedulerName ?? 'default-scheduler'
  const isWaiting = (pod: PodObject): boolean =>
    !pod.spec.nodeName && pod.spec.schedulerName === name && pod.metadata.deletionTimestamp === undefined && !isPodTerminal(pod)
  const nodes = cache.informer(Node).subscribe(({ type, object }) => {
    if (type === 'deleted') state.removeNode(object.metadata.name)
    else {
      state.setNode(object)
      queue.note(type === 'added' ? 'nodeAdded' : 'nodeChanged')
    }
  })
  const pods = cache.informer(Pod).subscribe(({ type, object, old }) => {
    const { uid } = object.metadata
    if (type === 'deleted') {
      queue.remove(uid)
      state.removePod(uid)
      if (object.spec.nodeName) queue.note('podRemoved')
      return
    }
    state.setPod(object)
    if (isWaiting(object)) {
      const info = podInfo(object)
      const gated = plugins.some(({ preEnqueue }) => preEnqueue?.(info) !== undefined)
      // Our own status writes must not set a pod that was found unschedulable going again.
      const relevant =
        old === undefined ||
        old.metadata.generation !== object.metadata.generation ||
        JSON.stringify(old.metadata.labels) !== JSON.stringify(object.metadata.labels)
      if (gated) queue.remove(uid)
      else if (relevant) queue.set(info)
      return
    }
    queue.remove(uid)
    if (isPodTerminal(object) && old !== undefined && !isPodTerminal(old)) queue.note('podRemoved')
    else if (object.spec.nodeName && !old?.spec.nodeName) queue.note('podAdded')
    else if (object.spec.nodeName && old?.metadata.generation !== object.metadata.generation) queue.note('podChanged')
  })
  const namespaces = cache.informer(Namespace).subscribe(() => queue.note('namespaceChanged'), { replay: false })
  const storage = storageKinds.map((kind: Kind) => cache.informer(kind).subscribe(() => queue.note('storageChanged'), { replay: false }))
  return [nodes, pods, namespaces, ...storage]
}

/** The scheduling cycle of one pod after the other. */
class Cycle {
  readonly #deps: SchedulerDeps
  readonly #state: ClusterState
  readonly #queue: SchedulingQueue
  readonly #plugins: readonly SchedulerPlugin[]
  #startAt = 0
  /** Pods that have a node and wait for what was reserved for them, which may take minutes. */
  readonly waiting = new Set<Promise<void>>()

  constructor(deps: SchedulerDeps, state: ClusterState, queue: SchedulingQueue, plugins: readonly SchedulerPlugin[]) {
    this.#deps = deps
    this.#state = state
    this.#queue = queue
    this.#plugins = plugins
  }

  /** Decides at once; what remains to be sent (the binding, or the news that there is none) goes on in the background. */
  schedule(queued: QueuedPod): Promise<void> | undefined {
    const { info } = queued
    const snapshot = this.#state.snapshot()
    const { decision, examined } = decide({
      pod: info,
      snapshot,
      plugins: this.#plugins,
      random: this.#deps.random,
      startAt: this.#startAt,
      nominatedOn: (node) => this.#state.nominatedOn(node, info.pod.spec.priority ?? 0, queued.uid),
    })
    if (snapshot.nodes.length > 0) this.#startAt = (this.#startAt + examined) % snapshot.nodes.length
    if (decision.outcome === 'none') return this.#reject(queued, decision)
    const node = decision.node.node.metadata.name
    this.#state.assume(info, node)
    const reservations: (Reservation & { readonly plugin: string })[] = []
    for (const { name, reserve } of this.#plugins) {
      const reservation = reserve?.(info, decision.node)
      if (reservation !== undefined) reservations.push({ ...reservation, plugin: name })
    }
    if (reservations.length === 0) return this.#bind(queued, node)
    const work = this.#commit(queued, node, reservations)
    this.waiting.add(work)
    void work.finally(() => this.waiting.delete(work))
    return undefined
  }

  async #commit(queued: QueuedPod, node: string, reservations: readonly (Reservation & { readonly plugin: string })[]): Promise<void> {
    const { events, signal } = this.#deps
    const { pod } = queued.info
    for (const { commit, plugin } of reservations) {
      try {
        await commit()
      } catch (error) {
        for (const { undo } of reservations) undo()
        this.#state.forget(queued.uid)
        if (signal.aborted) return
        const message = `running PreBind plugin ${JSON.stringify(plugin)}: ${(error as Error).message}`
        events.record(pod, 'Warning', 'FailedScheduling', message)
        this.#queue.failed(queued, new Set())
        return
      }
    }
    await this.#bind(queued, node)
  }

  async #bind(queued: QueuedPod, node: string): Promise<void> {
    const { client, events, onError } = this.#deps
    const { pod } = queued.info
    const { name, namespace = '', uid } = pod.metadata
    try {
      await client.createSubresource(Pod, { namespace, name }, 'binding', {
        apiVersion: 'v1',
        kind: 'Binding',
        metadata: { name, namespace, uid },
        target: { apiVersion: 'v1', kind: 'Node', name: node },
      })
      this.#queue.remove(uid)
      events.record(pod, 'Normal', 'Scheduled', `Successfully assigned ${namespace}/${name} to ${node}`)
    } catch (error) {
      this.#state.forget(uid)
      // Gone, or bound by somebody else: the watch tells what became of it.
      if (!isApiError(error, 'NotFound') && !isApiError(error, 'Conflict')) {
        onError?.(`${namespace}/${name}`, error)
        events.record(pod, 'Warning', 'FailedScheduling', (error as Error).message)
      }
      this.#queue.failed(queued, new Set())
    }
  }

  #reject(queued: QueuedPod, decision: Extract<Decision, { outcome: 'none' }>): Promise<void> {
    const snapshot = this.#state.snapshot()
    const budgets = this.#deps.cache.list(PodDisruptionBudget)
    const plan = planPreemption({ pod: queued.info, snapshot, plugins: this.#plugins, rejections: decision.rejections, budgets })
    const reasons = explain(decision.rejections, snapshot.nodes.length, decision.why)
    const message =
      typeof plan === 'string' && snapshot.nodes.length > 0 ? `${reasons} ${afterwards(queued.info, decision, plan)}` : reasons
    if (typeof plan !== 'string') this.#state.nominate(queued.info, plan.node.node.metadata.name)
    this.#queue.failed(queued, decision.plugins)
    return this.#tell(queued.info, message, typeof plan === 'string' ? undefined : plan)
  }

  /** Writes the pod's PodScheduled condition, its nominated node, and clears the way by deleting the victims. */
  async #tell({ pod }: PodInfo, message: string, preemption: Preemption | undefined): Promise<void> {
    const { client, clock, events, onError } = this.#deps
    const { name, namespace = '' } = pod.metadata
    try {
      events.record(pod, 'Warning', 'FailedScheduling', message)
      for (const victim of preemption?.victims ?? []) await this.#evict(victim.pod, pod, preemption?.node.node.metadata.name ?? '')
      const status = { conditions: [...(pod.status.conditions ?? [])] } as PodObject['status']
      setPodCondition(status, { type: 'PodScheduled', status: 'False', reason: 'Unschedulable', message }, clock.now())
      const nominated = preemption?.node.node.metadata.name
      const before = findPodCondition(pod.status, 'PodScheduled')
      if (before?.message === message && before.reason === 'Unschedulable' && nominated === undefined) return
      const patch = { status: { conditions: status.conditions, ...(nominated === undefined ? {} : { nominatedNodeName: nominated }) } }
      await client.patch(Pod, { namespace, name }, 'strategic', patch, { subresource: 'status' })
    } catch (error) {
      if (!isApiError(error, 'NotFound') && !isApiError(error, 'Conflict')) onError?.(`${namespace}/${name}`, error)
    }
  }

  async #evict(victim: PodObject, preemptor: PodObject, node: string): Promise<void> {
    const { client, clock, events } = this.#deps
    const { name, namespace = '', uid } = victim.metadata
    const status = { conditions: [...(victim.status.conditions ?? [])] } as PodObject['status']
    const message = `${preemptor.spec.schedulerName}: preempting to accommodate a higher priority pod`
    setPodCondition(status, { type: 'DisruptionTarget', status: 'True', reason: 'PreemptionByScheduler', message }, clock.now())
    try {
      await client.patch(
        Pod,
        { namespace, name },
        'strategic',
        { metadata: { uid }, status: { conditions: status.conditions } },
        { subresource: 'status' },
      )
      await client.delete(Pod, { namespace, name }, { preconditions: { uid } })
      events.record(victim, 'Normal', 'Preempted', `Preempted by pod ${preemptor.metadata.uid} on node ${node}`)
    } catch (error) {
      if (!isApiError(error, 'NotFound') && !isApiError(error, 'Conflict')) throw error
    }
  }
}

/**
 * What Kubernetes' later steps add to the reasons. Compat: claims to devices are spoken of for every pod, and where a step before
 * theirs has refused the pod, their step finds nothing of it, and says just that.
 */
function afterwards({ pod }: PodInfo, { why, plugins }: Extract<Decision, { outcome: 'none' }>, preemption: string): string {
  if (why !== undefined && !plugins.has('DynamicResources')) return 'not found'
  const hasClaims = why === undefined && (pod.spec.resourceClaims ?? []).length > 0
  return `${hasClaims ? 'still not schedulable' : 'no new claims to deallocate'}, ${preemption}`
}
