// What a pod may learn of itself: fields and resources, for environment variables and downwardAPI volumes.
import type { Container, ObjectFieldSelector, Pod, ResourceFieldSelector } from '#api/generated/core-v1'
import { parseQuantity, quantityMilliValue, quantityValue } from '#api/quantity'

/** What is known only on the node. */
export interface DownwardContext {
  readonly podIps: readonly string[]
  readonly nodeIps: readonly string[]
  readonly nodeName: string
  /** Stands in for limits that are not set. */
  readonly allocatable: Readonly<Record<string, string>>
}

/** The field as text. Throws for fields that are not offered. */
export function fieldValue(pod: Pod, selector: ObjectFieldSelector, context: DownwardContext): string {
  const { fieldPath } = selector
  const subscript = /^metadata\.(labels|annotations)\['(.*)'\]$/.exec(fieldPath)
  if (subscript !== null) return pod.metadata[subscript[1] as 'labels' | 'annotations']?.[subscript[2]!] ?? ''
  switch (fieldPath) {
    case 'metadata.name':
      return pod.metadata.name
    case 'metadata.namespace':
      return pod.metadata.namespace ?? ''
    case 'metadata.uid':
      return pod.metadata.uid
    case 'metadata.labels':
      return formatMap(pod.metadata.labels)
    case 'metadata.annotations':
      return formatMap(pod.metadata.annotations)
    case 'spec.nodeName':
      return pod.spec.nodeName ?? context.nodeName
    case 'spec.serviceAccountName':
      return pod.spec.serviceAccountName ?? ''
    case 'status.hostIP':
      return context.nodeIps[0] ?? ''
    case 'status.hostIPs':
      return context.nodeIps.join(',')
    case 'status.podIP':
      return context.podIps[0] ?? ''
    case 'status.podIPs':
      return context.podIps.join(',')
    default:
      throw new Error(`unsupported fieldPath: ${fieldPath}`)
  }
}

/** `key="value"` lines, sorted, as downward API volumes hold labels and annotations. */
function formatMap(map: Readonly<Record<string, string>> | undefined): string {
  return Object.entries(map ?? {})
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([key, value]) => `${key}=${JSON.stringify(value)}`)
    .join('\n')
}

/** A container's limit or request, divided and rounded up. */
export function resourceValue(pod: Pod, self: Container | undefined, selector: ResourceFieldSelector, context: DownwardContext): string {
  const container = selector.containerName === undefined || selector.containerName === '' ? self : findByName(pod, selector.containerName)
  if (container === undefined) throw new Error(`container ${selector.containerName ?? ''} not found`)
  const match = /^(limits|requests)\.(.+)$/.exec(selector.resource)
  if (match === null) throw new Error(`unsupported container resource : ${selector.resource}`)
  const [, which, resource] = match as unknown as [string, 'limits' | 'requests', string]
  const own = container.resources?.[which]?.[resource]
  const podLevel = pod.spec.resources?.limits?.[resource]
  const amount = own ?? (which === 'limits' ? (podLevel ?? context.allocatable[resource]) : undefined) ?? '0'
  const divisor = selector.divisor === undefined || selector.divisor === '0' || selector.divisor === '' ? '1' : selector.divisor
  // CPU in thousandths: `divisor: 1m` is usual.
  if (resource === 'cpu') return ceilDivide(quantityMilliValue(parseQuantity(amount)), quantityMilliValue(parseQuantity(divisor)))
  return ceilDivide(quantityValue(parseQuantity(amount)), quantityValue(parseQuantity(divisor)))
}

function ceilDivide(amount: number, divisor: number): string {
  return String(Math.ceil(amount / Math.max(1, divisor)))
}

function findByName(pod: Pod, name: string): Container | undefined {
  return [...pod.spec.containers, ...(pod.spec.initContainers ?? [])].find((c) => c.name === name)
}
