// The Node object as this agent registers and reports it. Condition types, reasons and messages are Kubernetes'.

import type { ContainerImage, Node, NodeAddress, NodeCondition, NodeStatus } from '#api/generated/core-v1'
import type { Manifest } from '#api/object'
import { parseQuantity, quantityMilliValue, quantityValue } from '#api/quantity'
import { timestamp } from '#base/clock'
import type { KubeletOptions } from '../deps.ts'
import type { ImageInfo, RuntimeInfo, RuntimeReadiness } from '../runtimes/runtime.ts'
import type { NodeFacts } from './node-facts.ts'
import type { Pressure } from './pressure.ts'

const memoryKeptForEvictionBytes = 100 * 1024 * 1024
const storageKeptForEvictionShare = 0.1
const imagesMax = 50

export interface NodeReport {
  readonly options: KubeletOptions
  readonly facts: NodeFacts
  readonly runtime: RuntimeInfo
  readonly readiness: RuntimeReadiness
  /** Why the node is not ready for other reasons than the engine's. */
  readonly problems: readonly string[]
  /** Whether the node is, or was until lately, short of this. */
  readonly short: (resource: keyof Pressure) => boolean
  readonly images: readonly ImageInfo[]
  readonly port: number
  readonly now: number
  readonly lastConditions: readonly NodeCondition[]
}

export function nodeLabels({ hostname, labels }: KubeletOptions, facts: NodeFacts): Record<string, string> {
  return {
    'beta.kubernetes.io/arch': facts.architecture,
    'beta.kubernetes.io/os': 'linux',
    'kubernetes.io/arch': facts.architecture,
    'kubernetes.io/hostname': hostname,
    'kubernetes.io/os': 'linux',
    ...labels,
  }
}

export const nodeAnnotations: Readonly<Record<string, string>> = { 'volumes.kubernetes.io/controller-managed-attach-detach': 'true' }

export function capacity(facts: NodeFacts, maxPods: number): Record<string, string> {
  const hugepages = Object.entries(facts.hugepages).map(([size, bytes]) => [`hugepages-${size}`, bytes === 0 ? '0' : `${bytes / 1024}Ki`])
  return {
    cpu: String(facts.cpus),
    'ephemeral-storage': `${Math.floor(facts.ephemeralBytes / 1024)}Ki`,
    ...Object.fromEntries(hugepages),
    memory: `${Math.floor(facts.memoryBytes / 1024)}Ki`,
    pods: String(maxPods),
  }
}

/** Capacity without what is reserved for the system and kept free for evictions to happen in time. */
export function allocatable(facts: NodeFacts, { maxPods, systemReserved }: KubeletOptions): Record<string, string> {
  const reserved = (name: string): string => systemReserved?.[name] ?? '0'
  const milliCpu = Math.max(0, facts.cpus * 1000 - quantityMilliValue(parseQuantity(reserved('cpu'))))
  const hugepages = Object.values(facts.hugepages).reduce((sum, bytes) => sum + bytes, 0)
  const memory = facts.memoryBytes - hugepages - memoryKeptForEvictionBytes - quantityValue(parseQuantity(reserved('memory')))
  const storage = facts.ephemeralBytes * (1 - storageKeptForEvictionShare) - quantityValue(parseQuantity(reserved('ephemeral-storage')))
  return {
    ...capacity(facts, maxPods),
    cpu: milliCpu % 1000 === 0 ? String(milliCpu / 1000) : `${milliCpu}m`,
    'ephemeral-storage': String(Math.max(0, Math.floor(storage))),
    memory: `${Math.max(0, Math.floor(memory / 1024))}Ki`,
  }
}

// Of what Kubernetes lets nodes declare (KEP-5328), in the order of names: what this agent can do.
const declaredFeatures = ['ExtendWebSocketsToKubelet'] as const

export function nodeStatus(report: NodeReport): NodeStatus {
  const { facts, options, runtime } = report
  return {
    capacity: capacity(facts, options.maxPods),
    allocatable: allocatable(facts, options),
    conditions: nodeConditions(report),
    addresses: nodeAddresses(options),
    daemonEndpoints: { kubeletEndpoint: { Port: report.port } },
    nodeInfo: {
      machineID: facts.machineId,
      systemUUID: facts.systemUuid,
      bootID: facts.bootId,
      kernelVersion: facts.kernelVersion,
      osImage: facts.osImage,
      containerRuntimeVersion: `${runtime.name}://${runtime.version}`,
      kubeletVersion: options.kubeletVersion,
      kubeProxyVersion: '',
      operatingSystem: 'linux',
      architecture: facts.architecture,
      ...(facts.swapBytes > 0 ? { swap: { capacity: facts.swapBytes } } : {}),
    },
    images: nodeImages(report.images),
    features: { supplementalGroupsPolicy: false },
    declaredFeatures: [...declaredFeatures],
  }
}

