// Deployment: rolls its pods from one template to the next, by growing and shrinking ReplicaSets.

import { isApiError } from '#api/errors'
import type { Deployment as DeploymentObject, DeploymentStatus, ReplicaSet as ReplicaSetObject } from '#api/generated/apps-v1'
import { canonicalJson } from '#api/hash'
import { Deployment } from '#api/kinds/apps/deployment'
import { ReplicaSet } from '#api/kinds/apps/replica-set'
import { Pod } from '#api/kinds/core/pod'
import { labelMatcher } from '#api/label-selectors'
import { controllerOf, keyText } from '#api/object'
import { isPodTerminal } from '#api/pods'
import { defineController, type ReconcileContext } from '#client/controller'
import { claimOwned, nameOf } from '../owned-objects.ts'
import { watchKind, watchOwned } from '../watches.ts'
import { condition, countStatus, hasDeadline, isComplete, progress, removeCondition, setCondition } from './deployment-status.ts'
import {
  carriesTemplate,
  findNewSet,
  newReplicaSet,
  nextRevision,
  refreshedNewSet,
  revisionOf,
  scaleAnnotations,
  surplusHistory,
} from './replica-sets.ts'
import { desiredReplicasAnnotation, newSetReplicas, revisionAnnotation, scaleProportionally, shrinkOldSets } from './rolling-update.ts'

interface Work {
  readonly context: ReconcileContext
  readonly deployment: DeploymentObject
  readonly oldSets: readonly ReplicaSetObject[]
  readonly newSet: ReplicaSetObject | undefined
  /** Status conditions as this reconcile changes them. */
  status: DeploymentStatus
}

export const deploymentController = defineController({
  name: 'deployment-controller',
  watches: [
    watchKind(Deployment),
    watchOwned(ReplicaSet, { by: Deployment, selectorOf: (deployment) => deployment.spec.selector }),
    {
      // The last pod of an old version is gone: a Recreate rollout may go on.
      kind: Pod,
      when: (pod, old) => old !== undefined && (pod.metadata.deletionTimestamp !== undefined || isPodTerminal(pod as never)),
      keysOf(pod, _old, cache) {
        const owner = controllerOf(pod)
        const set = owner?.kind === 'ReplicaSet' ? cache.get(ReplicaSet, keyText(pod.metadata.namespace, owner.name)) : undefined
        const deployment = set === undefined ? undefined : controllerOf(set)
        return deployment === undefined ? [] : [keyText(pod.metadata.namespace, deployment.name)]
      },
    },
  ],
  async reconcile(key, context) {
    const { cache, client } = context
    const deployment = cache.get(Deployment, key)
    if (deployment === undefined) return
    const sets = await claimOwned({
      cache,
      client,
      ownerKind: Deployment,
      owner: deployment,
      kind: ReplicaSet,
      matches: labelMatcher(deployment.spec.selector),
    })
    const newSet = findNewSet(deployment, sets)
    const oldSets = sets.filter((set) => set !== newSet)
    const work: Work = { context, deployment, oldSets, newSet, status: deployment.status }
    if (deployment.metadata.deletionTimestamp !== undefined) return finish(work, sets, newSet)
    notePause(work)
    if (deployment.spec.paused || wasScaled(deployment, sets)) return scaleOnly(work)
    return deployment.spec.strategy.type === 'Recreate' ? recreate(work) : roll(work)
  },
})

/** The Deployment's size changed since its sets were last sized. */
function wasScaled(deployment: DeploymentObject, sets: readonly ReplicaSetObject[]): boolean {
  return sets.some(({ spec, metadata }) => {
    const desired = metadata.annotations?.[desiredReplicasAnnotation]
    return spec.replicas > 0 && desired !== undefined && Number(desired) !== deployment.spec.replicas
  })
}

function notePause(work: Work): void {
  const { deployment, context } = work
  if (!hasDeadline(deployment)) return
  const conditions = work.status.conditions ?? []
  const current = conditions.find(({ type }) => type === 'Progressing')
  if (current?.reason === 'ProgressDeadlineExceeded') return
  const nowMs = context.clock.now()
  const paused = current?.reason === 'DeploymentPaused'
  if (deployment.spec.paused && !paused) {
    const next = condition('Progressing', 'Unknown', 'DeploymentPaused', 'Deployment is paused', nowMs)
    work.status = { ...work.status, conditions: setCondition(conditions, next) }
  } else if (!deployment.spec.paused && paused) {
    const next = condition('Progressing', 'Unknown', 'DeploymentResumed', 'Deployment is resumed', nowMs)
    work.status = { ...work.status, conditions: setCondition(conditions, next) }
  }
}

