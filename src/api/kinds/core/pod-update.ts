// What may change of a pod after it was made: by update, through its status, its ephemeral containers and its resize subresource.
import type { FieldError } from '../../errors.ts'
import type * as coreV1 from '../../generated/core-v1.ts'
import { isMirrorPod, mirrorPodAnnotation } from '../../pods.ts'
import { computeQosClass, isSidecar, qosClassOf } from '../../resources.ts'
import {
  duplicate,
  forbidden,
  immutable,
  internalFieldError,
  invalid,
  invalidEach,
  required,
  semanticEqual,
} from '../../validation/field-errors.ts'
import { goDiff } from '../../validation/go-diff.ts'
import { validateIp } from '../../validation/ip.ts'
import { checkLabelKey, nameIsDnsSubdomain, rangeError } from '../../validation/names.ts'
import { goQuote } from '../../validation/text.ts'
import { validateAddedTolerations } from './pod-scheduling.ts'

const int32Max = 2 ** 31 - 1

const changeable = [
  '`spec.containers[*].image`',
  '`spec.initContainers[*].image`',
  '`spec.activeDeadlineSeconds`',
  '`spec.tolerations` (only additions to existing tolerations)',
  '`spec.terminationGracePeriodSeconds` (allow it to be set to 1 if it was previously negative)',
]

/** Images, a shorter deadline, more tolerations, fewer gates; while gated, also a narrower choice of nodes. */
export function validatePodUpdate(pod: coreV1.Pod, old: coreV1.Pod): FieldError[] {
  const errors = validateAnnotationUpdates(pod, old)
  for (const field of ['containers', 'initContainers'] as const) {
    const { errors: own, stop } = validateContainerUpdates(pod.spec[field], old.spec[field], `spec.${field}`)
    errors.push(...own)
    if (stop) return errors
  }
  const deadline = validateDeadlineUpdate(pod.spec.activeDeadlineSeconds, old.spec.activeDeadlineSeconds)
  errors.push(...deadline.errors)
  if (deadline.stop) return errors
  errors.push(...validateAddedTolerations(pod.spec.tolerations, old.spec.tolerations, 'spec.tolerations'))
  errors.push(...validateGateUpdate(pod.spec.schedulingGates, old.spec.schedulingGates))
  if (semanticEqual(pod.spec, old.spec)) return errors
  const { spec, errors: gated } = withoutAllowedChanges(pod, old)
  errors.push(...gated)
  if (!semanticEqual(spec, old.spec)) {
    const diff = goDiff('core.PodSpec', old.spec, spec)
    errors.push(forbidden('spec', `pod updates may not change fields other than ${changeable.join(',')}\n${diff}`))
  }
  return errors
}

function validateAnnotationUpdates(pod: coreV1.Pod, old: coreV1.Pod): FieldError[] {
  const errors: FieldError[] = []
  const before = old.metadata.annotations ?? {}
  const after = pod.metadata.annotations ?? {}
  const isAppArmor = (key: string): boolean => key.startsWith('container.apparmor.security.beta.kubernetes.io/')
  for (const [key, value] of Object.entries(before)) {
    if (after[key] === value) continue
    if (isAppArmor(key)) errors.push(forbidden(`metadata.annotations[${key}]`, 'may not remove or update AppArmor annotations'))
    if (key === mirrorPodAnnotation)
      errors.push(forbidden(`metadata.annotations[${key}]`, 'may not remove or update mirror pod annotation'))
  }
  for (const key of Object.keys(after)) {
    if (before[key] !== undefined) continue
    if (isAppArmor(key)) errors.push(forbidden(`metadata.annotations[${key}]`, 'may not add AppArmor annotations'))
    if (key === mirrorPodAnnotation) errors.push(forbidden(`metadata.annotations[${key}]`, 'may not add mirror pod annotation'))
  }
  return errors
}

