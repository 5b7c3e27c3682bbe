// How many replicas a metric asks for. Pure: usages are in thousandths, and pods are what the cache shows of them. What is missing
// is guessed so that the guess never moves the count further (documentation: "Horizontal Pod Autoscaling", algorithm details).
import type { Pod as PodObject } from '#api/generated/core-v1'
import { findPodCondition, isPodReady } from '#api/pods'
import { quantityMilliValue } from '#api/quantity'
import { isPodLevelResource, isSidecar, podRequests } from '#api/resources'

export interface PodMetric {
  /** In thousandths. */
  readonly value: number
  readonly atMs: number
  readonly windowMs: number
}

export type PodMetrics = ReadonlyMap<string, PodMetric>

export interface Tolerances {
  readonly down: number
  readonly up: number
}

export interface Proposal {
  readonly replicas: number
  /** In thousandths. */
  readonly usage: number
  /** Percent of the requests. */
  readonly utilization?: number
}

// Kubernetes' --horizontal-pod-autoscaler-cpu-initialization-period and -initial-readiness-delay.
const cpuInitializationMs = 300_000
const initialReadinessMs = 30_000
const mostReplicas = 2 ** 31 - 1

function isWithin({ down, up }: Tolerances, ratio: number): boolean {
  return 1 - down <= ratio && ratio <= 1 + up
}

interface Groups {
  readonly ready: number
  readonly unready: ReadonlySet<string>
  readonly missing: ReadonlySet<string>
  readonly ignored: ReadonlySet<string>
}

export function groupPods(pods: readonly PodObject[], metrics: PodMetrics, resource: string, nowMs: number): Groups {
  const unready = new Set<string>()
  const missing = new Set<string>()
  const ignored = new Set<string>()
  let ready = 0
  for (const pod of pods) {
    const { name } = pod.metadata
    const metric = metrics.get(name)
    if (pod.metadata.deletionTimestamp !== undefined || pod.status.phase === 'Failed') ignored.add(name)
    else if (pod.status.phase === 'Pending') unready.add(name)
    else if (metric === undefined) missing.add(name)
    else if (resource === 'cpu' && !hasMeaningfulCpu(pod, metric, nowMs)) unready.add(name)
    else ready++
  }
  return { ready, unready, missing, ignored }
}

/** While a pod starts, and while it has never been ready, what it uses says nothing of its load. */
function hasMeaningfulCpu(pod: PodObject, metric: PodMetric, nowMs: number): boolean {
  const condition = findPodCondition(pod.status, 'Ready')
  if (condition === undefined || pod.status.startTime === undefined) return false
  const startedMs = Date.parse(pod.status.startTime)
  const changedMs = Date.parse(condition.lastTransitionTime ?? '') || 0
  if (startedMs + cpuInitializationMs > nowMs) return condition.status !== 'False' && metric.atMs >= changedMs + metric.windowMs
  return condition.status !== 'False' || startedMs + initialReadinessMs <= changedMs
}

interface CountInput {
  readonly pods: readonly PodObject[]
  readonly metrics: PodMetrics
  readonly current: number
  readonly tolerances: Tolerances
  readonly nowMs: number
}

interface Usage {
  readonly ratio: number
  readonly usage: number
  readonly utilization?: number
}

/** By the average of a metric of the pods, or of a resource that they use. `resource` is empty for other metrics. */
export function countByAverage(input: CountInput, target: number, resource: string): Proposal {
  const usageOf = (metrics: PodMetrics): Usage => {
    const usage = Math.trunc(total(metrics) / metrics.size)
    return { ratio: usage / target, usage }
  }
  return countByUsage(input, resource, usageOf, () => target)
}

/** By the share of its requests that the pods use. `container`: empty for the whole pod. */
export function countByUtilization(input: CountInput, target: number, resource: string, container: string): Proposal {
  let requests: ReadonlyMap<string, number> = new Map()
  const usageOf = (metrics: PodMetrics): Usage => {
    if (requests.size === 0) requests = requestsOf(input.pods, resource, container)
    let used = 0
    let requested = 0
    let count = 0
    for (const [name, { value }] of metrics) {
      const request = requests.get(name)
      if (request === undefined) continue
      used += value
      requested += request
      count++
    }
    if (requested === 0) throw new Error('no metrics returned matched known pods')
    const utilization = Math.trunc((used * 100) / requested)
    return { ratio: utilization / target, utilization, usage: Math.trunc(used / count) }
  }
  const full = Math.max(100, target)
  return countByUsage(input, resource, usageOf, (name) => Math.trunc(((requests.get(name) ?? 0) * full) / 100))
}

