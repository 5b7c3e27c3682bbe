// What a Deployment says of itself: counts, and the Available and Progressing conditions. Pure.
import type {
  DeploymentCondition,
  Deployment as DeploymentObject,
  DeploymentStatus,
  ReplicaSet as ReplicaSetObject,
} from '#api/generated/apps-v1'
import { timestamp } from '#base/clock'
import { boundsOf } from './rolling-update.ts'

// kubectl never shows it: the value that means there is no deadline.
const noDeadline = 2_147_483_647

export function hasDeadline(deployment: DeploymentObject): boolean {
  return deployment.spec.progressDeadlineSeconds !== noDeadline
}

/** Counts over all sets, and the Available condition. Progressing is decided by `progress`. */
export function countStatus(
  deployment: DeploymentObject,
  sets: readonly ReplicaSetObject[],
  newSet: ReplicaSetObject | undefined,
  nowMs: number,
): DeploymentStatus {
  const sum = (of: (set: ReplicaSetObject) => number | undefined): number => sets.reduce((total, set) => total + (of(set) ?? 0), 0)
  const available = sum(({ status }) => status.availableReplicas)
  const wished = sum(({ spec }) => spec.replicas)
  const minimum = deployment.spec.replicas - boundsOf(deployment).maxUnavailable
  const { conditions = [], collisionCount } = deployment.status
  const enough = available >= minimum
  const availability: DeploymentCondition = enough
    ? condition('Available', 'True', 'MinimumReplicasAvailable', 'Deployment has minimum availability.', nowMs)
    : condition('Available', 'False', 'MinimumReplicasUnavailable', 'Deployment does not have minimum availability.', nowMs)
  return {
    observedGeneration: deployment.metadata.generation ?? 0,
    replicas: sum(({ status }) => status.replicas),
    updatedReplicas: newSet?.status.replicas ?? 0,
    readyReplicas: sum(({ status }) => status.readyReplicas),
    availableReplicas: available,
    unavailableReplicas: Math.max(0, wished - available),
    terminatingReplicas: sum(({ status }) => status.terminatingReplicas),
    ...(collisionCount === undefined ? {} : { collisionCount }),
    conditions: setCondition(conditions, availability),
  }
}

export function condition(
  type: string,
  status: 'True' | 'False' | 'Unknown',
  reason: string,
  message: string,
  nowMs: number,
): DeploymentCondition {
  const now = timestamp(nowMs)
  return { type, status, lastUpdateTime: now, lastTransitionTime: now, reason, message }
}

/** Puts a condition in place of the one of its type; an equal one stays, and its transition time moves only with its status. */
export function setCondition(conditions: readonly DeploymentCondition[], next: DeploymentCondition): DeploymentCondition[] {
  const before = conditions.find(({ type }) => type === next.type)
  if (before !== undefined && before.status === next.status && before.reason === next.reason) return [...conditions]
  const kept =
    before?.status === next.status ? { ...next, lastTransitionTime: before.lastTransitionTime ?? next.lastTransitionTime ?? '' } : next
  return [...conditions.filter(({ type }) => type !== next.type), kept as DeploymentCondition]
}

export function removeCondition(conditions: readonly DeploymentCondition[], type: string): DeploymentCondition[] {
  return conditions.filter((condition) => condition.type !== type)
}

/** Whether everything runs the new template and is available. */
export function isComplete(deployment: DeploymentObject, status: DeploymentStatus): boolean {
  const { replicas } = deployment.spec
  return (
    status.updatedReplicas === replicas &&
    status.replicas === replicas &&
    status.availableReplicas === replicas &&
    (status.observedGeneration ?? 0) >= (deployment.metadata.generation ?? 0)
  )
}

function madeProgress(old: DeploymentStatus, next: DeploymentStatus): boolean {
  const oldReplicas = (status: DeploymentStatus): number => (status.replicas ?? 0) - (status.updatedReplicas ?? 0)
  return (
    (next.updatedReplicas ?? 0) > (old.updatedReplicas ?? 0) ||
    oldReplicas(next) < oldReplicas(old) ||
    (next.readyReplicas ?? 0) > (old.readyReplicas ?? 0) ||
    (next.availableReplicas ?? 0) > (old.availableReplicas ?? 0)
  )
}

const newSetReasons = ['NewReplicaSetCreated', 'FoundNewReplicaSet', 'ReplicaSetUpdated']

/** The status with its Progressing and ReplicaFailure conditions, and when to look again for the deadline. */
export function progress(
  deployment: DeploymentObject,
  status: DeploymentStatus,
  sets: readonly ReplicaSetObject[],
  newSet: ReplicaSetObject | undefined,
  nowMs: number,
): { status: DeploymentStatus; lookAgainAfterMs: number | undefined } {
  let conditions = status.conditions ?? []
  let lookAgainAfterMs: number | undefined
  const current = conditions.find(({ type }) => type === 'Progressing')
  const settled = status.replicas === status.updatedReplicas && current?.reason === 'NewReplicaSetAvailable'
  const what = newSet === undefined ? `Deployment "${deployment.metadata.name}"` : `ReplicaSet "${newSet.metadata.name}"`
  if (hasDeadline(deployment) && !settled && !deployment.spec.paused) {
    if (isComplete(deployment, status)) {
      conditions = setCondition(
        conditions,
        condition('Progressing', 'True', 'NewReplicaSetAvailable', `${what} has successfully progressed.`, nowMs),
      )
    } else if (madeProgress(deployment.status, status)) {
      const next = condition('Progressing', 'True', 'ReplicaSetUpdated', `${what} is progressing.`, nowMs)
      const since = current?.status === 'True' ? (current.lastTransitionTime ?? '') : (next.lastTransitionTime ?? '')
      conditions = [...removeCondition(conditions, 'Progressing'), { ...next, lastTransitionTime: since }]
    } else if (current !== undefined && newSetReasons.includes(current.reason ?? '')) {
      const deadlineMs = Date.parse(current.lastUpdateTime ?? '') + deployment.spec.progressDeadlineSeconds * 1_000
      if (nowMs > deadlineMs) {
        conditions = setCondition(
          conditions,
          condition('Progressing', 'False', 'ProgressDeadlineExceeded', `${what} has timed out progressing.`, nowMs),
        )
      } else lookAgainAfterMs = deadlineMs - nowMs + 1_000
    }
  }
  const failure = replicaFailure(sets, newSet)
  conditions = failure === undefined ? removeCondition(conditions, 'ReplicaFailure') : setCondition(conditions, failure)
  return { status: { ...status, conditions }, lookAgainAfterMs }
}

function replicaFailure(sets: readonly ReplicaSetObject[], newSet: ReplicaSetObject | undefined): DeploymentCondition | undefined {
  const ofSet = (set: ReplicaSetObject | undefined) => set?.status.conditions?.find(({ type }) => type === 'ReplicaFailure')
  const found = ofSet(newSet) ?? sets.map(ofSet).find((failure) => failure !== undefined)
  if (found === undefined) return undefined
  const { lastTransitionTime = '', reason = '', message = '' } = found
  return {
    type: 'ReplicaFailure',
    status: found.status as DeploymentCondition['status'],
    lastUpdateTime: lastTransitionTime,
    lastTransitionTime,
    reason,
    message,
  }
}
