// ReplicaSet: keeps the wished number of pods. The plan is a pure function; the controller gathers and acts.
import type { ReplicaSetCondition, ReplicaSet as ReplicaSetObject, ReplicaSetStatus } from '#api/generated/apps-v1'
import type { Pod as PodObject } from '#api/generated/core-v1'
import { ReplicaSet } from '#api/kinds/apps/replica-set'
import { Pod } from '#api/kinds/core/pod'
import { hasLabels, labelMatcher } from '#api/label-selectors'
import { isPodActive, isPodAvailable, isPodReady, isPodTerminal, podAvailableInMs } from '#api/pods'
import { timestamp } from '#base/clock'
import { defineController } from '#client/controller'
import { claimOwned, ownerReference } from '../owned-objects.ts'
import { createPods, deletePods, leastUseful, podFromTemplate } from '../pods-of-template.ts'
import { watchKind, watchOwned } from '../watches.ts'

// Pods made or removed in one go; the rest follows at the next look (Kubernetes' burst).
const burst = 500

export interface ReplicaSetPlan {
  /** Pods to make. */
  readonly create: number
  readonly remove: readonly PodObject[]
  readonly status: ReplicaSetStatus
  /** When the next pod becomes available by minReadySeconds alone. */
  readonly lookAgainAfterMs: number | undefined
}

/** What to do about `pods`, all of the set's own, ended ones included. */
export function planReplicaSet(set: ReplicaSetObject, pods: readonly PodObject[], nowMs: number): ReplicaSetPlan {
  const active = pods.filter(isPodActive)
  const wanted = set.metadata.deletionTimestamp === undefined ? set.spec.replicas : active.length
  const surplus = Math.min(Math.max(0, active.length - wanted), burst)
  const minReadySeconds = set.spec.minReadySeconds ?? 0
  const waits = active.map((pod) => podAvailableInMs(pod, minReadySeconds, nowMs)).filter((ms) => ms !== undefined && ms > 0) as number[]
  return {
    create: Math.min(Math.max(0, wanted - active.length), burst),
    remove: surplus > 0 ? leastUseful(active, surplus) : [],
    status: replicaSetStatus(set, pods, nowMs),
    lookAgainAfterMs: waits.length > 0 ? Math.min(...waits) : undefined,
  }
}

function replicaSetStatus(set: ReplicaSetObject, pods: readonly PodObject[], nowMs: number): ReplicaSetStatus {
  const active = pods.filter(isPodActive)
  const minReadySeconds = set.spec.minReadySeconds ?? 0
  const count = (which: (pod: PodObject) => boolean): number => active.filter(which).length
  const terminating = pods.filter((pod) => pod.metadata.deletionTimestamp !== undefined && !isPodTerminal(pod)).length
  return {
    replicas: active.length,
    fullyLabeledReplicas: count((pod) => hasLabels(pod.metadata.labels, set.spec.template?.metadata.labels)),
    readyReplicas: count(isPodReady),
    availableReplicas: count((pod) => isPodAvailable(pod, minReadySeconds, nowMs)),
    terminatingReplicas: terminating,
    observedGeneration: set.metadata.generation ?? 0,
    ...(set.status.conditions === undefined ? {} : { conditions: set.status.conditions }),
  }
}

/** Conditions after acting: ReplicaFailure stands while pods cannot be made or removed. */
export function withFailure(
  conditions: readonly ReplicaSetCondition[] | undefined,
  failure: { reason: 'FailedCreate' | 'FailedDelete'; message: string } | undefined,
  nowMs: number,
): ReplicaSetCondition[] | undefined {
  const others = (conditions ?? []).filter(({ type }) => type !== 'ReplicaFailure')
  if (failure === undefined) return others.length > 0 ? others : undefined
  const before = conditions?.find(({ type }) => type === 'ReplicaFailure')
  if (before !== undefined && before.reason === failure.reason) return [...others, before]
  return [...others, { type: 'ReplicaFailure', status: 'True', lastTransitionTime: timestamp(nowMs), ...failure }]
}

export const replicaSetController = defineController({
  name: 'replicaset-controller',
  watches: [watchKind(ReplicaSet), watchOwned(Pod, { by: ReplicaSet, selectorOf: (set) => set.spec.selector })],
  concurrency: 5,
  async reconcile(key, context) {
    const { cache, client, clock } = context
    const set = cache.get(ReplicaSet, key)
    if (set === undefined) return
    const matches = labelMatcher(set.spec.selector)
    const pods = await claimOwned({
      cache,
      client,
      ownerKind: ReplicaSet,
      owner: set,
      kind: Pod,
      matches,
      mayAdopt: (pod) => !isPodTerminal(pod),
    })
    const plan = planReplicaSet(set, pods, clock.now())
    let failure: unknown
    let reason: 'FailedCreate' | 'FailedDelete' = 'FailedCreate'
    try {
      const reference = ownerReference(ReplicaSet, set)
      await createPods(context, set, plan.create, () => podFromTemplate(set.spec.template!, set, reference))
      reason = 'FailedDelete'
      await deletePods(context, set, plan.remove)
    } catch (error) {
      failure = error
    }
    const conditions = withFailure(
      set.status.conditions,
      failure === undefined ? undefined : { reason, message: (failure as Error).message },
      clock.now(),
    )
    const status: ReplicaSetStatus = { ...plan.status }
    delete status.conditions
    if (conditions !== undefined) status.conditions = conditions
    if (!sameStatus(set.status, status)) await client.updateStatus(ReplicaSet, { ...set, status })
    if (failure !== undefined) throw failure
    return plan.lookAgainAfterMs
  },
})

function sameStatus(a: ReplicaSetStatus, b: ReplicaSetStatus): boolean {
  const numbers = [
    'replicas',
    'fullyLabeledReplicas',
    'readyReplicas',
    'availableReplicas',
    'terminatingReplicas',
    'observedGeneration',
  ] as const
  return (
    numbers.every((name) => (a[name] ?? 0) === (b[name] ?? 0)) && JSON.stringify(a.conditions ?? []) === JSON.stringify(b.conditions ?? [])
  )
}
