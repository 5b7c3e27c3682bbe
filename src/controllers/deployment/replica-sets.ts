// A Deployment's ReplicaSets: which one carries the present template, what it is called, what is written on it. Mostly pure.
import type { Deployment as DeploymentObject, ReplicaSet as ReplicaSetObject } from '#api/generated/apps-v1'
import type { PodTemplateSpec } from '#api/generated/core-v1'
import { canonicalJson, templateHash } from '#api/hash'
import { Deployment } from '#api/kinds/apps/deployment'
import type { Manifest } from '#api/object'
import { ownerReference } from '../owned-objects.ts'
import {
  boundsOf,
  byAge,
  desiredReplicasAnnotation,
  maxReplicasAnnotation,
  revisionAnnotation,
  revisionHistoryAnnotation,
} from './rolling-update.ts'

export const templateHashLabel = 'pod-template-hash'

// Annotations of the Deployment that its ReplicaSets don't inherit.
const notInherited = new Set([
  'kubectl.kubernetes.io/last-applied-configuration',
  revisionAnnotation,
  revisionHistoryAnnotation,
  desiredReplicasAnnotation,
  maxReplicasAnnotation,
  'deprecated.deployment.rollback.to',
])

/** The template as text, the hash label left out: equal texts mean equal templates. */
function templateText(template: PodTemplateSpec | undefined): string {
  if (template === undefined) return ''
  const { [templateHashLabel]: _hash, ...labels } = template.metadata.labels ?? {}
  return canonicalJson({ ...template, metadata: { ...template.metadata, labels } })
}

/** The set that carries the Deployment's template: the oldest, should there be several. */
export function findNewSet(deployment: DeploymentObject, sets: readonly ReplicaSetObject[]): ReplicaSetObject | undefined {
  const wanted = templateText(deployment.spec.template)
  return [...sets].sort(byAge).find(({ spec }) => templateText(spec.template) === wanted)
}

export function revisionOf(object: { metadata: { annotations?: Record<string, string> } } | undefined): number {
  const value = Number(object?.metadata.annotations?.[revisionAnnotation] ?? '0')
  return Number.isInteger(value) ? value : 0
}

export function nextRevision(oldSets: readonly ReplicaSetObject[]): number {
  return Math.max(0, ...oldSets.map(revisionOf)) + 1
}

/** A set for the Deployment's present template. */
export function newReplicaSet(
  deployment: DeploymentObject,
  replicas: number,
  revision: number,
): Manifest<ReplicaSetObject> & { metadata: { name: string } } {
  const { template, selector, minReadySeconds } = deployment.spec
  const hash = templateHash(template, deployment.status.collisionCount)
  return {
    metadata: {
      name: `${deployment.metadata.name}-${hash}`,
      namespace: deployment.metadata.namespace ?? '',
      labels: { ...template.metadata.labels, [templateHashLabel]: hash },
      annotations: { ...inheritedAnnotations(deployment), ...scaleAnnotations(deployment), [revisionAnnotation]: String(revision) },
      ownerReferences: [ownerReference(Deployment, deployment)],
    },
    spec: {
      replicas,
      ...(minReadySeconds === undefined ? {} : { minReadySeconds }),
      selector: { ...selector, matchLabels: { ...selector?.matchLabels, [templateHashLabel]: hash } },
      template: {
        ...template,
        metadata: { ...template.metadata, labels: { ...template.metadata.labels, [templateHashLabel]: hash } },
      } as Manifest<PodTemplateSpec>,
    },
  }
}

export function inheritedAnnotations(deployment: DeploymentObject): Record<string, string> {
  return Object.fromEntries(Object.entries(deployment.metadata.annotations ?? {}).filter(([name]) => !notInherited.has(name)))
}

/** What a set remembers of the Deployment's size, for proportional scaling. */
export function scaleAnnotations(deployment: DeploymentObject): Record<string, string> {
  const { replicas } = deployment.spec
  return { [desiredReplicasAnnotation]: String(replicas), [maxReplicasAnnotation]: String(replicas + boundsOf(deployment).maxSurge) }
}

/** The existing new set with what the Deployment says of it now, or undefined when nothing differs. */
export function refreshedNewSet(
  deployment: DeploymentObject,
  set: ReplicaSetObject,
  oldSets: readonly ReplicaSetObject[],
): ReplicaSetObject | undefined {
  const annotations: Record<string, string> = { ...set.metadata.annotations, ...inheritedAnnotations(deployment) }
  const revision = nextRevision(oldSets)
  if (revision > revisionOf(set)) {
    // A rollback: the set's earlier numbers are kept for `kubectl rollout history`.
    const earlier = annotations[revisionAnnotation]
    if (earlier !== undefined) {
      const history = annotations[revisionHistoryAnnotation]
      annotations[revisionHistoryAnnotation] = history ? `${history},${earlier}` : earlier
    }
    annotations[revisionAnnotation] = String(revision)
  }
  const { minReadySeconds } = deployment.spec
  const same =
    canonicalJson(annotations) === canonicalJson(set.metadata.annotations ?? {}) &&
    (set.spec.minReadySeconds ?? 0) === (minReadySeconds ?? 0)
  if (same) return undefined
  return {
    ...set,
    metadata: { ...set.metadata, annotations },
    spec: { ...set.spec, ...(minReadySeconds === undefined ? {} : { minReadySeconds }) },
  }
}

/** Old sets beyond the history limit that are empty and may go, lowest revision first. */
export function surplusHistory(deployment: DeploymentObject, oldSets: readonly ReplicaSetObject[]): ReplicaSetObject[] {
  const kept = oldSets.filter(({ metadata }) => metadata.deletionTimestamp === undefined).sort((a, b) => revisionOf(a) - revisionOf(b))
  const surplus = kept.length - deployment.spec.revisionHistoryLimit
  if (surplus <= 0) return []
  return kept
    .slice(0, surplus)
    .filter(
      ({ spec, status, metadata }) =>
        spec.replicas === 0 && status.replicas === 0 && (status.observedGeneration ?? 0) >= (metadata.generation ?? 0),
    )
}

/** Whether two sets are the same by what a Deployment made of them: used when a name is taken. */
export function carriesTemplate(deployment: DeploymentObject, set: ReplicaSetObject): boolean {
  return templateText(set.spec.template) === templateText(deployment.spec.template)
}