function validateContainerUpdates(
  containers: readonly coreV1.Container[] = [],
  old: readonly coreV1.Container[] = [],
  path: string,
): { errors: FieldError[]; stop: boolean } {
  if (containers.length !== old.length) return { errors: [forbidden(path, 'pod updates may not add or remove containers')], stop: true }
  const errors: FieldError[] = []
  for (const [i, { image = '' }] of containers.entries()) {
    if (image === '') errors.push(required(`${path}[${i}].image`))
    if (image.trim() !== image) errors.push(invalid(`${path}[${i}].image`, image, 'must not have leading or trailing whitespace'))
  }
  return { errors, stop: false }
}

function validateDeadlineUpdate(deadline: number | undefined, old: number | undefined): { errors: FieldError[]; stop: boolean } {
  const path = 'spec.activeDeadlineSeconds'
  if (deadline === undefined) {
    const errors = old === undefined ? [] : [invalid(path, undefined, 'must not update from a positive integer to nil value')]
    return { errors, stop: false }
  }
  if (deadline < 0 || deadline > int32Max) return { errors: [invalid(path, deadline, rangeError(0, int32Max))], stop: true }
  if (old === undefined || deadline <= old) return { errors: [], stop: false }
  return { errors: [invalid(path, deadline, 'must be less than or equal to previous value')], stop: true }
}

function validateGateUpdate(gates: readonly coreV1.PodSchedulingGate[] = [], old: readonly coreV1.PodSchedulingGate[] = []): FieldError[] {
  const errors: FieldError[] = []
  for (const [i, { name }] of gates.entries()) {
    if (old.some((gate) => gate.name === name)) continue
    errors.push(forbidden(`spec.schedulingGates[${i}].name`, `only deletion is allowed, but found new scheduling gate '${name}'`))
  }
  return errors
}

// The new spec with every allowed change taken back: what then still differs is forbidden.
function withoutAllowedChanges(pod: coreV1.Pod, old: coreV1.Pod): { spec: coreV1.PodSpec; errors: FieldError[] } {
  const before = old.spec
  const spec: coreV1.PodSpec = { ...pod.spec }
  const withOldImage = (container: coreV1.Container, i: number, list: readonly coreV1.Container[]): coreV1.Container => ({
    ...container,
    image: list[i]!.image,
  })
  spec.containers = spec.containers.map((container, i) => withOldImage(container, i, before.containers))
  if (spec.initContainers !== undefined) {
    spec.initContainers = spec.initContainers.map((container, i) => withOldImage(container, i, before.initContainers ?? []))
  }
  assignFrom(spec, before, 'activeDeadlineSeconds')
  assignFrom(spec, before, 'schedulingGates')
  assignFrom(spec, before, 'tolerations')
  if (before.terminationGracePeriodSeconds < 0 && spec.terminationGracePeriodSeconds === 1) {
    spec.terminationGracePeriodSeconds = before.terminationGracePeriodSeconds
  }
  const errors = (before.schedulingGates ?? []).length > 0 ? takeBackNodeChoice(spec, before) : []
  return { spec, errors }
}

function assignFrom<K extends keyof coreV1.PodSpec>(spec: coreV1.PodSpec, from: coreV1.PodSpec, key: K): void {
  if (from[key] === undefined) delete spec[key]
  else spec[key] = from[key]
}

// KEP-3838: a gated pod's choice of nodes may be narrowed.
function takeBackNodeChoice(spec: coreV1.PodSpec, before: coreV1.PodSpec): FieldError[] {
  const errors: FieldError[] = []
  if (!semanticEqual(spec.nodeSelector, before.nodeSelector)) {
    const kept = Object.entries(before.nodeSelector ?? {}).every(([key, value]) => spec.nodeSelector?.[key] === value)
    if (!kept) {
      const detail = 'only additions to spec.nodeSelector are allowed (no mutations or deletions)'
      errors.push(invalid('spec.nodeSelector', spec.nodeSelector, detail))
    }
    assignFrom(spec, before, 'nodeSelector')
  }
  const [after, old] = [spec.affinity?.nodeAffinity, before.affinity?.nodeAffinity]
  if (semanticEqual(after, old)) return errors
  errors.push(...validateNodeAffinityUpdate(after, old))
  const affinity: coreV1.Affinity = { ...spec.affinity }
  delete affinity.nodeAffinity
  if (old !== undefined) affinity.nodeAffinity = old
  if (before.affinity === undefined && Object.keys(affinity).length === 0) delete spec.affinity
  else spec.affinity = affinity
  return errors
}

