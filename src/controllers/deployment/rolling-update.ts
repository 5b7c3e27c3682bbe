// The arithmetic of rolling a Deployment: how many pods each ReplicaSet may have now. Pure.
import type { Deployment as DeploymentObject, ReplicaSet as ReplicaSetObject } from '#api/generated/apps-v1'

export const revisionAnnotation = 'deployment.kubernetes.io/revision'
export const revisionHistoryAnnotation = 'deployment.kubernetes.io/revision-history'
export const desiredReplicasAnnotation = 'deployment.kubernetes.io/desired-replicas'
export const maxReplicasAnnotation = 'deployment.kubernetes.io/max-replicas'

/** How far a rollout may leave the wished number, in pods. */
export interface Bounds {
  readonly maxSurge: number
  readonly maxUnavailable: number
}

/** `25%` of `total`, or a number as it is. */
export function scaledValue(value: number | string | undefined, total: number, round: 'up' | 'down'): number {
  if (value === undefined) return 0
  if (typeof value === 'number') return value
  const share = (Number.parseInt(value, 10) * total) / 100
  return round === 'up' ? Math.ceil(share) : Math.floor(share)
}

/** maxSurge rounds up, maxUnavailable down; both zero would stand still, so then one pod may be unavailable. */
export function boundsOf(deployment: DeploymentObject): Bounds {
  const { replicas, strategy } = deployment.spec
  if (strategy.type === 'Recreate') return { maxSurge: 0, maxUnavailable: 0 }
  const maxSurge = scaledValue(strategy.rollingUpdate?.maxSurge, replicas, 'up')
  const maxUnavailable = scaledValue(strategy.rollingUpdate?.maxUnavailable, replicas, 'down')
  const both = maxSurge === 0 && maxUnavailable === 0
  return { maxSurge, maxUnavailable: both ? 1 : Math.min(maxUnavailable, replicas) }
}

export function totalReplicas(sets: readonly ReplicaSetObject[]): number {
  return sets.reduce((sum, { spec }) => sum + spec.replicas, 0)
}

export function totalAvailable(sets: readonly ReplicaSetObject[]): number {
  return sets.reduce((sum, { status }) => sum + (status.availableReplicas ?? 0), 0)
}

/** How many pods the new set may have while the old ones still have theirs. */
export function newSetReplicas(
  deployment: DeploymentObject,
  sets: readonly ReplicaSetObject[],
  newSet: ReplicaSetObject | undefined,
): number {
  const { replicas, strategy } = deployment.spec
  if (strategy.type === 'Recreate') return replicas
  const current = newSet?.spec.replicas ?? 0
  const allowed = replicas + boundsOf(deployment).maxSurge - totalReplicas(sets)
  if (allowed <= 0) return current
  return Math.min(current + Math.min(allowed, replicas - current), Math.max(current, replicas))
}

export interface SetScale {
  readonly set: ReplicaSetObject
  readonly replicas: number
}

/**
 * How far the old sets may shrink now: unhealthy pods first, whatever their age, then healthy ones from the oldest set on,
 * never below what must stay available.
 */
export function shrinkOldSets(
  deployment: DeploymentObject,
  oldSets: readonly ReplicaSetObject[],
  newSet: ReplicaSetObject | undefined,
): SetScale[] {
  const all = newSet === undefined ? oldSets : [...oldSets, newSet]
  const minAvailable = deployment.spec.replicas - boundsOf(deployment).maxUnavailable
  const newUnavailable = newSet === undefined ? 0 : newSet.spec.replicas - (newSet.status.availableReplicas ?? 0)
  let removable = totalReplicas(all) - minAvailable - newUnavailable
  if (removable <= 0) return []
  const replicas = new Map(oldSets.map((set) => [set, set.spec.replicas]))
  const oldestFirst = [...oldSets].sort(byAge)
  for (const set of oldestFirst) {
    const unhealthy = Math.max(0, set.spec.replicas - (set.status.availableReplicas ?? 0))
    const remove = Math.min(unhealthy, removable)
    replicas.set(set, set.spec.replicas - remove)
    removable -= remove
  }
  let healthyRemovable = totalAvailable(all) - minAvailable
  for (const set of oldestFirst) {
    if (healthyRemovable <= 0) break
    const left = replicas.get(set) ?? 0
    const remove = Math.min(left, healthyRemovable)
    replicas.set(set, left - remove)
    healthyRemovable -= remove
  }
  return changes(replicas)
}

/**
 * When the Deployment itself is scaled in the middle of a rollout: the difference is shared among its sets in proportion
 * to their sizes, so that no version suddenly carries all of it.
 */
export function scaleProportionally(deployment: DeploymentObject, sets: readonly ReplicaSetObject[]): SetScale[] {
  const active = sets.filter(({ spec }) => spec.replicas > 0)
  const replicas = new Map(active.map((set) => [set, set.spec.replicas]))
  const allowed = deployment.spec.replicas > 0 ? deployment.spec.replicas + boundsOf(deployment).maxSurge : 0
  const total = totalReplicas(active)
  let left = allowed - total
  // Largest sets first, so that rounding falls on them; growing prefers the newer of two, shrinking the older.
  const ordered = [...active].sort((a, b) => b.spec.replicas - a.spec.replicas || (left > 0 ? byAge(b, a) : byAge(a, b)))
  for (const set of ordered) {
    if (left === 0) break
    const before = Number(set.metadata.annotations?.[maxReplicasAnnotation] ?? deployment.status.replicas ?? total)
    const share = Math.round((set.spec.replicas * allowed) / Math.max(1, before)) - set.spec.replicas
    const step = left > 0 ? Math.min(Math.max(share, 0), left) : Math.max(Math.min(share, 0), left)
    replicas.set(set, set.spec.replicas + step)
    left -= step
  }
  const first = ordered[0]
  if (first !== undefined && left !== 0) replicas.set(first, Math.max(0, (replicas.get(first) ?? 0) + left))
  return [...replicas].map(([set, count]) => ({ set, replicas: count }))
}

function changes(replicas: ReadonlyMap<ReplicaSetObject, number>): SetScale[] {
  return [...replicas].filter(([set, count]) => set.spec.replicas !== count).map(([set, count]) => ({ set, replicas: count }))
}

/** Oldest first. */
export function byAge(a: ReplicaSetObject, b: ReplicaSetObject): number {
  if (a.metadata.creationTimestamp !== b.metadata.creationTimestamp)
    return a.metadata.creationTimestamp < b.metadata.creationTimestamp ? -1 : 1
  return a.metadata.name < b.metadata.name ? -1 : 1
}
