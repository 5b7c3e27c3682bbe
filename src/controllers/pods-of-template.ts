// Making and removing the pods of a workload: from a template, in growing batches, the least useful ones removed first.

import { isApiError } from '#api/errors'
import type { Pod as PodObject, PodTemplateSpec } from '#api/generated/core-v1'
import type { OwnerReference } from '#api/generated/meta-v1'
import { Pod } from '#api/kinds/core/pod'
import type { KubeObject, Manifest } from '#api/object'
import { findPodCondition, isPodReady } from '#api/pods'
import type { ReconcileContext } from '#client/controller'

/** A pod as the template says, owned by `owner`. Names are made by the API server from the owner's. */
export function podFromTemplate(template: PodTemplateSpec, owner: KubeObject, reference: OwnerReference): Manifest<PodObject> {
  const { labels, annotations, finalizers } = template.metadata
  return {
    metadata: {
      generateName: podNamePrefix(owner.metadata.name),
      namespace: owner.metadata.namespace ?? '',
      ...(labels === undefined ? {} : { labels: { ...labels } }),
      ...(annotations === undefined ? {} : { annotations: { ...annotations } }),
      ...(finalizers === undefined ? {} : { finalizers: [...finalizers] }),
      ownerReferences: [reference],
    },
    spec: template.spec as Manifest<PodObject['spec']>,
  }
}

/** `name-`, unless that leaves no room for a valid name; then the name alone. */
export function podNamePrefix(name: string): string {
  return name.length < 247 ? `${name}-` : name
}

/**
 * Runs `one` for each of `count` in batches of 1, 2, 4, …: a failure that would befall all of them is met once.
 * Resolves with how many succeeded and the first error.
 */
export async function inGrowingBatches(count: number, one: (index: number) => Promise<void>): Promise<{ done: number; error: unknown }> {
  let done = 0
  let error: unknown
  for (let size = 1, start = 0; start < count && error === undefined; start += size, size *= 2) {
    const batch = Array.from({ length: Math.min(size, count - start) }, (_, i) => one(start + i))
    for (const result of await Promise.allSettled(batch)) {
      if (result.status === 'fulfilled') done++
      else error ??= result.reason
    }
  }
  return { done, error }
}

/** Creates `count` pods for `owner` and records the events that Kubernetes records. Throws the first failure. */
export async function createPods(
  { client, events }: ReconcileContext,
  owner: KubeObject,
  count: number,
  manifest: (index: number) => Manifest<PodObject>,
): Promise<void> {
  const { error } = await inGrowingBatches(count, async (index) => {
    try {
      const pod = await client.create(Pod, manifest(index))
      events.record(owner, 'Normal', 'SuccessfulCreate', `Created pod: ${pod.metadata.name}`)
    } catch (failure) {
      // A namespace on its way out takes nothing new; saying so for each pod helps nobody.
      const terminating =
        isApiError(failure, 'Forbidden') && (failure.status.details?.causes ?? []).some((c) => c.reason === 'NamespaceTerminating')
      if (terminating) return
      events.record(owner, 'Warning', 'FailedCreate', `Error creating: ${(failure as Error).message}`)
      throw failure
    }
  })
  if (error !== undefined) throw error
}

/** Deletes these pods of `owner`; one that is gone already is fine. */
export async function deletePods({ client, events }: ReconcileContext, owner: KubeObject, pods: readonly PodObject[]): Promise<void> {
  const results = await Promise.allSettled(
    pods.map(async ({ metadata }) => {
      try {
        await client.delete(Pod, { namespace: metadata.namespace ?? '', name: metadata.name }, { preconditions: { uid: metadata.uid } })
        events.record(owner, 'Normal', 'SuccessfulDelete', `Deleted pod: ${metadata.name}`)
      } catch (error) {
        if (isApiError(error, 'NotFound')) return
        events.record(owner, 'Warning', 'FailedDelete', `Error deleting: ${(error as Error).message}`)
        throw error
      }
    }),
  )
  for (const result of results) if (result.status === 'rejected') throw result.reason
}

const deletionCost = 'controller.kubernetes.io/pod-deletion-cost'
const phaseRank: Readonly<Record<string, number>> = { Pending: 0, Unknown: 1, Running: 2 }

/**
 * The `count` pods whose loss hurts least, in Kubernetes' order: unassigned, not yet running, not ready, cheaper by
 * annotation, on nodes with more of their kind, ready for less long, restarted more, younger.
 */
export function leastUseful(pods: readonly PodObject[], count: number, siblings: readonly PodObject[] = pods): PodObject[] {
  if (count >= pods.length) return [...pods]
  const perNode = new Map<string, number>()
  for (const { spec } of siblings) if (spec.nodeName) perNode.set(spec.nodeName, (perNode.get(spec.nodeName) ?? 0) + 1)
  return [...pods].sort((a, b) => compareUsefulness(a, b, perNode)).slice(0, count)
}

function compareUsefulness(a: PodObject, b: PodObject, perNode: ReadonlyMap<string, number>): number {
  const assigned = (pod: PodObject): number => (pod.spec.nodeName ? 1 : 0)
  const phase = (pod: PodObject): number => phaseRank[pod.status.phase ?? 'Pending'] ?? 2
  const ready = (pod: PodObject): number => (isPodReady(pod) ? 1 : 0)
  const cost = (pod: PodObject): number => {
    const value = Number(pod.metadata.annotations?.[deletionCost] ?? '0')
    return Number.isInteger(value) ? value : 0
  }
  const crowd = (pod: PodObject): number => -(perNode.get(pod.spec.nodeName ?? '') ?? 0)
  const readySince = (pod: PodObject): number => -Date.parse(findPodCondition(pod.status, 'Ready')?.lastTransitionTime ?? '')
  const restarts = (pod: PodObject): number => -Math.max(0, ...(pod.status.containerStatuses ?? []).map(({ restartCount }) => restartCount))
  const age = (pod: PodObject): number => -Date.parse(pod.metadata.creationTimestamp)
  const keys = [assigned, phase, ready, cost, crowd, ...(ready(a) && ready(b) ? [readySince] : []), restarts, age]
  for (const key of keys) {
    const difference = key(a) - key(b)
    if (difference !== 0 && !Number.isNaN(difference)) return difference
  }
  return a.metadata.name < b.metadata.name ? -1 : 1
}
