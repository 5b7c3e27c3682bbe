// Counts what a namespace uses of each of its quotas. Admission spends as objects are made; this gives back what is deleted, ends
// or was never made, and is what a new quota learns its first figures from.
import type { Kind } from '#api/kind'
import { ConfigMap } from '#api/kinds/core/config-map'
import { PersistentVolumeClaim } from '#api/kinds/core/persistent-volume-claim'
import { Pod } from '#api/kinds/core/pod'
import { ReplicationController } from '#api/kinds/core/replication-controller'
import { ResourceQuota } from '#api/kinds/core/resource-quota'
import { Secret } from '#api/kinds/core/secret'
import { Service } from '#api/kinds/core/service'
import { type KubeObject, keyOf, parseKey } from '#api/object'
import { isPodTerminal } from '#api/pods'
import { formatQuantity, newQuantity } from '#api/quantity'
import { countResource, quotaCovers, quotaUsage } from '#api/quota'
import { addResources, type Resources } from '#api/resources'
import { type Cache, type Controller, defineController, type Watch } from '#client/controller'

const counted = [
  Pod,
  Service,
  PersistentVolumeClaim,
  ConfigMap,
  Secret,
  ReplicationController,
  ResourceQuota,
] as readonly unknown[] as readonly Kind[]
// What nobody tells of (an object that admission let through and the store refused) is counted anew after this.
const recountMs = 5 * 60_000

/** Kinds of which more than metadata is counted. */
export const quotaWholeKinds = [ResourceQuota, Pod, Service, PersistentVolumeClaim].map((kind) => kind.id)

// Too many and too short-lived to be anybody's quota.
const uncounted = new Set(['core/v1/events', 'events.k8s.io/v1/events', 'coordination.k8s.io/v1/leases'])

/** `served`: all kinds; those that live in namespaces may be counted by `count/<plural>.<group>`. */
export function createResourceQuotaController(served: readonly Kind[]): Controller {
  const others = served.filter((kind) => {
    const stored = kind.namespaced && ['get', 'list', 'watch', 'delete'].every((verb) => kind.verbs.includes(verb))
    return stored && !uncounted.has(kind.id) && kind.strategy.storedAs === undefined && !counted.some(({ id }) => id === kind.id)
  })
  const kinds = [...counted, ...others]
  return defineController({
    name: 'resourcequota-controller',
    watches: [
      { kind: ResourceQuota as unknown as Kind, keysOf: (quota) => [keyOf(quota)], when: specChanged },
      ...kinds.filter((kind) => kind.id !== ResourceQuota.id).map(givesBack),
    ],
    async reconcile(key, { cache, client, clock }) {
      const quota = cache.get(ResourceQuota, key)
      if (quota === undefined || quota.metadata.deletionTimestamp !== undefined) return
      const { namespace } = parseKey(key)
      const hard = quota.spec.hard ?? {}
      const usage = usageOf(cache, kinds, namespace, quota, clock.now())
      const used = Object.fromEntries(Object.keys(hard).map((name) => [name, formatQuantity(usage[name] ?? newQuantity(0))]))
      if (!sameAmounts(quota.status?.hard, hard) || !sameAmounts(quota.status?.used, used)) {
        await client.updateStatus(ResourceQuota, { ...quota, status: { hard, used } })
      }
      return recountMs
    },
  })
}

function usageOf(cache: Cache, kinds: readonly Kind[], namespace: string, quota: ResourceQuota, nowMs: number): Resources {
  const hard = Object.keys(quota.spec.hard ?? {})
  const total: Resources = {}
  for (const kind of kinds) {
    if (!concerns(kind, hard)) continue
    for (const object of cache.list(kind, namespace)) {
      if (quotaCovers(quota, kind, object)) addResources(total, quotaUsage(kind, object, nowMs))
    }
  }
  return total
}

// Whether objects of this kind count toward any of the names.
function concerns(kind: Kind, names: readonly string[]): boolean {
  const count = countResource(kind)
  if (kind.id === Pod.id) return names.some((name) => name === count || !name.startsWith('count/'))
  return names.some((name) => name === count || name === kind.resource || name.startsWith(`${kind.resource}.`) || name.includes('storage'))
}

function specChanged(quota: KubeObject, old: KubeObject | undefined): boolean {
  if (old === undefined) return true
  const now = quota as ResourceQuota
  const before = old as ResourceQuota
  return JSON.stringify(now.spec) !== JSON.stringify(before.spec) || !sameAmounts(now.status?.hard, now.spec.hard)
}

// Deletions give back, and pods that end; an added object was spent by admission.
function givesBack(kind: Kind): Watch {
  const ended = (object: KubeObject, old: KubeObject | undefined): boolean =>
    kind.id === Pod.id && old !== undefined && isPodTerminal(object as Pod) && !isPodTerminal(old as Pod)
  return {
    kind,
    keysOf(object, old, cache, change) {
      if (change === 'added' || (change === 'updated' && !ended(object, old))) return []
      const { metadata } = object
      return cache.list(ResourceQuota, metadata.namespace).map(keyOf)
    },
  }
}

function sameAmounts(a: Readonly<Record<string, string>> | undefined, b: Readonly<Record<string, string>> | undefined): boolean {
  const names = Object.keys(a ?? {})
  return names.length === Object.keys(b ?? {}).length && names.every((name) => a![name] === b?.[name])
}
