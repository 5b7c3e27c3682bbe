// The probes of running containers: when each runs, how often it must agree with itself before it counts, and what follows
// (documentation: "Configure Liveness, Readiness and Startup Probes").
import type { Container, Pod, PodStatus, Probe } from '#api/generated/core-v1'
import type { Clock, Timer } from '#base/clock'
import type { Random } from '#base/random'
import type { EventRecorder } from '#client/events'
import type { Log } from '../deps.ts'
import type { PodEngineState } from '../engine-state.ts'
import type { ProbeOutcome, ProbeOutcomes } from '../plan-pod.ts'
import { containersOf, fieldPathOf, type PodContainer } from '../pod-containers.ts'
import type { ContainerRuntime, ContainerStatus } from '../runtimes/runtime.ts'
import { type ProbeResult, runProbe } from './run-probe.ts'
import { withTimeout } from './timeout.ts'

type ProbeType = 'startup' | 'liveness' | 'readiness'
const probeTypes: readonly ProbeType[] = ['startup', 'liveness', 'readiness']

export interface ProberDeps {
  readonly runtime: ContainerRuntime
  readonly events: EventRecorder
  readonly clock: Clock
  readonly random: Random
  readonly log: Log
  readonly signal: AbortSignal
  /** An outcome of this pod changed. */
  readonly onChange: (podUid: string) => void
}

// A container that is not ready yet is asked more often than its period, so that it becomes ready sooner (documentation:
// "Configure Liveness, Readiness and Startup Probes", `periodSeconds`). Commands cost more than connections.
const earlyMs = { connection: 50, command: 500 } as const

interface ProbeRun {
  readonly type: ProbeType
  readonly probe: Probe
  outcome: ProbeOutcome | undefined
  /** The last result and how often in a row. */
  last: ProbeResult['outcome'] | undefined
  inARow: number
  timer: Timer | undefined
  done: boolean
  /** When the early tries of a readiness probe end, on the monotonic clock, and how long until the next one. */
  earlyUntil: number
  earlyWaitMs: number
}

interface Probed {
  readonly podUid: string
  readonly containerId: string
  readonly stop: AbortController
  readonly runs: ProbeRun[]
  /** The newest spec of the pod, for events, ports and addresses. */
  pod: Pod
  container: PodContainer
  podIp: string
}

export interface Prober extends ProbeOutcomes {
  /** Probes exactly the running containers of this pod. `lastStatus` is what a restarted agent goes by until it has probed itself. */
  follow(pod: Pod, engine: PodEngineState, podIp: string, lastStatus: PodStatus, runtimeName: string): void
  /** The pod is being terminated: only readiness still matters. */
  onlyReadiness(podUid: string): void
  remove(podUid: string): void
  /** How many containers are probed. */
  readonly size: number
}

