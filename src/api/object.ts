// What every API object has in common, and the small questions everybody asks of it.
import type { ObjectMeta, OwnerReference } from './generated/meta-v1.ts'

/** Any API object: what the machinery can rely on without knowing the kind. */
export interface KubeObject {
  apiVersion: string
  kind: string
  metadata: ObjectMeta
}

/** A collection as the API answers it. */
export interface KubeList<T> {
  apiVersion: string
  kind: string
  metadata: { resourceVersion: string; continue?: string; remainingItemCount?: number }
  items: T[]
}

/** What a client may send for a T: everything optional, to any depth. The API server decodes, defaults and validates it. */
export type Manifest<T> = T extends readonly (infer Item)[]
  ? Manifest<Item>[]
  : T extends object
    ? { [Name in keyof T]?: Manifest<T[Name]> }
    : T

/** Names one object of a kind: `namespace` is empty for cluster-scoped kinds. */
export interface ObjectKey {
  readonly namespace: string
  readonly name: string
}

/** The key as text, for queues and maps: `namespace/name`, or `name` alone at cluster scope. */
export type KeyText = string

export function keyOf(object: { metadata: { name?: string; namespace?: string } }): KeyText {
  return keyText(object.metadata.namespace, object.metadata.name ?? '')
}

export function keyText(namespace: string | undefined, name: string): KeyText {
  return namespace ? `${namespace}/${name}` : name
}

export function parseKey(key: KeyText): ObjectKey {
  const slash = key.indexOf('/')
  return slash < 0 ? { namespace: '', name: key } : { namespace: key.slice(0, slash), name: key.slice(slash + 1) }
}

/** The owner that manages the object's life, if it has one. */
export function controllerOf(object: { metadata: { ownerReferences?: OwnerReference[] } }): OwnerReference | undefined {
  return object.metadata.ownerReferences?.find((owner) => owner.controller === true)
}

/** Whether deletion was asked for and waits for finalizers or for a grace period. */
export function isTerminating(object: { metadata: { deletionTimestamp?: string } }): boolean {
  return object.metadata.deletionTimestamp !== undefined
}
