// StatefulSet: pods with names and storage of their own, made in order, replaced from the last to the first.

import { isApiError } from '#api/errors'
import type { ControllerRevision as RevisionObject, StatefulSet as StatefulSetObject, StatefulSetStatus } from '#api/generated/apps-v1'
import type { PersistentVolumeClaim as ClaimObject, Pod as PodObject } from '#api/generated/core-v1'
import { canonicalJson } from '#api/hash'
import { ControllerRevision } from '#api/kinds/apps/controller-revision'
import { StatefulSet } from '#api/kinds/apps/stateful-set'
import { PersistentVolumeClaim } from '#api/kinds/core/persistent-volume-claim'
import { Pod } from '#api/kinds/core/pod'
import { labelMatcher } from '#api/label-selectors'
import type { KubeObject } from '#api/object'
import { defineController, type ReconcileContext } from '#client/controller'
import { claimOwned, nameOf } from '../owned-objects.ts'
import { dropSurplusRevisions, ensureRevisions } from '../revisions.ts'
import { watchKind, watchOwned } from '../watches.ts'
import { claimName, claimsFor, ordinalOf, podFor, podName, revisionNameOf } from './identity.ts'
import { planStatefulSet, type StatefulSetPlan, statusAfter } from './plan-stateful-set.ts'

interface Work {
  readonly set: StatefulSetObject
  readonly context: ReconcileContext
  readonly current: RevisionObject
  readonly update: RevisionObject
}

export const statefulSetController = defineController({
  name: 'statefulset-controller',
  watches: [
    watchKind(StatefulSet),
    watchOwned(Pod, { by: StatefulSet, selectorOf: ({ spec }) => spec.selector }),
    watchOwned(ControllerRevision, { by: StatefulSet }),
  ],
  reads: [PersistentVolumeClaim],
  concurrency: 5,
  async reconcile(key, context) {
    const { cache, client, clock } = context
    const set = cache.get(StatefulSet, key)
    if (set === undefined) return
    const pods = await claimOwned({
      cache,
      client,
      ownerKind: StatefulSet,
      owner: set,
      kind: Pod,
      matches: labelMatcher(set.spec.selector),
      mayAdopt: (pod) => ordinalOf(set, pod) !== undefined,
    })
    const { update, all, collisionCount } = await ensureRevisions(
      { kind: StatefulSet, owner: set, label: 'controller.kubernetes.io/hash' },
      context,
    )
    const current = all.find(({ metadata }) => metadata.name === set.status.currentRevision) ?? update
    const input = { set, pods, currentRevision: current.metadata.name, updateRevision: update.metadata.name, nowMs: clock.now() }
    const plan = planStatefulSet(input)
    const work: Work = { set, context, current, update }
    await keepClaimOwners(work, pods, plan)
    const taken: Taken = { create: [], remove: [] }
    const failure = await act(work, plan, taken).then(
      () => undefined,
      (error: unknown) => error,
    )
    // What was done before a failure counts: a quota that is used up must not hide the pods that are there.
    const counted = failure === undefined ? plan.status : statusAfter(input, taken)
    const status: StatefulSetStatus = { ...counted, ...(collisionCount === undefined ? {} : { collisionCount }) }
    if (canonicalJson(status) !== canonicalJson(set.status)) await client.updateStatus(StatefulSet, { ...set, status })
    if (failure !== undefined) throw failure
    if (set.metadata.deletionTimestamp === undefined) {
      const inUse = new Set([current, update].map(({ metadata }) => metadata.name))
      for (const pod of pods) inUse.add(revisionNameOf(pod) ?? '')
      await dropSurplusRevisions(set, all, inUse, context)
    }
    return plan.lookAgainAfterMs
  },
})

/** The steps of a plan that have been taken. */
interface Taken {
  readonly create: StatefulSetPlan['create'][number][]
  readonly remove: StatefulSetPlan['remove'][number][]
}

async function act(work: Work, plan: StatefulSetPlan, taken: Taken): Promise<void> {
  const { set, context } = work
  const { events } = context
  for (const step of plan.remove) {
    const { pod, why } = step
    if (why === 'ended') {
      const failed = pod.status.phase === 'Failed'
      const message = `StatefulSet ${set.metadata.namespace}/${set.metadata.name} is recreating ${failed ? 'failed' : 'terminated'} Pod ${pod.metadata.name}`
      events.record(set, failed ? 'Warning' : 'Normal', failed ? 'RecreatingFailedPod' : 'RecreatingTerminatedPod', message)
    }
    await removePod(work, pod)
    taken.remove.push(step)
  }
  for (const step of plan.create) {
    await createPod(work, step.ordinal, step.revision === 'current' ? work.current : work.update)
    taken.create.push(step)
  }
}

