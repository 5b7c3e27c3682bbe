// Node lifecycle: a node that falls silent is marked Unknown, bad conditions become taints, and pods that don't tolerate a
// NoExecute taint are evicted after their time (KEP-1402; grace 50 s as kube-controller-manager's node-monitor-grace-period).
// How fast that goes depends on how many nodes are down: see disruption.ts.

import type { NodeCondition, Node as NodeObject, Pod as PodObject, Taint } from '#api/generated/core-v1'
import { Lease } from '#api/kinds/coordination/lease'
import { Node } from '#api/kinds/core/node'
import { Pod } from '#api/kinds/core/pod'
import { keyText } from '#api/object'
import { isPodReady } from '#api/pods'
import {
  sameTaint,
  taintDiskPressure,
  taintMemoryPressure,
  taintNetworkUnavailable,
  taintNotReady,
  taintPidPressure,
  taintUnreachable,
  taintUnschedulable,
} from '#api/taints'
import { timestamp } from '#base/clock'
import { type Controller, defineController, type ReconcileContext } from '#client/controller'
import { watchKind } from '../watches.ts'
import { createDisruption, type Disruption } from './disruption.ts'
import { ignoreGone, podsOn } from './pods-on-node.ts'
import { createTaintEviction } from './taint-eviction.ts'

export interface NodeLifecycleOptions {
  /** Silence after which a node counts as gone. */
  readonly graceMs?: number
}

interface Heartbeat {
  /** What was last heard: lease renewal and condition heartbeats, as text. */
  readonly seen: string
  /** When, by our own monotonic clock: node clocks are not trusted. */
  readonly atMs: number
}

const nodeLeases = 'kube-node-lease'
// How often a node that may not lose its pods yet is looked at again (--node-monitor-period).
const lookAgainMs = 5_000
const owned = [
  taintNotReady,
  taintUnreachable,
  taintMemoryPressure,
  taintDiskPressure,
  taintPidPressure,
  taintNetworkUnavailable,
  taintUnschedulable,
]

/** Marks silent nodes, keeps the taints that conditions call for, evicts what does not tolerate them. */
export function createNodeLifecycleController({ graceMs = 50_000 }: NodeLifecycleOptions = {}): Controller {
  const heartbeats = new Map<string, Heartbeat>()
  const disruption = createDisruption()
  const evictions = createTaintEviction()
  // Nodes that were told of, by name: their uids.
  const told = new Map<string, string>()
  let counted = false
  return defineController({
    name: 'node-lifecycle-controller',
    component: 'node-controller',
    watches: [
      watchKind(Node),
      { kind: Lease, when: ({ metadata }) => metadata.namespace === nodeLeases, keysOf: ({ metadata }) => [metadata.name] },
      {
        kind: Pod,
        // A new node, or tolerations that were added.
        when: (pod, old) => old === undefined || pod.metadata.generation !== old.metadata.generation || nodeOf(pod) !== nodeOf(old),
        keysOf: (pod) => nodeNames(pod as PodObject),
      },
    ],
    async reconcile(name, context) {
      const { cache, clock } = context
      const node = cache.get(Node, name)
      tellOfNode(name, node, told, context)
      if (node === undefined) {
        heartbeats.delete(name)
        disruption.forget(name)
        evictions.forget(name)
        return
      }
      if (!counted) for (const other of cache.list(Node)) disruption.note(other, isReady(other))
      counted = true
      const beat = heard(node, cache.get(Lease, keyText(nodeLeases, name))?.spec.renewTime, heartbeats.get(name), clock.monotonic())
      heartbeats.set(name, beat)
      const silentMs = clock.monotonic() - beat.atMs
      const silent = silentMs >= graceMs
      const marked = silent ? await markSilent(node, context) : node
      const allWereDown = disruption.allAreDown()
      disruption.note(marked, isReady(marked))
      if (disruption.allAreDown() && !allWereDown) await spareAll(marked, disruption, context)
      const settled = await keepTaints(marked, disruption, context)
      if (!isReady(marked)) await markPodsNotReady(marked, context)
      const nextEvictionMs = await evictions.evict(marked, context)
      const untilSilentMs = silent ? undefined : graceMs - silentMs + 100
      const waits = [nextEvictionMs, untilSilentMs, settled ? undefined : lookAgainMs].filter((ms) => ms !== undefined)
      return waits.length > 0 ? Math.min(...waits) : undefined
    },
  })
}

/** Nodes that come and go are told of, once. */
function tellOfNode(name: string, node: NodeObject | undefined, told: Map<string, string>, { events }: ReconcileContext): void {
  const known = told.get(name)
  const uid = node?.metadata.uid
  if (known === uid) return
  const tell = (of: string, reason: string, what: string): void => {
    const about = { apiVersion: Node.apiVersion, kind: Node.kind, metadata: { name, uid: of } } as unknown as NodeObject
    events.record(about, 'Normal', reason, `Node ${name} event: ${what}`)
  }
  if (known !== undefined) tell(known, 'RemovingNode', `Removing Node ${name} from Controller`)
  if (uid === undefined) told.delete(name)
  else {
    told.set(name, uid)
    tell(uid, 'RegisteredNode', `Registered Node ${name} in Controller`)
  }
}

function nodeOf(pod: object): string | undefined {
  return (pod as PodObject).spec.nodeName
}

function nodeNames({ spec }: PodObject): string[] {
  return spec.nodeName ? [spec.nodeName] : []
}

function heard(node: NodeObject, renewTime: string | undefined, before: Heartbeat | undefined, nowMs: number): Heartbeat {
  const beats = (node.status.conditions ?? []).map(({ lastHeartbeatTime }) => lastHeartbeatTime).join()
  const seen = `${renewTime} ${beats}`
  return before?.seen === seen ? before : { seen, atMs: nowMs }
}

