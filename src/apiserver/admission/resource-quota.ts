// ResourceQuota: what an object uses is taken from its namespace's quotas before it is written, by compare-and-write on their
// status: two writers never spend the same. The controller counts anew what deletions and failures give back.

import { Pod } from '#api/kinds/core/pod'
import { ResourceQuota } from '#api/kinds/core/resource-quota'
import { formatQuantity } from '#api/quantity'
import { exceededBy, isPositive, missingConstraints, parsedUsage, quotaCovers, quotaUsage, subtractUsage } from '#api/quota'
import { addResources, type Resources } from '#api/resources'
import type { Clock } from '#base/clock'
import { internalCall } from '../registry/call.ts'
import type { Registries } from '../registry/registries.ts'
import { cloneJson } from '../registry/written.ts'
import type { LocalReader } from '../request.ts'
import { type AdmissionPlugin, type AdmissionRequest, admissionForbidden } from './plugin.ts'

export interface ResourceQuotaDeps {
  readonly reader: LocalReader
  readonly clock: Clock
  /** Looked up when a quota is spent: the registries are made after admission. */
  readonly registries: () => Registries
}

const call = internalCall('kube-apiserver')
// Kinds whose usage an update can raise.
const growing = new Set(['core/v1/services', 'core/v1/persistentvolumeclaims'])

export function resourceQuota(deps: ResourceQuotaDeps): AdmissionPlugin {
  return {
    name: 'ResourceQuota',
    handles(operation, kind, subresource) {
      if (!kind.namespaced || kind.id === 'core/v1/events' || kind.id === 'events.k8s.io/v1/events') return false
      if (operation === 'CREATE') return subresource === '' && kind.verbs.includes('get')
      if (operation !== 'UPDATE') return false
      return kind.id === Pod.id ? subresource === 'resize' : subresource === '' && growing.has(kind.id)
    },
    async validate(request) {
      const quotas = deps.reader.list(ResourceQuota, request.namespace)
      for (const quota of quotas) {
        if (quotaCovers(quota, request.kind, request.object!)) await spend(deps, request, quota)
      }
    },
  }
}

async function spend({ clock, registries }: ResourceQuotaDeps, request: AdmissionRequest, quota: ResourceQuota): Promise<void> {
  const { name } = quota.metadata
  const hard = quota.spec.hard ?? {}
  if (request.kind.id === Pod.id && request.operation === 'CREATE') {
    const missing = missingConstraints(request.object as Pod, hard)
    if (missing !== undefined) throw admissionForbidden(request, `failed quota: ${name}: ${missing}`)
  }
  const nowMs = clock.now()
  const now = quotaUsage(request.kind, request.object!, nowMs)
  const before = request.old === undefined ? {} : quotaUsage(request.kind, request.old, nowMs)
  const delta = limitedTo(subtractUsage(now, before), hard)
  if (Object.values(delta).every((amount) => !isPositive(amount))) return
  const check = (current: ResourceQuota): Resources => checked(request, current, delta)
  if (request.dryRun) {
    check(quota)
    return
  }
  await registries()
    .of(ResourceQuota)
    .update(
      { namespace: request.namespace, name },
      {
        subresource: 'status',
        createIfMissing: false,
        make(old) {
          const next = cloneJson(old!)
          next.status.used = Object.fromEntries(Object.entries(check(next)).map(([resource, amount]) => [resource, formatQuantity(amount)]))
          return next
        },
      },
      call,
    )
}

function limitedTo(usage: Resources, hard: Readonly<Record<string, string>>): Resources {
  return Object.fromEntries(Object.entries(usage).filter(([name]) => Object.hasOwn(hard, name)))
}

/** What is used once the delta is spent. Throws Forbidden when that is too much. */
function checked(request: AdmissionRequest, quota: ResourceQuota, delta: Resources): Resources {
  const { name } = quota.metadata
  const hard = quota.status?.hard ?? {}
  const used = parsedUsage(quota.status)
  const unknown = Object.keys(delta).filter((resource) => used[resource] === undefined || !Object.hasOwn(hard, resource))
  if (unknown.length > 0) throw admissionForbidden(request, `status unknown for quota: ${name}, resources: ${unknown.sort().join(',')}`)
  const exceeded = exceededBy(used, delta, hard)
  if (exceeded.length > 0) {
    const show = (of: (resource: string) => string): string => exceeded.map((resource) => `${resource}=${of(resource)}`).join(',')
    const requested = show((resource) => formatQuantity(delta[resource]!))
    const inUse = show((resource) => formatQuantity(used[resource]!))
    const limited = show((resource) => hard[resource]!)
    throw admissionForbidden(request, `exceeded quota: ${name}, requested: ${requested}, used: ${inUse}, limited: ${limited}`)
  }
  return addResources({ ...used }, delta)
}
