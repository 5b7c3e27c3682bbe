// Questions that controllers, scheduler, node agent and kubectl's columns ask of a pod.
import { timestamp } from '#base/clock'
import type { Container, ContainerStatus, EphemeralContainer, Pod, PodCondition, PodSpec, PodStatus } from './generated/core-v1.ts'
import { isSidecar } from './resources.ts'

export const mirrorPodAnnotation = 'kubernetes.io/config.mirror'
export const configSourceAnnotation = 'kubernetes.io/config.source'
export const configHashAnnotation = 'kubernetes.io/config.hash'

export function findPodCondition(status: PodStatus, type: string): PodCondition | undefined {
  return status.conditions?.find((condition) => condition.type === type)
}

export function isPodConditionTrue(pod: Pick<Pod, 'status'>, type: string): boolean {
  return findPodCondition(pod.status, type)?.status === 'True'
}

/** Whether the pod may get traffic. */
export function isPodReady(pod: Pick<Pod, 'status'>): boolean {
  return isPodConditionTrue(pod, 'Ready')
}

/** Ready for at least `minReadySeconds`. */
export function isPodAvailable(pod: Pick<Pod, 'status'>, minReadySeconds: number, nowMs: number): boolean {
  return podAvailableInMs(pod, minReadySeconds, nowMs) === 0
}

/** Milliseconds until a ready pod counts as available; 0 when it does; undefined when it is not ready. */
export function podAvailableInMs(pod: Pick<Pod, 'status'>, minReadySeconds: number, nowMs: number): number | undefined {
  const ready = findPodCondition(pod.status, 'Ready')
  if (ready?.status !== 'True') return undefined
  if (minReadySeconds === 0) return 0
  if (ready.lastTransitionTime === undefined) return undefined
  return Math.max(0, Date.parse(ready.lastTransitionTime) + minReadySeconds * 1000 - nowMs)
}

/** Succeeded or Failed: it will never run again. */
export function isPodTerminal(pod: Pick<Pod, 'status'>): boolean {
  return pod.status.phase === 'Succeeded' || pod.status.phase === 'Failed'
}

/** Neither finished nor being deleted: it counts as a replica. */
export function isPodActive(pod: Pick<Pod, 'status' | 'metadata'>): boolean {
  return !isPodTerminal(pod) && pod.metadata.deletionTimestamp === undefined
}

/** The API's image of a static pod. */
export function isMirrorPod(pod: Pick<Pod, 'metadata'>): boolean {
  return pod.metadata.annotations?.[mirrorPodAnnotation] !== undefined
}

/** Started by the node agent from a file or URL, not from the API. */
export function isStaticPod(pod: Pick<Pod, 'metadata'>): boolean {
  const source = pod.metadata.annotations?.[configSourceAnnotation]
  return source !== undefined && source !== 'api'
}

/**
 * Sets one condition. Keeps lastTransitionTime while the status stays, unless `condition` says one.
 * Returns whether anything changed but the probe time.
 */
export function setPodCondition(status: PodStatus, condition: PodCondition, nowMs: number): boolean {
  const list = status.conditions ?? []
  status.conditions = list
  const i = list.findIndex(({ type }) => type === condition.type)
  const old = list[i]
  if (old === undefined) {
    list.push({ ...condition, lastTransitionTime: condition.lastTransitionTime ?? timestamp(nowMs) })
    return true
  }
  const lastTransitionTime = old.status === condition.status ? old.lastTransitionTime : (condition.lastTransitionTime ?? timestamp(nowMs))
  const next: PodCondition = { ...condition, ...(lastTransitionTime !== undefined && { lastTransitionTime }) }
  list[i] = next
  return (
    old.status !== next.status ||
    old.reason !== next.reason ||
    old.message !== next.message ||
    old.lastTransitionTime !== next.lastTransitionTime ||
    old.observedGeneration !== next.observedGeneration
  )
}

/** Every container with where it stands in the spec, init containers first, then regular, then ephemeral ones. */
export function containersOf(spec: PodSpec, path = 'spec'): { container: Container | EphemeralContainer; path: string }[] {
  const all: { container: Container | EphemeralContainer; path: string }[] = []
  const add = (containers: readonly (Container | EphemeralContainer)[] | undefined, field: string): void => {
    if (containers === undefined) return
    for (let i = 0; i < containers.length; i++) all.push({ container: containers[i]!, path: `${path}.${field}[${i}]` })
  }
  add(spec.initContainers, 'initContainers')
  add(spec.containers, 'containers')
  add(spec.ephemeralContainers, 'ephemeralContainers')
  return all
}

export function sidecarsOf(spec: PodSpec): Container[] {
  return (spec.initContainers ?? []).filter(isSidecar)
}

export function findContainerStatus(status: PodStatus, name: string): ContainerStatus | undefined {
  const lists = [status.containerStatuses, status.initContainerStatuses, status.ephemeralContainerStatuses]
  for (const list of lists) {
    const found = list?.find((entry) => entry.name === name)
    if (found !== undefined) return found
  }
  return undefined
}

/** All IPs of the pod, the primary one first. */
export function podIps(status: PodStatus): string[] {
  const ips = (status.podIPs ?? []).map(({ ip }) => ip)
  return ips.length > 0 || !status.podIP ? ips : [status.podIP]
}
