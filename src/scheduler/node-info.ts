// A node with what stands on it, in the numbers that filters and scores read. Immutable: a change makes a new value, so that
// a snapshot is nothing but a list of them.
import type { Node, Pod } from '#api/generated/core-v1'
import { quantityMilliValue, quantityValue } from '#api/quantity'
import { podRequests } from '#api/resources'
import type { Likeness } from './pod-terms.ts'

/** Amounts as plain numbers: cpu in millicores, memory and storage in bytes, others in whole units. */
export type Amounts = Readonly<Record<string, number>>

/** A pod with what is computed once of it. */
export interface PodInfo {
  readonly pod: Pod
  /** Namespace and labels: what selectors look at. */
  readonly likeness: Likeness
  /** The same for all pods alike. */
  readonly groupKey: string
  readonly requests: Amounts
  /** Requests as scores see them: containers that ask for nothing count as a little, so that they spread too. */
  readonly scoredRequests: { readonly cpu: number; readonly memory: number }
  readonly hostPorts: readonly HostPort[]
  readonly hasAffinity: boolean
}

export interface HostPort {
  readonly ip: string
  readonly protocol: string
  readonly port: number
}

export interface NodeInfo {
  readonly node: Node
  readonly allocatable: Amounts
  /** Sizes in bytes of the images that the node holds, by normalized name. */
  readonly images: ReadonlyMap<string, number>
  readonly pods: readonly PodInfo[]
  readonly requested: Amounts
  readonly scoredRequested: { readonly cpu: number; readonly memory: number }
}

// What a container without requests counts as when nodes are scored (Kubernetes: 100m and 200 MB).
const scoredCpuMilli = 100
const scoredMemoryBytes = 200 * 1024 * 1024

/** Numbers of a list of amounts, cpu in millicores. */
export function amountsOf(resources: Readonly<Record<string, string>> | undefined): Amounts {
  return Object.fromEntries(
    Object.entries(resources ?? {}).map(([name, text]) => [name, name === 'cpu' ? quantityMilliValue(text) : quantityValue(text)]),
  )
}

export function podInfo(pod: Pod): PodInfo {
  const requests = Object.fromEntries(
    Object.entries(podRequests(pod)).map(([name, amount]) => [name, name === 'cpu' ? quantityMilliValue(amount) : quantityValue(amount)]),
  )
  const { podAffinity, podAntiAffinity } = pod.spec.affinity ?? {}
  const { namespace = '', labels = {}, deletionTimestamp } = pod.metadata
  const pairs = Object.keys(labels).sort()
  return {
    pod,
    likeness: { namespace, labels },
    groupKey: `${namespace} ${deletionTimestamp === undefined ? '' : 'terminating '}${pairs.map((name) => `${name}=${labels[name]}`).join()}`,
    requests,
    scoredRequests: scoredRequestsOf(pod, requests),
    hostPorts: hostPortsOf(pod),
    hasAffinity: podAffinity !== undefined || podAntiAffinity !== undefined,
  }
}

function scoredRequestsOf(pod: Pod, requests: Amounts): { cpu: number; memory: number } {
  const silentOf = (name: string): number => pod.spec.containers.filter(({ resources }) => resources?.requests?.[name] === undefined).length
  return {
    cpu: (requests['cpu'] ?? 0) + silentOf('cpu') * scoredCpuMilli,
    memory: (requests['memory'] ?? 0) + silentOf('memory') * scoredMemoryBytes,
  }
}

function hostPortsOf({ spec }: Pod): HostPort[] {
  const sidecars = (spec.initContainers ?? []).filter(({ restartPolicy }) => restartPolicy === 'Always')
  return [...spec.containers, ...sidecars].flatMap(({ ports }) =>
    (ports ?? []).flatMap(({ hostPort, hostIP, protocol }) => (hostPort ? [{ ip: hostIP || '0.0.0.0', protocol, port: hostPort }] : [])),
  )
}

export function emptyNodeInfo(node: Node): NodeInfo {
  return {
    node,
    allocatable: amountsOf(node.status.allocatable ?? node.status.capacity),
    images: imagesOf(node),
    pods: [],
    requested: {},
    scoredRequested: { cpu: 0, memory: 0 },
  }
}

export function withNode(info: NodeInfo, node: Node): NodeInfo {
  return { ...info, node, allocatable: amountsOf(node.status.allocatable ?? node.status.capacity), images: imagesOf(node) }
}

const noImages: ReadonlyMap<string, number> = new Map()

function imagesOf({ status }: Node): ReadonlyMap<string, number> {
  if (status.images === undefined || status.images.length === 0) return noImages
  const sizes = new Map<string, number>()
  for (const { names = [], sizeBytes = 0 } of status.images) for (const name of names) sizes.set(normalizedImage(name), sizeBytes)
  return sizes
}

/** The name with its tag: `:latest` is what none means. */
export function normalizedImage(name: string): string {
  return name.lastIndexOf(':') <= name.lastIndexOf('/') && !name.includes('@') ? `${name}:latest` : name
}

export function withPod(info: NodeInfo, added: PodInfo): NodeInfo {
  return {
    ...info,
    pods: [...info.pods, added],
    requested: sum(info.requested, added.requests, 1),
    scoredRequested: scoredSum(info, added, 1),
  }
}

export function withoutPod(info: NodeInfo, uid: string): NodeInfo {
  const removed = info.pods.find(({ pod }) => pod.metadata.uid === uid)
  if (removed === undefined) return info
  return {
    ...info,
    pods: info.pods.filter((other) => other !== removed),
    requested: sum(info.requested, removed.requests, -1),
    scoredRequested: scoredSum(info, removed, -1),
  }
}

/** The node without these pods. */
export function withoutPods(info: NodeInfo, removed: ReadonlySet<PodInfo>): NodeInfo {
  const requested: Record<string, number> = { ...info.requested }
  const scoredRequested = { ...info.scoredRequested }
  for (const { requests, scoredRequests } of removed) {
    for (const name in requests) requested[name] = (requested[name] ?? 0) - (requests[name] as number)
    scoredRequested.cpu -= scoredRequests.cpu
    scoredRequested.memory -= scoredRequests.memory
  }
  return { ...info, pods: info.pods.filter((pod) => !removed.has(pod)), requested, scoredRequested }
}

function sum(total: Amounts, more: Amounts, sign: 1 | -1): Amounts {
  const result: Record<string, number> = { ...total }
  for (const name in more) result[name] = (result[name] ?? 0) + sign * (more[name] as number)
  return result
}

function scoredSum({ scoredRequested }: NodeInfo, { scoredRequests }: PodInfo, sign: 1 | -1): { cpu: number; memory: number } {
  return { cpu: scoredRequested.cpu + sign * scoredRequests.cpu, memory: scoredRequested.memory + sign * scoredRequests.memory }
}
