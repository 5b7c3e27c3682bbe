// One container's status as the API shows it, from what the engine holds and what was last reported. Words and rules are
// Kubernetes': waiting reasons, `lastState`, and what is said of a container that the engine has lost.
import type { ContainerState, ContainerStateTerminated, ContainerStatus, Pod, PodStatus, VolumeMountStatus } from '#api/generated/core-v1'
import { timestamp } from '#base/clock'
import { latestContainer, type PodEngineState } from '../engine-state.ts'
import { marksOf } from '../marks.ts'
import type { ProbeOutcomes } from '../plan-pod.ts'
import { isSidecar, type PodContainer, restartsAfter } from '../pod-containers.ts'
import type { ContainerStatus as EngineContainer } from '../runtimes/runtime.ts'

/** Why a container does not run, as the worker last met it: `ErrImagePull`, `CrashLoopBackOff`, … */
export interface WaitReason {
  readonly reason: string
  readonly message: string
}

export interface ContainerFacts {
  readonly pod: Pod
  readonly engine: PodEngineState
  readonly probes: ProbeOutcomes
  readonly lastStatus: PodStatus
  readonly waitReasons: ReadonlyMap<string, WaitReason>
  /** Containers of which the start is still going on (the postStart hook runs): not yet shown as running. */
  readonly starting: ReadonlySet<string>
  /** What a container said at its end; undefined: nothing. */
  readonly messageOf: (containerId: string) => string | undefined
  /** Before :// in container ids. */
  readonly runtimeName: string
  /** The pod is on its way out or over: nothing of it will start again. */
  readonly ending: boolean
  /** Everything has been killed for good: what still looks alive has been lost. */
  readonly over: boolean
}

const lostMessage = 'The container could not be located when the pod was terminated'
const lostRunningMessage = 'The container could not be located when the pod was deleted.  The container used to be Running'

export function containerStatus(facts: ContainerFacts, container: PodContainer): ContainerStatus {
  const { spec } = container
  const last = reported(facts.lastStatus, container)
  const latest = shown(facts, container)
  const base = latest === undefined ? fromReport(facts, container, last) : fromEngine(facts, container, latest, last)
  const waited = withWaitReason(facts, container, base)
  const settled = facts.over ? settle(waited) : waited
  const running = settled.state.running !== undefined && latest !== undefined
  const started = running && (spec.startupProbe === undefined || facts.probes.startup(latest.id) === 'success')
  settled.started = started
  settled.ready = ready(facts, container, settled, latest, started)
  const { requests, limits } = spec.resources ?? {}
  if (running && (requests !== undefined || limits !== undefined)) {
    if (requests !== undefined) settled.allocatedResources = requests
    settled.resources = { ...(limits === undefined ? {} : { limits }), ...(requests === undefined ? {} : { requests }) }
  }
  const mounts = mountStatuses(container)
  if (mounts.length > 0) settled.volumeMounts = mounts
  return settled
}

function ready(
  facts: ContainerFacts,
  container: PodContainer,
  status: ContainerStatus,
  latest: EngineContainer | undefined,
  started: boolean,
): boolean {
  if (container.type === 'ephemeral') return false
  if (container.type === 'init' && !isSidecar(container)) return status.state.terminated?.exitCode === 0
  if (latest === undefined || !started) return false
  return container.spec.readinessProbe === undefined || facts.probes.readiness(latest.id) === 'success'
}

/** The engine's newest container of this name that is to be shown. */
function shown(facts: ContainerFacts, container: PodContainer): EngineContainer | undefined {
  const candidates = facts.engine.containers.filter((c) => c.name === container.spec.name && !facts.starting.has(c.id))
  return candidates.find((c) => c.state !== 'created') ?? undefined
}

export function reported(
  status: PodStatus,
  container: Pick<PodContainer, 'type'> & { spec: { name: string } },
): ContainerStatus | undefined {
  const list = {
    init: status.initContainerStatuses,
    main: status.containerStatuses,
    ephemeral: status.ephemeralContainerStatuses,
  }[container.type]
  return list?.find((s) => s.name === container.spec.name)
}

function fromEngine(
  facts: ContainerFacts,
  container: PodContainer,
  latest: EngineContainer,
  last: ContainerStatus | undefined,
): ContainerStatus {
  const before = facts.engine.containers.find(
    (c) => c.name === latest.name && c.id !== latest.id && c.state === 'exited' && c.createdAt <= latest.createdAt,
  )
  const id = containerId(facts, latest)
  let lastState: ContainerState = {}
  if (before !== undefined) lastState = { terminated: terminated(facts, before) }
  else if (last?.containerID === id) lastState = last.lastState ?? {}
  else if (last?.state?.terminated !== undefined) lastState = { terminated: last.state.terminated }
  else if (last?.lastState?.terminated !== undefined) lastState = last.lastState
  return {
    name: container.spec.name,
    state: engineState(facts, latest),
    lastState,
    ready: false,
    restartCount: marksOf(latest).restartCount,
    image: latest.image,
    imageID: latest.imageId,
    containerID: id,
  }
}

