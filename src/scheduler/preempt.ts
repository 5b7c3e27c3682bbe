// Preemption (KEP-563): when a pod fits nowhere, which less important pods would have to go, and on which node that hurts
// least. Pure.
import type { Pod } from '#api/generated/core-v1'
import type { PodDisruptionBudget } from '#api/generated/policy-v1'
import { labelMatcher } from '#api/label-selectors'
import { filtersFor, type NodeRejection, rejectionOf } from './decide.ts'
import { type NodeInfo, type PodInfo, withoutPods, withPod } from './node-info.ts'
import type { SchedulerPlugin, Snapshot } from './plugin.ts'
import { snapshotWith } from './snapshot.ts'

export interface Preemption {
  readonly node: NodeInfo
  readonly victims: readonly PodInfo[]
  readonly budgetViolations: number
}

export interface PreemptInput {
  readonly pod: PodInfo
  readonly snapshot: Snapshot
  readonly plugins: readonly SchedulerPlugin[]
  /** Of each node, in the order of the snapshot. */
  readonly rejections: readonly NodeRejection[]
  readonly budgets: readonly PodDisruptionBudget[]
}

// Enough to choose from; each candidate costs a dry run of the filters.
const candidatesMax = 100

function priority({ pod }: PodInfo): number {
  return pod.spec.priority ?? 0
}

/** The least harmful preemption, or the text that FailedScheduling adds when there is none. */
export function planPreemption(input: PreemptInput): Preemption | string {
  const { pod, snapshot, rejections } = input
  const total = snapshot.nodes.length
  const none = (reason: string, count = total): string => `preemption: 0/${total} nodes are available: ${count} ${reason}.`
  if (pod.pod.spec.preemptionPolicy === 'Never') return `preemption: not eligible due to preemptionPolicy=Never.`
  const helpful: number[] = []
  for (const [place, { rejection }] of rejections.entries()) if (rejection.resolvable) helpful.push(place)
  const fits = fitCheck(input)
  const candidates: Preemption[] = []
  for (const place of helpful) {
    if (candidates.length >= candidatesMax) break
    const candidate = victimsOn(place, input, fits)
    if (candidate !== undefined) candidates.push(candidate)
  }
  if (candidates.length === 0) {
    const useless = total - helpful.length
    const parts = [
      ...(helpful.length > 0 ? [`${helpful.length} No preemption victims found for incoming pod`] : []),
      ...(useless > 0 ? [`${useless} Preemption is not helpful for scheduling`] : []),
    ].sort()
    return total === 0
      ? none('Preemption is not helpful for scheduling')
      : `preemption: 0/${total} nodes are available: ${parts.join(', ')}.`
  }
  return candidates.reduce((a, b) => (hurtsLess(b, a) ? b : a))
}

/** Whether the pod fits on a node as it would be. What looks at that node alone is prepared once for all of them. */
function fitCheck({ pod, snapshot, plugins }: PreemptInput): (place: number, changed: NodeInfo) => boolean {
  const own = filtersFor(
    pod,
    snapshot,
    plugins.filter(({ readsCluster }) => !readsCluster),
  )
  // Of those that look around, only the ones that object to anything now can object when pods have left.
  const around = plugins.filter(({ readsCluster, filter }) => readsCluster && filter?.(pod, snapshot) !== undefined)
  return (place, changed) => {
    if (rejectionOf(own, changed) !== undefined) return false
    return around.length === 0 || rejectionOf(filtersFor(pod, snapshotWith(snapshot, place, changed), around), changed) === undefined
  }
}

/** The fewest pods to remove from this node so that the pod fits: all less important ones go, then as many as can come back. */
function victimsOn(place: number, { pod, snapshot, budgets }: PreemptInput, fitsAt: ReturnType<typeof fitCheck>): Preemption | undefined {
  const node = snapshot.nodes[place] as NodeInfo
  const lower = node.pods.filter((other) => priority(other) < priority(pod))
  if (lower.length === 0) return undefined
  const fits = (changed: NodeInfo): boolean => fitsAt(place, changed)
  let left = withoutPods(node, new Set(lower))
  if (!fits(left)) return undefined
  const allowed = new Map(budgets.map((budget) => [budget, budget.status.disruptionsAllowed ?? 0]))
  const violates = new Map<PodInfo, boolean>()
  for (const other of [...lower].sort(moreImportantFirst)) violates.set(other, usesUpBudget(other.pod, allowed))
  const victims: PodInfo[] = []
  let budgetViolations = 0
  // Those whose loss would break a budget are the first to be let back.
  const order = [...lower].sort((a, b) => Number(violates.get(b)) - Number(violates.get(a)) || moreImportantFirst(a, b))
  for (const other of order) {
    const back = withPod(left, other)
    if (fits(back)) left = back
    else {
      victims.push(other)
      if (violates.get(other)) budgetViolations++
    }
  }
  return victims.length === 0 ? undefined : { node, victims: victims.sort(moreImportantFirst), budgetViolations }
}

function usesUpBudget(pod: Pod, allowed: Map<PodDisruptionBudget, number>): boolean {
  let violated = false
  for (const [budget, count] of allowed) {
    const { selector } = budget.spec
    if (budget.metadata.namespace !== pod.metadata.namespace || selector === undefined || !labelMatcher(selector)(pod.metadata.labels))
      continue
    allowed.set(budget, count - 1)
    if (count - 1 < 0) violated = true
  }
  return violated
}

function startTime({ pod }: PodInfo): number {
  return Date.parse(pod.status.startTime ?? pod.metadata.creationTimestamp)
}

function moreImportantFirst(a: PodInfo, b: PodInfo): number {
  return priority(b) - priority(a) || startTime(a) - startTime(b)
}

/** Kubernetes' order: budgets broken, the highest victim's priority, their sum, their number, then the younger victims. */
function hurtsLess(a: Preemption, b: Preemption): boolean {
  const top = ({ victims: [first] }: Preemption): number => (first === undefined ? 0 : priority(first))
  const sum = ({ victims }: Preemption): number => victims.reduce((total, victim) => total + priority(victim) + 2 ** 31, 0)
  const keys: ((preemption: Preemption) => number)[] = [
    ({ budgetViolations }) => budgetViolations,
    top,
    sum,
    ({ victims }) => victims.length,
    ({ victims }) => -Math.min(...victims.filter((victim) => priority(victim) === priority(victims[0] as PodInfo)).map(startTime)),
  ]
  for (const key of keys) if (key(a) !== key(b)) return key(a) < key(b)
  return false
}
