// The heart of the agent: from what a pod asks for, what the engine holds and what the probes say, the next steps. Pure;
// the worker carries the steps out and asks again. Behaviour: the pod lifecycle of Kubernetes' documentation, with
// sidecars (KEP-753), container restart rules (KEP-5307) and the restart back-off of 10 s doubling to 5 min.
import type { Pod, PodStatus } from '#api/generated/core-v1'
import { containerIn, latestContainer, latestExited, type PodEngineState, readySandbox } from './engine-state.ts'
import { containerHash, marksOf } from './marks.ts'
import { containersOf, isSidecar, type PodContainer, podText, restartsAfter, restartsOnFailure } from './pod-containers.ts'
import type { ContainerStatus } from './runtimes/runtime.ts'

export const restartBackoffMs = { first: 10_000, max: 300_000 } as const

export type ProbeOutcome = 'success' | 'failure' | 'unknown'

/** The latest outcomes by container id; undefined when the container has no such probe or it has not run. */
export interface ProbeOutcomes {
  liveness(containerId: string): ProbeOutcome | undefined
  readiness(containerId: string): ProbeOutcome | undefined
  startup(containerId: string): ProbeOutcome | undefined
}

export interface PodFacts {
  readonly pod: Pod
  readonly engine: PodEngineState
  readonly probes: ProbeOutcomes
  /** The status last reported: what is remembered of containers that the engine has lost. */
  readonly lastStatus: PodStatus
  readonly now: number
}

export interface ContainerStart {
  readonly container: PodContainer
  readonly restartCount: number
  /** What to wait after this one's exit. */
  readonly backoffMs: number
  /** The sandbox attempt it belongs to is the plan's. */
  readonly discard?: string
}

export interface ContainerKill {
  readonly id: string
  readonly container: PodContainer | undefined
  readonly message: string
  readonly reason: 'LivenessProbe' | 'StartupProbe' | 'SpecChanged' | 'Unknown'
  /** Undefined: the pod's own. */
  readonly graceSeconds: number | undefined
}

/** A container that is to start, but not yet. */
export interface ContainerWait {
  readonly container: PodContainer
  readonly until: number
  readonly message: string
}

export interface PodPlan {
  /** Kill every container and stop every sandbox before anything else. */
  readonly killAll: boolean
  /** `create`: a new sandbox of this attempt, then ask again for what to start in it. */
  readonly sandbox:
    | { readonly do: 'keep'; readonly id: string }
    | { readonly do: 'create'; readonly attempt: number }
    | { readonly do: 'none' }
  readonly kill: readonly ContainerKill[]
  readonly start: readonly ContainerStart[]
  readonly waiting: readonly ContainerWait[]
  /** Nothing runs any more and nothing is to start: the pod's phase becomes final. */
  readonly finished: boolean
  /** The pod's own deadline has passed. */
  readonly deadlineExceeded: boolean
  /** When time alone changes the plan. */
  readonly lookAgainAt: number | undefined
}

interface Draft {
  kill: ContainerKill[]
  start: ContainerStart[]
  waiting: ContainerWait[]
}

/** The next steps for a pod that is meant to run. */
export function planPod(facts: PodFacts): PodPlan {
  const deadline = deadlineOf(facts)
  if (deadline !== undefined && deadline <= facts.now) return { ...nothing, deadlineExceeded: true }
  const plan = planWithoutDeadline(facts)
  const times = [deadline, ...plan.waiting.map((w) => w.until)].filter((t) => t !== undefined)
  return { ...plan, lookAgainAt: times.length === 0 ? undefined : Math.min(...times) }
}

const nothing: PodPlan = {
  killAll: false,
  sandbox: { do: 'none' },
  kill: [],
  start: [],
  waiting: [],
  finished: false,
  deadlineExceeded: false,
  lookAgainAt: undefined,
}

function deadlineOf({ pod, lastStatus }: PodFacts): number | undefined {
  if (pod.spec.activeDeadlineSeconds === undefined || lastStatus.startTime === undefined) return undefined
  return Date.parse(lastStatus.startTime) + pod.spec.activeDeadlineSeconds * 1000
}

function planWithoutDeadline(facts: PodFacts): PodPlan {
  const { engine, pod } = facts
  const ready = engine.sandboxes.filter((s) => s.state === 'ready')
  const sandbox = readySandbox(engine)
  const addressed = pod.spec.hostNetwork === true || (sandbox !== undefined && sandbox.ips.length > 0)
  if (sandbox === undefined || ready.length > 1 || !addressed) return planNewSandbox(facts)

  const draft: Draft = { kill: [], start: [], waiting: [] }
  const containers = containersOf(pod)
  for (const container of containers.filter((c) => c.type === 'ephemeral')) {
    if (!everRan(facts, container.spec.name)) want(facts, draft, container)
  }
  const init = planInit(facts, sandbox.id, draft)
  const keep = { ...nothing, ...draft, sandbox: { do: 'keep', id: sandbox.id } } as const
  if (init === 'failed') return { ...keep, start: [], waiting: [], killAll: true, finished: true }
  if (init === 'going on') return keep
  const kept = containers.filter((c) => c.type === 'main' && planMain(facts, sandbox.id, draft, c)).length
  const mainWanted = [...draft.start, ...draft.waiting].some((s) => s.container.type === 'main')
  // One that is being killed for good first shows how it ended.
  const mainKilled = draft.kill.some((k) => k.container?.type === 'main')
  if (kept === 0 && !mainWanted && !mainKilled) return { ...keep, start: [], waiting: [], killAll: true, finished: true }
  return keep
}

