// Counts what a namespace uses of each of its quotas. Admission spends as objects are made; this gives back what is deleted, ends
// or was never made, and is what a new quota learns its first figures from.
import type { ContainerStatus } from '#api/generated/core-v1'
import type { Kind } from '#api/kind'
import { ConfigMap } from '#api/kinds/core/config-map'
import { PersistentVolumeClaim } from '#api/kinds/core/persistent-volume-claim'
import { Pod } from '#api/kinds/core/pod'
import { ReplicationController } from '#api/kinds/core/replication-controller'
import { ResourceQuota } from '#api/kinds/core/resource-quota'
import { Secret } from '#api/kinds/core/secret'
import { Service } from '#api/kinds/core/service'
import { ResourceClaim } from '#api/kinds/resource/resource-claim'
import { type KubeObject, keyOf, parseKey } from '#api/object'
import { formatQuantity, newQuantity, parseQuantity, type Quantity } from '#api/quantity'
import { attributesClassesOf, countResource, countsAsRunning, isPodBounded, quotaCovers, quotaTracks, quotaUsage } from '#api/quota'
import { addResources, type Resources } from '#api/resources'
import type { Client } from '#client/client'
import { type Cache, type Controller, defineController, type Watch } from '#client/controller'

const counted = [
  Pod,
  Service,
  PersistentVolumeClaim,
  ConfigMap,
  Secret,
  ReplicationController,
  ResourceQuota,
  ResourceClaim,
] as readonly unknown[] as readonly Kind[]
// What nobody tells of (an object that admission let through and the store refused) is counted anew after this.
const recountMs = 5 * 60_000

/** Kinds of which more than metadata is counted. */
export const quotaWholeKinds = [ResourceQuota, Pod, Service, PersistentVolumeClaim, ResourceClaim].map((kind) => kind.id)

// Too many and too short-lived to be anybody's quota.
const uncounted = new Set(['core/v1/events', 'events.k8s.io/v1/events', 'coordination.k8s.io/v1/leases'])

/** `served`: all kinds; those that live in namespaces may be counted by `count/<plural>.<group>`. */
export function createResourceQuotaController(served: readonly Kind[]): Controller {
  const others = served.filter((kind) => {
    const stored = kind.namespaced && ['get', 'list', 'watch', 'delete'].every((verb) => kind.verbs.includes(verb))
    return stored && !uncounted.has(kind.id) && kind.strategy.storedAs === undefined && !counted.some(({ id }) => id === kind.id)
  })
  const kinds = [...counted, ...others]
  const custom = new Map<string, Kind>()
  return defineController({
    name: 'resourcequota-controller',
    watches: [
      { kind: ResourceQuota as unknown as Kind, keysOf: (quota) => [keyOf(quota)], when: specChanged },
      ...kinds.filter((kind) => kind.id !== ResourceQuota.id).map(givesBack),
    ],
    custom: {
      watch(kind) {
        if (!kind.namespaced) return undefined
        custom.set(kind.id, kind)
        return givesBack(kind)
      },
      forget: (kind) => void custom.delete(kind.id),
    },
    async reconcile(key, { cache, client, clock }) {
      const quota = cache.get(ResourceQuota, key)
      if (quota === undefined || quota.metadata.deletionTimestamp !== undefined) return
      const { namespace } = parseKey(key)
      const hard = quota.spec.hard ?? {}
      const usage = usageOf(cache, kinds, namespace, quota, clock.now())
      let failure: { readonly error: unknown } | undefined
      for (const kind of custom.values()) {
        const name = countResource(kind)
        if (!Object.hasOwn(hard, name) || !quotaCovers(quota, kind, quota)) continue
        try {
          usage[name] = await countOf(client, kind, namespace)
        } catch (error) {
          // What cannot be counted now stays as it was; the rest is told.
          failure ??= { error }
          usage[name] = parseQuantity(quota.status?.used?.[name] ?? '0')
        }
      }
      const used = Object.fromEntries(Object.keys(hard).map((name) => [name, formatQuantity(usage[name] ?? newQuantity(0))]))
      if (!sameAmounts(quota.status?.hard, hard) || !sameAmounts(quota.status?.used, used)) {
        await client.updateStatus(ResourceQuota, { ...quota, status: { hard, used } })
      }
      if (failure !== undefined) throw failure.error
      return recountMs
    },
  })
}

