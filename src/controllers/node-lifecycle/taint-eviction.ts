// Taint eviction: pods that do not tolerate a node's NoExecute taints are deleted, those that tolerate them for a while when that is
// over. Pods of which that is taken back in time are told so.
import type { Node as NodeObject, Pod as PodObject } from '#api/generated/core-v1'
import { Pod } from '#api/kinds/core/pod'
import { findPodCondition, isPodTerminal, setPodCondition } from '#api/pods'
import { toleratedSeconds } from '#api/taints'
import type { ReconcileContext } from '#client/controller'
import { ignoreGone, podsOn } from './pods-on-node.ts'

export interface TaintEviction {
  /** Deletes pods whose time has run out; says in how many ms the next one's does. */
  evict(node: NodeObject, context: ReconcileContext): Promise<number | undefined>
  forget(node: string): void
}

export function createTaintEviction(): TaintEviction {
  // Pods whose time is running, by node and uid: since when. Taints that people set bear no time.
  const waiting = new Map<string, Map<string, number>>()
  return {
    forget: (node) => void waiting.delete(node),
    async evict(node, context) {
      const { clock, events } = context
      const { name } = node.metadata
      const before = waiting.get(name)
      const taints = (node.spec.taints ?? []).filter(({ effect }) => effect === 'NoExecute')
      if (taints.length === 0 && before === undefined) return undefined
      const now = new Map<string, number>()
      let nextMs: number | undefined
      for (const pod of podsOn(node, context.cache)) {
        const { uid, namespace } = pod.metadata
        if (pod.metadata.deletionTimestamp !== undefined || isPodTerminal(pod)) continue
        const seconds = toleratedSeconds(taints, pod.spec.tolerations)
        if (seconds === undefined) {
          const message = `Cancelling deletion of Pod ${namespace}/${pod.metadata.name}`
          if (before?.has(uid)) events.record(pod, 'Normal', 'TaintManagerEviction', message)
          continue
        }
        const sinceMs = before?.get(uid) ?? evictionBeginsMs(node, pod, clock.now())
        const leftMs = sinceMs + seconds * 1_000 - clock.now()
        if (leftMs <= 0) await evictNow(pod, context)
        else {
          now.set(uid, sinceMs)
          nextMs = Math.min(nextMs ?? leftMs, leftMs)
        }
      }
      if (now.size > 0) waiting.set(name, now)
      else waiting.delete(name)
      return nextMs
    },
  }
}

/** Since when the pod tolerates the taints: since they are there, or since it is. */
export function evictionBeginsMs({ spec }: NodeObject, pod: PodObject, nowMs: number): number {
  const taints = (spec.taints ?? []).filter(({ effect }) => effect === 'NoExecute')
  const taintedMs = Math.min(...taints.map(({ timeAdded }) => (timeAdded === undefined ? nowMs : Date.parse(timeAdded))))
  const came = findPodCondition(pod.status, 'PodScheduled')?.lastTransitionTime ?? pod.metadata.creationTimestamp
  return Math.max(taintedMs, Date.parse(came))
}

async function evictNow(pod: PodObject, { client, clock, events }: ReconcileContext): Promise<void> {
  const { name, namespace = '', uid } = pod.metadata
  events.record(pod, 'Normal', 'TaintManagerEviction', `Marking for deletion Pod ${namespace}/${name}`)
  const status: PodObject['status'] = { conditions: [] }
  const message = 'Taint manager: deleting due to NoExecute taint'
  setPodCondition(status, { type: 'DisruptionTarget', status: 'True', reason: 'DeletionByTaintManager', message }, clock.now())
  await client.patch(Pod, { namespace, name }, 'strategic', { metadata: { uid }, status }, { subresource: 'status' }).catch(ignoreGone)
  await client.delete(Pod, { namespace, name }, { preconditions: { uid } }).catch(ignoreGone)
}