function validateNodeAffinityUpdate(after: coreV1.NodeAffinity | undefined, old: coreV1.NodeAffinity | undefined): FieldError[] {
  const path = 'spec.affinity.nodeAffinity.requiredDuringSchedulingIgnoredDuringExecution.nodeSelectorTerms'
  const oldTerms = old?.requiredDuringSchedulingIgnoredDuringExecution?.nodeSelectorTerms
  if (oldTerms === undefined) return []
  const terms = after?.requiredDuringSchedulingIgnoredDuringExecution?.nodeSelectorTerms ?? []
  if (oldTerms.length > 0 && oldTerms.length !== terms.length) {
    return [invalid(path, terms, 'no additions/deletions to non-empty NodeSelectorTerms list are allowed')]
  }
  const errors: FieldError[] = []
  for (const [i, term] of oldTerms.entries()) {
    if (!onlyAdds(terms[i]!, term))
      errors.push(invalid(`${path}[${i}]`, terms[i], 'only additions are allowed (no mutations or deletions)'))
  }
  return errors
}

function onlyAdds(term: coreV1.NodeSelectorTerm, old: coreV1.NodeSelectorTerm): boolean {
  const lists = [
    [term.matchExpressions ?? [], old.matchExpressions ?? []],
    [term.matchFields ?? [], old.matchFields ?? []],
  ] as const
  if (lists.every(([, before]) => before.length === 0) && lists.some(([after]) => after.length > 0)) return false
  return lists.every(([after, before]) => semanticEqual(after.slice(0, before.length), before))
}

/** Status of a pod: written by its node's agent, within what a pod can go through. */
export function validatePodStatusUpdate(pod: coreV1.Pod, old: coreV1.Pod): FieldError[] {
  const { status, spec } = pod
  const errors = validateAnnotationUpdates(pod, old)
  const system = ['PodScheduled', 'Ready', 'Initialized']
  for (const [i, { type }] of (status.conditions ?? []).entries()) {
    if (!system.includes(type)) errors.push(...invalidEach(`metadata.conditions[${i}].Type`, type, checkLabelKey(type)))
  }
  if ((spec.nodeName ?? '') !== (old.spec.nodeName ?? '')) errors.push(forbidden('status.nodeName', 'may not be changed directly'))
  const nominated = status.nominatedNodeName
  if (nominated && nominated !== old.status.nominatedNodeName) {
    errors.push(...invalidEach('status.nominatedNodeName', nominated, nameIsDnsSubdomain(nominated, false)))
  }
  errors.push(...immutable('status.qosClass', status.qosClass ?? '', old.status.qosClass ?? ''))
  errors.push(...validateTransitions(status.containerStatuses, old.status.containerStatuses, 'status.containerStatuses', old.spec))
  errors.push(
    ...validateTransitions(status.initContainerStatuses, old.status.initContainerStatuses, 'status.initContainerStatuses', old.spec),
  )
  const never: coreV1.PodSpec = { ...old.spec, restartPolicy: 'Never', containers: [], initContainers: [] }
  const ephemeral = status.ephemeralContainerStatuses
  errors.push(...validateTransitions(ephemeral, old.status.ephemeralContainerStatuses, 'status.ephemeralContainerStatuses', never))
  errors.push(...validateClaimStatuses(status.resourceClaimStatuses, spec))
  errors.push(...validateStatusIps(status.podIPs, 'status.podIPs'))
  return [...errors, ...validateHostIps(status)]
}