async function createPod({ set, context }: Work, ordinal: number, revision: RevisionObject): Promise<void> {
  const { client, events } = context
  const name = podName(set, ordinal)
  try {
    for (const claim of claimsFor(set, ordinal)) await ensureClaim(set, name, claim, context)
    await client.create(Pod, podFor(set, ordinal, revision))
    events.record(set, 'Normal', 'SuccessfulCreate', `create Pod ${name} in StatefulSet ${set.metadata.name} successful`)
  } catch (error) {
    if (isApiError(error, 'Forbidden') && (error.status.details?.causes ?? []).some(({ reason }) => reason === 'NamespaceTerminating'))
      return
    if (!isApiError(error, 'AlreadyExists'))
      events.record(
        set,
        'Warning',
        'FailedCreate',
        `create Pod ${name} in StatefulSet ${set.metadata.name} failed error: ${(error as Error).message}`,
      )
    throw error
  }
}

async function ensureClaim(
  set: StatefulSetObject,
  pod: string,
  claim: ReturnType<typeof claimsFor>[number],
  context: ReconcileContext,
): Promise<void> {
  const { cache, client, events } = context
  const { name, namespace } = claim.metadata
  const known = cache.get(PersistentVolumeClaim, `${namespace}/${name}`)
  if (known !== undefined) {
    // A claim on its way out would take the pod's storage with it.
    if (known.metadata.deletionTimestamp !== undefined) throw new Error(`pvc ${name} is being deleted`)
    return
  }
  try {
    await client.create(PersistentVolumeClaim, claim)
    events.record(set, 'Normal', 'SuccessfulCreate', `create Claim ${name} Pod ${pod} in StatefulSet ${set.metadata.name} success`)
  } catch (error) {
    if (isApiError(error, 'AlreadyExists')) return
    events.record(
      set,
      'Warning',
      'FailedCreate',
      `create Claim ${name} for Pod ${pod} in StatefulSet ${set.metadata.name} failed error: ${(error as Error).message}`,
    )
    throw error
  }
}

async function removePod({ set, context }: Work, pod: PodObject): Promise<void> {
  const { client, events } = context
  const { name, uid } = pod.metadata
  try {
    await client.delete(Pod, nameOf(pod), { preconditions: { uid } })
    events.record(set, 'Normal', 'SuccessfulDelete', `delete Pod ${name} in StatefulSet ${set.metadata.name} successful`)
  } catch (error) {
    if (isApiError(error, 'NotFound')) return
    events.record(
      set,
      'Warning',
      'FailedDelete',
      `delete Pod ${name} in StatefulSet ${set.metadata.name} failed error: ${(error as Error).message}`,
    )
    throw error
  }
}

/** Claims go with the set, or with the pod that is scaled away, where the retention policy says so (KEP-1847). */
async function keepClaimOwners({ set, context }: Work, pods: readonly PodObject[], plan: StatefulSetPlan): Promise<void> {
  const { whenDeleted = 'Retain', whenScaled = 'Retain' } = set.spec.persistentVolumeClaimRetentionPolicy ?? {}
  const templates = set.spec.volumeClaimTemplates ?? []
  if (templates.length === 0) return
  for (const pod of pods) {
    const ordinal = ordinalOf(set, pod)
    if (ordinal === undefined) continue
    const owners: { kind: string; apiVersion: string; object: KubeObject }[] = []
    const condemned = plan.condemned.includes(pod)
    if (whenScaled === 'Delete' && condemned) owners.push({ kind: 'Pod', apiVersion: 'v1', object: pod })
    else if (whenDeleted === 'Delete') owners.push({ kind: 'StatefulSet', apiVersion: 'apps/v1', object: set })
    for (const template of templates) {
      const claim = context.cache.get(PersistentVolumeClaim, `${set.metadata.namespace}/${claimName(set, template, ordinal)}`)
      if (claim !== undefined) await setOwners(claim, owners, [set, pod], context)
    }
  }
}

async function setOwners(
  claim: ClaimObject,
  owners: readonly { kind: string; apiVersion: string; object: KubeObject }[],
  ours: readonly KubeObject[],
  { client }: ReconcileContext,
): Promise<void> {
  const before = claim.metadata.ownerReferences ?? []
  const wanted = owners.map(({ kind, apiVersion, object }) => ({ apiVersion, kind, name: object.metadata.name, uid: object.metadata.uid }))
  const foreign = before.filter(
    ({ uid, kind, name }) => !ours.some(({ metadata }) => metadata.uid === uid || (kind === 'Pod' && metadata.name === name)),
  )
  const after = [...foreign, ...wanted.map((reference) => before.find(({ uid }) => uid === reference.uid) ?? reference)]
  if (canonicalJson(after) === canonicalJson(before)) return
  await client.update(PersistentVolumeClaim, { ...claim, metadata: { ...claim.metadata, ownerReferences: after } })
}
