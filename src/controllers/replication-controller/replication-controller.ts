// ReplicationController: the ReplicaSet's elder, of which only the form of the selector differs.
import type { ReplicaSet as ReplicaSetObject } from '#api/generated/apps-v1'
import type { ReplicationController as ControllerObject, ReplicationControllerStatus } from '#api/generated/core-v1'
import { canonicalJson } from '#api/hash'
import { Pod } from '#api/kinds/core/pod'
import { ReplicationController } from '#api/kinds/core/replication-controller'
import { labelMatcher } from '#api/label-selectors'
import { isPodTerminal } from '#api/pods'
import { defineController } from '#client/controller'
import { claimOwned, ownerReference } from '../owned-objects.ts'
import { createPods, deletePods, podFromTemplate } from '../pods-of-template.ts'
import { planReplicaSet, withFailure } from '../replicaset/replicaset.ts'
import { watchKind, watchOwned } from '../watches.ts'

export const replicationControllerController = defineController({
  name: 'replication-controller',
  watches: [
    watchKind(ReplicationController),
    watchOwned(Pod, { by: ReplicationController, selectorOf: (owner) => asReplicaSet(owner).spec.selector }),
  ],
  concurrency: 5,
  async reconcile(key, context) {
    const { cache, client, clock } = context
    const owner = cache.get(ReplicationController, key)
    if (owner === undefined) return
    const set = asReplicaSet(owner)
    const matches = labelMatcher(set.spec.selector)
    const mayAdopt = (pod: Pod): boolean => !isPodTerminal(pod)
    const pods = await claimOwned({ cache, client, ownerKind: ReplicationController, owner, kind: Pod, matches, mayAdopt })
    const plan = planReplicaSet(set, pods, clock.now())
    let failed: { reason: 'FailedCreate' | 'FailedDelete'; error: unknown } | undefined
    const reference = ownerReference(ReplicationController, owner)
    await createPods(context, owner, plan.create, () => podFromTemplate(set.spec.template!, owner, reference)).catch((error: unknown) => {
      failed = { reason: 'FailedCreate', error }
    })
    await deletePods(context, owner, plan.remove).catch((error: unknown) => {
      failed ??= { reason: 'FailedDelete', error }
    })
    const failure = failed === undefined ? undefined : { reason: failed.reason, message: (failed.error as Error).message }
    const { terminatingReplicas: _terminating, conditions: _conditions, ...counts } = plan.status
    const conditions = withFailure(owner.status.conditions, failure, clock.now())
    const status: ReplicationControllerStatus = { ...counts, ...(conditions === undefined ? {} : { conditions }) }
    if (shown(owner.status) !== shown(status)) await client.updateStatus(ReplicationController, { ...owner, status })
    if (failed !== undefined) throw failed.error
    return plan.lookAgainAfterMs
  },
})

/** The same wish in the newer form. */
function asReplicaSet({ metadata, spec, status }: ControllerObject): ReplicaSetObject {
  return {
    apiVersion: 'apps/v1',
    kind: 'ReplicaSet',
    metadata,
    spec: {
      replicas: spec.replicas ?? 1,
      selector: { matchLabels: spec.selector ?? {} },
      ...(spec.minReadySeconds === undefined ? {} : { minReadySeconds: spec.minReadySeconds }),
      ...(spec.template === undefined ? {} : { template: spec.template }),
    } as ReplicaSetObject['spec'],
    status,
  }
}

function shown(status: ReplicationControllerStatus): string {
  return canonicalJson(Object.fromEntries(Object.entries(status).filter(([, value]) => value !== 0)))
}
