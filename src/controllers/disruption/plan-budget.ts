// What a PodDisruptionBudget allows now (KEP-85). Pure.
import type { Pod as PodObject } from '#api/generated/core-v1'
import type { Condition } from '#api/generated/meta-v1'
import type { PodDisruptionBudget as BudgetObject, PodDisruptionBudgetStatus } from '#api/generated/policy-v1'
import { isPodReady } from '#api/pods'
import { timestamp } from '#base/clock'
import { scaledValue } from '../deployment/rolling-update.ts'

// How long an eviction that was allowed may take to become a deletion.
const evictionMsMax = 120_000

/** Whether what the pods' owners want must be known: their number alone is not enough for shares and for maxUnavailable. */
export function needsScale({ spec }: BudgetObject): boolean {
  return spec.maxUnavailable !== undefined || typeof spec.minAvailable === 'string'
}

export interface BudgetPlan {
  readonly status: PodDisruptionBudgetStatus
  /** Pods whose eviction was allowed and never came. */
  readonly notDeleted: readonly PodObject[]
  readonly lookAgainAfterMs: number | undefined
}

/** `wanted`: how many pods their owners want in all; only read when `needsScale` says so. */
export function planBudget(budget: BudgetObject, pods: readonly PodObject[], wanted: number, nowMs: number): BudgetPlan {
  const { spec, status } = budget
  const expectedPods = needsScale(budget) ? wanted : pods.length
  const desiredHealthy =
    spec.maxUnavailable !== undefined
      ? Math.max(0, expectedPods - scaledValue(spec.maxUnavailable, expectedPods, 'up'))
      : scaledValue(spec.minAvailable ?? 1, expectedPods, 'up')
  const notDeleted: PodObject[] = []
  const disruptedPods: Record<string, string> = {}
  let lookAgainAfterMs: number | undefined
  for (const pod of pods) {
    const since = status.disruptedPods?.[pod.metadata.name]
    if (since === undefined || pod.metadata.deletionTimestamp !== undefined) continue
    const leftMs = Date.parse(since) + evictionMsMax - nowMs
    if (leftMs <= 0) notDeleted.push(pod)
    else {
      disruptedPods[pod.metadata.name] = since
      lookAgainAfterMs = Math.min(lookAgainAfterMs ?? leftMs, leftMs)
    }
  }
  const healthy = pods.filter(
    (pod) => pod.metadata.deletionTimestamp === undefined && disruptedPods[pod.metadata.name] === undefined && isPodReady(pod),
  )
  const disruptionsAllowed = expectedPods <= 0 ? 0 : Math.max(0, healthy.length - desiredHealthy)
  const allowed = disruptionsAllowed > 0
  return {
    status: {
      ...(Object.keys(disruptedPods).length > 0 ? { disruptedPods } : {}),
      disruptionsAllowed,
      currentHealthy: healthy.length,
      desiredHealthy,
      expectedPods,
      observedGeneration: budget.metadata.generation ?? 0,
      conditions: withCondition(budget, allowed ? 'True' : 'False', allowed ? 'SufficientPods' : 'InsufficientPods', '', nowMs),
    },
    notDeleted,
    lookAgainAfterMs,
  }
}

/** The status when the owners could not be asked: nothing is allowed. */
export function failedBudget(budget: BudgetObject, message: string, nowMs: number): PodDisruptionBudgetStatus {
  return { ...budget.status, disruptionsAllowed: 0, conditions: withCondition(budget, 'False', 'SyncFailed', message, nowMs) }
}

function withCondition(budget: BudgetObject, status: 'True' | 'False', reason: string, message: string, nowMs: number): Condition[] {
  const type = 'DisruptionAllowed'
  const conditions = budget.status?.conditions ?? []
  const before = conditions.find((condition) => condition.type === type)
  const lastTransitionTime = before?.status === status ? before.lastTransitionTime : timestamp(nowMs)
  const next = { type, status, reason, message, lastTransitionTime, observedGeneration: budget.metadata.generation ?? 0 } as Condition
  return [...conditions.filter((condition) => condition.type !== type), next]
}
