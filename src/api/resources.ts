// What pods ask of nodes: sums of requests and limits over containers, sidecars and init containers, and the QoS class.
// KEP-753 (sidecars) and KEP-2837 (pod-level resources) say how the parts add up.
import type { Container, Pod, PodSpec, ResourceRequirements } from './generated/core-v1.ts'
import { addQuantities, compareQuantities, parseQuantity, type Quantity, quantitySign } from './quantity.ts'

/** Amounts by resource name, e.g. `cpu`, `memory`, `example.com/gpu`. */
export type Resources = Record<string, Quantity>

type SpecOf = { spec: PodSpec }

export function parseResources(amounts: Readonly<Record<string, string>> | undefined): Resources {
  const out: Resources = {}
  for (const [name, text] of Object.entries(amounts ?? {})) out[name] = parseQuantity(text)
  return out
}

/** Adds `more` to `sum`, in place. */
export function addResources(sum: Resources, more: Readonly<Resources>): Resources {
  for (const [name, amount] of Object.entries(more)) {
    const before = sum[name]
    sum[name] = before === undefined ? amount : addQuantities(before, amount)
  }
  return sum
}

/** Raises each amount of `sum` to that of `other`, in place. */
export function maxResources(sum: Resources, other: Readonly<Resources>): Resources {
  for (const [name, amount] of Object.entries(other)) {
    const before = sum[name]
    if (before === undefined || compareQuantities(before, amount) < 0) sum[name] = amount
  }
  return sum
}

/** An init container that keeps running beside the others. */
export function isSidecar(container: Pick<Container, 'restartPolicy'>): boolean {
  return container.restartPolicy === 'Always'
}

function aggregate(spec: PodSpec, of: (requirements: ResourceRequirements) => Record<string, string> | undefined): Resources {
  const running: Resources = {}
  for (const container of spec.containers) addResources(running, parseResources(of(container.resources)))
  const sidecars: Resources = {}
  const starting: Resources = {}
  for (const container of spec.initContainers ?? []) {
    const own = parseResources(of(container.resources))
    if (isSidecar(container)) {
      addResources(running, own)
      addResources(sidecars, own)
      maxResources(starting, sidecars)
    } else maxResources(starting, addResources({ ...sidecars }, own))
  }
  return maxResources(running, starting)
}

/** The containers' own requests, pod-level resources and overhead left out. */
export function containerRequests(pod: SpecOf): Resources {
  return aggregate(pod.spec, (requirements) => requirements.requests)
}

/** The containers' own limits, pod-level resources and overhead left out. */
export function containerLimits(pod: SpecOf): Resources {
  return aggregate(pod.spec, (requirements) => requirements.limits)
}

/**
 * The pod with each container asking for all that it has, is allotted or wants, while a resize is on its way; of a resize that can
 * never be, only what it has.
 */
export function heldByContainers(pod: Pod): SpecOf {
  const { spec, status } = pod
  const statuses = [...(status?.containerStatuses ?? []), ...(status?.initContainerStatuses ?? [])]
  if (!statuses.some(({ resources }) => resources !== undefined)) return pod
  const infeasible = (status.conditions ?? []).find(({ type }) => type === 'PodResizePending')?.reason === 'Infeasible'
  const held = (container: Container): Container => {
    const found = statuses.find(({ name }) => name === container.name)
    if (found?.resources === undefined) return container
    const { requests, limits } = container.resources ?? {}
    return {
      ...container,
      resources: {
        ...container.resources,
        requests: most(infeasible ? undefined : requests, found.resources.requests, found.allocatedResources),
        limits: most(infeasible ? undefined : limits, found.resources.limits),
      },
    }
  }
  const initContainers = spec.initContainers?.map((container) => (isSidecar(container) ? held(container) : container))
  return { spec: { ...spec, containers: spec.containers.map(held), ...(initContainers !== undefined && { initContainers }) } }
}

function most(...lists: readonly (Readonly<Record<string, string>> | undefined)[]): Record<string, string> {
  const out: Record<string, string> = {}
  for (const list of lists) {
    for (const [name, text] of Object.entries(list ?? {})) {
      const before = out[name]
      if (before === undefined || compareQuantities(parseQuantity(before), parseQuantity(text)) < 0) out[name] = text
    }
  }
  return out
}

/** Resources that may be set for the pod as a whole. */
export function isPodLevelResource(name: string): boolean {
  return name === 'cpu' || name === 'memory' || name.startsWith('hugepages-')
}

/** What the pod takes from its node: the larger of running and starting, pod-level amounts in their place, overhead on top. */
export function podRequests(pod: SpecOf): Resources {
  const sum = containerRequests(pod)
  applyPodLevel(sum, pod.spec.resources?.requests)
  return addResources(sum, parseResources(pod.spec.overhead))
}

/** The most the pod may use. Overhead counts only where there is a limit. */
export function podLimits(pod: SpecOf): Resources {
  const sum = aggregate(pod.spec, (requirements) => requirements.limits)
  applyPodLevel(sum, pod.spec.resources?.limits)
  for (const [name, amount] of Object.entries(parseResources(pod.spec.overhead))) {
    if (sum[name] !== undefined) sum[name] = addQuantities(sum[name], amount)
  }
  return sum
}

function applyPodLevel(sum: Resources, amounts: Readonly<Record<string, string>> | undefined): void {
  for (const [name, text] of Object.entries(amounts ?? {})) if (isPodLevelResource(name)) sum[name] = parseQuantity(text)
}

export type QosClass = 'Guaranteed' | 'Burstable' | 'BestEffort'

const qosResources = ['cpu', 'memory'] as const

/** The class that decides who is evicted first; computed from the spec. */
export function computeQosClass(pod: SpecOf): QosClass {
  const { spec } = pod
  const podLevel = spec.resources !== undefined && (hasAny(spec.resources.requests) || hasAny(spec.resources.limits))
  const parts = podLevel ? [spec.resources!] : [...spec.containers, ...(spec.initContainers ?? [])].map((c) => c.resources)
  const requests: Resources = {}
  const limits: Resources = {}
  let guaranteed = true
  for (const part of parts) {
    addResources(requests, positive(part.requests))
    const own = positive(part.limits)
    addResources(limits, own)
    if (qosResources.some((name) => own[name] === undefined)) guaranteed = false
  }
  if (!hasAny(requests) && !hasAny(limits)) return 'BestEffort'
  const sameAsLimits = Object.entries(requests).every(
    ([name, amount]) => limits[name] !== undefined && compareQuantities(limits[name], amount) === 0,
  )
  return guaranteed && sameAsLimits && Object.keys(requests).length === Object.keys(limits).length ? 'Guaranteed' : 'Burstable'
}

function hasAny(map: object | undefined): boolean {
  return map !== undefined && Object.keys(map).length > 0
}

function positive(amounts: Readonly<Record<string, string>> | undefined): Resources {
  const out: Resources = {}
  for (const name of qosResources) {
    const text = amounts?.[name]
    if (text === undefined) continue
    const amount = parseQuantity(text)
    if (quantitySign(amount) > 0) out[name] = amount
  }
  return out
}

/** The stored class, or the computed one for a pod that never got any. */
export function qosClassOf(pod: Pod): QosClass {
  return pod.status.qosClass ?? computeQosClass(pod)
}
