// A pod's phase, from the statuses of its containers (Kubernetes' documentation, "Pod phase").
import type { ContainerStatus, Pod, PodStatus } from '#api/generated/core-v1'
import { isSidecar, type PodContainer } from '../pod-containers.ts'

type Phase = NonNullable<PodStatus['phase']>

export interface PhaseFacts {
  readonly pod: Pod
  readonly inits: readonly { readonly container: PodContainer; readonly status: ContainerStatus }[]
  readonly mains: readonly ContainerStatus[]
  /** A main container of the present sandbox has started: initialisation is over. */
  readonly initialised: boolean
  /** Nothing of the pod will run again. */
  readonly over: boolean
}

export function podPhase(facts: PhaseFacts): Phase {
  const { pod, mains, over } = facts
  const init = initProgress(facts)
  if (init.failed && pod.spec.restartPolicy === 'Never') return 'Failed'
  const count = { running: 0, waiting: 0, stopped: 0, succeeded: 0 }
  for (const status of mains) {
    if (status.state.running !== undefined) count.running++
    else {
      const exit = status.state.terminated
      if (exit !== undefined || status.lastState.terminated !== undefined) count.stopped++
      else count.waiting++
      if (exit?.exitCode === 0) count.succeeded++
    }
  }
  if (over) return mains.length > 0 && count.succeeded === mains.length && !init.failed ? 'Succeeded' : 'Failed'
  if (init.pending && !facts.initialised) return 'Pending'
  if (count.waiting > 0) return 'Pending'
  if (count.running > 0) return 'Running'
  if (count.stopped === 0) return 'Pending'
  if (pod.spec.restartPolicy === 'Always') return 'Running'
  if (count.stopped === count.succeeded) return 'Succeeded'
  return pod.spec.restartPolicy === 'Never' && !mayRestart(pod) ? 'Failed' : 'Running'
}

function mayRestart(pod: Pod): boolean {
  return pod.spec.containers.some((c) => c.restartPolicy !== undefined && c.restartPolicy !== 'Never')
}

function initProgress({ inits }: PhaseFacts): { pending: boolean; failed: boolean } {
  let pending = false
  let failed = false
  for (const { container, status } of inits) {
    if (isSidecar(container)) {
      if (status.started !== true) pending = true
      continue
    }
    const exit = status.state.terminated
    if (exit === undefined) pending = true
    else if (exit.exitCode !== 0) failed = true
    // One that failed and waits for its next try.
    if (status.state.waiting !== undefined && (status.lastState.terminated?.exitCode ?? 0) !== 0) failed = true
  }
  return { pending: pending || failed, failed }
}
