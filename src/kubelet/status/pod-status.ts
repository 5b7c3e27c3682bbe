// A pod's whole status, from the engine, the probes and what was last reported. Pure; the status writer sends it.
// Condition types, reasons and messages are Kubernetes' (KEP-3085 for PodReadyToStartContainers, KEP-580 for readiness gates).
import type { ContainerStatus, PodCondition, PodStatus } from '#api/generated/core-v1'
import { timestamp } from '#base/clock'
import { containerIn, readySandbox } from '../engine-state.ts'
import { containersOf, isSidecar, type PodContainer } from '../pod-containers.ts'
import { type ContainerFacts, containerStatus } from './container-status.ts'
import { podPhase } from './pod-phase.ts'

/** What ended the pod before its containers did, when something did. */
export interface PodEnd {
  readonly phase: 'Failed' | 'Succeeded'
  /** `Evicted`, `DeadlineExceeded`, `OutOfcpu`, `NodeAffinity`, … */
  readonly reason: string
  readonly message: string
  /** The DisruptionTarget condition's reason, when the node ended it (KEP-3329). */
  readonly disruption?: string
}

export interface StatusFacts extends ContainerFacts {
  readonly nodeIps: readonly string[]
  readonly now: number
  readonly end: PodEnd | undefined
  /** The pod was never taken on: its containers are not listed. */
  readonly rejected?: boolean
}

export function podStatus(facts: StatusFacts): PodStatus {
  const { pod, lastStatus } = facts
  const status: PodStatus = {}
  if (pod.metadata.generation !== undefined) status.observedGeneration = pod.metadata.generation
  const containers = containersOf(pod).map((container) => ({ container, status: containerStatus(facts, container) }))
  const of = (type: PodContainer['type']) => containers.filter((c) => c.container.type === type)
  const inits = of('init')
  const mains = of('main').map((c) => c.status)
  const initialised = isInitialised(facts)
  status.phase = settledPhase(facts, podPhase({ pod, inits, mains, initialised, over: facts.over }))
  status.conditions = conditions(facts, status.phase, inits, mains, initialised)
  if (facts.end !== undefined) {
    status.reason = facts.end.reason
    status.message = facts.end.message
  } else if (lastStatus.phase === status.phase && (status.phase === 'Failed' || status.phase === 'Succeeded')) {
    if (lastStatus.reason !== undefined) status.reason = lastStatus.reason
    if (lastStatus.message !== undefined) status.message = lastStatus.message
  }
  addAddresses(facts, status)
  status.startTime = lastStatus.startTime ?? timestamp(facts.now)
  if (!facts.rejected) {
    if (inits.length > 0) status.initContainerStatuses = inits.map((c) => c.status)
    status.containerStatuses = mains
    const ephemeral = of('ephemeral').map((c) => c.status)
    if (ephemeral.length > 0) status.ephemeralContainerStatuses = ephemeral
  }
  const qosClass = pod.status?.qosClass ?? lastStatus.qosClass
  if (qosClass !== undefined) status.qosClass = qosClass
  return status
}

/** A final phase stays; an end from outside wins over what the containers say. */
function settledPhase({ end, lastStatus, pod }: StatusFacts, computed: NonNullable<PodStatus['phase']>): NonNullable<PodStatus['phase']> {
  if (end !== undefined) return end.phase
  for (const phase of [lastStatus.phase, pod.status?.phase]) if (phase === 'Failed' || phase === 'Succeeded') return phase
  return computed
}

function isInitialised({ pod, engine }: StatusFacts): boolean {
  const sandbox = readySandbox(engine)
  if (sandbox === undefined) return (pod.spec.initContainers?.length ?? 0) === 0
  return pod.spec.containers.some((c) => {
    const state = containerIn(engine, sandbox.id, c.name)?.state
    return state === 'running' || state === 'exited'
  })
}

function addAddresses(facts: StatusFacts, status: PodStatus): void {
  const { nodeIps, pod, lastStatus } = facts
  if (nodeIps[0] !== undefined) {
    status.hostIP = nodeIps[0]
    status.hostIPs = nodeIps.map((ip) => ({ ip }))
  }
  const sandbox = readySandbox(facts.engine)
  let ips: readonly string[] = sandbox?.ips ?? []
  if (pod.spec.hostNetwork && (sandbox !== undefined || lastStatus.podIP !== undefined)) ips = nodeIps
  // A pod that ended keeps the address it had.
  if (ips.length === 0 && (facts.ending || facts.over || facts.engine.sandboxes.length > 0)) {
    ips = lastStatus.podIPs?.map((p) => p.ip) ?? (lastStatus.podIP === undefined ? [] : [lastStatus.podIP])
  }
  if (ips[0] === undefined) return
  status.podIP = ips[0]
  status.podIPs = ips.map((ip) => ({ ip }))
}

