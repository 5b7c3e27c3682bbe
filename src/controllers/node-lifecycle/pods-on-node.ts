// The pods of a node, by an index of the controllers' cache.
import { isApiError } from '#api/errors'
import type { Node as NodeObject, Pod as PodObject } from '#api/generated/core-v1'
import { Pod } from '#api/kinds/core/pod'
import type { Cache } from '#client/controller'

/** The index of pods by node name that the cache must be made with. */
export const podsByNode = 'nodeName'

export function podsOn({ metadata }: NodeObject, cache: Cache): readonly PodObject[] {
  return cache.informer(Pod).byIndex(podsByNode, metadata.name)
}

/** For writes to pods that others may have removed or replaced. */
export function ignoreGone(error: unknown): void {
  // Invalid: it is another pod by now.
  if (!isApiError(error, 'NotFound') && !isApiError(error, 'Conflict') && !isApiError(error, 'Invalid')) throw error
}
