// Which pods are so alike that checking one says all about the other: a controller's, made one after the other from one template,
// and one pod before and after an update that leaves its spec alone.
import { leafEqual } from '../../apply/compare.ts'
import type { Pod } from '../../generated/core-v1.ts'
import { isCheckedWithPods } from './pod-annotations.ts'

// What differs between them, and is looked at by nobody but for the name.
const ownMetadata = new Set(['name', 'uid', 'creationTimestamp', 'resourceVersion', 'managedFields'])

// A name that may be a hostname. Others are warned of, each in its own words.
const plainName = /^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$/

/** Whether two new pods differ in nothing that their validation and warnings look at. */
export function alikePods(pod: Pod, other: Pod): boolean {
  if (!plainName.test(pod.metadata.name) || !plainName.test(other.metadata.name)) return false
  if (!leafEqual(pod.spec, other.spec) || !leafEqual(pod.status, other.status)) return false
  // Claims of ephemeral volumes have the pod's name in theirs.
  if (pod.spec.volumes?.some(({ ephemeral }) => ephemeral !== undefined) === true) return false
  return sameMetadata(pod.metadata, other.metadata) && sameMetadata(other.metadata, pod.metadata)
}

/** Whether two pods with the very same spec differ in nothing else that is checked whenever a pod is written. */
export function samePodsForValidation({ metadata, spec }: Pod, { metadata: other }: Pod): boolean {
  if (metadata.name !== other.name && spec.volumes?.some(({ ephemeral }) => ephemeral !== undefined) === true) return false
  const [a = {}, b = {}] = [metadata.annotations, other.annotations]
  if (a === b) return true
  for (const key in a) if (a[key] !== b[key] && isCheckedWithPods(key)) return false
  for (const key in b) if (a[key] !== b[key] && isCheckedWithPods(key)) return false
  return true
}

function sameMetadata(a: object, b: object): boolean {
  const [left, right] = [a as Record<string, unknown>, b as Record<string, unknown>]
  for (const name in left) if (!ownMetadata.has(name) && !leafEqual(left[name], right[name])) return false
  return true
}