function conditionStatus(node: NodeObject, type: string): string | undefined {
  return node.status.conditions?.find((condition) => condition.type === type)?.status
}

function isReady(node: NodeObject): boolean {
  return conditionStatus(node, 'Ready') === 'True'
}

async function markSilent(node: NodeObject, { client, clock, events }: ReconcileContext): Promise<NodeObject> {
  const now = timestamp(clock.now())
  const types = ['Ready', 'MemoryPressure', 'DiskPressure', 'PIDPressure']
  const conditions: NodeCondition[] = (node.status.conditions ?? []).filter(({ type }) => !types.includes(type))
  for (const type of types) {
    const before = node.status.conditions?.find((condition) => condition.type === type)
    if (before?.status === 'Unknown') conditions.push(before)
    else if (before === undefined) {
      conditions.push({
        type,
        status: 'Unknown',
        reason: 'NodeStatusNeverUpdated',
        message: 'Kubelet never posted node status.',
        lastHeartbeatTime: node.metadata.creationTimestamp,
        lastTransitionTime: now,
      })
    } else {
      conditions.push({
        ...before,
        status: 'Unknown',
        reason: 'NodeStatusUnknown',
        message: 'Kubelet stopped posting node status.',
        lastTransitionTime: now,
      })
    }
  }
  if (types.every((type) => conditionStatus(node, type) === 'Unknown')) return node
  events.record(node, 'Normal', 'NodeNotReady', `Node ${node.metadata.name} status is now: NodeNotReady`)
  return client.updateStatus(Node, { ...node, status: { ...node.status, conditions } })
}

/** The taints that a node's conditions and spec call for (KEP-382). */
export function wantedTaints(node: NodeObject): Taint[] {
  const taints: Taint[] = []
  const ready = conditionStatus(node, 'Ready')
  if (ready === 'False') taints.push({ key: taintNotReady, effect: 'NoSchedule' }, { key: taintNotReady, effect: 'NoExecute' })
  else if (ready !== 'True') {
    // A node that has not reported yet is kept free; only one that fell silent loses its pods.
    if (ready === undefined) taints.push({ key: taintNotReady, effect: 'NoSchedule' })
    else taints.push({ key: taintUnreachable, effect: 'NoSchedule' }, { key: taintUnreachable, effect: 'NoExecute' })
  }
  const pressures: [string, string][] = [
    ['MemoryPressure', taintMemoryPressure],
    ['DiskPressure', taintDiskPressure],
    ['PIDPressure', taintPidPressure],
    ['NetworkUnavailable', taintNetworkUnavailable],
  ]
  for (const [type, key] of pressures) if (conditionStatus(node, type) === 'True') taints.push({ key, effect: 'NoSchedule' })
  if (node.spec.unschedulable) taints.push({ key: taintUnschedulable, effect: 'NoSchedule' })
  return taints
}

/** Says whether the node has all the taints that its state calls for: those that take its pods away may have to wait. */
async function keepTaints(node: NodeObject, disruption: Disruption, { client, clock }: ReconcileContext): Promise<boolean> {
  const called = wantedTaints(node)
  const current = node.spec.taints ?? []
  const mayTakePods =
    !disruption.allAreDown() && (!called.some(takesPods) || current.some(takesPods) || disruption.admit(node, clock.monotonic()))
  const wanted = mayTakePods ? called : called.filter((taint) => !takesPods(taint))
  const settled = wanted.length === called.length
  const kept = current.filter((taint) => !owned.includes(taint.key) || wanted.some((other) => sameTaint(other, taint)))
  const added = wanted.filter((taint) => !current.some((other) => sameTaint(other, taint)))
  if (kept.length === current.length && added.length === 0) return settled
  const now = timestamp(clock.now())
  const taints = [...kept, ...added.map((taint) => ({ ...taint, timeAdded: now }))]
  // The version is part of the patch: taints are a list that others write too.
  const patch = { metadata: { resourceVersion: node.metadata.resourceVersion }, spec: { taints: taints.length > 0 ? taints : null } }
  await client.patch(Node, { namespace: '', name: node.metadata.name }, 'merge', patch)
  return settled
}

function takesPods({ key, effect }: Taint): boolean {
  return effect === 'NoExecute' && (key === taintNotReady || key === taintUnreachable)
}

/** The last node went down: those that went before get their pods back. */
async function spareAll(last: NodeObject, disruption: Disruption, context: ReconcileContext): Promise<void> {
  for (const node of context.cache.list(Node)) {
    if (node.metadata.name === last.metadata.name || !(node.spec.taints ?? []).some(takesPods)) continue
    await keepTaints(node, disruption, context).catch(ignoreGone)
  }
}

/** Pods of a node that is not Ready leave their services at once, though nobody on the node says so. */
async function markPodsNotReady(node: NodeObject, { cache, client, clock, events }: ReconcileContext): Promise<void> {
  if (conditionStatus(node, 'Ready') !== 'Unknown') return
  for (const pod of podsOn(node, cache)) {
    if (!isPodReady(pod)) continue
    const conditions = (pod.status.conditions ?? []).map((condition) =>
      condition.type === 'Ready' ? { ...condition, status: 'False', lastTransitionTime: timestamp(clock.now()) } : condition,
    )
    await client.updateStatus(Pod, { ...pod, status: { ...pod.status, conditions } }).catch(ignoreGone)
    events.record(pod, 'Warning', 'NodeNotReady', 'Node is not ready')
  }
}
