// What a write of status leaves of the metadata, where Kubernetes leaves it.
import type { KubeObject } from '../object.ts'

const kept = ['labels', 'annotations', 'finalizers', 'ownerReferences'] as const

/** Takes the metadata that users set from `old`: for kinds whose status is written without it. */
export function keepUsersMetadata(object: KubeObject, old: KubeObject): void {
  for (const field of kept) keepMetadata(object, old, field)
}

/** Takes one field of the metadata from `old`. */
export function keepMetadata(object: KubeObject, old: KubeObject, field: (typeof kept)[number]): void {
  const { metadata } = object
  if (old.metadata[field] === undefined) delete metadata[field]
  else Object.assign(metadata, { [field]: structuredClone(old.metadata[field]) })
}
