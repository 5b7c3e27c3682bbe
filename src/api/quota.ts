// What objects count against a ResourceQuota, and which quotas they count against: for admission, which spends, and for the
// controller, which counts anew.
import type { PersistentVolumeClaim, Pod, ResourceQuota, ScopedResourceSelectorRequirement, Service } from './generated/core-v1.ts'
import type { ResourceClaim } from './generated/resource-v1.ts'
import type { Kind } from './kind.ts'
import { storageClassOf } from './kinds/core/persistent-volumes.ts'
import { isExtendedResourceName, isHugePagesName, isNativeResource } from './kinds/core/resource-names.ts'
import type { KubeObject } from './object.ts'
import { isPodTerminal } from './pods.ts'
import { addQuantities, compareQuantities, newQuantity, parseQuantity, quantityAt, quantitySign, subQuantities } from './quantity.ts'
import {
  addResources,
  heldByContainers,
  isPodLevelResource,
  maxResources,
  parseResources,
  podLimits,
  podRequests,
  qosClassOf,
  type Resources,
} from './resources.ts'

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

const perDeviceClass = '.deviceclass.resource.k8s.io/devices'
const implicitExtended = 'requests.deviceclass.resource.kubernetes.io/'
const perStorageClass = '.storageclass.storage.k8s.io/'
// As many devices as one claim is ever given.
const allDevices = 32

const podNames = new Set([
  'pods',
  ...['cpu', 'memory', 'ephemeral-storage'].flatMap((name) => [name, `requests.${name}`, `limits.${name}`]),
])
const serviceNames = new Set(['services', 'services.nodeports', 'services.loadbalancers'])
const claimNames = ['persistentvolumeclaims', 'requests.storage']

/** Whether objects of a kind can use the resource that a quota names so. */
export function quotaTracks(kind: Kind, name: string): boolean {
  if (name === countResource(kind)) return true
  switch (kind.id) {
    case 'core/v1/pods':
      return podNames.has(name) || isHugePagesName(name) || name.startsWith('requests.hugepages-') || isExtendedQuotaName(name)
    case 'core/v1/services':
      return serviceNames.has(name)
    case 'core/v1/persistentvolumeclaims':
      return claimNames.some((own) => name === own || name.endsWith(perStorageClass + own))
    case 'resource.k8s.io/v1/resourceclaims':
      return name.endsWith(perDeviceClass)
    default:
      return kind.group === '' && plainCounts.has(kind.resource) && name === kind.resource
  }
}

function isExtendedQuotaName(name: string): boolean {
  return name.startsWith('requests.') && (!isNativeResource(name) || name.startsWith(implicitExtended))
}

/** The name by which objects of a kind are counted: `count/deployments.apps`. */
export function countResource({ group, resource }: Pick<Kind, 'group' | 'resource'>): string {
  return `count/${group === '' ? resource : `${resource}.${group}`}`
}

/** What one object uses, by quota resource. `nowMs`: pods that should be gone by now use nothing. */
export function quotaUsage(kind: Kind, object: KubeObject, nowMs: number): Resources {
  const usage: Resources = { [countResource(kind)]: one }
  if (kind.id === 'resource.k8s.io/v1/resourceclaims') deviceUsage(usage, object as ResourceClaim)
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
  const held = heldByContainers(pod)
  for (const [name, amount] of Object.entries(podRequests(held))) {
    if (isExtendedResourceName(name) || `requests.${name}`.startsWith(implicitExtended)) usage[`requests.${name}`] = amount
    else if (name === 'cpu' || name === 'memory' || name === 'ephemeral-storage' || isHugePagesName(name)) {
      usage[name] = amount
      usage[`requests.${name}`] = amount
    }
  }
  for (const [name, amount] of Object.entries(podLimits(held))) {
    if (name === 'cpu' || name === 'memory' || name === 'ephemeral-storage') usage[`limits.${name}`] = amount
  }
  return usage
}

