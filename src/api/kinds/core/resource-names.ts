// Which resource names mean what: compute resources of containers, countable things in quotas, extended resources of devices.
import { checkLabelKey } from '../../validation/names.ts'

const computeNames = ['cpu', 'memory', 'ephemeral-storage']
const countedNames = [
  'pods',
  'resourcequotas',
  'services',
  'replicationcontrollers',
  'secrets',
  'configmaps',
  'persistentvolumeclaims',
  'services.nodeports',
  'services.loadbalancers',
]
const quotaOnlyNames = [...computeNames.flatMap((name) => [`requests.${name}`, `limits.${name}`]), 'requests.storage']

const containerNames: ReadonlySet<string> = new Set(computeNames)
const counted: ReadonlySet<string> = new Set(countedNames)
const quotaNames: ReadonlySet<string> = new Set([...computeNames, ...quotaOnlyNames, ...countedNames])
const standardNames: ReadonlySet<string> = new Set([...quotaNames, 'storage'])

export function isHugePagesName(name: string): boolean {
  return name.startsWith('hugepages-')
}

function isHugePagesQuotaName(name: string): boolean {
  return name.startsWith('requests.hugepages-') || isHugePagesName(name)
}

export function isStandardResourceName(name: string): boolean {
  return standardNames.has(name) || isHugePagesQuotaName(name)
}

export function isStandardContainerResourceName(name: string): boolean {
  return containerNames.has(name) || isHugePagesName(name)
}

export function isStandardQuotaResourceName(name: string): boolean {
  return quotaNames.has(name) || isHugePagesQuotaName(name)
}

/** Kubernetes' own: without a domain, or in kubernetes.io. */
export function isNativeResource(name: string): boolean {
  return !name.includes('/') || name.includes('kubernetes.io/')
}

/** A device's resource, e.g. `example.com/gpu`: whole numbers, never overcommitted. */
export function isExtendedResourceName(name: string): boolean {
  if (isNativeResource(name) || name.startsWith('requests.')) return false
  return checkLabelKey(`requests.${name}`).length === 0
}

/** Counted in whole numbers. */
export function isIntegerResourceName(name: string): boolean {
  return counted.has(name) || isExtendedResourceName(name)
}

/** Requests may be lower than limits. */
export function isOvercommitAllowed(name: string): boolean {
  return isNativeResource(name) && !isHugePagesName(name)
}