// A container that will not be restarted stays terminated.
function validateTransitions(
  statuses: readonly coreV1.ContainerStatus[] = [],
  old: readonly coreV1.ContainerStatus[] = [],
  path: string,
  spec: coreV1.PodSpec,
): FieldError[] {
  const errors: FieldError[] = []
  if (spec.restartPolicy === 'Always') return errors
  const containers = [...(spec.containers ?? []), ...(spec.initContainers ?? [])]
  for (const [i, before] of old.entries()) {
    const terminated = before.state?.terminated
    if (terminated === undefined) continue
    const container = containers.find(({ name }) => name === before.name)
    const policy = container?.restartPolicy ?? spec.restartPolicy
    const restarts = policy === 'Always' || (terminated.exitCode !== 0 && policy === 'OnFailure')
    if (restarts || (container?.restartPolicyRules ?? []).length > 0) continue
    if (statuses.some(({ name, state }) => name === before.name && state?.terminated === undefined)) {
      errors.push(forbidden(`${path}[${i}].state`, 'may not be transitioned to non-terminated state'))
    }
  }
  return errors
}

function validateClaimStatuses(statuses: readonly coreV1.PodResourceClaimStatus[] | undefined, spec: coreV1.PodSpec): FieldError[] {
  const errors: FieldError[] = []
  const seen = new Set<string>()
  for (const [i, { name, resourceClaimName }] of (statuses ?? []).entries()) {
    const at = `status.resourceClaimStatuses[${i}].name`
    if (!(spec.resourceClaims ?? []).some((claim) => claim.name === name)) {
      errors.push(invalid(at, name, 'must match the name of an entry in `spec.resourceClaims`'))
    }
    if (seen.has(name)) errors.push(duplicate(at, name))
    seen.add(name)
    if (resourceClaimName !== undefined) errors.push(...invalidEach(at, resourceClaimName, nameIsDnsSubdomain(resourceClaimName, false)))
  }
  return errors
}

function validateStatusIps(ips: readonly { ip: string }[] = [], path: string): FieldError[] {
  const errors = ips.flatMap(({ ip }, i) => validateIp(`${path}[${i}]`, ip))
  if (ips.length < 2) return errors
  if (errors.length > 0) errors.push(internalFieldError(path, 'failed to check for dual stack with error:invalid ip'))
  const families = new Set(ips.map(({ ip }) => ip.includes(':')))
  if (families.size < 2 || ips.length > 2) errors.push(invalid(path, ips, 'may specify no more than one IP for each IP family'))
  for (const [i, { ip }] of ips.entries()) {
    if (ips.findIndex((other) => other.ip === ip) < i) errors.push(duplicate(`${path}[${i}]`, { IP: ip }))
  }
  return errors
}

function validateHostIps({ hostIP, hostIPs = [] }: coreV1.PodStatus): FieldError[] {
  if (hostIPs.length === 0) return []
  const first = hostIPs[0]!.ip
  const errors = (hostIP ?? '') === first ? [] : [invalid('status.hostIPs[0].ip', first, 'must be equal to `hostIP`')]
  return [...errors, ...validateStatusIps(hostIPs, 'status.hostIPs')]
}

/** Ephemeral containers may be added; those that are there stay as they are. */
export function validateEphemeralContainersUpdate(pod: coreV1.Pod, old: coreV1.Pod): FieldError[] {
  if (isMirrorPod(old)) return [forbidden('[]', 'static pods do not support ephemeral containers')]
  const errors = validateAnnotationUpdates(pod, old)
  const path = 'spec.ephemeralContainers'
  for (const before of old.spec.ephemeralContainers ?? []) {
    const after = pod.spec.ephemeralContainers?.find(({ name }) => name === before.name)
    if (after === undefined) errors.push(forbidden(path, `existing ephemeral containers ${goQuote(before.name)} may not be removed\n`))
    else if (!semanticEqual(before, after)) {
      const diff = goDiff('core.EphemeralContainer', before, after)
      errors.push(forbidden(path, `existing ephemeral containers ${goQuote(before.name)} may not be changed\n${diff}`))
    }
  }
  return errors
}

