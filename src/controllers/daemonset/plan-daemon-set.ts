// What a DaemonSet should do now: on which nodes pods are missing or too many, which to replace in a rollout, what to say. Pure.
import type { DaemonSet as DaemonSetObject, DaemonSetStatus } from '#api/generated/apps-v1'
import type { Node as NodeObject, Pod as PodObject } from '#api/generated/core-v1'
import { isPodReady, isPodTerminal, podAvailableInMs } from '#api/pods'
import { scaledValue } from '../deployment/rolling-update.ts'
import { revisionHashLabel } from '../revisions.ts'
import { nodeOfDaemon, placementOf } from './placement.ts'

const burst = 250

export interface DaemonSetInput {
  readonly set: DaemonSetObject
  readonly nodes: readonly NodeObject[]
  readonly pods: readonly PodObject[]
  /** Of the present template. */
  readonly hash: string
  readonly nowMs: number
}

export interface DaemonSetPlan {
  /** Names of nodes that get a pod. */
  readonly create: readonly string[]
  readonly remove: readonly PodObject[]
  /** Pods among `remove` that ended by themselves. */
  readonly ended: readonly { readonly pod: PodObject; readonly node: string }[]
  readonly status: DaemonSetStatus
  readonly lookAgainAfterMs: number | undefined
}

interface Daemons {
  readonly node: string
  readonly run: boolean
  readonly stay: boolean
  readonly pods: readonly PodObject[]
}

export function planDaemonSet(input: DaemonSetInput): DaemonSetPlan {
  const { set, pods, nowMs } = input
  const minReadySeconds = set.spec.minReadySeconds ?? 0
  const isAvailable = (pod: PodObject): boolean => podAvailableInMs(pod, minReadySeconds, nowMs) === 0
  const all = daemonsByNode(input)
  const wanted = all.filter(({ run }) => run).length
  const surge = surgeOf(set, wanted)
  const create: string[] = []
  const remove = new Set<PodObject>()
  const ended: { pod: PodObject; node: string }[] = []
  if (set.metadata.deletionTimestamp === undefined) {
    for (const daemons of all) settle(daemons, { surge, isAvailable, hash: input.hash }, create, remove, ended)
    for (const pod of strayPods(input)) remove.add(pod)
    if (set.spec.updateStrategy.type === 'RollingUpdate') roll(input, all, { wanted, surge, isAvailable }, create, remove)
  }
  const waits = pods.map((pod) => podAvailableInMs(pod, minReadySeconds, nowMs)).filter((ms): ms is number => ms !== undefined && ms > 0)
  return {
    create: create.slice(0, burst),
    remove: [...remove].slice(0, burst),
    ended,
    status: countStatus(input, all, isAvailable),
    lookAgainAfterMs: waits.length > 0 ? Math.min(...waits) : undefined,
  }
}

function daemonsByNode({ set, nodes, pods }: DaemonSetInput): Daemons[] {
  const byNode = new Map<string, PodObject[]>()
  for (const pod of pods) {
    const node = nodeOfDaemon(pod)
    if (node === undefined) continue
    const there = byNode.get(node)
    if (there === undefined) byNode.set(node, [pod])
    else there.push(pod)
  }
  const placement = placementOf(set)
  return nodes.map((node) => {
    const { name } = node.metadata
    return { node: name, ...placement(node), pods: (byNode.get(name) ?? []).sort(oldestFirst) }
  })
}

function oldestFirst(a: PodObject, b: PodObject): number {
  if (a.metadata.creationTimestamp !== b.metadata.creationTimestamp)
    return a.metadata.creationTimestamp < b.metadata.creationTimestamp ? -1 : 1
  return a.metadata.name < b.metadata.name ? -1 : 1
}

/** Pods meant for nodes that are no more, and still without one: nobody would ever place them. */
function strayPods({ nodes, pods }: DaemonSetInput): PodObject[] {
  const known = new Set(nodes.map(({ metadata }) => metadata.name))
  return pods.filter((pod) => !pod.spec.nodeName && pod.metadata.deletionTimestamp === undefined && !known.has(nodeOfDaemon(pod) ?? ''))
}

interface Rules {
  readonly surge: number
  readonly hash: string
  readonly isAvailable: (pod: PodObject) => boolean
}