async function scaleOnly(work: Work): Promise<number | undefined> {
  const { deployment, oldSets, newSet } = work
  const sets = newSet === undefined ? oldSets : [...oldSets, newSet]
  const active = sets.filter(({ spec }) => spec.replicas > 0)
  const latest = active.length === 1 ? active[0] : active.length === 0 ? (newSet ?? newestOf(oldSets)) : undefined
  const scaled = new Map<ReplicaSetObject, ReplicaSetObject>()
  const scale = async (set: ReplicaSetObject, replicas: number): Promise<void> => void scaled.set(set, await scaleSet(work, set, replicas))
  if (active.length <= 1) {
    if (latest !== undefined && latest.spec.replicas !== deployment.spec.replicas) await scale(latest, deployment.spec.replicas)
    else if (latest !== undefined) await scale(latest, latest.spec.replicas)
  } else if (newSet !== undefined && isSaturated(deployment, newSet)) {
    for (const set of oldSets) if (set.spec.replicas > 0) await scale(set, 0)
  } else if (deployment.spec.strategy.type === 'RollingUpdate') {
    for (const { set, replicas } of scaleProportionally(deployment, sets)) await scale(set, replicas)
  }
  const now = sets.map((set) => scaled.get(set) ?? set)
  return finish(work, now, newSet === undefined ? undefined : (scaled.get(newSet) ?? newSet))
}

function newestOf(sets: readonly ReplicaSetObject[]): ReplicaSetObject | undefined {
  return [...sets].sort((a, b) => revisionOf(b) - revisionOf(a))[0]
}

function isSaturated(deployment: DeploymentObject, set: ReplicaSetObject): boolean {
  const { replicas } = deployment.spec
  return (
    set.spec.replicas === replicas &&
    Number(set.metadata.annotations?.[desiredReplicasAnnotation]) === replicas &&
    set.status.availableReplicas === replicas
  )
}

async function roll(work: Work): Promise<number | undefined> {
  const { deployment, oldSets } = work
  const newSet = await ensureNewSet(work)
  if (newSet === undefined) return undefined
  const sets = [...oldSets, newSet]
  const grown = newSetReplicas(deployment, sets, newSet)
  const wanted = newSet.spec.replicas > deployment.spec.replicas ? deployment.spec.replicas : grown
  if (wanted !== newSet.spec.replicas) {
    const scaled = await scaleSet(work, newSet, wanted)
    return finish(work, [...oldSets, scaled], scaled)
  }
  const shrunk = shrinkOldSets(
    deployment,
    oldSets.filter(({ spec }) => spec.replicas > 0),
    newSet,
  )
  const after = new Map<ReplicaSetObject, ReplicaSetObject>()
  for (const { set, replicas } of shrunk) after.set(set, await scaleSet(work, set, replicas))
  return finish(work, [...oldSets.map((set) => after.get(set) ?? set), newSet], newSet)
}

async function recreate(work: Work): Promise<number | undefined> {
  const { deployment, oldSets, context } = work
  const active = oldSets.filter(({ spec }) => spec.replicas > 0)
  if (active.length > 0) {
    const after = await Promise.all(active.map((set) => scaleSet(work, set, 0)))
    const rest = oldSets.filter((set) => !active.includes(set))
    return finish(work, [...after, ...rest, ...(work.newSet === undefined ? [] : [work.newSet])], work.newSet)
  }
  const oldRuns = oldSets.some((set) => context.cache.ownedBy(Pod, set).some((pod) => !isPodTerminal(pod)))
  if (oldRuns) return finish(work, [...oldSets, ...(work.newSet === undefined ? [] : [work.newSet])], work.newSet)
  const newSet = await ensureNewSet(work)
  if (newSet === undefined) return undefined
  const scaled = newSet.spec.replicas === deployment.spec.replicas ? newSet : await scaleSet(work, newSet, deployment.spec.replicas)
  return finish(work, [...oldSets, scaled], scaled)
}

/** The set for the present template, made when it is missing. Undefined when its name was taken: the next look chooses another. */
async function ensureNewSet(work: Work): Promise<ReplicaSetObject | undefined> {
  const { context, deployment, oldSets, newSet } = work
  const { client, clock, events } = context
  const note = (reason: string, message: string): void => {
    if (!hasDeadline(deployment)) return
    const next = condition('Progressing', 'True', reason, message, clock.now())
    work.status = { ...work.status, conditions: setCondition(work.status.conditions ?? [], next) }
  }
  if (newSet !== undefined) {
    const refreshed = refreshedNewSet(deployment, newSet, oldSets)
    const current = refreshed === undefined ? newSet : await client.update(ReplicaSet, refreshed)
    await setRevision(work, revisionOf(current))
    const known = work.status.conditions?.some(({ type }) => type === 'Progressing')
    if (!known) note('FoundNewReplicaSet', `Found new replica set "${current.metadata.name}"`)
    return current
  }
  const revision = nextRevision(oldSets)
  const manifest = newReplicaSet(deployment, newSetReplicas(deployment, oldSets, undefined), revision)
  try {
    const created = await client.create(ReplicaSet, manifest)
    if (created.spec.replicas > 0) {
      const message = `Scaled up replica set ${created.metadata.name} from 0 to ${created.spec.replicas}`
      events.record(deployment, 'Normal', 'ScalingReplicaSet', message)
    }
    note('NewReplicaSetCreated', `Created new replica set "${created.metadata.name}"`)
    await setRevision(work, revision)
    return created
  } catch (error) {
    if (isApiError(error, 'AlreadyExists')) return resolveCollision(work, manifest.metadata.name)
    const message = `Failed to create new replica set "${manifest.metadata.name}": ${(error as Error).message}`
    note('ReplicaSetCreateError', message)
    events.record(deployment, 'Warning', 'ReplicaSetCreateError', message)
    throw error
  }
}