/** Whether the pod still counts in full: not ended, and not one that its node should have ended by now. */
export function countsAsRunning(pod: Pod, nowMs: number): boolean {
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

function claimUsage(usage: Resources, claim: PersistentVolumeClaim): void {
  const name = storageClassOf(claim)
  if (name !== '') usage[`${name}${perStorageClass}persistentvolumeclaims`] = one
  const asked = claim.spec.resources?.requests?.['storage']
  if (asked === undefined) return
  const storage = maxResources(parseResources({ storage: asked }), parseResources(claim.status?.allocatedResources))['storage']!
  // Whole bytes, or the quota's status would not be valid.
  const whole = { ...newQuantity(quantityAt(storage, 0)), format: storage.format }
  const amount = compareQuantities(whole, storage) === 0 ? storage : whole
  usage['requests.storage'] = amount
  if (name !== '') usage[`${name}${perStorageClass}requests.storage`] = amount
}

// The worst case: of alternatives, the most of each class.
function deviceUsage(usage: Resources, { spec }: ResourceClaim): void {
  const asked = ({ deviceClassName, allocationMode, count = 0 }: { deviceClassName: string; allocationMode?: string; count?: number }) => ({
    [`${deviceClassName}${perDeviceClass}`]: newQuantity(
      allocationMode === 'All' ? allDevices : allocationMode === 'ExactCount' ? count : 0,
    ),
  })
  for (const { exactly, firstAvailable = [] } of spec.devices?.requests ?? []) {
    if (firstAvailable.length > 0) {
      const most: Resources = {}
      for (const request of firstAvailable) maxResources(most, asked(request))
      addResources(usage, most)
    } else if (exactly !== undefined) addResources(usage, asked(exactly))
  }
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
      return isPodBounded(pod)
    case 'NotTerminating':
      return !isPodBounded(pod)
    case 'BestEffort':
      return qosClassOf(pod) === 'BestEffort'
    case 'NotBestEffort':
      return qosClassOf(pod) !== 'BestEffort'
    case 'CrossNamespacePodAffinity':
      return reachesOtherNamespaces(pod)
    case 'PriorityClass':
      return namesInScope(spec.priorityClassName ? [spec.priorityClassName] : [], operator, values)
    default:
      return false
  }
}

/** A pod that ends by its own deadline: of the scope Terminating. */
export function isPodBounded({ spec }: Pod): boolean {
  return (spec.activeDeadlineSeconds ?? -1) >= 0
}

function claimInScope(claim: PersistentVolumeClaim, { scopeName, operator, values = [] }: ScopedResourceSelectorRequirement): boolean {
  return scopeName === 'VolumeAttributesClass' && namesInScope(attributesClassesOf(claim), operator, values)
}

/** The volume attributes classes that a claim has, wants or is being given. */
export function attributesClassesOf({ spec, status }: PersistentVolumeClaim): string[] {
  const { currentVolumeAttributesClassName: current, modifyVolumeStatus } = status ?? {}
  const names = [spec.volumeAttributesClassName, current, modifyVolumeStatus?.targetVolumeAttributesClassName]
  return names.filter((name) => name !== undefined && name !== '') as string[]
}

function namesInScope(names: readonly string[], operator: string, values: readonly string[]): boolean {
  if (operator === 'In') return names.some((name) => values.includes(name))
  if (operator === 'NotIn') return names.length === 0 || names.some((name) => !values.includes(name))
  return (operator === 'Exists') === names.length > 0
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

/** What `a` has more than `b`: only what is more than nothing. */
export function usageBeyond(a: Readonly<Resources>, b: Readonly<Resources>): Resources {
  const out: Resources = {}
  for (const [name, amount] of Object.entries(a)) {
    const less = b[name]
    const more = less === undefined ? amount : subQuantities(amount, less)
    if (quantitySign(more) > 0) out[name] = more
  }
  return out
}

const checkedConstraints = ['cpu', 'limits.cpu', 'limits.memory', 'memory', 'requests.cpu', 'requests.memory']

/** A quota of compute resources demands that every container says what it needs; the complaint, or undefined. `names`: of the quota. */
export function missingConstraints({ spec }: Pod, names: readonly string[]): string | undefined {
  const { requests, limits } = spec.resources ?? {}
  if (Object.keys({ ...requests, ...limits }).some(isPodLevelResource)) return undefined
  const parts: string[] = []
  for (const name of checkedConstraints) {
    if (!names.includes(name)) continue
    const field = name.startsWith('limits.') ? 'limits' : 'requests'
    const resource = name.replace(/^(limits|requests)\./, '')
    const silent = [...spec.containers, ...(spec.initContainers ?? [])].filter(
      (container) => container.resources?.[field]?.[resource] === undefined,
    )
    if (silent.length > 0)
      parts.push(
        `${name} for: ${silent
          .map((container) => container.name)
          .sort()
          .join(',')}`,
      )
  }
  return parts.length === 0 ? undefined : `must specify ${parts.join('; ')}`
}

/** Names in `hard` that `used + delta` goes beyond. */
export function exceededBy(used: Readonly<Resources>, delta: Readonly<Resources>, hard: Readonly<Record<string, string>>): string[] {
  return Object.keys(delta)
    .filter((name) => {
      const bound = hard[name]
      if (bound === undefined) return false
      return compareQuantities(addQuantities(used[name] ?? zero, delta[name]!), parseQuantity(bound)) > 0
    })
    .sort()
}
