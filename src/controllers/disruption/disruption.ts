// Disruption: keeps the status of PodDisruptionBudgets, by which evictions are allowed or refused.

import { isApiError } from '#api/errors'
import type { Pod as PodObject } from '#api/generated/core-v1'
import type { OwnerReference } from '#api/generated/meta-v1'
import type { PodDisruptionBudget as BudgetObject, PodDisruptionBudgetStatus } from '#api/generated/policy-v1'
import { canonicalJson } from '#api/hash'
import type { Kind } from '#api/kind'
import { Deployment } from '#api/kinds/apps/deployment'
import { ReplicaSet } from '#api/kinds/apps/replica-set'
import { StatefulSet } from '#api/kinds/apps/stateful-set'
import { Pod } from '#api/kinds/core/pod'
import { ReplicationController } from '#api/kinds/core/replication-controller'
import { PodDisruptionBudget } from '#api/kinds/policy/pod-disruption-budget'
import { formatLabelSelector, labelMatcher } from '#api/label-selectors'
import { controllerOf, type KubeObject, keyOf, keyText } from '#api/object'
import { isPodReady } from '#api/pods'
import { defineController, type ReconcileContext, type Watch } from '#client/controller'
import { watchKind } from '../watches.ts'
import { failedBudget, needsScale, planBudget } from './plan-budget.ts'

/** Budgets whose selector matches the pod now or matched it before. */
const watchPods: Watch = {
  kind: Pod,
  when: (pod, old) => old === undefined || matters(pod as PodObject, old as PodObject),
  keysOf: (pod, old, cache) =>
    cache
      .list(PodDisruptionBudget, pod.metadata.namespace)
      .filter(({ spec }) => {
        const matches = labelMatcher(spec.selector)
        return matches(pod.metadata.labels) || (old !== undefined && matches(old.metadata.labels))
      })
      .map(keyOf),
}

function matters(pod: PodObject, old: PodObject): boolean {
  return (
    isPodReady(pod) !== isPodReady(old) ||
    pod.metadata.deletionTimestamp !== old.metadata.deletionTimestamp ||
    JSON.stringify(pod.metadata.labels) !== JSON.stringify(old.metadata.labels) ||
    controllerOf(pod)?.uid !== controllerOf(old)?.uid
  )
}

interface Scaled extends KubeObject {
  spec: { replicas?: number; template?: { metadata?: { labels?: Record<string, string> } } }
}

/** A workload that was scaled: the budgets that its pods fall under. */
function watchScale(kind: Kind): Watch {
  return {
    kind,
    when: (object, old) => old !== undefined && (object as Scaled).spec.replicas !== (old as Scaled).spec.replicas,
    keysOf: (object, _old, cache) =>
      cache
        .list(PodDisruptionBudget, object.metadata.namespace)
        .filter(({ spec }) => labelMatcher(spec.selector)((object as Scaled).spec.template?.metadata?.labels))
        .map(keyOf),
  }
}

export const disruptionController = defineController({
  name: 'disruption-controller',
  component: 'controllermanager',
  watches: [
    watchKind(PodDisruptionBudget),
    watchPods,
    ...[Deployment, ReplicaSet, StatefulSet, ReplicationController].map((kind) => watchScale(kind as Kind)),
  ],
  concurrency: 2,
  async reconcile(key, context) {
    const { cache, clock, events } = context
    const budget = cache.get(PodDisruptionBudget, key)
    if (budget === undefined || budget.metadata.deletionTimestamp !== undefined) return
    const matches = labelMatcher(budget.spec.selector)
    const pods = cache.list(Pod, budget.metadata.namespace).filter(({ metadata }) => matches(metadata.labels))
    if (pods.length === 0) events.record(budget, 'Normal', 'NoPods', 'No matching pods found')
    tellOfOthers(budget, pods, context)
    let wanted = 0
    try {
      if (needsScale(budget)) wanted = await wantedPods(budget, pods, context)
    } catch (error) {
      const message = (error as Error).message
      events.record(budget, 'Warning', 'CalculateExpectedPodCountFailed', `Failed to calculate the number of expected pods: ${message}`)
      await writeStatus(budget, failedBudget(budget, message, clock.now()), context)
      throw error
    }
    const plan = planBudget(budget, pods, wanted, clock.now())
    for (const pod of plan.notDeleted) {
      const { namespace, name } = budget.metadata
      events.record(pod, 'Warning', 'NotDeleted', `Pod was expected by PDB ${namespace}/${name} to be deleted but it wasn't`)
    }
    await writeStatus(budget, plan.status, context)
    return plan.lookAgainAfterMs
  },
})

