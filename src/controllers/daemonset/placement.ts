// Which nodes a DaemonSet's pods belong on, and how they are pinned there. Pure.
import type { DaemonSet as DaemonSetObject } from '#api/generated/apps-v1'
import type { Affinity, Node as NodeObject, NodeSelectorTerm, Pod as PodObject, Toleration } from '#api/generated/core-v1'
import { DaemonSet } from '#api/kinds/apps/daemon-set'
import { requiredNodeMatcher } from '#api/node-selectors'
import type { Manifest } from '#api/object'
import {
  findUntolerated,
  taintDiskPressure,
  taintMemoryPressure,
  taintNetworkUnavailable,
  taintNotReady,
  taintPidPressure,
  taintUnreachable,
  taintUnschedulable,
} from '#api/taints'
import { ownerReference } from '../owned-objects.ts'
import { podFromTemplate } from '../pods-of-template.ts'
import { revisionHashLabel } from '../revisions.ts'

/** `run`: a pod should be made there; `stay`: one that is there may go on. */
export interface Placement {
  readonly run: boolean
  readonly stay: boolean
}

/** Decides for one node after the other; what is the same for all is worked out once. */
export function placementOf(set: DaemonSetObject): (node: NodeObject) => Placement {
  const { spec } = set.spec.template
  const tolerations = [...(spec.tolerations ?? []), ...daemonTolerations(spec.hostNetwork === true)]
  const matches = requiredNodeMatcher({ spec })
  return (node) => {
    if ((spec.nodeName && spec.nodeName !== node.metadata.name) || !matches(node)) return { run: false, stay: false }
    if (findUntolerated(node.spec.taints, tolerations) === undefined) return { run: true, stay: true }
    return { run: false, stay: findUntolerated(node.spec.taints, tolerations, ['NoExecute']) === undefined }
  }
}

// Daemons stay with their node through its troubles.
function daemonTolerations(hostNetwork: boolean): Toleration[] {
  const exists = (key: string, effect: 'NoSchedule' | 'NoExecute'): Toleration => ({ key, operator: 'Exists', effect })
  return [
    exists(taintNotReady, 'NoExecute'),
    exists(taintUnreachable, 'NoExecute'),
    exists(taintDiskPressure, 'NoSchedule'),
    exists(taintMemoryPressure, 'NoSchedule'),
    exists(taintPidPressure, 'NoSchedule'),
    exists(taintUnschedulable, 'NoSchedule'),
    ...(hostNetwork ? [exists(taintNetworkUnavailable, 'NoSchedule')] : []),
  ]
}

const nameField = 'metadata.name'

/** The node that a daemon's pod runs on, or is meant for while it has none. */
export function nodeOfDaemon({ spec }: PodObject): string | undefined {
  if (spec.nodeName) return spec.nodeName
  const terms = spec.affinity?.nodeAffinity?.requiredDuringSchedulingIgnoredDuringExecution?.nodeSelectorTerms ?? []
  for (const { matchFields } of terms) {
    const named = matchFields?.find(({ key, operator, values }) => key === nameField && operator === 'In' && values?.length === 1)
    if (named !== undefined) return named.values?.[0]
  }
  return undefined
}

export function daemonPod(set: DaemonSetObject, node: string, hash: string): Manifest<PodObject> {
  const pod = podFromTemplate(set.spec.template, set, ownerReference(DaemonSet, set))
  const generation = set.metadata.annotations?.['deprecated.daemonset.template.generation']
  pod.metadata!.labels = {
    ...pod.metadata!.labels,
    [revisionHashLabel]: hash,
    ...(generation === undefined ? {} : { 'pod-template-generation': generation }),
  }
  const { spec } = set.spec.template
  pod.spec = {
    ...(spec as object),
    affinity: pinned(spec.affinity, node),
    tolerations: [...(spec.tolerations ?? []), ...daemonTolerations(spec.hostNetwork === true)],
  } as Manifest<PodObject['spec']>
  return pod
}

/** The affinity with every alternative narrowed to the node. */
function pinned(affinity: Affinity | undefined, node: string): Affinity {
  const required = affinity?.nodeAffinity?.requiredDuringSchedulingIgnoredDuringExecution
  const here = { key: nameField, operator: 'In' as const, values: [node] }
  // Of fields the name alone can be asked for, and it is decided here.
  const terms: NodeSelectorTerm[] =
    required === undefined ? [{ matchFields: [here] }] : required.nodeSelectorTerms.map((term) => ({ ...term, matchFields: [here] }))
  return {
    ...affinity,
    nodeAffinity: { ...affinity?.nodeAffinity, requiredDuringSchedulingIgnoredDuringExecution: { nodeSelectorTerms: terms } },
  }
}
