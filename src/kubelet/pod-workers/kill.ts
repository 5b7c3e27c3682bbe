// Ending containers: the preStop hook, the stop signal, and SIGKILL when the grace period is over; for one container, or for
// all of a pod in the order that sidecars ask for (KEP-753: main containers first, then sidecars, last one first).
import type { Pod } from '#api/generated/core-v1'
import type { PodEngineState } from '../engine-state.ts'
import { fieldPathOf, findContainer, isSidecar, type PodContainer } from '../pod-containers.ts'
import { withTimeout } from '../probes/timeout.ts'
import type { ContainerStatus } from '../runtimes/runtime.ts'
import { runHook, unlessAborted } from './hooks.ts'
import type { WorkerContext } from './worker-context.ts'

// What a container gets at least, after a preStop hook that took it all.
const graceSecondsMin = 2

export interface KillRequest {
  readonly container: PodContainer | undefined
  /** The event's words; default: `Stopping container <name>`. */
  readonly message?: string
  readonly graceSeconds: number
  readonly podIp: string
}

export function graceSecondsOf(pod: Pod): number {
  return pod.metadata.deletionGracePeriodSeconds ?? pod.spec.terminationGracePeriodSeconds ?? 30
}

/** Ends one container and waits until the picture of the engine shows it. */
export async function killContainer(
  context: WorkerContext,
  pod: Pod,
  status: ContainerStatus,
  request: KillRequest,
  signal: AbortSignal,
): Promise<void> {
  const { container, podIp } = request
  const subject = container === undefined ? pod : { object: pod, fieldPath: fieldPathOf(container) }
  context.events.record(subject, 'Normal', 'Killing', request.message ?? `Stopping container ${status.name}`)
  let grace = request.graceSeconds
  const preStop = container?.spec.lifecycle?.preStop
  if (container !== undefined && preStop !== undefined && grace > 0 && status.state === 'running') {
    const began = context.clock.monotonic()
    const target = { container: container.spec, containerId: status.id, podIp }
    try {
      await withTimeout(context.clock, grace * 1000, signal, (s) => runHook(preStop, target, context, s, grace * 1000))
    } catch (error) {
      signal.throwIfAborted()
      context.log.info('a preStop hook failed', { container: status.name, error: String(error) })
      context.events.record(subject, 'Warning', 'FailedPreStopHook', 'PreStopHook failed')
    }
    grace = Math.max(graceSecondsMin, Math.ceil(grace - (context.clock.monotonic() - began) / 1000))
  }
  await unlessAborted(signal, context.runtime.stopContainer(status.id, grace))
  await context.engine.refreshContainer(status.id)
}

/** Ends every container of the pod, then stops its sandboxes. When the signal aborts it stops waiting, and throws. */
export async function killPod(
  context: WorkerContext,
  pod: Pod,
  engine: PodEngineState,
  graceSeconds: number,
  signal: AbortSignal,
): Promise<void> {
  const deadline = context.clock.monotonic() + graceSeconds * 1000
  const podIp = engine.sandboxes[0]?.ips[0] ?? context.options.nodeIps[0] ?? ''
  for (const group of killOrder(pod, engine)) {
    const left = Math.ceil((deadline - context.clock.monotonic()) / 1000)
    const grace = graceSeconds === 0 ? 0 : Math.max(graceSecondsMin, left)
    const kills = group.map((status) => {
      const container = findContainer(pod, status.name)
      return killContainer(context, pod, status, { container, graceSeconds: Math.min(grace, Math.max(graceSeconds, 0)), podIp }, signal)
    })
    const results = await Promise.allSettled(kills)
    signal.throwIfAborted()
    for (const result of results) if (result.status === 'rejected') throw result.reason
  }
  for (const sandbox of engine.sandboxes) {
    await context.runtime.stopSandbox(sandbox.id)
    await context.engine.refreshSandbox(sandbox.id)
  }
}

/** Groups that end together, in order. */
export function killOrder(pod: Pod, engine: PodEngineState): ContainerStatus[][] {
  const alive = engine.containers.filter((c) => c.state === 'running' || c.state === 'unknown')
  const sidecars = (pod.spec.initContainers ?? []).filter((spec, index) => isSidecar({ type: 'init', index, spec })).map((s) => s.name)
  const first = alive.filter((c) => !sidecars.includes(c.name))
  const rest = sidecars.reverse().map((name) => alive.filter((c) => c.name === name))
  return [first, ...rest].filter((group) => group.length > 0)
}
