// What a StatefulSet should do now: which pods to make or remove, one after the other or all at once, and what to say of itself. Pure.
import type { StatefulSet as StatefulSetObject, StatefulSetStatus } from '#api/generated/apps-v1'
import type { Pod as PodObject } from '#api/generated/core-v1'
import { isPodReady, isPodTerminal, podAvailableInMs } from '#api/pods'
import { scaledValue } from '../deployment/rolling-update.ts'
import { ordinalOf, revisionNameOf } from './identity.ts'

export interface StatefulSetInput {
  readonly set: StatefulSetObject
  readonly pods: readonly PodObject[]
  /** Names of the revisions that pods had before the rollout, and get by it. */
  readonly currentRevision: string
  readonly updateRevision: string
  readonly nowMs: number
}

export interface StatefulSetPlan {
  readonly create: readonly { readonly ordinal: number; readonly revision: 'current' | 'update' }[]
  readonly remove: readonly { readonly pod: PodObject; readonly why: 'ended' | 'scaled' | 'updated' }[]
  /** Ordinals whose claims must exist, those of present pods included. */
  readonly condemned: readonly PodObject[]
  readonly status: StatefulSetStatus
  readonly lookAgainAfterMs: number | undefined
}

interface Place {
  readonly ordinal: number
  readonly pod: PodObject | undefined
}

const isTerminating = (pod: PodObject): boolean => pod.metadata.deletionTimestamp !== undefined
const runsReady = (pod: PodObject): boolean => pod.status.phase === 'Running' && isPodReady(pod)

export function planStatefulSet(input: StatefulSetInput): StatefulSetPlan {
  const { set, pods, nowMs } = input
  const { places, condemned } = placesOf(set, pods)
  const minReadySeconds = set.spec.minReadySeconds ?? 0
  const isHealthy = (pod: PodObject): boolean =>
    runsReady(pod) && !isTerminating(pod) && podAvailableInMs(pod, minReadySeconds, nowMs) === 0
  const waits = pods.map((pod) => podAvailableInMs(pod, minReadySeconds, nowMs)).filter((ms): ms is number => ms !== undefined && ms > 0)
  const lookAgainAfterMs = waits.length > 0 ? Math.min(...waits) : undefined
  const counted = countStatus(input, isHealthy)
  const steps = set.metadata.deletionTimestamp === undefined ? nextSteps(input, places, condemned, isHealthy) : { create: [], remove: [] }
  return { ...steps, condemned, status: completed(set, counted, steps), lookAgainAfterMs }
}

function placesOf(set: StatefulSetObject, pods: readonly PodObject[]): { places: Place[]; condemned: PodObject[] } {
  const start = set.spec.ordinals?.start ?? 0
  const byOrdinal = new Map<number, PodObject>()
  for (const pod of pods) {
    const ordinal = ordinalOf(set, pod)
    if (ordinal !== undefined) byOrdinal.set(ordinal, pod)
  }
  const places = Array.from({ length: set.spec.replicas }, (_, i) => ({ ordinal: start + i, pod: byOrdinal.get(start + i) }))
  const condemned = [...byOrdinal].filter(([ordinal]) => ordinal < start || ordinal >= start + set.spec.replicas)
  return { places, condemned: condemned.sort(([a], [b]) => b - a).map(([, pod]) => pod) }
}

export type Steps = Pick<StatefulSetPlan, 'create' | 'remove'>

function nextSteps(
  input: StatefulSetInput,
  places: readonly Place[],
  condemned: readonly PodObject[],
  isHealthy: (pod: PodObject) => boolean,
): Steps {
  const { set } = input
  const ordered = set.spec.podManagementPolicy !== 'Parallel'
  const create: StatefulSetPlan['create'][number][] = []
  const remove: StatefulSetPlan['remove'][number][] = []
  const fill = (place: Place): void => void create.push({ ordinal: place.ordinal, revision: revisionFor(input, place.ordinal) })
  for (const place of places) {
    const { pod } = place
    if (pod === undefined) fill(place)
    else if (isPodTerminal(pod) && !isTerminating(pod)) remove.push({ pod, why: 'ended' })
    else if (!ordered || isHealthy(pod)) continue
    // One after the other: what is not healthy yet is waited for.
    if (ordered) return { create, remove }
  }
  const firstUnhealthy = [...places.flatMap(({ pod }) => pod ?? []), ...[...condemned].reverse()].find((pod) => !isHealthy(pod))
  for (const pod of condemned) {
    if (!isTerminating(pod) && (!ordered || isHealthy(pod) || pod === firstUnhealthy)) remove.push({ pod, why: 'scaled' })
    if (ordered) return { create, remove }
  }
  if (create.length > 0 || remove.length > 0) return { create, remove }
  return { create, remove: updates(input, places, isHealthy).map((pod) => ({ pod, why: 'updated' })) }
}

