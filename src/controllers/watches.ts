// The usual ways in which one object's change concerns another's key.

import type { LabelSelector } from '#api/generated/meta-v1'
import type { Kind } from '#api/kind'
import { labelMatcher } from '#api/label-selectors'
import { controllerOf, type KubeObject, keyOf, keyText } from '#api/object'
import type { Watch } from '#client/controller'

/** The object itself. */
export function watchKind(kind: Kind, when?: Watch['when']): Watch {
  return { kind, keysOf: (object) => [keyOf(object)], ...(when === undefined ? {} : { when }) }
}

/**
 * Objects that an `owner` controls, old owner included. With `selectorOf`, an orphan concerns every owner in its
 * namespace that would adopt it.
 */
export function watchOwned<O extends KubeObject>(
  kind: Kind,
  options: { by: Kind<O>; selectorOf?: (owner: O) => LabelSelector | undefined },
): Watch {
  const { by, selectorOf } = options
  const ownerKey = (object: KubeObject): string | undefined => {
    const owner = controllerOf(object)
    return owner?.kind === by.kind && owner.apiVersion.split('/')[0] === by.apiVersion.split('/')[0]
      ? keyText(object.metadata.namespace, owner.name)
      : undefined
  }
  return {
    kind,
    keysOf(object, old, cache) {
      const keys = new Set<string>()
      for (const state of [object, old]) {
        const key = state === undefined ? undefined : ownerKey(state)
        if (key !== undefined) keys.add(key)
      }
      if (selectorOf !== undefined && controllerOf(object) === undefined) {
        for (const owner of cache.list(by, object.metadata.namespace)) {
          if (labelMatcher(selectorOf(owner))(object.metadata.labels)) keys.add(keyOf(owner))
        }
      }
      return [...keys]
    },
  }
}