function countByUsage(
  { pods, metrics, current, tolerances, nowMs }: CountInput,
  resource: string,
  usageOf: (metrics: PodMetrics) => Usage,
  /** What a pod without metrics is taken to use when the count would go down. */
  assumed: (pod: string) => number,
): Proposal {
  if (pods.length === 0) throw new Error('no pods returned by selector while calculating replica count')
  const { ready, unready, missing, ignored } = groupPods(pods, metrics, resource, nowMs)
  const counted = new Map(metrics)
  for (const name of [...ignored, ...unready]) counted.delete(name)
  if (counted.size === 0) throw new Error('did not receive metrics for targeted pods (pods might be unready)')
  const first = usageOf(counted)
  const { ratio, ...told } = first
  const stay: Proposal = { replicas: current, ...told }
  const upWithUnready = unready.size > 0 && ratio > 1
  if (!upWithUnready && missing.size === 0) return isWithin(tolerances, ratio) ? stay : { replicas: Math.ceil(ratio * ready), ...told }
  const guess = (name: string, value: number): void => void counted.set(name, { value, atMs: 0, windowMs: 0 })
  if (ratio !== 1) for (const name of missing) guess(name, ratio < 1 ? assumed(name) : 0)
  if (upWithUnready) for (const name of unready) guess(name, 0)
  const { ratio: next } = usageOf(counted)
  // A guess may hold the count, but not turn it round.
  if (isWithin(tolerances, next) || (ratio < 1 && next > 1) || (ratio > 1 && next < 1)) return stay
  const replicas = Math.ceil(next * counted.size)
  return (next < 1 && replicas > current) || (next > 1 && replicas < current) ? stay : { replicas, ...told }
}

function total(metrics: PodMetrics): number {
  let sum = 0
  for (const { value } of metrics.values()) sum += value
  return sum
}

/** By a value of something else than the pods: that many times the ready ones. */
export function countByValue(
  { pods, current, tolerances }: Pick<CountInput, 'pods' | 'current' | 'tolerances'>,
  usage: number,
  target: number,
): Proposal {
  const ratio = usage / target
  if (current === 0) return { replicas: Math.ceil(ratio), usage }
  if (isWithin(tolerances, ratio)) return { replicas: current, usage }
  if (pods.length === 0) throw new Error('unable to calculate ready pods: no pods returned by selector while calculating replica count')
  const ready = pods.filter((pod) => pod.status.phase === 'Running' && isPodReady(pod)).length
  return { replicas: Math.min(Math.ceil(ratio * ready), mostReplicas), usage }
}

/** By a value of something else, shared among the pods that there are. */
export function countByShare(statusReplicas: number, tolerances: Tolerances, usage: number, target: number): Proposal {
  const ratio = usage / (target * statusReplicas)
  const replicas = isWithin(tolerances, ratio) ? statusReplicas : Math.min(Math.ceil(usage / target), mostReplicas)
  return { replicas, usage: Math.ceil(usage / statusReplicas) }
}

/** What each pod, or one container of it, asks of the resource, in thousandths. Throws for one that asks for nothing. */
export function requestsOf(pods: readonly PodObject[], resource: string, container: string): Map<string, number> {
  return new Map(pods.map((pod) => [pod.metadata.name, requestOf(pod, resource, container)]))
}

function requestOf(pod: PodObject, resource: string, container: string): number {
  const { name } = pod.metadata
  const ofPod = pod.spec.resources?.requests
  if (container === '' && Object.keys(ofPod ?? {}).some(isPodLevelResource)) {
    const amount = podRequests(pod)[resource]
    if (amount === undefined) throw new Error(`missing pod-level request for ${resource} in Pod ${name}`)
    return quantityMilliValue(amount)
  }
  let sum = 0
  let isFound = false
  for (const one of [...pod.spec.containers, ...(pod.spec.initContainers ?? []).filter(isSidecar)]) {
    if (container !== '' && container !== one.name) continue
    const amount = one.resources?.requests?.[resource]
    if (amount === undefined) throw new Error(`missing request for ${resource} in container ${one.name} of Pod ${name}`)
    sum += quantityMilliValue(amount)
    isFound = true
  }
  if (container !== '' && !isFound) throw new Error(`container ${container} not found in Pod ${name}`)
  return sum
}