/** The sandbox is missing or spoilt: begin again from the first init container, unless the pod is over. */
function planNewSandbox(facts: PodFacts): PodPlan {
  const { engine, pod } = facts
  const killAll = engine.sandboxes.length > 0 || engine.containers.some((c) => c.state !== 'exited')
  const attempt = engine.sandboxes[0] === undefined ? 0 : engine.sandboxes[0].attempt + 1
  const mains = containersOf(pod).filter((c) => c.type === 'main')
  const over = mains.every((c) => {
    const exitCode = lastExitCode(facts, c.spec.name)
    return exitCode !== undefined && !restartsAfter(pod, c, exitCode)
  })
  const initFailed = containersOf(pod).some((c) => c.type === 'init' && !isSidecar(c) && failedForGood(facts, c))
  if (over || initFailed) return { ...nothing, killAll, finished: true }
  return { ...nothing, killAll, sandbox: { do: 'create', attempt } }
}

function failedForGood(facts: PodFacts, container: PodContainer): boolean {
  const exitCode = lastExitCode(facts, container.spec.name)
  return exitCode !== undefined && exitCode !== 0 && !restartsAfter(facts.pod, container, exitCode)
}

/** How the newest run of a container ended: from the engine, else as last reported. */
function lastExitCode(facts: PodFacts, name: string): number | undefined {
  const latest = latestContainer(facts.engine, name)
  // A container that runs, or whose fate the engine does not know, is killed with its sandbox.
  if (latest !== undefined) return latest.state === 'created' ? undefined : latest.state === 'exited' ? latest.exitCode : 137
  const reported = reportedStatus(facts, name)
  return reported?.state?.terminated?.exitCode
}

function reportedStatus({ lastStatus }: PodFacts, name: string) {
  const all = [
    ...(lastStatus.initContainerStatuses ?? []),
    ...(lastStatus.containerStatuses ?? []),
    ...(lastStatus.ephemeralContainerStatuses ?? []),
  ]
  return all.find((s) => s.name === name)
}

function everRan(facts: PodFacts, name: string): boolean {
  const latest = latestContainer(facts.engine, name)
  if (latest !== undefined) return latest.state !== 'created'
  return reportedStatus(facts, name)?.containerID !== undefined
}

/** Init containers one after the other; sidecars stay. `done` when the main containers may start. */
function planInit(facts: PodFacts, sandboxId: string, draft: Draft): 'done' | 'going on' | 'failed' {
  const inits = containersOf(facts.pod).filter((c) => c.type === 'init')
  const current = (name: string): ContainerStatus | undefined => containerIn(facts.engine, sandboxId, name)
  const initialised = facts.pod.spec.containers.some((c) => {
    const status = current(c.name)
    return status !== undefined && status.state !== 'created'
  })
  if (initialised) {
    for (const sidecar of inits.filter(isSidecar)) planSidecar(facts, draft, sidecar, current(sidecar.spec.name))
    return 'done'
  }
  // What comes before the furthest one that was made is over: its containers may be gone from the engine.
  const furthest = inits.findLastIndex((c) => current(c.spec.name) !== undefined)
  for (const [index, container] of inits.entries()) {
    const status = current(container.spec.name)
    if (isSidecar(container)) {
      if (!planSidecar(facts, draft, container, status)) return 'going on'
    } else if (index >= furthest) {
      const step = planInitStep(facts, draft, container, status)
      if (step !== 'done') return step
    }
  }
  return 'done'
}

function planInitStep(
  facts: PodFacts,
  draft: Draft,
  container: PodContainer,
  status: ContainerStatus | undefined,
): 'done' | 'going on' | 'failed' {
  if (status?.state === 'running') return 'going on'
  if (status?.state === 'exited') {
    if (status.exitCode === 0) return 'done'
    if (!restartsAfter(facts.pod, container, status.exitCode)) return 'failed'
  }
  if (status?.state === 'unknown') draft.kill.push(unknownKill(status, container))
  want(facts, draft, container)
  return 'going on'
}

/** Keeps a sidecar running; whether it has started, so that what follows it may go on. */
function planSidecar(facts: PodFacts, draft: Draft, container: PodContainer, status: ContainerStatus | undefined): boolean {
  if (status?.state !== 'running') {
    if (status?.state === 'unknown') draft.kill.push(unknownKill(status, container))
    want(facts, draft, container)
    return false
  }
  const kill = probeKill(facts, container, status, 'Init container')
  if (kill !== undefined) {
    draft.kill.push(kill)
    want(facts, draft, container)
    return false
  }
  return container.spec.startupProbe === undefined || facts.probes.startup(status.id) === 'success'
}

