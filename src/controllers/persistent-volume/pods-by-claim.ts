// Which pods name a claim: an index of the controllers' cache.
import type { PersistentVolumeClaim as ClaimObject, Pod as PodObject } from '#api/generated/core-v1'
import { Pod } from '#api/kinds/core/pod'
import { keyOf, keyText } from '#api/object'
import { isPodTerminal } from '#api/pods'
import { claimNameOf } from '#api/volumes'
import type { Cache } from '#client/controller'

export const podsByClaim = 'claims'

/** The keys of the claims behind a pod's volumes. */
export function claimKeysOf(pod: PodObject): string[] {
  const keys: string[] = []
  for (const volume of pod.spec.volumes ?? []) {
    const name = claimNameOf(pod, volume)
    if (name !== undefined) keys.push(keyText(pod.metadata.namespace, name))
  }
  return keys
}

/** Pods that name the claim and have not ended. */
export function podsUsing(cache: Cache, claimKey: string): PodObject[] {
  return cache
    .informer(Pod)
    .byIndex(podsByClaim, claimKey)
    .filter((pod) => !isPodTerminal(pod))
}

/** Names of those that have no node yet, in order. */
export function podsWaitingFor(cache: Cache, claim: ClaimObject): string[] {
  return podsUsing(cache, keyOf(claim))
    .filter(({ spec }) => !spec.nodeName)
    .map(({ metadata }) => metadata.name)
    .sort()
}
