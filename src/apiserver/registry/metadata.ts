// The part of metadata that the server owns: what clients may not set, what it fills in, and how names are made.
import { badRequest } from '#api/errors'
import type { ObjectMeta, OwnerReference } from '#api/generated/meta-v1'
import type { KubeObject } from '#api/object'
import { timestamp } from '#base/clock'
import { nameSuffix, type Random } from '#base/random'
import type { Call } from './call.ts'

type Meta = Partial<ObjectMeta>

/** Drops what only the server sets; a client's values in a create are ignored. */
export function wipeSystemFields(object: KubeObject): void {
  const meta = object.metadata as Meta
  delete meta.creationTimestamp
  delete meta.uid
  delete meta.deletionTimestamp
  delete meta.deletionGracePeriodSeconds
  delete meta.selfLink
}

export function fillSystemFields(object: KubeObject, uid: string, nowMs: number): void {
  object.metadata.uid = uid
  object.metadata.creationTimestamp = timestamp(nowMs)
}

// 63, the longest name that every kind allows, less the suffix.
const generatedBaseMax = 58

/** A name from generateName. */
export function generateName(base: string, random: Random): string {
  return base.slice(0, generatedBaseMax) + nameSuffix(random)
}

/** Takes the request's namespace when the object says none; throws when they differ. */
export function ensureNamespace(object: KubeObject, namespace: string): void {
  const meta = object.metadata as Meta
  if ((meta.namespace ?? '') === namespace) return
  if (namespace === '') delete meta.namespace
  else if (!meta.namespace) meta.namespace = namespace
  else throw badRequest('the namespace of the provided object does not match the namespace sent on the request')
}

const duplicatesBefore =
  '.metadata.ownerReferences contains duplicate entries; API server dedups owner references in 1.20+, and may reject such requests as early as 1.24; please fix your requests; duplicate UID(s) observed: '
const duplicatesAfter =
  '.metadata.ownerReferences contains duplicate entries after mutating admission happens; API server dedups owner references in 1.20+, and may reject such requests as early as 1.24; please fix your requests; duplicate UID(s) observed: '

/** Removes owner references that are there twice, with a warning. */
export function dedupOwnerReferences(object: KubeObject, call: Call, afterAdmission: boolean): void {
  const references = object.metadata.ownerReferences
  if (references === undefined || references.length < 2) return
  const kept: OwnerReference[] = []
  const doubled: string[] = []
  for (const reference of references) {
    if (kept.some((other) => sameReference(other, reference))) doubled.push(reference.uid)
    else kept.push(reference)
  }
  if (doubled.length === 0) return
  call.warn((afterAdmission ? duplicatesAfter : duplicatesBefore) + doubled.join(', '))
  object.metadata.ownerReferences = kept
}

function sameReference(a: OwnerReference, b: OwnerReference): boolean {
  return (
    a.uid === b.uid &&
    a.name === b.name &&
    a.kind === b.kind &&
    a.apiVersion === b.apiVersion &&
    a.controller === b.controller &&
    a.blockOwnerDeletion === b.blockOwnerDeletion
  )
}

/** Takes over what an update can never change. */
export function keepSystemFields(object: KubeObject, old: KubeObject): void {
  const meta = object.metadata as Meta
  const before = old.metadata as Meta
  if (!meta.uid) copy(meta, before, 'uid')
  copy(meta, before, 'creationTimestamp')
  delete meta.selfLink
  if (before.deletionTimestamp !== undefined) meta.deletionTimestamp = before.deletionTimestamp
  if (before.deletionGracePeriodSeconds !== undefined && meta.deletionGracePeriodSeconds === undefined) {
    meta.deletionGracePeriodSeconds = before.deletionGracePeriodSeconds
  }
}

function copy<Name extends keyof Meta>(to: Meta, from: Meta, name: Name): void {
  if (from[name] === undefined) delete to[name]
  else to[name] = from[name]
}