/** Whether this main container runs and stays as it is. */
function planMain(facts: PodFacts, sandboxId: string, draft: Draft, container: PodContainer): boolean {
  const inSandbox = containerIn(facts.engine, sandboxId, container.spec.name)
  if (inSandbox?.state !== 'running') {
    const exitCode = lastExitCode(facts, container.spec.name)
    if (inSandbox?.state === 'unknown') draft.kill.push(unknownKill(inSandbox, container))
    if (exitCode === undefined || inSandbox?.state === 'unknown' || restartsAfter(facts.pod, container, exitCode)) {
      want(facts, draft, container)
    }
    return false
  }
  const kill = specKill(container, inSandbox) ?? probeKill(facts, container, inSandbox, 'Container')
  if (kill === undefined) return true
  const restart = kill.reason === 'SpecChanged' || restartsOnFailure(facts.pod, container)
  draft.kill.push(restart ? { ...kill, message: `${kill.message}, will be restarted` } : kill)
  if (restart) want(facts, draft, container)
  return false
}

function specKill(container: PodContainer, status: ContainerStatus): ContainerKill | undefined {
  const { hash } = marksOf(status)
  if (hash === '' || hash === containerHash(container.spec)) return undefined
  const message = `Container ${container.spec.name} definition changed`
  return { id: status.id, container, message, reason: 'SpecChanged', graceSeconds: undefined }
}

function probeKill(facts: PodFacts, container: PodContainer, status: ContainerStatus, noun: string): ContainerKill | undefined {
  const { name, livenessProbe, startupProbe } = container.spec
  const kill = { id: status.id, container }
  if (livenessProbe !== undefined && facts.probes.liveness(status.id) === 'failure') {
    const graceSeconds = livenessProbe.terminationGracePeriodSeconds
    return { ...kill, message: `${noun} ${name} failed liveness probe`, reason: 'LivenessProbe', graceSeconds }
  }
  if (startupProbe !== undefined && facts.probes.startup(status.id) === 'failure') {
    const graceSeconds = startupProbe.terminationGracePeriodSeconds
    return { ...kill, message: `${noun} ${name} failed startup probe`, reason: 'StartupProbe', graceSeconds }
  }
  return undefined
}

function unknownKill(status: ContainerStatus, container: PodContainer): ContainerKill {
  const noun = container.type === 'init' ? 'Init container' : 'Container'
  const message = `${noun} is in unknown state, try killing it before restart`
  return { id: status.id, container, message, reason: 'Unknown', graceSeconds: undefined }
}

/** Puts a container among those to start, or among those that wait for their back-off. */
function want(facts: PodFacts, draft: Draft, container: PodContainer): void {
  const { engine, now } = facts
  const { name } = container.spec
  const latest = latestContainer(engine, name)
  const exited = latestExited(engine, name)
  const restartCount = nextRestartCount(facts, name)
  if (latest?.state === 'created') {
    // Made but never started, by an agent that died in between: made again, under the same number.
    draft.start.push({ container, restartCount, backoffMs: marksOf(latest).backoffMs, discard: latest.id })
    return
  }
  if (latest === undefined || exited === undefined) {
    draft.start.push({ container, restartCount, backoffMs: restartCount === 0 ? 0 : restartBackoffMs.first })
    return
  }
  const marks = marksOf(latest)
  const fresh = marks.hash !== containerHash(container.spec) || exited.finishedAt - latest.createdAt > 2 * restartBackoffMs.max
  const until = exited.finishedAt + marks.backoffMs
  if (!fresh && now < until) {
    const message = `back-off ${backoffText(marks.backoffMs)} restarting failed container=${name} pod=${podText(facts.pod)}`
    draft.waiting.push({ container, until, message })
    return
  }
  const doubled = Math.min(2 * marks.backoffMs, restartBackoffMs.max)
  draft.start.push({ container, restartCount, backoffMs: fresh ? restartBackoffMs.first : Math.max(doubled, restartBackoffMs.first) })
}

function nextRestartCount(facts: PodFacts, name: string): number {
  const latest = latestContainer(facts.engine, name)
  if (latest !== undefined) return marksOf(latest).restartCount + (latest.state === 'created' ? 0 : 1)
  const reported = reportedStatus(facts, name)
  if (reported === undefined || (reported.containerID === undefined && reported.lastState?.terminated === undefined)) return 0
  // A running container that the engine has lost was counted when the loss was reported.
  const alreadyCounted = reported.containerID === undefined && reported.lastState?.terminated?.reason === 'ContainerStatusUnknown'
  return reported.restartCount + (alreadyCounted ? 0 : 1)
}

/** A duration as Go prints it, for whole seconds: `10s`, `1m20s`, `5m0s`. */
export function backoffText(ms: number): string {
  const seconds = Math.round(ms / 1000)
  return seconds < 60 ? `${seconds}s` : `${Math.floor(seconds / 60)}m${seconds % 60}s`
}
