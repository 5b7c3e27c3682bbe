// Pod of the core group: what is filled in, what is checked, what may change, and how it is listed.
import type { FieldError } from '../../errors.ts'
import type * as coreV1 from '../../generated/core-v1.ts'
import { defineKind, type RowCondition } from '../../kind.ts'
import { podIps, setPodCondition } from '../../pods.ts'
import { computeQosClass } from '../../resources.ts'
import { warningsForIp } from '../../validation/ip.ts'
import { alikePods, samePodsForValidation } from './pod-alike.ts'
import { fillAppArmorFields } from './pod-annotations.ts'
import { podColumns } from './pod-columns.ts'
import { setPodDefaults } from './pod-defaults.ts'
import { validatePodResize } from './pod-resize.ts'
import { mergeMatchLabelKeys } from './pod-scheduling.ts'
import { validatePodStatusUpdate } from './pod-status.ts'
import { validateEphemeralContainersUpdate, validatePodUpdate } from './pod-update.ts'
import { validatePod, validatePodCreate } from './pod-validation.ts'
import { appArmorWarning, nameWarnings, podWarnings } from './pod-warnings.ts'

export type Pod = coreV1.Pod

/** Seconds between the wish to delete a running pod and its end; 0: at once. */
function gracePeriod(pod: Pod, requested: number | undefined): number {
  const seconds = requested ?? pod.spec.terminationGracePeriodSeconds
  const finished = pod.status.phase === 'Succeeded' || pod.status.phase === 'Failed'
  if (!pod.spec.nodeName || finished) return 0
  return seconds < 0 ? 1 : seconds
}

const succeeded: readonly RowCondition[] = [
  { type: 'Completed', status: 'True', reason: 'Succeeded', message: 'The pod has completed successfully.' },
]
const failed: readonly RowCondition[] = [{ type: 'Completed', status: 'True', reason: 'Failed', message: 'The pod failed.' }]

export const Pod = defineKind<Pod>('core/v1/pods', {
  setDefaults(pod) {
    pod.spec ??= {} as coreV1.PodSpec
    pod.status ??= {}
    setPodDefaults(pod)
  },
  prepareForCreate(pod, { nowMs, warn }) {
    pod.status = { phase: 'Pending', qosClass: computeQosClass(pod) }
    if ((pod.spec.schedulingGates ?? []).length > 0) setPodCondition(pod.status, gatedCondition, nowMs)
    mergeMatchLabelKeys(pod)
    for (const key of fillAppArmorFields(pod)) warn?.(appArmorWarning(`metadata.annotations[${key}]`))
  },
  prepareForStatusUpdate(pod, old, { warn }) {
    pod.status.qosClass ??= old.status.qosClass
    syncPodIps(pod.status)
    keepObservedGenerations(pod.status, old.status)
    for (const text of addressWarnings(pod.status)) warn?.(text)
  },
  validate: validatePod,
  validateCreate: validatePodCreate,
  validateUpdate(pod, old, { subresource }): FieldError[] {
    if (subresource === 'ephemeralcontainers') return validateEphemeralContainersUpdate(pod, old)
    if (subresource === 'resize') return validatePodResize(pod, old)
    return validatePodUpdate(pod, old)
  },
  validateStatusUpdate: validatePodStatusUpdate,
  warnings,
  alike: alikePods,
  sameForValidation: samePodsForValidation,
  sharesContent: true,
  gracePeriod,
  hasGeneration: true,
  columns: podColumns,
  rowConditions: ({ status }) => (status.phase === 'Succeeded' ? succeeded : status.phase === 'Failed' ? failed : []),
  selectableFields: {
    'spec.nodeName': ({ spec }) => spec.nodeName ?? '',
    // Compat: what the first clients called it.
    'spec.host': ({ spec }) => spec.nodeName ?? '',
    'spec.restartPolicy': ({ spec }) => spec.restartPolicy,
    'spec.schedulerName': ({ spec }) => spec.schedulerName,
    'spec.serviceAccountName': ({ spec }) => spec.serviceAccountName ?? '',
    'spec.hostNetwork': ({ spec }) => String(spec.hostNetwork ?? false),
    'status.phase': ({ status }) => status.phase ?? '',
    'status.podIP': ({ status }) => podIps(status)[0] ?? '',
    'status.podIPs': ({ status }) => podIps(status)[0] ?? '',
    'status.nominatedNodeName': ({ status }) => status.nominatedNodeName ?? '',
  },
})

const gatedCondition: coreV1.PodCondition = {
  type: 'PodScheduled',
  status: 'False',
  reason: 'SchedulingGated',
  message: 'Scheduling is blocked due to non-empty scheduling gates',
}

// Compat: clients from before KEP-5067 write statuses without saying which generation they are about.
function keepObservedGenerations(status: coreV1.PodStatus, old: coreV1.PodStatus): void {
  if (!status.observedGeneration && old.observedGeneration) status.observedGeneration = old.observedGeneration
  for (const condition of status.conditions ?? []) {
    if (condition.observedGeneration) continue
    const generation = old.conditions?.find(({ type }) => type === condition.type)?.observedGeneration
    if (generation) condition.observedGeneration = generation
  }
}

// Compat: old clients read and write podIP, new ones podIPs; the first of the list is the same address.
function syncPodIps(status: coreV1.PodStatus): void {
  if (status.podIP && (status.podIPs ?? []).length === 0) status.podIPs = [{ ip: status.podIP }]
  else if (!status.podIP && status.podIPs?.[0] !== undefined) status.podIP = status.podIPs[0].ip
}

function addressWarnings({ podIPs = [], hostIPs = [] }: coreV1.PodStatus): string[] {
  return [
    ...podIPs.flatMap(({ ip }, i) => warningsForIp(`status.podIPs[${i}].ip`, ip)),
    ...hostIPs.flatMap(({ ip }, i) => warningsForIp(`status.hostIPs[${i}].ip`, ip)),
  ]
}

// Updates of pods are many, and hardly anybody's own doing.
function warnings(pod: Pod, old: Pod | undefined): string[] {
  return old === undefined ? [...nameWarnings(pod.metadata.name, "the Pod's hostname"), ...podWarnings(pod)] : []
}
