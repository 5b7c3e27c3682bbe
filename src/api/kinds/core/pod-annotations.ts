// Annotations that mean something for pods: the mirror of a static pod, what a pod's end would cost, and the security profiles
// that were annotations before they were fields.
import type { FieldError } from '../../errors.ts'
import type * as coreV1 from '../../generated/core-v1.ts'
import { containersOf, mirrorPodAnnotation } from '../../pods.ts'
import { forbidden, invalid, semanticEqual } from '../../validation/field-errors.ts'
import { goQuote } from '../../validation/text.ts'
import { localDescending } from './paths.ts'
import { validateAppArmor } from './pod-security.ts'

export const appArmorPrefix = 'container.apparmor.security.beta.kubernetes.io/'
export const seccompPodAnnotation = 'seccomp.security.alpha.kubernetes.io/pod'
export const seccompContainerPrefix = 'container.seccomp.security.alpha.kubernetes.io/'
const deletionCostAnnotation = 'controller.kubernetes.io/pod-deletion-cost'
const localhostPrefix = 'localhost/'
const runtimeDefault = 'runtime/default'
const unconfined = 'unconfined'

/** Whether `validatePodAnnotations`, or the validation of pods, looks at an annotation. */
export function isCheckedWithPods(key: string): boolean {
  return (
    key === mirrorPodAnnotation ||
    key === deletionCostAnnotation ||
    key === seccompPodAnnotation ||
    key.startsWith(seccompContainerPrefix) ||
    key.startsWith(appArmorPrefix)
  )
}

type Annotations = Readonly<Record<string, string>> | undefined

/** What the annotations of a pod or template must hold whenever it is written. */
export function validatePodAnnotations(annotations: Annotations, spec: coreV1.PodSpec, path: string): FieldError[] {
  const errors: FieldError[] = []
  if (annotations === undefined) return errors
  const mirror = annotations[mirrorPodAnnotation]
  if (mirror !== undefined && !spec.nodeName) {
    errors.push(invalid(`${path}[${mirrorPodAnnotation}]`, mirror, 'must set spec.nodeName if mirror pod annotation is set'))
  }
  const cost = annotations[deletionCostAnnotation]
  if (cost !== undefined && !isInt32(cost)) errors.push(invalid(`${path}[${deletionCostAnnotation}]`, cost, 'must be a 32bit integer'))
  const seccomp = annotations[seccompPodAnnotation]
  if (seccomp !== undefined) errors.push(...validateSeccomp(seccomp, `${path}.${seccompPodAnnotation}`))
  for (const [key, value] of Object.entries(annotations)) {
    if (key.startsWith(seccompContainerPrefix)) errors.push(...validateSeccomp(value, `${path}.${key}`))
  }
  for (const [key, value] of Object.entries(annotations)) {
    if (!key.startsWith(appArmorPrefix)) continue
    const name = key.slice(appArmorPrefix.length)
    if (![...containersOf(spec)].some(({ container }) => container.name === name)) {
      errors.push(invalid(`${path}[${key}]`, name, 'container not found'))
    }
    if (value !== '' && value !== runtimeDefault && value !== unconfined && !value.startsWith(localhostPrefix)) {
      errors.push(invalid(`${path}[${key}]`, value, `invalid AppArmor profile name: ${goQuote(value)}`))
    }
  }
  return errors
}

// No leading zeros and no plus sign, as the deletion cost has always been read.
function isInt32(text: string): boolean {
  return /^(0|-?[1-9]\d{0,9})$/.test(text) && Number(text) >= -(2 ** 31) && Number(text) < 2 ** 31
}

function validateSeccomp(profile: string, path: string): FieldError[] {
  if (profile === runtimeDefault || profile === 'docker/default' || profile === unconfined) return []
  if (profile.startsWith(localhostPrefix)) return localDescending(profile.slice(localhostPrefix.length), path)
  return [invalid(path, profile, 'must be a valid seccomp profile')]
}

/** New pods and templates: a profile that is both an annotation and a field must be the same in both. */
export function validateProfileAnnotations(annotations: Annotations, spec: coreV1.PodSpec, path: string): FieldError[] {
  const errors: FieldError[] = []
  if (annotations === undefined) return errors
  const forPod = spec.securityContext?.seccompProfile
  errors.push(...sameProfile('seccomp', annotations[seccompPodAnnotation], forPod, `${path}.securityContext.seccompProfile`))
  for (const { container, path: at } of containersOf(spec, path)) {
    const own = container.securityContext?.seccompProfile
    const annotation = annotations[`${seccompContainerPrefix}${container.name}`]
    errors.push(...sameProfile('seccomp', annotation, own, `${at}.securityContext.seccompProfile`))
  }
  if (spec.os?.name === 'windows') return errors
  for (const { container, path: at } of containersOf(spec, path)) {
    const own = container.securityContext?.appArmorProfile ?? spec.securityContext?.appArmorProfile
    const annotation = annotations[`${appArmorPrefix}${container.name}`]
    errors.push(...sameProfile('apparmor', annotation, own, `${at}.securityContext.appArmorProfile`))
  }
  return errors
}

function sameProfile(
  what: 'seccomp' | 'apparmor',
  annotation: string | undefined,
  profile: coreV1.SeccompProfile | coreV1.AppArmorProfile | undefined,
  path: string,
): FieldError[] {
  if (annotation === undefined || profile === undefined) return []
  const differs = [forbidden(`${path}.type`, `${what} type in annotation and field must match`)]
  if (profile.type === 'Unconfined') return annotation === unconfined ? [] : differs
  if (profile.type === 'RuntimeDefault') {
    return annotation === runtimeDefault || (what === 'seccomp' && annotation === 'docker/default') ? [] : differs
  }
  if (profile.type !== 'Localhost') return []
  if (!annotation.startsWith(localhostPrefix)) return differs
  if (annotation.slice(localhostPrefix.length) === profile.localhostProfile) return []
  return [forbidden(`${path}.localhostProfile`, `${what} profile in annotation and field must match`)]
}

/** The field that says what an AppArmor annotation says; undefined when it says nothing that is known. */
export function appArmorFromAnnotation(annotation: string): coreV1.AppArmorProfile | undefined {
  if (annotation === unconfined) return { type: 'Unconfined' }
  if (annotation === runtimeDefault) return { type: 'RuntimeDefault' }
  if (!annotation.startsWith(localhostPrefix)) return undefined
  const localhostProfile = annotation.slice(localhostPrefix.length)
  return localhostProfile === '' ? undefined : { type: 'Localhost', localhostProfile }
}

/**
 * Compat: clients from before 1.30 know the annotation alone; a new pod's containers get the field too. Returns the keys whose
 * annotation did say something that the pod's own profile does not.
 */
export function fillAppArmorFields(pod: coreV1.Pod): string[] {
  const { annotations } = pod.metadata
  const { spec } = pod
  if (annotations === undefined || spec.os?.name === 'windows') return []
  const outdated: string[] = []
  for (const { container } of containersOf(spec)) {
    const key = `${appArmorPrefix}${container.name}`
    const annotation = annotations[key]
    if (annotation === undefined || container.securityContext?.appArmorProfile !== undefined) continue
    const profile = appArmorFromAnnotation(annotation)
    const usable = profile !== undefined && validateAppArmor(profile, '').length === 0
    if (usable && semanticEqual(profile, spec.securityContext?.appArmorProfile)) continue
    outdated.push(key)
    if (!usable) continue
    container.securityContext ??= {}
    container.securityContext.appArmorProfile = profile
  }
  return outdated
}
