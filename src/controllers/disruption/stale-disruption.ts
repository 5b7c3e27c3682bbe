// A pod that was to be disrupted and is still there after two minutes is to be disrupted no longer (KEP-3329): its condition is taken back.
import { isApiError } from '#api/errors'
import type { Pod as PodObject } from '#api/generated/core-v1'
import { Pod } from '#api/kinds/core/pod'
import { findPodCondition, isPodTerminal, setPodCondition } from '#api/pods'
import { defineController } from '#client/controller'
import { nameOf } from '../owned-objects.ts'
import { watchKind } from '../watches.ts'

const staleMs = 120_000

function isTarget(pod: PodObject): boolean {
  const target = findPodCondition(pod.status, 'DisruptionTarget')
  return target?.status === 'True' && pod.metadata.deletionTimestamp === undefined && !isPodTerminal(pod)
}

export const staleDisruptionController = defineController({
  name: 'stale-pod-disruption-controller',
  watches: [watchKind(Pod, (pod) => isTarget(pod as PodObject))],
  concurrency: 1,
  async reconcile(key, { cache, client, clock }) {
    const pod = cache.get(Pod, key)
    if (pod === undefined || !isTarget(pod)) return
    const since = Date.parse(findPodCondition(pod.status, 'DisruptionTarget')?.lastTransitionTime ?? pod.metadata.creationTimestamp)
    const leftMs = since + staleMs - clock.now()
    if (leftMs > 0) return leftMs
    const status: PodObject['status'] = { conditions: [] }
    setPodCondition(status, { type: 'DisruptionTarget', status: 'False' }, clock.now())
    const patch = { metadata: { uid: pod.metadata.uid }, status }
    await client.patch(Pod, nameOf(pod), 'strategic', patch, { subresource: 'status' }).catch((error) => {
      if (!isApiError(error, 'NotFound')) throw error
    })
    return
  },
})