function engineState(facts: ContainerFacts, container: EngineContainer): ContainerState {
  switch (container.state) {
    case 'running':
      return { running: { startedAt: timestamp(container.startedAt || container.createdAt) } }
    case 'exited':
      return { terminated: terminated(facts, container) }
    case 'unknown':
      return {
        terminated: { exitCode: 137, reason: 'ContainerStatusUnknown', message: lostMessage, containerID: containerId(facts, container) },
      }
    case 'created':
      return { waiting: { reason: 'ContainerCreating' } }
  }
}

function terminated(facts: ContainerFacts, container: EngineContainer): ContainerStateTerminated {
  const state: ContainerStateTerminated = { exitCode: container.exitCode }
  if (container.reason !== '') state.reason = container.reason
  const message = facts.messageOf(container.id) ?? container.message
  if (message !== '') state.message = message
  if (container.startedAt > 0) state.startedAt = timestamp(container.startedAt)
  if (container.finishedAt > 0) state.finishedAt = timestamp(container.finishedAt)
  state.containerID = containerId(facts, container)
  return state
}

function containerId(facts: ContainerFacts, container: EngineContainer): string {
  return `${facts.runtimeName}://${container.id}`
}

/** The engine has no such container: it never had, or it has lost it. */
function fromReport(facts: ContainerFacts, container: PodContainer, last: ContainerStatus | undefined): ContainerStatus {
  const status: ContainerStatus = {
    name: container.spec.name,
    state: { waiting: { reason: defaultReason(facts.pod) } },
    lastState: last?.lastState ?? {},
    ready: false,
    restartCount: last?.restartCount ?? 0,
    image: container.spec.image,
    imageID: last?.imageID ?? '',
  }
  if (last === undefined) return status
  if (last.state?.terminated !== undefined) {
    return { ...status, state: last.state, image: last.image, ...(last.containerID === undefined ? {} : { containerID: last.containerID }) }
  }
  if (last.state?.running !== undefined) {
    const lost = { exitCode: 137, reason: 'ContainerStatusUnknown', message: lostRunningMessage }
    status.lastState = { terminated: lost }
    if (!facts.ending) status.restartCount += 1
  }
  return status
}

function defaultReason(pod: Pod): string {
  return (pod.spec.initContainers?.length ?? 0) > 0 ? 'PodInitializing' : 'ContainerCreating'
}

/** A container that is going to start again waits; what it ended with becomes its last state. */
function withWaitReason(facts: ContainerFacts, container: PodContainer, status: ContainerStatus): ContainerStatus {
  const why = facts.waitReasons.get(container.spec.name)
  if (why === undefined || facts.ending || status.state.running !== undefined) return status
  const exit = status.state.terminated
  if (exit !== undefined) {
    if (!restartsAfter(facts.pod, container, exit.exitCode)) return status
    status.lastState = { terminated: exit }
  }
  status.state = { waiting: why.message === '' ? { reason: why.reason } : { reason: why.reason, message: why.message } }
  return status
}

/** Nothing of the pod is left: a container that is not known to have ended has been lost. */
function settle(status: ContainerStatus): ContainerStatus {
  if (status.state.terminated !== undefined) return status
  if (status.state.running === undefined && status.containerID === undefined && status.lastState.terminated === undefined) return status
  if (status.state.waiting !== undefined && status.lastState.terminated !== undefined) {
    status.state = status.lastState
    status.lastState = {}
    return status
  }
  const lost: ContainerStateTerminated = { exitCode: 137, reason: 'ContainerStatusUnknown', message: lostMessage }
  if (status.containerID !== undefined) lost.containerID = status.containerID
  status.state = { terminated: lost }
  return status
}

function mountStatuses(container: PodContainer): VolumeMountStatus[] {
  return (container.spec.volumeMounts ?? []).map((mount) => {
    const status: VolumeMountStatus = { name: mount.name, mountPath: mount.mountPath }
    if (mount.readOnly) {
      status.readOnly = true
      const asked = mount.recursiveReadOnly
      status.recursiveReadOnly = asked === 'Enabled' || asked === 'IfPossible' ? 'Enabled' : 'Disabled'
    }
    return status
  })
}

/** The container that a user means by this name, as the engine has it now. */
export function currentContainer(engine: PodEngineState, name: string): EngineContainer | undefined {
  return latestContainer(engine, name)
}