export function createProber(deps: ProberDeps): Prober {
  const probed = new Map<string, Probed>()
  const byPod = new Map<string, Set<string>>()
  const bornAt = deps.clock.now()

  function start(pod: Pod, container: PodContainer, status: ContainerStatus, podIp: string, seed: Seed): void {
    const runs = probeTypes.flatMap((type): ProbeRun[] => {
      const probe = probeOf(container.spec, type)
      if (probe === undefined) return []
      const outcome = seed[type]
      const done = type === 'startup' && outcome === 'success'
      return [{ type, probe, outcome, last: undefined, inARow: 0, timer: undefined, done, earlyUntil: 0, earlyWaitMs: 0 }]
    })
    if (runs.length === 0) return
    const entry: Probed = { podUid: pod.metadata.uid, containerId: status.id, stop: new AbortController(), runs, pod, container, podIp }
    probed.set(status.id, entry)
    const ids = byPod.get(entry.podUid) ?? new Set<string>()
    byPod.set(entry.podUid, ids.add(status.id))
    // After a restart of the agent, all its probes would fall together.
    const spread = status.startedAt > 0 && status.startedAt < bornAt ? deps.random() : 0
    for (const run of runs) {
      if (run.done || (run.type !== 'startup' && awaitsStartup(entry))) continue
      const due = status.startedAt + (run.probe.initialDelaySeconds ?? 0) * 1000 - deps.clock.now()
      schedule(entry, run, Math.max(0, due) + spread * run.probe.periodSeconds * 1000)
    }
  }

  function awaitsStartup(entry: Probed): boolean {
    return entry.runs.some((r) => r.type === 'startup' && r.outcome !== 'success')
  }

  function schedule(entry: Probed, run: ProbeRun, ms: number): void {
    if (entry.stop.signal.aborted || run.done) return
    run.timer = deps.clock.after(ms, () => void tryOnce(entry, run), { background: true })
  }

  async function tryOnce(entry: Probed, run: ProbeRun): Promise<void> {
    const { clock, runtime, signal } = deps
    const began = clock.monotonic()
    const parent = entry.stop.signal
    const subject = { containerId: entry.containerId, container: entry.container.spec, podIp: entry.podIp }
    const result = await withTimeout(clock, run.probe.timeoutSeconds * 1000, parent, (s) => runProbe(run.probe, subject, runtime, s))
    if (parent.aborted || signal.aborted) return
    const early = earlyWait(run, result, began)
    if (early !== undefined) return schedule(entry, run, early)
    digest(entry, run, result)
    const spent = clock.monotonic() - began
    schedule(entry, run, Math.max(0, run.probe.periodSeconds * 1000 - spent))
  }

  /** How soon to ask again a container that has not been ready yet; undefined: this result counts. */
  function earlyWait(run: ProbeRun, result: ProbeResult, began: number): number | undefined {
    if (run.type !== 'readiness' || run.outcome !== undefined || result.outcome !== 'failure' || run.probe.successThreshold > 1)
      return undefined
    if (run.earlyUntil === 0) {
      run.earlyUntil = began + run.probe.periodSeconds * 1000
      run.earlyWaitMs = run.probe.exec === undefined ? earlyMs.connection : earlyMs.command
    }
    const now = deps.clock.monotonic()
    if (run.last !== undefined || now >= run.earlyUntil) return undefined
    const wait = Math.min(run.earlyWaitMs, run.earlyUntil - now)
    run.earlyWaitMs *= 2
    return wait
  }

  function digest(entry: Probed, run: ProbeRun, result: ProbeResult): void {
    report(entry, run, result)
    // Errors say nothing of the container.
    if (result.outcome === 'error') return
    run.inARow = run.last === result.outcome ? run.inARow + 1 : 1
    run.last = result.outcome
    const threshold = result.outcome === 'success' ? run.probe.successThreshold : run.probe.failureThreshold
    if (run.inARow < threshold || run.outcome === result.outcome) return
    run.outcome = result.outcome
    // A container that failed is going to be replaced; one that has started has started for good.
    if (run.type === 'startup' || (run.type === 'liveness' && result.outcome === 'failure')) run.done = true
    if (run.type === 'startup' && result.outcome === 'success') afterStartup(entry)
    deps.onChange(entry.podUid)
  }

  function afterStartup(entry: Probed): void {
    for (const run of entry.runs) if (run.type !== 'startup' && run.timer === undefined) schedule(entry, run, 0)
  }

  function report(entry: Probed, run: ProbeRun, result: ProbeResult): void {
    if (result.outcome === 'success') return
    const noun = `${run.type[0]!.toUpperCase()}${run.type.slice(1)}`
    const how = result.outcome === 'failure' ? 'probe failed' : 'probe errored and resulted in unknown state'
    const subject = { object: entry.pod, fieldPath: fieldPathOf(entry.container) }
    deps.events.record(subject, 'Warning', 'Unhealthy', `${noun} ${how}: ${result.message}`)
  }

  function end(containerId: string): void {
    const entry = probed.get(containerId)
    if (entry === undefined) return
    probed.delete(containerId)
    byPod.get(entry.podUid)?.delete(containerId)
    entry.stop.abort()
    for (const run of entry.runs) run.timer?.cancel()
  }

  function outcome(containerId: string, type: ProbeType): ProbeOutcome | undefined {
    return probed.get(containerId)?.runs.find((r) => r.type === type)?.outcome
  }

  deps.signal.addEventListener('abort', () => {
    for (const id of [...probed.keys()]) end(id)
  })

  return {
    follow(pod, engine, podIp, lastStatus, runtimeName) {
      const running = new Map(engine.containers.filter((c) => c.state === 'running').map((c) => [c.id, c]))
      for (const id of [...(byPod.get(pod.metadata.uid) ?? [])]) if (!running.has(id)) end(id)
      if (running.size === 0) return
      const byName = new Map(containersOf(pod).map((c) => [c.spec.name, c]))
      for (const status of running.values()) {
        const container = byName.get(status.name)
        if (container === undefined || container.type === 'ephemeral') continue
        const entry = probed.get(status.id)
        if (entry === undefined) start(pod, container, status, podIp, seedOf(lastStatus, `${runtimeName}://${status.id}`))
        else Object.assign(entry, { pod, container, podIp })
      }
    },
    onlyReadiness(podUid) {
      for (const id of byPod.get(podUid) ?? []) {
        for (const run of probed.get(id)?.runs ?? []) {
          if (run.type === 'readiness') continue
          run.done = true
          run.timer?.cancel()
        }
      }
    },
    remove(podUid) {
      for (const id of [...(byPod.get(podUid) ?? [])]) end(id)
      byPod.delete(podUid)
    },
    get size() {
      return probed.size
    },
    startup: (id) => outcome(id, 'startup'),
    liveness: (id) => outcome(id, 'liveness'),
    readiness: (id) => outcome(id, 'readiness'),
  }
}

type Seed = Partial<Record<ProbeType, ProbeOutcome>>

/** What was reported of this very container stands until a probe says otherwise: an agent's restart makes nothing unready. */
function seedOf(lastStatus: PodStatus, containerId: string): Seed {
  const reported = [...(lastStatus.containerStatuses ?? []), ...(lastStatus.initContainerStatuses ?? [])]
  const status = reported.find((s) => s.containerID === containerId)
  return {
    ...(status?.started ? { startup: 'success' as const } : {}),
    ...(status?.ready ? { readiness: 'success' as const } : {}),
  }
}

function probeOf(container: Container, type: ProbeType): Probe | undefined {
  return { startup: container.startupProbe, liveness: container.livenessProbe, readiness: container.readinessProbe }[type]
}
