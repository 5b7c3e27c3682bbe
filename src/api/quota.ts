// What objects count against a ResourceQuota, and which quotas they count against: for admission, which spends, and for the
// controller, which counts anew.
import type { PersistentVolumeClaim, Pod, ResourceQuota, ScopedResourceSelectorRequirement, Service } from './generated/core-v1.ts'
import type { Kind } from './kind.ts'
import type { KubeObject } from './object.ts'
import { isPodTerminal } from './pods.ts'
import { addQuantities, compareQuantities, newQuantity, parseQuantity, type Quantity, subQuantities } from './quantity.ts'
import { parseResources, podLimits, podRequests, qosClassOf, type Resources } from './resources.ts'

const one = newQuantity(1)
const zero = newQuantity(0)

/** Kinds of the core group that have a quota resource of their plain name besides `count/<plural>`. */
const plainCounts = new Set([
  'configmaps',
  'persistentvolumeclaims',
  'pods',
  'replicationcontrollers',
  'resourcequotas',
  'secrets',
  'services',
])

/** The name by which objects of a kind are counted: `count/deployments.apps`. */
export function countResource({ group, resource }: Pick<Kind, 'group' | 'resource'>): string {
  return `count/${group === '' ? resource : `${resource}.${group}`}`
}

/** What one object uses, by quota resource. `nowMs`: pods that should be gone by now use nothing. */
export function quotaUsage(kind: Kind, object: KubeObject, nowMs: number): Resources {
  const usage: Resources = { [countResource(kind)]: one }
  if (kind.group !== '') return usage
  if (kind.resource === 'pods') return podUsage(usage, object as Pod, nowMs)
  if (plainCounts.has(kind.resource)) usage[kind.resource] = one
  if (kind.resource === 'services') serviceUsage(usage, object as Service)
  if (kind.resource === 'persistentvolumeclaims') claimUsage(usage, object as PersistentVolumeClaim)
  return usage
}

function podUsage(usage: Resources, pod: Pod, nowMs: number): Resources {
  if (!countsAsRunning(pod, nowMs)) return usage
  usage['pods'] = one
  for (const [name, amount] of Object.entries(podRequests(pod))) {
    if (name.includes('/')) usage[`requests.${name}`] = amount
    else if (name === 'cpu' || name === 'memory' || name === 'ephemeral-storage' || name.startsWith('hugepages-')) {
      usage[name] = amount
      usage[`requests.${name}`] = amount
    }
  }
  for (const [name, amount] of Object.entries(podLimits(pod))) {
    if (name === 'cpu' || name === 'memory' || name === 'ephemeral-storage') usage[`limits.${name}`] = amount
  }
  return usage
}

function countsAsRunning(pod: Pod, nowMs: number): boolean {
  if (isPodTerminal(pod)) return false
  const { deletionTimestamp, deletionGracePeriodSeconds } = pod.metadata
  if (deletionTimestamp === undefined || deletionGracePeriodSeconds === undefined) return true
  return nowMs <= Date.parse(deletionTimestamp) + deletionGracePeriodSeconds * 1000
}

function serviceUsage(usage: Resources, { spec }: Service): void {
  const ports = (spec.ports ?? []).length
  usage['services.nodeports'] = zero
  usage['services.loadbalancers'] = zero
  if (spec.type === 'NodePort') usage['services.nodeports'] = newQuantity(ports)
  else if (spec.type === 'LoadBalancer') {
    const given = spec.allocateLoadBalancerNodePorts === false ? (spec.ports ?? []).filter((port) => port.nodePort).length : ports
    usage['services.nodeports'] = newQuantity(given)
    usage['services.loadbalancers'] = one
  }
}

function claimUsage(usage: Resources, { spec }: PersistentVolumeClaim): void {
  const storage = spec.resources?.requests?.['storage']
  if (storage !== undefined) usage['requests.storage'] = parseQuantity(storage)
  const name = spec.storageClassName
  if (!name) return
  usage[`${name}.storageclass.storage.k8s.io/persistentvolumeclaims`] = one
  if (storage !== undefined) usage[`${name}.storageclass.storage.k8s.io/requests.storage`] = parseQuantity(storage)
}

/** Whether the object is one that the quota's scopes speak of. */
export function quotaCovers({ spec }: Pick<ResourceQuota, 'spec'>, kind: Kind, object: KubeObject): boolean {
  const required: ScopedResourceSelectorRequirement[] = [
    ...(spec.scopes ?? []).map((scopeName) => ({ scopeName, operator: 'Exists' as const })),
    ...(spec.scopeSelector?.matchExpressions ?? []),
  ]
  if (required.length === 0) return true
  if (kind.id === 'core/v1/pods') return required.every((requirement) => podInScope(object as Pod, requirement))
  if (kind.id === 'core/v1/persistentvolumeclaims') {
    return required.every((requirement) => claimInScope(object as PersistentVolumeClaim, requirement))
  }
  return false
}

