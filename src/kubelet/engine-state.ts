// What the engine knows of one pod, and the small questions everybody asks of it.
import type { ContainerStatus, Sandbox } from './runtimes/runtime.ts'

/** One pod's sandboxes and containers as last seen; both newest first. */
export interface PodEngineState {
  readonly uid: string
  readonly name: string
  readonly namespace: string
  readonly sandboxes: readonly Sandbox[]
  readonly containers: readonly ContainerStatus[]
}

export function emptyEngineState(pod: { uid: string; name: string; namespace: string }): PodEngineState {
  return { ...pod, sandboxes: [], containers: [] }
}

/** The newest sandbox, when it is ready. Containers outside it are history. */
export function readySandbox(state: PodEngineState): Sandbox | undefined {
  const newest = state.sandboxes[0]
  return newest?.state === 'ready' ? newest : undefined
}

/** The newest container of this name, of whichever sandbox. */
export function latestContainer(state: PodEngineState, name: string): ContainerStatus | undefined {
  return state.containers.find((c) => c.name === name)
}

/** The newest container of this name inside the given sandbox. */
export function containerIn(state: PodEngineState, sandboxId: string, name: string): ContainerStatus | undefined {
  return state.containers.find((c) => c.name === name && c.sandboxId === sandboxId)
}

/** The newest exited container of this name. */
export function latestExited(state: PodEngineState, name: string): ContainerStatus | undefined {
  return state.containers.find((c) => c.name === name && c.state === 'exited')
}

export function runningContainers(state: PodEngineState): readonly ContainerStatus[] {
  return state.containers.filter((c) => c.state === 'running')
}

/** Whether something of the pod still runs or could: a ready sandbox or a container that has not exited. */
export function isAlive(state: PodEngineState): boolean {
  return state.sandboxes.some((s) => s.state === 'ready') || state.containers.some((c) => c.state === 'running' || c.state === 'unknown')
}

/** Whether the engine holds nothing of the pod. */
export function isFresh(state: PodEngineState): boolean {
  return state.sandboxes.length === 0 && state.containers.length === 0
}

/** Orders as `PodEngineState` wants it: by attempt where names agree, else by creation. */
export function newestFirst<T extends { createdAt: number; attempt: number }>(items: Iterable<T>): T[] {
  return [...items].sort((a, b) => b.createdAt - a.createdAt || b.attempt - a.attempt)
}