/** One pod on each node that should have one, none where it may not stay. */
function settle(
  { node, run, stay, pods }: Daemons,
  rules: Rules,
  create: string[],
  remove: Set<PodObject>,
  ended: { pod: PodObject; node: string }[],
): void {
  const live = pods.filter(({ metadata }) => metadata.deletionTimestamp === undefined)
  if (!stay) {
    for (const pod of live) remove.add(pod)
    return
  }
  const running: PodObject[] = []
  for (const pod of live) {
    if (isPodTerminal(pod)) {
      remove.add(pod)
      ended.push({ pod, node })
    } else running.push(pod)
  }
  if (pods.length === 0) {
    if (run) create.push(node)
    return
  }
  if (rules.surge === 0) {
    for (const pod of running.slice(1)) remove.add(pod)
    return
  }
  // While surging, an old pod and its successor may stand side by side, until the successor is available.
  const isOld = (pod: PodObject): boolean => pod.metadata.labels?.[revisionHashLabel] !== rules.hash
  const [old, ...olderSurplus] = running.filter(isOld)
  const [fresh, ...freshSurplus] = running.filter((pod) => !isOld(pod))
  for (const pod of [...olderSurplus, ...freshSurplus]) remove.add(pod)
  if (old !== undefined && fresh !== undefined && rules.isAvailable(fresh)) remove.add(old)
}

function surgeOf({ spec }: DaemonSetObject, wanted: number): number {
  const { type, rollingUpdate } = spec.updateStrategy
  return type === 'RollingUpdate' ? scaledValue(rollingUpdate?.maxSurge ?? 0, wanted, 'up') : 0
}

/** Old pods are removed while enough others are available; with a surge, successors are made beside them. */
function roll(
  { set, hash }: DaemonSetInput,
  all: readonly Daemons[],
  { wanted, surge, isAvailable }: { wanted: number; surge: number; isAvailable: (pod: PodObject) => boolean },
  create: string[],
  remove: Set<PodObject>,
): void {
  const maxUnavailable = scaledValue(set.spec.updateStrategy.rollingUpdate?.maxUnavailable ?? 1, wanted, 'up')
  const isLive = (pod: PodObject): boolean => pod.metadata.deletionTimestamp === undefined && !isPodTerminal(pod)
  const isOld = (pod: PodObject): boolean => pod.metadata.labels?.[revisionHashLabel] !== hash
  const candidates: { node: string; pod: PodObject }[] = []
  const broken: { node: string; pod: PodObject }[] = []
  let unavailable = 0
  let surging = 0
  for (const { node, run, pods } of all) {
    if (!run) continue
    const live = pods.filter((pod) => isLive(pod) && !remove.has(pod))
    const old = live.find(isOld)
    const fresh = live.find((pod) => !isOld(pod))
    if (surge > 0) {
      if (old === undefined) continue
      if (fresh !== undefined) surging++
      else if (!isAvailable(old)) broken.push({ node, pod: old })
      else candidates.push({ node, pod: old })
    } else if (old !== undefined && !isAvailable(old)) {
      broken.push({ node, pod: old })
      unavailable++
    } else if (old !== undefined) candidates.push({ node, pod: old })
    else if (fresh === undefined || !isAvailable(fresh)) unavailable++
  }
  if (surge > 0) {
    // What does not work anyway needs no successor beside it first.
    for (const { pod } of broken) remove.add(pod)
    for (const { node } of candidates.slice(0, Math.max(0, surge - surging))) create.push(node)
    return
  }
  for (const { pod } of broken) remove.add(pod)
  for (const { pod } of candidates.slice(0, Math.max(0, maxUnavailable - unavailable))) remove.add(pod)
}

function countStatus({ set, hash }: DaemonSetInput, all: readonly Daemons[], isAvailable: (pod: PodObject) => boolean): DaemonSetStatus {
  let desired = 0
  let current = 0
  let misscheduled = 0
  let ready = 0
  let updated = 0
  let available = 0
  for (const { run, pods } of all) {
    if (!run) {
      if (pods.length > 0) misscheduled++
      continue
    }
    desired++
    if (pods.length === 0) continue
    current++
    const working = pods.find(isPodReady)
    if (working !== undefined) ready++
    if (pods.some(isAvailable)) available++
    if (pods.at(-1)?.metadata.labels?.[revisionHashLabel] === hash) updated++
  }
  const { collisionCount, conditions } = set.status
  return {
    currentNumberScheduled: current,
    numberMisscheduled: misscheduled,
    desiredNumberScheduled: desired,
    numberReady: ready,
    observedGeneration: set.metadata.generation ?? 0,
    updatedNumberScheduled: updated,
    numberAvailable: available,
    numberUnavailable: desired - available,
    ...(collisionCount === undefined ? {} : { collisionCount }),
    ...(conditions === undefined ? {} : { conditions }),
  }
}
