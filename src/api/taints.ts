// Taints of nodes and the tolerations of pods that get past them.
import type { Taint, Toleration } from './generated/core-v1.ts'

export const taintNotReady = 'node.kubernetes.io/not-ready'
export const taintUnreachable = 'node.kubernetes.io/unreachable'
export const taintUnschedulable = 'node.kubernetes.io/unschedulable'
export const taintMemoryPressure = 'node.kubernetes.io/memory-pressure'
export const taintDiskPressure = 'node.kubernetes.io/disk-pressure'
export const taintPidPressure = 'node.kubernetes.io/pid-pressure'
export const taintNetworkUnavailable = 'node.kubernetes.io/network-unavailable'
export const taintOutOfService = 'node.kubernetes.io/out-of-service'
export const taintUninitialized = 'node.cloudprovider.kubernetes.io/uninitialized'

/** Whether this toleration covers this taint. Empty key, value or effect of a toleration cover every one. */
export function tolerates(toleration: Toleration, taint: Taint): boolean {
  if (toleration.effect && toleration.effect !== taint.effect) return false
  if (toleration.key && toleration.key !== taint.key) return false
  if (toleration.operator === 'Exists') return true
  if (toleration.operator && toleration.operator !== 'Equal') return false
  return (toleration.value ?? '') === (taint.value ?? '')
}

export function isTolerated(taint: Taint, tolerations: readonly Toleration[] | undefined): boolean {
  return (tolerations ?? []).some((toleration) => tolerates(toleration, taint))
}

/** The first taint of one of these effects that no toleration covers. */
export function findUntolerated(
  taints: readonly Taint[] | undefined,
  tolerations: readonly Toleration[] | undefined,
  effects: readonly Taint['effect'][] = ['NoSchedule', 'NoExecute'],
): Taint | undefined {
  return (taints ?? []).find((taint) => effects.includes(taint.effect) && !isTolerated(taint, tolerations))
}

/** Same key and effect: a node has at most one of them. */
export function sameTaint(a: Pick<Taint, 'key' | 'effect'>, b: Pick<Taint, 'key' | 'effect'>): boolean {
  return a.key === b.key && a.effect === b.effect
}

export function hasTaint(taints: readonly Taint[] | undefined, wanted: Pick<Taint, 'key' | 'effect'>): boolean {
  return (taints ?? []).some((taint) => sameTaint(taint, wanted))
}

/**
 * How long a pod may stay on a node with these NoExecute taints, in seconds: the shortest of the tolerations that cover them;
 * undefined: forever; 0: not at all.
 */
export function toleratedSeconds(taints: readonly Taint[], tolerations: readonly Toleration[] | undefined): number | undefined {
  let shortest: number | undefined
  for (const taint of taints) {
    if (taint.effect !== 'NoExecute') continue
    const covering = (tolerations ?? []).filter((toleration) => tolerates(toleration, taint))
    if (covering.length === 0) return 0
    for (const { tolerationSeconds } of covering) {
      if (tolerationSeconds === undefined) continue
      shortest = Math.min(shortest ?? Number.POSITIVE_INFINITY, Math.max(0, tolerationSeconds))
    }
  }
  return shortest
}
