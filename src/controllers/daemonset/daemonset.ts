// DaemonSet: one pod on every node that its template fits.

import type { DaemonSet as DaemonSetObject, DaemonSetStatus, ControllerRevision as RevisionObject } from '#api/generated/apps-v1'
import type { Node as NodeObject, Pod as PodObject } from '#api/generated/core-v1'
import { canonicalJson } from '#api/hash'
import { ControllerRevision } from '#api/kinds/apps/controller-revision'
import { DaemonSet } from '#api/kinds/apps/daemon-set'
import { Node } from '#api/kinds/core/node'
import { Pod } from '#api/kinds/core/pod'
import { labelMatcher } from '#api/label-selectors'
import { keyOf } from '#api/object'
import { Backoff } from '#base/backoff'
import type { Client } from '#client/client'
import { type Controller, defineController } from '#client/controller'
import { claimOwned, nameOf } from '../owned-objects.ts'
import { createPods, deletePods } from '../pods-of-template.ts'
import { dropSurplusRevisions, dropTwins, ensureRevisions, revisionHashLabel } from '../revisions.ts'
import { watchKind, watchOwned } from '../watches.ts'
import { daemonPod, placementOf } from './placement.ts'
import { planDaemonSet } from './plan-daemon-set.ts'

const failedBackoff = { initialMs: 1_000, maxMs: 900_000 }

/** Backoff of pods that keep failing lives in memory, by set and node. */
export function createDaemonSetController(): Controller {
  const failures = new Map<string, { backoff: Backoff; untilMs: number; lastMs: number }>()
  return defineController({
    name: 'daemonset-controller',
    watches: [
      watchKind(DaemonSet),
      watchOwned(Pod, { by: DaemonSet, selectorOf: ({ spec }) => spec.selector }),
      watchOwned(ControllerRevision, { by: DaemonSet }),
      {
        kind: Node,
        when: (node, old) => old === undefined || concernsDaemons(node as NodeObject) !== concernsDaemons(old as NodeObject),
        keysOf(node, old, cache, change) {
          if (change === 'deleted') return cache.list(DaemonSet).map(keyOf)
          const differs = (set: DaemonSetObject): boolean => {
            const place = placementOf(set)
            const now = place(node as NodeObject)
            const before = old === undefined ? { run: false, stay: false } : place(old as NodeObject)
            return now.run !== before.run || now.stay !== before.stay
          }
          return cache.list(DaemonSet).filter(differs).map(keyOf)
        },
      },
    ],
    concurrency: 2,
    async reconcile(key, context) {
      const { cache, client, clock, events } = context
      const set = cache.get(DaemonSet, key)
      if (set === undefined) {
        for (const known of failures.keys()) if (known.startsWith(`${key} `)) failures.delete(known)
        return
      }
      const pods = await claimOwned({
        cache,
        client,
        ownerKind: DaemonSet,
        owner: set,
        kind: Pod,
        matches: labelMatcher(set.spec.selector),
      })
      const revisions = await ensureRevisions({ kind: DaemonSet, owner: set, label: revisionHashLabel }, context)
      const { update, all, collisionCount } = revisions
      const hash = update.metadata.labels?.[revisionHashLabel] ?? ''
      let relabelled = false
      const bringAlong = async (twins: readonly RevisionObject[]): Promise<void> => {
        relabelled = await relabel(pods, twins, hash, client)
      }
      await dropTwins(set, revisions, bringAlong, context)
      // The cache shows the new labels at the next look: by the old ones all pods would be out of date.
      if (relabelled) return 0
      const nowMs = clock.now()
      const plan = planDaemonSet({ set, nodes: cache.list(Node), pods, hash, nowMs })
      // A pod that fails again and again is replaced less and less often.
      let waitMs = plan.lookAgainAfterMs
      const kept = new Set<string>()
      for (const { pod, node } of plan.ended) {
        const { name, namespace, uid } = pod.metadata
        if (pod.status.phase === 'Failed') {
          const id = `${key} ${node}`
          const known = failures.get(id)
          const entry =
            known === undefined || nowMs - known.lastMs > 2 * failedBackoff.maxMs
              ? { backoff: new Backoff(failedBackoff), untilMs: 0, lastMs: nowMs }
              : known
          failures.set(id, entry)
          if (entry.untilMs > nowMs) {
            kept.add(uid)
            waitMs = Math.min(waitMs ?? Number.POSITIVE_INFINITY, entry.untilMs - nowMs)
            continue
          }
          entry.untilMs = nowMs + entry.backoff.next()
          entry.lastMs = nowMs
          events.record(
            set,
            'Warning',
            'FailedDaemonPod',
            `Found failed daemon pod ${namespace}/${name} on node ${node}, will try to kill it`,
          )
        } else
          events.record(
            set,
            'Normal',
            'SucceededDaemonPod',
            `Found succeeded daemon pod ${namespace}/${name} on node ${node}, will try to delete it`,
          )
      }
      await deletePods(
        context,
        set,
        plan.remove.filter(({ metadata }) => !kept.has(metadata.uid)),
      )
      const failure = await createPods(context, set, plan.create.length, (i) => daemonPod(set, plan.create[i]!, hash)).then(
        () => undefined,
        (error: unknown) => error,
      )
      const status: DaemonSetStatus = { ...plan.status, ...(collisionCount === undefined ? {} : { collisionCount }) }
      if (canonicalJson(withZeros(set.status)) !== canonicalJson(withZeros(status)))
        await client.updateStatus(DaemonSet, { ...set, status })
      if (failure !== undefined) throw failure
      if (set.metadata.deletionTimestamp === undefined) {
        const hashes = new Set([hash, ...pods.map(({ metadata }) => metadata.labels?.[revisionHashLabel] ?? '')])
        const inUse = new Set(
          all.filter(({ metadata }) => hashes.has(metadata.labels?.[revisionHashLabel] ?? '')).map(({ metadata }) => metadata.name),
        )
        await dropSurplusRevisions(set, all, inUse, context)
      }
      return waitMs
    },
  })
}

/** Pods of a revision that goes belong to the one with the same template; whether any did. */
async function relabel(pods: readonly PodObject[], twins: readonly RevisionObject[], hash: string, client: Client): Promise<boolean> {
  const going = new Set(twins.map(({ metadata }) => metadata.labels?.[revisionHashLabel]))
  const others = pods.filter(({ metadata }) => going.has(metadata.labels?.[revisionHashLabel]))
  for (const pod of others) await client.patch(Pod, nameOf(pod), 'merge', { metadata: { labels: { [revisionHashLabel]: hash } } })
  return others.length > 0
}

function concernsDaemons({ metadata, spec }: NodeObject): string {
  return canonicalJson([metadata.labels, spec.taints])
}

function withZeros(status: DaemonSetStatus): object {
  return Object.fromEntries(Object.entries(status).filter(([, value]) => value !== 0))
}
