// Requests and limits as the kernel understands them: CPU shares and quota, memory limit, OOM score; for containers and for
// the cgroup of the whole pod. The arithmetic is Kubernetes' (documentation: "How Pods with resource limits are run").
import type { Container, Pod, ResourceRequirements } from '#api/generated/core-v1'
import { parseQuantity, quantityMilliValue, quantityValue } from '#api/quantity'
import { podLimits, podRequests, qosClassOf } from '#api/resources'
import type { CgroupLimits } from './cgroups.ts'
import type { Resources } from './runtimes/runtime.ts'

const quotaPeriodMicros = 100_000
const quotaMicrosMin = 1_000
const sharesMin = 2
const sharesMax = 262_144
const nodeCriticalPriority = 2_000_001_000

export interface NodeCapacity {
  readonly memoryBytes: number
  /** Whether a score below the agent's own may be set; root without CAP_SYS_RESOURCE may not. */
  readonly mayLowerOomScore: boolean
  /** Processes and threads that a pod may have; undefined: no limit. */
  readonly podPidsLimit?: number
}

export function cpuShares(milliCpu: number): number {
  return Math.min(sharesMax, Math.max(sharesMin, Math.floor((milliCpu * 1024) / 1000)))
}

export function cpuQuotaMicros(milliCpu: number): number {
  return Math.max(quotaMicrosMin, Math.floor((milliCpu * quotaPeriodMicros) / 1000))
}

/** `resources` of one container, in the engine's terms. */
export function containerResources(pod: Pod, container: Container, node: NodeCapacity): Resources {
  const { requests, limits } = container.resources ?? {}
  const cpuLimit = milli(limits?.['cpu'])
  const cpuRequest = milli(requests?.['cpu'])
  const memoryLimit = bytes(limits?.['memory'])
  const hugepages = hugepageLimits(container.resources)
  return {
    cpuShares: cpuShares(cpuRequest === 0 && cpuLimit > 0 ? cpuLimit : cpuRequest),
    ...(cpuLimit > 0 ? { cpuQuota: cpuQuotaMicros(cpuLimit), cpuPeriod: quotaPeriodMicros } : {}),
    ...(memoryLimit > 0 ? { memoryLimitBytes: memoryLimit } : {}),
    ...(hugepages.length > 0 ? { hugepageLimits: hugepages } : {}),
    oomScoreAdj: oomScore(pod, container, node),
  }
}

/** Who is killed first when memory runs out: 1000 for those that asked for nothing, down to -997 for the guaranteed. */
export function oomScore(pod: Pod, container: Container, node: NodeCapacity): number {
  const score = idealOomScore(pod, container, node)
  return node.mayLowerOomScore ? score : Math.max(0, score)
}

function idealOomScore(pod: Pod, container: Container, node: NodeCapacity): number {
  if ((pod.spec.priority ?? 0) >= nodeCriticalPriority) return -997
  const qos = qosClassOf(pod)
  if (qos === 'Guaranteed') return -997
  if (qos === 'BestEffort') return 1000
  const request = bytes(container.resources?.requests?.['memory'])
  const score = 1000 - Math.floor((1000 * request) / Math.max(1, node.memoryBytes))
  // Never as safe as the guaranteed, never as exposed as those that asked for nothing.
  return Math.min(999, Math.max(1000 - 997, score))
}

/** Limits of the pod's own cgroup. */
export function podCgroupLimits(pod: Pod, node: NodeCapacity): CgroupLimits {
  const requests = podRequests(pod)
  const limits = podLimits(pod)
  const qos = qosClassOf(pod)
  const pids = node.podPidsLimit === undefined ? {} : { pidsMax: node.podPidsLimit }
  if (qos === 'BestEffort') return { cpuShares: sharesMin, ...pids }
  const cpuRequest = requests['cpu'] === undefined ? 0 : quantityMilliValue(requests['cpu'])
  const shares = { cpuShares: cpuShares(cpuRequest) }
  // A limit of the whole counts only where every container has one.
  const every = (name: string): boolean =>
    pod.spec.resources?.limits?.[name] !== undefined || allContainers(pod).every((c) => c.resources?.limits?.[name] !== undefined)
  const quota =
    limits['cpu'] !== undefined && every('cpu')
      ? { cpuQuotaMicros: cpuQuotaMicros(quantityMilliValue(limits['cpu'])), cpuPeriodMicros: quotaPeriodMicros }
      : {}
  const memory = limits['memory'] !== undefined && every('memory') ? { memoryLimitBytes: quantityValue(limits['memory']) } : {}
  return { ...shares, ...quota, ...memory, ...pids }
}

function allContainers(pod: Pod): Container[] {
  return [...pod.spec.containers, ...(pod.spec.initContainers ?? [])]
}

/** `/<root>/kubepods/<qos>/pod<uid>`; the guaranteed have no level of their own. */
export function podCgroup(root: string, pod: Pod): string {
  const base = `${root === '' || root === '/' ? '' : root.startsWith('/') ? root : `/${root}`}/kubepods`
  const qos = qosClassOf(pod)
  const level = qos === 'Guaranteed' ? '' : `/${qos.toLowerCase()}`
  return `${base}${level}/pod${pod.metadata.uid}`
}

function hugepageLimits(resources: ResourceRequirements | undefined): { pageSize: string; limitBytes: number }[] {
  return Object.entries(resources?.limits ?? {})
    .filter(([name]) => name.startsWith('hugepages-'))
    .map(([name, amount]) => ({ pageSize: `${name.slice('hugepages-'.length).replace(/i$/, '')}B`, limitBytes: bytes(amount) }))
}

function milli(amount: string | undefined): number {
  return amount === undefined ? 0 : quantityMilliValue(parseQuantity(amount))
}

function bytes(amount: string | undefined): number {
  return amount === undefined ? 0 : quantityValue(parseQuantity(amount))
}
