// The identity of a StatefulSet's pods: name, hostname, labels and claims follow from an ordinal. Pure.
import type { ControllerRevision as RevisionObject, StatefulSet as StatefulSetObject } from '#api/generated/apps-v1'
import type { PersistentVolumeClaim as ClaimObject, Pod as PodObject, Volume } from '#api/generated/core-v1'
import { StatefulSet } from '#api/kinds/apps/stateful-set'
import type { Manifest } from '#api/object'
import { ownerReference } from '../owned-objects.ts'
import { podFromTemplate } from '../pods-of-template.ts'
import { revisionHashLabel, templateOf } from '../revisions.ts'

export const podNameLabel = 'statefulset.kubernetes.io/pod-name'
export const podIndexLabel = 'apps.kubernetes.io/pod-index'

export function podName(set: StatefulSetObject, ordinal: number): string {
  return `${set.metadata.name}-${ordinal}`
}

/** The ordinal that a pod's name says; undefined for a name of another form. */
export function ordinalOf(set: StatefulSetObject, pod: PodObject): number | undefined {
  const prefix = `${set.metadata.name}-`
  const rest = pod.metadata.name.startsWith(prefix) ? pod.metadata.name.slice(prefix.length) : ''
  return /^(0|[1-9]\d*)$/.test(rest) ? Number(rest) : undefined
}

export function revisionNameOf(pod: PodObject): string | undefined {
  return pod.metadata.labels?.[revisionHashLabel]
}

export function claimName(set: StatefulSetObject, template: ClaimObject, ordinal: number): string {
  return `${template.metadata.name}-${set.metadata.name}-${ordinal}`
}

/** The claims that the pod of an ordinal needs. */
export function claimsFor(
  set: StatefulSetObject,
  ordinal: number,
): (Manifest<ClaimObject> & { metadata: { name: string; namespace: string } })[] {
  return (set.spec.volumeClaimTemplates ?? []).map((template) => ({
    metadata: {
      ...(template.metadata.annotations === undefined ? {} : { annotations: { ...template.metadata.annotations } }),
      name: claimName(set, template, ordinal),
      namespace: set.metadata.namespace ?? '',
      labels: { ...template.metadata.labels, ...set.spec.selector.matchLabels },
    },
    spec: structuredClone(template.spec) as Manifest<ClaimObject['spec']>,
  }))
}

export function podFor(set: StatefulSetObject, ordinal: number, revision: RevisionObject): Manifest<PodObject> {
  const name = podName(set, ordinal)
  const template = templateOf(revision)
  const pod = podFromTemplate(template, set, ownerReference(StatefulSet, set))
  const metadata = pod.metadata!
  delete metadata.generateName
  metadata.name = name
  metadata.labels = {
    ...metadata.labels,
    [podNameLabel]: name,
    [podIndexLabel]: String(ordinal),
    [revisionHashLabel]: revision.metadata.name,
  }
  pod.spec = {
    ...(template.spec as object),
    hostname: name,
    subdomain: set.spec.serviceName ?? '',
    volumes: volumesFor(set, ordinal, template.spec.volumes ?? []),
  } as Manifest<PodObject['spec']>
  return pod
}

function volumesFor(set: StatefulSetObject, ordinal: number, others: readonly Volume[]): Volume[] {
  const own = (set.spec.volumeClaimTemplates ?? []).map((template) => ({
    name: template.metadata.name,
    persistentVolumeClaim: { claimName: claimName(set, template, ordinal) },
  }))
  return [...own, ...others.filter(({ name }) => !own.some((volume) => volume.name === name))]
}
