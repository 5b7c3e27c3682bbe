// What may change of a pod after it was made: by update and through its ephemeral containers.
import type { FieldError } from '../../errors.ts'
import type * as coreV1 from '../../generated/core-v1.ts'
import { isMirrorPod, mirrorPodAnnotation } from '../../pods.ts'
import { forbidden, invalid, required, semanticEqual } from '../../validation/field-errors.ts'
import { goDiff } from '../../validation/go-diff.ts'
import { rangeError } from '../../validation/names.ts'
import { goQuote } from '../../validation/text.ts'
import { appArmorPrefix, validatePodAnnotations } from './pod-annotations.ts'
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

/** Some annotations stay as they were made. */
export function validateAnnotationUpdates(pod: coreV1.Pod, old: coreV1.Pod): FieldError[] {
  const errors: FieldError[] = []
  const before = old.metadata.annotations ?? {}
  const after = pod.metadata.annotations ?? {}
  const isAppArmor = (key: string): boolean => key.startsWith(appArmorPrefix)
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
  return [...errors, ...validatePodAnnotations(after, pod.spec, 'metadata.annotations')]
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