/** A set of that name exists: ours after all (the cache was behind), or another template's with the same hash. */
async function resolveCollision({ context, deployment }: Work, name: string): Promise<ReplicaSetObject | undefined> {
  const { client } = context
  const existing = await client.get(ReplicaSet, { namespace: deployment.metadata.namespace ?? '', name })
  if (controllerOf(existing)?.uid === deployment.metadata.uid && carriesTemplate(deployment, existing)) return existing
  const collisionCount = (deployment.status.collisionCount ?? 0) + 1
  await client.updateStatus(Deployment, { ...deployment, status: { ...deployment.status, collisionCount } })
  return undefined
}

async function setRevision({ context, deployment }: Work, revision: number): Promise<void> {
  if (revisionOf(deployment) === revision) return
  const patch = { metadata: { annotations: { [revisionAnnotation]: String(revision) } } }
  await context.client.patch(Deployment, nameOf(deployment), 'merge', patch)
}

async function scaleSet({ context, deployment }: Work, set: ReplicaSetObject, replicas: number): Promise<ReplicaSetObject> {
  const annotations = { ...set.metadata.annotations, ...scaleAnnotations(deployment) }
  const before = set.spec.replicas
  if (before === replicas && canonicalJson(annotations) === canonicalJson(set.metadata.annotations ?? {})) return set
  const scaled = await context.client.update(ReplicaSet, {
    ...set,
    metadata: { ...set.metadata, annotations },
    spec: { ...set.spec, replicas },
  })
  if (before !== replicas) {
    const direction = replicas > before ? 'up' : 'down'
    const message = `Scaled ${direction} replica set ${set.metadata.name} from ${before} to ${replicas}`
    context.events.record(deployment, 'Normal', 'ScalingReplicaSet', message)
  }
  return scaled
}

/** Writes the status if it changed, and drops surplus history once the rollout is complete. */
async function finish(work: Work, sets: readonly ReplicaSetObject[], newSet: ReplicaSetObject | undefined): Promise<number | undefined> {
  const { context, deployment } = work
  const { client, clock } = context
  const counted = countStatus({ ...deployment, status: work.status }, sets, newSet, clock.now())
  const { status, lookAgainAfterMs } = progress(deployment, counted, sets, newSet, clock.now())
  if (!hasDeadline(deployment)) status.conditions = removeCondition(status.conditions ?? [], 'Progressing')
  if (canonicalJson(withoutTimes(status)) !== canonicalJson(withoutTimes(deployment.status)) || progressed(deployment.status, status)) {
    const latest =
      revisionOf(deployment) === revisionOf(newSet) || newSet === undefined ? deployment : await client.get(Deployment, nameOf(deployment))
    if (latest.metadata.generation === deployment.metadata.generation) await client.updateStatus(Deployment, { ...latest, status })
  }
  if (isComplete(deployment, status) && deployment.metadata.deletionTimestamp === undefined) {
    const surplus = surplusHistory(
      deployment,
      sets.filter((set) => set !== newSet),
    )
    for (const set of surplus) await client.delete(ReplicaSet, nameOf(set)).catch((error) => ignoreNotFound(error))
  }
  return lookAgainAfterMs
}

function withoutTimes(status: DeploymentStatus): DeploymentStatus {
  const conditions = (status.conditions ?? [])
    .map(({ lastUpdateTime: _u, lastTransitionTime: _t, ...rest }) => rest)
    .sort((a, b) => (a.type < b.type ? -1 : 1))
  const defined = Object.fromEntries(Object.entries(status).filter(([, value]) => value !== undefined && value !== 0))
  return { ...defined, conditions: conditions as DeploymentStatus['conditions'] & object }
}

/** The Progressing condition's update time moved: it restarts the deadline, so it must be written. */
function progressed(before: DeploymentStatus, after: DeploymentStatus): boolean {
  const time = (status: DeploymentStatus): string | undefined =>
    status.conditions?.find(({ type }) => type === 'Progressing')?.lastUpdateTime
  return time(before) !== time(after)
}

function ignoreNotFound(error: unknown): void {
  if (!isApiError(error, 'NotFound')) throw error
}