/** A pod may be evicted only under one budget: whoever has several is told, by the first of them. */
function tellOfOthers(budget: BudgetObject, pods: readonly PodObject[], { cache, events }: ReconcileContext): void {
  const { name, namespace = '' } = budget.metadata
  const others = cache.list(PodDisruptionBudget, namespace).filter(({ metadata }) => metadata.name !== name)
  if (others.length === 0) return
  const matchers = others.map(({ metadata, spec }) => ({ name: metadata.name, matches: labelMatcher(spec.selector) }))
  for (const pod of pods) {
    const also = matchers.filter(({ matches }) => matches(pod.metadata.labels))
    if (also.length === 0 || also.some((other) => other.name < name)) continue
    const which = `Pod ${JSON.stringify(namespace)}/${JSON.stringify(pod.metadata.name)}`
    const message = `${which} matches multiple PodDisruptionBudgets.  Chose ${JSON.stringify(name)} arbitrarily.`
    events.record(pod, 'Warning', 'MultiplePodDisruptionBudgets', message)
  }
}

async function writeStatus(budget: BudgetObject, status: PodDisruptionBudgetStatus, { client }: ReconcileContext): Promise<void> {
  if (canonicalJson(budget.status ?? {}) !== canonicalJson(status)) await client.updateStatus(PodDisruptionBudget, { ...budget, status })
}

/** How many pods the owners of these want, each owner once. Pods of nobody do not count, and are complained of. */
async function wantedPods(budget: BudgetObject, pods: readonly PodObject[], context: ReconcileContext): Promise<number> {
  const scales = new Map<string, number>()
  let unmanaged = false
  for (const pod of pods) {
    const owner = controllerOf(pod)
    if (owner === undefined) unmanaged = true
    else if (!scales.has(owner.uid)) {
      const { uid, scale } = await scaleOf(pod.metadata.namespace ?? '', owner, context)
      scales.set(owner.uid, scales.has(uid) ? 0 : scale)
      if (uid !== owner.uid && !scales.has(uid)) scales.set(uid, 0)
    }
  }
  if (unmanaged) {
    const selector = formatLabelSelector(budget.spec.selector)
    const message = `Pods selected by this PodDisruptionBudget (selector: ${selector}) were found to be unmanaged. As a result, the status of the PDB cannot be calculated correctly, which may result in undefined behavior. To account for these pods please set ".spec.minAvailable" field of the PDB to an integer value.`
    context.events.record(budget, 'Warning', 'UnmanagedPods', message)
  }
  return [...scales.values()].reduce((sum, scale) => sum + scale, 0)
}

/** The size of a pod's workload: a Deployment's rather than its ReplicaSet's, any other's by its scale subresource. */
async function scaleOf(
  namespace: string,
  owner: OwnerReference,
  { cache, client }: ReconcileContext,
): Promise<{ uid: string; scale: number }> {
  const key = keyText(namespace, owner.name)
  const known = <T extends Scaled>(kind: Kind<T>): T | undefined => {
    if (owner.kind !== kind.kind || owner.apiVersion !== kind.apiVersion) return undefined
    const found = cache.get(kind, key)
    return found?.metadata.uid === owner.uid ? found : undefined
  }
  const set = known(ReplicaSet)
  if (set !== undefined) {
    const above = controllerOf(set)
    const deployment = above?.kind === 'Deployment' ? cache.get(Deployment, keyText(namespace, above.name)) : undefined
    return deployment !== undefined && deployment.metadata.uid === above?.uid
      ? { uid: deployment.metadata.uid, scale: deployment.spec.replicas }
      : { uid: owner.uid, scale: set.spec.replicas }
  }
  const other = known(StatefulSet) ?? known(ReplicationController as unknown as Kind<ReplicationController & Scaled>)
  if (other !== undefined) return { uid: owner.uid, scale: other.spec.replicas ?? 1 }
  const slash = owner.apiVersion.indexOf('/')
  const root = slash < 0 ? `/api/${owner.apiVersion}` : `/apis/${owner.apiVersion}`
  try {
    const resources = (await client.raw('GET', root)) as { resources?: { name: string; kind: string }[] }
    const plural = resources.resources?.find(({ kind, name }) => kind === owner.kind && !name.includes('/'))?.name
    if (plural === undefined) throw new Error(`the server has no ${owner.kind} in ${owner.apiVersion}`)
    const path = `${root}/namespaces/${encodeURIComponent(namespace)}/${plural}/${encodeURIComponent(owner.name)}/scale`
    const scale = (await client.raw('GET', path)) as { spec?: { replicas?: number } }
    return { uid: owner.uid, scale: scale.spec?.replicas ?? 0 }
  } catch (error) {
    // An owner that is gone wants nothing.
    if (!isApiError(error, 'NotFound')) throw error
    const group = slash < 0 ? '' : owner.apiVersion.slice(0, slash)
    if (cacheKnows(owner)) return { uid: owner.uid, scale: 0 }
    throw new Error(`${owner.kind.toLowerCase()}s${group === '' ? '' : `.${group}`} does not implement the scale subresource`)
  }
}

function cacheKnows({ kind }: OwnerReference): boolean {
  return ['ReplicaSet', 'StatefulSet', 'ReplicationController'].includes(kind)
}
