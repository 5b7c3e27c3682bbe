// Pod garbage collection: pods on nodes that are no more, pods that were deleted before they were ever scheduled, and the
// oldest ended pods beyond a bound.

import { isApiError } from '#api/errors'
import type { Node as NodeObject, Pod as PodObject } from '#api/generated/core-v1'
import { Node } from '#api/kinds/core/node'
import { Pod } from '#api/kinds/core/pod'
import { keyOf } from '#api/object'
import { isPodTerminal, setPodCondition } from '#api/pods'
import { hasTaint, taintOutOfService } from '#api/taints'
import { type Controller, defineController, type ReconcileContext } from '#client/controller'
import { podsByNode } from '../node-lifecycle/pods-on-node.ts'

// How long a node must be missing before its pods are given up (Kubernetes' quarantine).
const quarantineMs = 40_000

/** `terminatedMax`: ended pods beyond this many are removed, oldest first (kube-controller-manager's default 12500). */
export function createPodGcController({ terminatedMax = 12_500 }: { terminatedMax?: number } = {}): Controller {
  const orphanedSince = new Map<string, number>()
  // Keys of ended pods, so that one more costs a look at a number and not at all pods.
  const ended = new Set<string>()
  return defineController({
    name: 'pod-garbage-collector-controller',
    watches: [
      { kind: Pod, keysOf: (pod) => [keyOf(pod)] },
      {
        kind: Node,
        keysOf: (node, _old, cache, change) =>
          change === 'deleted' || isOutOfService(node as NodeObject)
            ? cache.informer(Pod).byIndex(podsByNode, node.metadata.name).map(keyOf)
            : [],
      },
    ],
    reads: [Node],
    concurrency: 2,
    async reconcile(key, context) {
      const { cache, client, clock } = context
      const pod = cache.get(Pod, key)
      const node = pod?.spec.nodeName
      if (pod === undefined || node === undefined || node === '' || cache.get(Node, node) !== undefined) orphanedSince.delete(key)
      if (pod !== undefined && isPodTerminal(pod)) ended.add(key)
      else ended.delete(key)
      if (pod === undefined) return
      if (ended.size > terminatedMax) await boundTerminated(terminatedMax, context)
      if (!node) {
        if (pod.metadata.deletionTimestamp !== undefined) await remove(pod, context)
        return
      }
      const present = cache.get(Node, node)
      if (present !== undefined) {
        // An administrator vouches that the node is off: nobody there will end this pod.
        if (pod.metadata.deletionTimestamp !== undefined && isOutOfService(present)) await remove(pod, context)
        return
      }
      const since = orphanedSince.get(key) ?? clock.monotonic()
      orphanedSince.set(key, since)
      const leftMs = since + quarantineMs - clock.monotonic()
      if (leftMs > 0) return leftMs
      const exists = await client.get(Node, { namespace: '', name: node }).then(
        () => true,
        (error) => !isApiError(error, 'NotFound'),
      )
      if (!exists) await remove(pod, context, 'PodGC: node no longer exists')
      return
    },
  })
}

function isOutOfService({ spec, status }: NodeObject): boolean {
  const ready = status.conditions?.find(({ type }) => type === 'Ready')?.status === 'True'
  return (
    !ready &&
    (hasTaint(spec.taints, { key: taintOutOfService, effect: 'NoExecute' }) ||
      hasTaint(spec.taints, { key: taintOutOfService, effect: 'NoSchedule' }))
  )
}

async function boundTerminated(terminatedMax: number, context: ReconcileContext): Promise<void> {
  const ended = context.cache.list(Pod).filter(isPodTerminal)
  if (ended.length <= terminatedMax) return
  const oldestFirst = [...ended].sort((a, b) => (a.metadata.creationTimestamp < b.metadata.creationTimestamp ? -1 : 1))
  for (const pod of oldestFirst.slice(0, ended.length - terminatedMax)) await remove(pod, context)
}

/** Nobody on a node will finish this deletion, so it is final. The phase says that the pod did not end by itself. */
async function remove(pod: PodObject, { client, clock }: ReconcileContext, disruption?: string): Promise<void> {
  const { name, namespace = '', uid } = pod.metadata
  const key = { namespace, name }
  try {
    if (!isPodTerminal(pod)) {
      const status: PodObject['status'] = { phase: 'Failed' }
      if (disruption !== undefined)
        setPodCondition(status, { type: 'DisruptionTarget', status: 'True', reason: 'DeletionByPodGC', message: disruption }, clock.now())
      await client.patch(Pod, key, 'strategic', { metadata: { uid }, status }, { subresource: 'status' })
    }
    await client.delete(Pod, key, { gracePeriodSeconds: 0, preconditions: { uid } })
  } catch (error) {
    // Invalid: it is another pod by now.
    if (!isApiError(error, 'NotFound') && !isApiError(error, 'Conflict') && !isApiError(error, 'Invalid')) throw error
  }
}
