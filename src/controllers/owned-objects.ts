// What an owner's controller counts as its own: the objects that name it, plus orphans that its selector matches (adopted),
// minus those whose labels no longer match (released). API conventions on controller references.

import { isApiError } from '#api/errors'
import type { OwnerReference } from '#api/generated/meta-v1'
import type { Kind } from '#api/kind'
import { controllerOf, type KubeObject } from '#api/object'
import type { Client } from '#client/client'
import type { Cache } from '#client/controller'

/** The index of objects that nothing controls, by namespace; the cache must have it for every kind that is claimed. */
export const orphansIndex = 'orphans'

export function orphanNamespaces(object: object): readonly string[] {
  const found = object as KubeObject
  return controllerOf(found) === undefined ? [found.metadata.namespace ?? ''] : []
}

export function ownerReference(kind: Kind, owner: KubeObject): OwnerReference {
  return {
    apiVersion: kind.apiVersion,
    kind: kind.kind,
    name: owner.metadata.name,
    uid: owner.metadata.uid,
    controller: true,
    blockOwnerDeletion: true,
  }
}

export interface ClaimOptions<O extends KubeObject, T extends KubeObject> {
  readonly cache: Cache
  readonly client: Client
  readonly ownerKind: Kind<O>
  readonly owner: O
  readonly kind: Kind<T>
  readonly matches: (labels: Readonly<Record<string, string>> | undefined) => boolean
  /** Orphans for which this says false are left alone (pods that have ended). */
  readonly mayAdopt?: (object: T) => boolean
}

/** The owner's objects after adopting and releasing. An owner that is being deleted adopts nothing. */
export async function claimOwned<O extends KubeObject, T extends KubeObject>(options: ClaimOptions<O, T>): Promise<T[]> {
  const { cache, client, ownerKind, owner, kind, matches } = options
  const own: T[] = []
  for (const object of cache.ownedBy(kind, owner)) {
    if (matches(object.metadata.labels)) own.push(object)
    else if (owner.metadata.deletionTimestamp === undefined) await release(client, kind, object, owner)
  }
  if (owner.metadata.deletionTimestamp !== undefined) return own
  for (const object of cache.informer(kind).byIndex(orphansIndex, owner.metadata.namespace ?? '')) {
    if (object.metadata.deletionTimestamp !== undefined) continue
    if (!matches(object.metadata.labels) || options.mayAdopt?.(object) === false) continue
    const adopted = await adopt(client, kind, object, ownerReference(ownerKind, owner))
    if (adopted !== undefined) own.push(adopted)
  }
  return own
}

async function adopt<T extends KubeObject>(client: Client, kind: Kind<T>, object: T, reference: OwnerReference): Promise<T | undefined> {
  const patch = { metadata: { uid: object.metadata.uid, ownerReferences: [reference] } }
  try {
    return await client.patch(kind, nameOf(object), 'strategic', patch)
  } catch (error) {
    if (isApiError(error, 'NotFound') || isApiError(error, 'Conflict') || isApiError(error, 'Invalid')) return undefined
    throw error
  }
}

async function release(client: Client, kind: Kind, object: KubeObject, owner: KubeObject): Promise<void> {
  const patch = { metadata: { uid: object.metadata.uid, ownerReferences: [{ $patch: 'delete', uid: owner.metadata.uid }] } }
  try {
    await client.patch(kind, nameOf(object), 'strategic', patch)
  } catch (error) {
    if (!isApiError(error, 'NotFound') && !isApiError(error, 'Invalid')) throw error
  }
}

export function nameOf(object: KubeObject): { namespace: string; name: string } {
  return { namespace: object.metadata.namespace ?? '', name: object.metadata.name }
}