function conditions(
  facts: StatusFacts,
  phase: NonNullable<PodStatus['phase']>,
  inits: readonly { container: PodContainer; status: ContainerStatus }[],
  mains: readonly ContainerStatus[],
  initialised: boolean,
): PodCondition[] {
  const sidecars = inits.filter((c) => isSidecar(c.container)).map((c) => c.status)
  const containersReady = containersReadyCondition(phase, [...sidecars, ...mains])
  const list: Verdict[] = [
    { type: 'PodReadyToStartContainers', status: hasAddress(facts) },
    initializedCondition(phase, inits, initialised),
    readyCondition(facts, containersReady),
    containersReady,
    { type: 'PodScheduled', status: true },
  ]
  if (facts.end?.disruption !== undefined) {
    list.push({ type: 'DisruptionTarget', status: true, reason: facts.end.disruption, message: facts.end.message })
  }
  return list.map((verdict) => dated(facts, verdict))
}

interface Verdict {
  readonly type: string
  readonly status: boolean
  readonly reason?: string
  readonly message?: string
}

function hasAddress({ engine, pod }: StatusFacts): boolean {
  const sandbox = readySandbox(engine)
  return sandbox !== undefined && (pod.spec.hostNetwork === true || sandbox.ips.length > 0)
}

function dated(facts: StatusFacts, verdict: Verdict): PodCondition {
  const status = verdict.status ? 'True' : 'False'
  const before =
    facts.lastStatus.conditions?.find((c) => c.type === verdict.type) ?? facts.pod.status?.conditions?.find((c) => c.type === verdict.type)
  const condition: PodCondition = { type: verdict.type, status }
  const unchanged = before?.status === status
  // Another component's word on scheduling stands, with its time.
  if (unchanged && verdict.type === 'PodScheduled') return before
  if (facts.pod.metadata.generation !== undefined) condition.observedGeneration = facts.pod.metadata.generation
  condition.lastTransitionTime = (unchanged ? before.lastTransitionTime : undefined) ?? timestamp(facts.now)
  if (verdict.reason !== undefined) condition.reason = verdict.reason
  if (verdict.message !== undefined) condition.message = verdict.message
  return condition
}

function initializedCondition(
  phase: string,
  inits: readonly { container: PodContainer; status: ContainerStatus }[],
  initialised: boolean,
): Verdict {
  const type = 'Initialized'
  if (phase === 'Succeeded') return { type, status: true, reason: 'PodCompleted' }
  if (initialised) return { type, status: true }
  const incomplete = inits.filter(({ container, status }) => (isSidecar(container) ? status.started !== true : !status.ready))
  if (incomplete.length === 0) return { type, status: true }
  const names = incomplete.map((c) => c.status.name).join(' ')
  return { type, status: false, reason: 'ContainersNotInitialized', message: `containers with incomplete status: [${names}]` }
}

function containersReadyCondition(phase: string, statuses: readonly ContainerStatus[]): Verdict {
  const type = 'ContainersReady'
  if (phase === 'Succeeded') return { type, status: false, reason: 'PodCompleted' }
  if (phase === 'Failed') return { type, status: false, reason: 'PodFailed' }
  const unready = statuses.filter((s) => !s.ready).map((s) => s.name)
  if (unready.length === 0) return { type, status: true }
  return { type, status: false, reason: 'ContainersNotReady', message: `containers with unready status: [${unready.join(' ')}]` }
}

function readyCondition(facts: StatusFacts, containersReady: Verdict): Verdict {
  if (!containersReady.status) return { ...containersReady, type: 'Ready' }
  const messages: string[] = []
  for (const { conditionType } of facts.pod.spec.readinessGates ?? []) {
    const gate = facts.pod.status?.conditions?.find((c) => c.type === conditionType)
    if (gate === undefined) messages.push(`corresponding condition of pod readiness gate "${conditionType}" does not exist.`)
    else if (gate.status !== 'True') {
      messages.push(`the status of pod readiness gate "${conditionType}" is not "True", but ${gate.status}`)
    }
  }
  if (messages.length === 0) return { type: 'Ready', status: true }
  return { type: 'Ready', status: false, reason: 'ReadinessGatesNotReady', message: messages.join(', ') }
}