/** Old pods are made anew below the partition, and while the rollout has not come to their ordinal. */
function revisionFor({ set, currentRevision, updateRevision }: StatefulSetInput, ordinal: number): 'current' | 'update' {
  if (currentRevision === updateRevision || set.spec.updateStrategy.type === 'OnDelete') return 'update'
  const start = set.spec.ordinals?.start ?? 0
  const partition = set.spec.updateStrategy.rollingUpdate?.partition ?? 0
  const kept = partition > 0 ? partition : (set.status.currentReplicas ?? 0)
  return ordinal < start + kept ? 'current' : 'update'
}

/** Pods to replace by the present revision, from the highest ordinal down to the partition, as many as may be unavailable. */
function updates(input: StatefulSetInput, places: readonly Place[], isHealthy: (pod: PodObject) => boolean): PodObject[] {
  const { set, updateRevision } = input
  const { type, rollingUpdate } = set.spec.updateStrategy
  if (type === 'OnDelete') return []
  const partition = rollingUpdate?.partition ?? 0
  let budget = Math.max(1, scaledValue(rollingUpdate?.maxUnavailable ?? 1, set.spec.replicas, 'down'))
  const old: PodObject[] = []
  for (const { pod } of places.slice(Math.min(partition, places.length)).reverse()) {
    if (budget <= 0) break
    if (pod === undefined) continue
    const outdated = revisionNameOf(pod) !== updateRevision && !isTerminating(pod)
    if (outdated) old.push(pod)
    if (outdated || !isHealthy(pod)) budget--
  }
  return old
}

function countStatus(
  { set, pods, currentRevision, updateRevision }: StatefulSetInput,
  isHealthy: (pod: PodObject) => boolean,
): StatefulSetStatus {
  const count = (which: (pod: PodObject) => boolean): number => pods.filter(which).length
  const isLive = (pod: PodObject): boolean => !isTerminating(pod) && !isPodTerminal(pod)
  const { collisionCount, conditions } = set.status
  return {
    observedGeneration: set.metadata.generation ?? 0,
    replicas: pods.length,
    readyReplicas: count(runsReady),
    availableReplicas: count(isHealthy),
    currentReplicas: count((pod) => isLive(pod) && revisionNameOf(pod) === currentRevision),
    updatedReplicas: count((pod) => isLive(pod) && revisionNameOf(pod) === updateRevision),
    currentRevision,
    updateRevision,
    ...(collisionCount === undefined ? {} : { collisionCount }),
    ...(conditions === undefined ? {} : { conditions }),
  }
}

/** The status when only these steps of a plan were taken, since the next one failed. */
export function statusAfter(input: StatefulSetInput, steps: Steps): StatefulSetStatus {
  const minReadySeconds = input.set.spec.minReadySeconds ?? 0
  const isHealthy = (pod: PodObject): boolean =>
    runsReady(pod) && !isTerminating(pod) && podAvailableInMs(pod, minReadySeconds, input.nowMs) === 0
  return completed(input.set, countStatus(input, isHealthy), steps)
}

/** The counts as they are after these steps; a rollout that is complete makes its revision the current one. */
function completed({ spec }: StatefulSetObject, counted: StatefulSetStatus, { create, remove }: Steps): StatefulSetStatus {
  const { currentRevision, updateRevision } = counted
  const gone = (revision: string | undefined): number =>
    remove.filter(({ pod }) => revisionNameOf(pod) === revision && !isPodTerminal(pod)).length
  const made = (revision: 'current' | 'update'): number => create.filter((step) => step.revision === revision).length
  const status = {
    ...counted,
    replicas: counted.replicas + create.length,
    currentReplicas:
      (counted.currentReplicas ?? 0) - gone(currentRevision) + (currentRevision === updateRevision ? create.length : made('current')),
    updatedReplicas: (counted.updatedReplicas ?? 0) - gone(updateRevision) + made('update'),
  }
  const rolled = spec.updateStrategy.type === 'RollingUpdate' && status.updatedReplicas === status.replicas
  if (!rolled || status.readyReplicas !== status.replicas || status.replicas !== spec.replicas) return status
  return { ...status, currentReplicas: status.updatedReplicas, currentRevision: updateRevision ?? '' }
}