// Custom resources are counted by the server: what is held of them here may be of a moment ago, or not yet there.
async function countOf(client: Client, { apiVersion, resource }: Kind, namespace: string): Promise<Quantity> {
  const path = `/apis/${apiVersion}/namespaces/${encodeURIComponent(namespace)}/${resource}?limit=1`
  const { items, metadata } = (await client.raw('GET', path)) as { items: unknown[]; metadata: { remainingItemCount?: number } }
  return newQuantity(items.length + (metadata.remainingItemCount ?? 0))
}

function usageOf(cache: Cache, kinds: readonly Kind[], namespace: string, quota: ResourceQuota, nowMs: number): Resources {
  const hard = Object.keys(quota.spec.hard ?? {})
  const total: Resources = {}
  for (const kind of kinds) {
    if (!hard.some((name) => quotaTracks(kind, name))) continue
    for (const object of cache.list(kind, namespace)) {
      if (quotaCovers(quota, kind, object)) addResources(total, quotaUsage(kind, object, nowMs))
    }
  }
  return total
}

function specChanged(quota: KubeObject, old: KubeObject | undefined): boolean {
  if (old === undefined) return true
  const now = quota as ResourceQuota
  const before = old as ResourceQuota
  return JSON.stringify(now.spec) !== JSON.stringify(before.spec) || !sameAmounts(now.status?.hard, now.spec.hard)
}

// Deletions give back, and what comes to use less without asking for it; an added object was spent by admission.
function givesBack(kind: Kind): Watch {
  const told = changes[kind.id]
  return {
    kind,
    keysOf(object, old, cache, change) {
      if (change === 'added' || (change === 'updated' && (old === undefined || told?.(object, old) !== true))) return []
      const { metadata } = object
      return cache.list(ResourceQuota, metadata.namespace).map(keyOf)
    },
  }
}

const changes: Readonly<Record<string, (object: KubeObject, old: KubeObject) => boolean>> = {
  [Pod.id](object, old) {
    const [pod, before] = [object as Pod, old as Pod]
    if (isPodBounded(pod) !== isPodBounded(before) || wasResized(pod, before)) return true
    // Deadlines are for the recount: nothing tells of them.
    return countsAsRunning(before, 0) && !countsAsRunning(pod, 0)
  },
  [Service.id]: (object, old) => (object as Service).spec.type !== (old as Service).spec.type,
  [PersistentVolumeClaim.id](object, old) {
    const [claim, before] = [object as PersistentVolumeClaim, old as PersistentVolumeClaim]
    if (claim.status?.allocatedResources?.['storage'] !== before.status?.allocatedResources?.['storage']) return true
    return attributesClassesOf(claim).join() !== attributesClassesOf(before).join()
  },
}

function wasResized(pod: Pod, before: Pod): boolean {
  const statuses = ({ status }: Pod): ContainerStatus[] => [...(status.containerStatuses ?? []), ...(status.initContainerStatuses ?? [])]
  return statuses(before).some(({ name, resources }) => {
    const now = statuses(pod).find((status) => status.name === name)
    return now !== undefined && JSON.stringify(now.resources) !== JSON.stringify(resources)
  })
}

function sameAmounts(a: Readonly<Record<string, string>> | undefined, b: Readonly<Record<string, string>> | undefined): boolean {
  const names = Object.keys(a ?? {})
  return names.length === Object.keys(b ?? {}).length && names.every((name) => a![name] === b?.[name])
}
