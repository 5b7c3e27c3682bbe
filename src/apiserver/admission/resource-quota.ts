// ResourceQuota: what an object uses is taken from its namespace's quotas before it is written, by compare-and-write on their
// status: two writers never spend the same. The controller counts anew what deletions and failures give back.

import { isApiError } from '#api/errors'
import type { Kind } from '#api/kind'
import { PersistentVolumeClaim } from '#api/kinds/core/persistent-volume-claim'
import { Pod } from '#api/kinds/core/pod'
import { ResourceQuota } from '#api/kinds/core/resource-quota'
import { Service } from '#api/kinds/core/service'
import { ResourceClaim } from '#api/kinds/resource/resource-claim'
import { formatQuantity, quantitySign } from '#api/quantity'
import { exceededBy, isPodBounded, missingConstraints, quotaCovers, quotaTracks, quotaUsage, usageBeyond } from '#api/quota'
import { addResources, parseResources, type Resources } from '#api/resources'
import type { Clock } from '#base/clock'
import { internalCall } from '../registry/call.ts'
import type { Registries } from '../registry/registries.ts'
import { cloneJson } from '../registry/written.ts'
import type { LocalReader } from '../request.ts'
import { type AdmissionPlugin, type AdmissionRequest, admissionForbidden, type Operation } from './plugin.ts'

export interface ResourceQuotaDeps {
  readonly reader: LocalReader
  readonly clock: Clock
  /** Looked up when a quota is spent: the registries are made after admission. */
  readonly registries: () => Registries
}

const call = internalCall('kube-apiserver')
// Kinds whose usage an update can raise.
const growing = new Set([Pod.id, Service.id, PersistentVolumeClaim.id, ResourceClaim.id])

export function resourceQuota(deps: ResourceQuotaDeps): AdmissionPlugin {
  return {
    name: 'ResourceQuota',
    handles,
    async validate(request) {
      const { kind, operation, subresource, object, old } = request
      const rescoped = kind.id === Pod.id && operation === 'UPDATE' && subresource === ''
      if (rescoped && isPodBounded(object as Pod) === isPodBounded(old as Pod)) return
      const quotas = deps.reader.list(ResourceQuota, request.namespace).filter((quota) => concerns(quota, request))
      if (quotas.length === 0) return
      for (const quota of quotas) checkConstraints(request, quota)
      const spent = spending(request, quotas, deps.clock.now())
      // All before any: a quota that refuses leaves the others as they were.
      for (const [quota, delta] of spent) checked(request, quota, delta)
      if (request.dryRun) return
      for (const [quota, delta] of spent) await spend(deps, request, quota, delta)
    },
  }
}

function handles(operation: Operation, kind: Kind, subresource: string): boolean {
  if (!kind.namespaced || kind.id === 'core/v1/events' || kind.id === 'events.k8s.io/v1/events') return false
  if (operation === 'CREATE') return subresource === '' && kind.verbs.includes('get')
  if (operation !== 'UPDATE' || !growing.has(kind.id)) return false
  if (subresource === 'resize') return kind.id === Pod.id
  // The status of a claim tells what its volume was given.
  if (subresource === 'status') return kind.id === PersistentVolumeClaim.id
  return subresource === ''
}

function concerns(quota: ResourceQuota, { kind, object }: AdmissionRequest): boolean {
  return trackedNames(quota, kind).length > 0 && quotaCovers(quota, kind, object!)
}

// Of what the controller has seen: a quota binds once its usage is counted.
function trackedNames({ status }: ResourceQuota, kind: Kind): string[] {
  return Object.keys(status?.hard ?? {}).filter((name) => quotaTracks(kind, name))
}

function checkConstraints(request: AdmissionRequest, quota: ResourceQuota): void {
  const { metadata, status } = quota
  const names = trackedNames(quota, request.kind)
  if (request.kind.id === Pod.id) {
    const missing = missingConstraints(request.object as Pod, names)
    if (missing !== undefined) throw admissionForbidden(request, `failed quota: ${metadata.name}: ${missing}`)
  }
  if (names.every((name) => Object.hasOwn(status?.used ?? {}, name))) return
  throw admissionForbidden(request, `status unknown for quota: ${metadata.name}, resources: ${names.sort().join(',')}`)
}

// What the write takes from each quota: all that the object uses, or, from a quota that covered it before, what it uses more.
function spending(request: AdmissionRequest, quotas: readonly ResourceQuota[], nowMs: number): (readonly [ResourceQuota, Resources])[] {
  const { kind, object, old } = request
  const usage = quotaUsage(kind, object!, nowMs)
  const negative = Object.keys(usage).filter((name) => quantitySign(usage[name]!) < 0)
  if (negative.length > 0) {
    throw admissionForbidden(request, `quota usage is negative for resource(s): ${negative.sort().join(',')}`)
  }
  const before = old === undefined ? {} : quotaUsage(kind, old, nowMs)
  return quotas.flatMap((quota) => {
    const more = usageBeyond(usage, old !== undefined && quotaCovers(quota, kind, old) ? before : {})
    const delta = Object.fromEntries(Object.entries(more).filter(([name]) => Object.hasOwn(quota.status?.hard ?? {}, name)))
    return Object.keys(delta).length === 0 ? [] : [[quota, delta] as const]
  })
}

async function spend({ registries }: ResourceQuotaDeps, request: AdmissionRequest, quota: ResourceQuota, delta: Resources): Promise<void> {
  const { name } = quota.metadata
  try {
    await registries()
      .of(ResourceQuota)
      .update(
        { namespace: request.namespace, name },
        {
          subresource: 'status',
          createIfMissing: false,
          make(old) {
            const next = cloneJson(old!)
            const used = Object.entries(checked(request, next, delta))
            next.status.used = Object.fromEntries(used.map(([resource, amount]) => [resource, formatQuantity(amount)]))
            return next
          },
        },
        call,
      )
  } catch (error) {
    // Deleted meanwhile: it binds no more.
    if (!isApiError(error, 'NotFound')) throw error
  }
}

/** What is used once the delta is spent. Throws Forbidden when that is too much; a status tells what is, and is let through. */
function checked(request: AdmissionRequest, { metadata, status }: ResourceQuota, delta: Resources): Resources {
  const hard = status?.hard ?? {}
  const used = parseResources(status?.used)
  const exceeded = request.subresource === 'status' ? [] : exceededBy(used, delta, hard)
  if (exceeded.length > 0) {
    const show = (of: (resource: string) => string): string => exceeded.map((resource) => `${resource}=${of(resource)}`).join(',')
    const requested = show((resource) => formatQuantity(delta[resource]!))
    const inUse = show((resource) => formatQuantity(used[resource]!))
    const limited = show((resource) => hard[resource]!)
    throw admissionForbidden(request, `exceeded quota: ${metadata.name}, requested: ${requested}, used: ${inUse}, limited: ${limited}`)
  }
  return addResources(used, delta)
}
