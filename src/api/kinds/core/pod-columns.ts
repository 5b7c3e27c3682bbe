// The row that `kubectl get pods` prints: how a pod's containers add up to one word.
import { ageOf } from '../../duration.ts'
import type { ContainerStateTerminated, ContainerStatus, Pod } from '../../generated/core-v1.ts'
import { type Column, column } from '../../kind.ts'
import { findPodCondition, isPodConditionTrue, isPodTerminal, podIps } from '../../pods.ts'
import { isSidecar } from '../../resources.ts'
import { ageColumn, nameColumn, none } from '../columns.ts'

export interface PodSummary {
  readonly ready: string
  readonly status: string
  readonly restarts: string
}

/** READY, STATUS and RESTARTS. */
export function summarizePod(pod: Pod, nowMs: number): PodSummary {
  const { spec, status } = pod
  const sidecars = new Set((spec.initContainers ?? []).filter(isSidecar).map(({ name }) => name))
  const init = summarizeInit(pod, sidecars)
  let { ready } = init
  let tally = init.all
  let reason = status.reason || status.phase || ''
  if (findPodCondition(status, 'PodScheduled')?.reason === 'SchedulingGated') reason = 'SchedulingGated'
  if (init.reason !== undefined) reason = init.reason
  if (init.reason === undefined || isPodConditionTrue(pod, 'Initialized')) {
    tally = init.sidecars
    let running = false
    let failure = ''
    for (const container of [...(status.containerStatuses ?? [])].reverse()) {
      tally = addRestarts(tally, container)
      const { waiting, terminated } = container.state ?? {}
      if (waiting?.reason) reason = waiting.reason
      else if (terminated !== undefined) {
        reason = terminatedReason(terminated)
        if (terminated.exitCode !== 0) failure = reason
      } else if (container.ready && container.state?.running !== undefined) {
        running = true
        ready++
      }
    }
    if (reason === 'Completed') {
      if (running && isPodConditionTrue(pod, 'Ready')) reason = 'Running'
      else if (failure !== '') reason = failure
      else if (running) reason = 'NotReady'
    }
  }
  if (pod.metadata.deletionTimestamp !== undefined) {
    if (status.reason === 'NodeLost') reason = 'Unknown'
    else if (!isPodTerminal(pod)) reason = 'Terminating'
  }
  return { ready: `${ready}/${(spec.containers ?? []).length + sidecars.size}`, status: reason, restarts: restartsText(tally, nowMs) }
}

interface Restarts {
  readonly count: number
  /** When the last restart's predecessor ended. */
  readonly last?: string
}

function addRestarts(sum: Restarts, container: ContainerStatus): Restarts {
  const finished = container.lastState?.terminated?.finishedAt
  const later = finished !== undefined && (sum.last === undefined || Date.parse(sum.last) < Date.parse(finished))
  const last = later ? finished : sum.last
  return { count: sum.count + container.restartCount, ...(last !== undefined && { last }) }
}

function restartsText({ count, last }: Restarts, nowMs: number): string {
  return count !== 0 && last !== undefined ? `${count} (${ageOf(last, nowMs)} ago)` : String(count)
}

function terminatedReason({ reason, signal, exitCode }: ContainerStateTerminated): string {
  if (reason) return reason
  return signal ? `Signal:${signal}` : `ExitCode:${exitCode}`
}

/** How far the init containers are. `reason` is set while they are not done. */
function summarizeInit(pod: Pod, names: ReadonlySet<string>): { ready: number; all: Restarts; sidecars: Restarts; reason?: string } {
  let ready = 0
  let all: Restarts = { count: 0 }
  let sidecars: Restarts = { count: 0 }
  for (const [i, container] of (pod.status.initContainerStatuses ?? []).entries()) {
    all = addRestarts(all, container)
    const isSidecarStatus = names.has(container.name)
    if (isSidecarStatus) sidecars = addRestarts(sidecars, container)
    const { terminated, waiting } = container.state ?? {}
    if (terminated?.exitCode === 0) continue
    if (isSidecarStatus && container.started) {
      if (container.ready) ready++
      continue
    }
    let reason = `Init:${i}/${(pod.spec.initContainers ?? []).length}`
    if (terminated !== undefined) reason = `Init:${terminatedReason(terminated)}`
    else if (waiting?.reason && waiting.reason !== 'PodInitializing') reason = `Init:${waiting.reason}`
    return { ready, all, sidecars, reason }
  }
  return { ready, all, sidecars }
}

function readinessGatesCell({ spec, status }: Pod): string {
  const gates = spec.readinessGates ?? []
  if (gates.length === 0) return none
  const open = gates.filter(({ conditionType }) => findPodCondition(status, conditionType)?.status === 'True')
  return `${open.length}/${gates.length}`
}

// Three cells of a row come from one summary; rows are made one after the other, so the last one is enough.
let last: { pod: Pod; nowMs: number; summary: PodSummary } | undefined

function summaryOf(pod: Pod, nowMs: number): PodSummary {
  if (last?.pod !== pod || last.nowMs !== nowMs) last = { pod, nowMs, summary: summarizePod(pod, nowMs) }
  return last.summary
}

export const podColumns: readonly Column<Pod>[] = [
  nameColumn,
  column<Pod>('Ready', (pod, nowMs) => summaryOf(pod, nowMs).ready),
  column<Pod>('Status', (pod, nowMs) => summaryOf(pod, nowMs).status),
  column<Pod>('Restarts', (pod, nowMs) => summaryOf(pod, nowMs).restarts),
  ageColumn,
  column<Pod>('IP', ({ status }) => podIps(status)[0] || none, { priority: 1 }),
  column<Pod>('Node', ({ spec }) => spec.nodeName || none, { priority: 1 }),
  column<Pod>('Nominated Node', ({ status }) => status.nominatedNodeName || none, { priority: 1 }),
  column<Pod>('Readiness Gates', readinessGatesCell, { priority: 1 }),
]