function podInScope(pod: Pod, { scopeName, operator, values = [] }: ScopedResourceSelectorRequirement): boolean {
  const { spec } = pod
  switch (scopeName) {
    case 'Terminating':
      return spec.activeDeadlineSeconds !== undefined
    case 'NotTerminating':
      return spec.activeDeadlineSeconds === undefined
    case 'BestEffort':
      return qosClassOf(pod) === 'BestEffort'
    case 'NotBestEffort':
      return qosClassOf(pod) !== 'BestEffort'
    case 'CrossNamespacePodAffinity':
      return reachesOtherNamespaces(pod)
    case 'PriorityClass':
      return nameInScope(spec.priorityClassName ?? '', operator, values)
    default:
      return false
  }
}

function claimInScope({ spec }: PersistentVolumeClaim, { scopeName, operator, values = [] }: ScopedResourceSelectorRequirement): boolean {
  return scopeName === 'VolumeAttributesClass' && nameInScope(spec.volumeAttributesClassName ?? '', operator, values)
}

function nameInScope(name: string, operator: string, values: readonly string[]): boolean {
  if (operator === 'In') return values.includes(name)
  if (operator === 'NotIn') return !values.includes(name)
  return (operator === 'Exists') === (name !== '')
}

function reachesOtherNamespaces({ spec }: Pod): boolean {
  const { podAffinity, podAntiAffinity } = spec.affinity ?? {}
  return [podAffinity, podAntiAffinity].some((affinity) =>
    [
      ...(affinity?.requiredDuringSchedulingIgnoredDuringExecution ?? []),
      ...(affinity?.preferredDuringSchedulingIgnoredDuringExecution ?? []).map((term) => term.podAffinityTerm),
    ].some((term) => (term.namespaces?.length ?? 0) > 0 || term.namespaceSelector !== undefined),
  )
}

/** `a` without `b`, where `a` has something; what `a` lacks counts as nothing. */
export function subtractUsage(a: Readonly<Resources>, b: Readonly<Resources>): Resources {
  const out: Resources = {}
  for (const name of new Set([...Object.keys(a), ...Object.keys(b)])) {
    const amount = a[name] ?? zero
    const less = b[name]
    out[name] = less === undefined ? amount : subQuantities(amount, less)
  }
  return out
}

const checkedConstraints = ['cpu', 'memory', 'requests.cpu', 'requests.memory', 'limits.cpu', 'limits.memory']

/** A quota of compute resources demands that every container says what it needs; the complaint, or undefined. */
export function missingConstraints(pod: Pod, hard: Readonly<Record<string, string>>): string | undefined {
  const missing = new Map<string, string[]>()
  for (const name of checkedConstraints) {
    if (!Object.hasOwn(hard, name)) continue
    const isLimit = name.startsWith('limits.')
    const resource = name.replace(/^(limits|requests)\./, '')
    const said = (resources: Pod['spec']['resources']): boolean =>
      (isLimit ? resources?.limits : resources?.requests)?.[resource] !== undefined
    if (said(pod.spec.resources)) continue
    const silent = [...pod.spec.containers, ...(pod.spec.initContainers ?? [])].filter(({ resources }) => !said(resources))
    if (silent.length > 0) missing.set(name, silent.map((container) => container.name).sort())
  }
  if (missing.size === 0) return undefined
  const parts = [...missing].sort(([a], [b]) => (a < b ? -1 : 1)).map(([name, containers]) => `${name} for: ${containers.join(',')}`)
  return `must specify ${parts.join('; ')}`
}

/** Names in `hard` that `used + delta` goes beyond; only what grows is looked at. */
export function exceededBy(used: Readonly<Resources>, delta: Readonly<Resources>, hard: Readonly<Record<string, string>>): string[] {
  return Object.entries(delta)
    .filter(([name, amount]) => {
      if (!Object.hasOwn(hard, name) || compareQuantities(amount, zero) <= 0) return false
      return compareQuantities(addQuantities(used[name] ?? zero, amount), parseQuantity(hard[name]!)) > 0
    })
    .map(([name]) => name)
    .sort()
}

export function parsedUsage(status: ResourceQuota['status'] | undefined): Resources {
  return parseResources(status?.used)
}

export function isPositive(amount: Quantity): boolean {
  return compareQuantities(amount, zero) > 0
}
