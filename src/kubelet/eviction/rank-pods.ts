// Which pod goes first when the node runs short, and what it is told (documentation: "Node-pressure Eviction", pod selection).
import type { Container, Pod } from '#api/generated/core-v1'
import { formatQuantity, newQuantity, parseQuantity, quantityValue } from '#api/quantity'
import { podRequests } from '#api/resources'

/** What a pod uses of the resource that is short, by container; `own` is what belongs to no container (volumes, logs). */
export interface PodUse {
  readonly pod: Pod
  readonly containers: Readonly<Record<string, number>>
  readonly own: number
}

export type EvictionResource = 'memory' | 'ephemeral-storage'

const systemCritical = 2_000_000_000

/** Pods that may be evicted, the first to go first: those above their request, then low priority, then large use above request. */
export function rankPods(uses: readonly PodUse[], resource: EvictionResource): PodUse[] {
  return uses
    .filter(({ pod }) => !isCritical(pod))
    .map((use) => ({ use, excess: totalOf(use) - requestOf(use.pod, resource), priority: use.pod.spec.priority ?? 0 }))
    .sort((a, b) => Number(b.excess > 0) - Number(a.excess > 0) || a.priority - b.priority || b.excess - a.excess)
    .map((ranked) => ranked.use)
}

/** Pods that the node or the cluster cannot do without: static ones and those of system priority. */
function isCritical({ spec, metadata }: Pod): boolean {
  const source = metadata.annotations?.['kubernetes.io/config.source']
  return (source !== undefined && source !== 'api') || (spec.priority ?? 0) >= systemCritical
}

export function totalOf({ containers, own }: PodUse): number {
  return Object.values(containers).reduce((sum, bytes) => sum + bytes, own)
}

function requestOf(pod: Pod, resource: EvictionResource): number {
  const request = podRequests(pod)[resource]
  return request === undefined ? 0 : quantityValue(request)
}

/** The event's and the status's words. */
export function evictionMessage(use: PodUse, resource: string, threshold: string, available: string): string {
  let message = `The node was low on resource: ${resource}. Threshold quantity: ${threshold}, available: ${available}. `
  for (const container of [...use.pod.spec.containers, ...(use.pod.spec.initContainers ?? [])]) {
    const used = use.containers[container.name]
    const request = requestOfContainer(container, resource)
    if (used === undefined || used <= request) continue
    message += `Container ${container.name} was using ${kibi(used)}, request is ${request === 0 ? '0' : kibi(request)}, has larger consumption of ${resource}. `
  }
  return message
}

function requestOfContainer(container: Container, resource: string): number {
  const amount = container.resources?.requests?.[resource]
  return amount === undefined ? 0 : quantityValue(parseQuantity(amount))
}

function kibi(bytes: number): string {
  return `${Math.ceil(bytes / 1024)}Ki`
}

/** Which limit of its own a pod has exceeded on the disk, in Kubernetes' words; undefined: none. */
export function exceededLimit(pod: Pod, emptyDirs: Readonly<Record<string, number>>, use: PodUse): string | undefined {
  for (const volume of pod.spec.volumes ?? []) {
    const limit = volume.emptyDir?.sizeLimit
    const used = emptyDirs[volume.name]
    if (limit === undefined || used === undefined || used <= quantityValue(parseQuantity(limit))) continue
    return `Usage of EmptyDir volume ${JSON.stringify(volume.name)} exceeds the limit ${JSON.stringify(limit)}. `
  }
  let total = 0
  let everyOne = pod.spec.containers.length > 0
  for (const container of pod.spec.containers) {
    const limit = container.resources?.limits?.['ephemeral-storage']
    if (limit === undefined) {
      everyOne = false
      continue
    }
    const bytes = quantityValue(parseQuantity(limit))
    total += bytes
    if ((use.containers[container.name] ?? 0) > bytes)
      return `Container ${container.name} exceeded its local ephemeral storage limit ${JSON.stringify(limit)}. `
  }
  if (everyOne && totalOf(use) > total) {
    return `Pod ephemeral local storage usage exceeds the total limit of containers ${formatQuantity(newQuantity(total, 'BinarySI'))}. `
  }
  return undefined
}

/** Whether the pod has a limit that has to be watched at all. */
export function hasDiskLimit({ spec }: Pod): boolean {
  const limited = spec.containers.some((c) => c.resources?.limits?.['ephemeral-storage'] !== undefined)
  return limited || (spec.volumes ?? []).some((v) => v.emptyDir?.sizeLimit !== undefined && v.emptyDir.medium !== 'Memory')
}