function nodeAddresses({ nodeIps, hostname }: KubeletOptions): NodeAddress[] {
  return [...nodeIps.map((address) => ({ type: 'InternalIP', address })), { type: 'Hostname', address: hostname }]
}

/** The largest images, each with its digests first. */
function nodeImages(images: readonly ImageInfo[]): ContainerImage[] {
  return [...images]
    .sort((a, b) => b.sizeBytes - a.sizeBytes || (a.id < b.id ? -1 : 1))
    .slice(0, imagesMax)
    .map((image) => ({ names: [...image.repoDigests, ...image.repoTags].slice(0, 5), sizeBytes: image.sizeBytes }))
}

function nodeConditions(report: NodeReport): NodeCondition[] {
  const problems = [...readinessProblems(report.readiness), ...report.problems]
  const ready: Verdict =
    problems.length === 0
      ? { type: 'Ready', status: true, reason: 'KubeletReady', message: 'kubelet is posting ready status' }
      : {
          type: 'Ready',
          status: false,
          reason: 'KubeletNotReady',
          message: problems.length === 1 ? problems[0]! : `[${problems.join(', ')}]`,
        }
  const verdicts: Verdict[] = [
    !report.short('memory')
      ? { type: 'MemoryPressure', status: false, reason: 'KubeletHasSufficientMemory', message: 'kubelet has sufficient memory available' }
      : {
          type: 'MemoryPressure',
          status: true,
          reason: 'KubeletHasInsufficientMemory',
          message: 'kubelet has insufficient memory available',
        },
    !report.short('disk')
      ? { type: 'DiskPressure', status: false, reason: 'KubeletHasNoDiskPressure', message: 'kubelet has no disk pressure' }
      : { type: 'DiskPressure', status: true, reason: 'KubeletHasDiskPressure', message: 'kubelet has disk pressure' },
    !report.short('pid')
      ? { type: 'PIDPressure', status: false, reason: 'KubeletHasSufficientPID', message: 'kubelet has sufficient PID available' }
      : { type: 'PIDPressure', status: true, reason: 'KubeletHasInsufficientPID', message: 'kubelet has insufficient PID available' },
    ready,
  ]
  return verdicts.map((verdict) => dated(verdict, report))
}

interface Verdict {
  readonly type: string
  readonly status: boolean
  readonly reason: string
  readonly message: string
}

function readinessProblems(readiness: RuntimeReadiness): string[] {
  const problems: string[] = []
  if (!readiness.runtimeReady)
    problems.push(`container runtime not ready: RuntimeReady=false reason:RuntimeNotReady message:${readiness.runtimeMessage}`)
  else if (!readiness.networkReady) {
    problems.push(
      `container runtime network not ready: NetworkReady=false reason:NetworkPluginNotReady message:${readiness.networkMessage}`,
    )
  }
  return problems
}

function dated({ type, status, reason, message }: Verdict, { now, lastConditions }: NodeReport): NodeCondition {
  const text = status ? 'True' : 'False'
  const last = lastConditions.find((c) => c.type === type)
  const lastTransitionTime = last?.status === text && last.lastTransitionTime !== undefined ? last.lastTransitionTime : timestamp(now)
  return { type, status: text, lastHeartbeatTime: timestamp(now), lastTransitionTime, reason, message }
}

/** Whether two reports differ in more than heartbeats. */
export function changedStatus(from: NodeStatus | undefined, to: NodeStatus): boolean {
  const timeless = (status: NodeStatus | undefined): string =>
    JSON.stringify({ ...status, conditions: status?.conditions?.map(({ lastHeartbeatTime: _, ...rest }) => rest) })
  return timeless(from) !== timeless(to)
}

/** The patch for the status subresource. Conditions merge by type; addresses would merge by type too, so they are replaced. */
export function nodeStatusPatch(from: NodeStatus | undefined, to: NodeStatus): Record<string, unknown> {
  const patch: Record<string, unknown> = {}
  for (const [name, value] of Object.entries(to)) {
    if (JSON.stringify(from?.[name as keyof NodeStatus]) === JSON.stringify(value)) continue
    patch[name] = name === 'addresses' ? [{ $patch: 'replace' }, ...(value as object[])] : value
  }
  return patch
}

export function newNode(options: KubeletOptions, facts: NodeFacts, status: NodeStatus): Manifest<Node> {
  return {
    apiVersion: 'v1',
    kind: 'Node',
    metadata: { name: options.nodeName, labels: nodeLabels(options, facts), annotations: { ...nodeAnnotations } },
    spec: {
      ...(options.providerId ? { providerID: options.providerId } : {}),
      ...(options.taints.length > 0 ? { taints: [...options.taints] } : {}),
    },
    status,
  }
}