/** CPU and memory of running containers (KEP-1287). */
export function validatePodResize(pod: coreV1.Pod, old: coreV1.Pod): FieldError[] {
  if (isMirrorPod(old)) return [forbidden('[]', 'static pods cannot be resized')]
  if (old.spec.os?.name === 'windows') return [forbidden('[]', 'windows pods cannot be resized')]
  const errors: FieldError[] = []
  if (qosClassOf(old) !== computeQosClass(pod)) {
    errors.push(invalid('spec', pod.status.qosClass ?? '', 'Pod QOS Class may not change as a result of resizing'))
  }
  const running = (old.status.containerStatuses ?? []).find(({ state }) => state.running !== undefined)
  if (running !== undefined && running.resources === undefined) {
    errors.push(forbidden('spec', 'Pod running on node without support for resize'))
  }
  errors.push(...validateResizes(pod, old))
  const spec: coreV1.PodSpec = { ...pod.spec }
  spec.containers = takeBackResize(spec.containers, old.spec.containers, () => 'only cpu and memory resources are mutable', errors)
  if (spec.initContainers !== undefined) {
    spec.initContainers = takeBackResize(
      spec.initContainers,
      old.spec.initContainers ?? [],
      (container) =>
        isSidecar(container)
          ? 'only cpu and memory resources for sidecar containers are mutable'
          : 'resources for non-sidecar init containers are immutable',
      errors,
    )
  }
  if (errors.length > 0) return errors
  return semanticEqual(spec, old.spec) ? [] : [forbidden('spec', 'only cpu and memory resources are mutable')]
}

function validateResizes(pod: coreV1.Pod, old: coreV1.Pod): FieldError[] {
  const errors: FieldError[] = []
  for (const field of ['initContainers', 'containers'] as const) {
    for (const [i, before] of (old.spec[field] ?? []).entries()) {
      const after = pod.spec[field]?.[i]
      if (after === undefined || (field === 'initContainers' && !isSidecar(before))) continue
      errors.push(...validateResize(after, before, `spec.${field}[${i}].resources`))
    }
  }
  return errors
}

function validateResize({ resources, resizePolicy }: coreV1.Container, { resources: old }: coreV1.Container, path: string): FieldError[] {
  const errors: FieldError[] = []
  for (const field of ['requests', 'limits'] as const) {
    const removed = Object.keys(old[field] ?? {}).some((name) => resources[field]?.[name] === undefined)
    if (removed) errors.push(forbidden(`${path}.${field}`, `resource ${field} cannot be removed`))
  }
  const policy = resizePolicy?.find(({ resourceName }) => resourceName === 'memory')?.restartPolicy
  const [limit, before] = [resources.limits?.['memory'], old.limits?.['memory']]
  if ((policy !== undefined && policy !== 'NotRequired') || limit === undefined || before !== undefined) return errors
  return [...errors, forbidden(`${path}.limits[memory]`, 'memory limits cannot be added unless resizePolicy is RestartContainer')]
}

function takeBackResize(
  containers: readonly coreV1.Container[],
  old: readonly coreV1.Container[],
  detail: (container: coreV1.Container) => string,
  errors: FieldError[],
): coreV1.Container[] {
  return containers.map((container, i) => {
    const before = old[i]
    if (before === undefined) return container
    const mayResize = !detail(container).includes('immutable')
    const restored = mayResize ? { ...container, resources: withOldCompute(container.resources, before.resources) } : container
    if (!semanticEqual(restored, before)) errors.push(forbidden('spec', detail(container)))
    return restored
  })
}

function withOldCompute(resources: coreV1.ResourceRequirements, old: coreV1.ResourceRequirements): coreV1.ResourceRequirements {
  const out: coreV1.ResourceRequirements = { ...resources }
  for (const field of ['requests', 'limits'] as const) {
    const amounts: Record<string, string> = { ...resources[field] }
    for (const name of ['cpu', 'memory']) {
      const before = old[field]?.[name]
      if (before === undefined) delete amounts[name]
      else amounts[name] = before
    }
    if (Object.keys(amounts).length === 0) delete out[field]
    else out[field] = amounts
  }
  return out
}
