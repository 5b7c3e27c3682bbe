// One pod's worker: the only one that acts on this pod. It starts from whatever it finds (spec, engine, checkpoint), plans,
// takes the steps, reports, and sleeps until something changes. A pod goes through three stages: running, terminating (its
// containers are being ended), terminated (nothing of it runs; what is left is cleaned up, and its API object removed).

import { isApiError } from '#api/errors'
import type { PodStatus, Pod as PodV1 } from '#api/generated/core-v1'
import { Pod } from '#api/kinds/core/pod'
import { Backoff } from '#base/backoff'
import type { Timer } from '#base/clock'
import { isAlive, type PodEngineState, readySandbox } from '../engine-state.ts'
import { type PodPlan, planPod } from '../plan-pod.ts'
import { podText } from '../pod-containers.ts'
import { RuntimeError } from '../runtimes/runtime.ts'
import type { WaitReason } from '../status/container-status.ts'
import { type PodEnd, podStatus } from '../status/pod-status.ts'
import { same } from '../status/status-patch.ts'
import { VolumeError } from '../volumes/pod-volumes.ts'
import { cleanUpPod, pruneContainers, removeFromEngine } from './clean-up.ts'
import { graceSecondsOf, killContainer, killPod } from './kill.ts'
import { lastWords } from './last-words.ts'
import { makeSandbox, type PreparedPod, preparePod } from './prepare-pod.ts'
import { StartError, startContainer } from './start-container.ts'
import type { WorkerContext } from './worker-context.ts'

export type Stage = 'running' | 'terminating' | 'terminated'

// Steps within one go; a plan that never comes to rest is a bug that must not spin.
const stepsMax = 20
const retryStartMs = 10_000
// A step that takes longer than this is reported while it goes on.
const reportAfterMs = 150

export class PodWorker {
  readonly #context: WorkerContext
  readonly #retry: Backoff
  readonly #waitReasons = new Map<string, WaitReason>()
  readonly #starting = new Set<string>()
  readonly #messages = new Map<string, string>()
  readonly #announced = new Set<string>()
  #pod: PodV1
  #stage: Stage = 'running'
  #end: PodEnd | undefined
  /** Shorter than the pod's own when an eviction says so. */
  #graceSeconds: number | undefined
  /** The API has no such pod any more. */
  #gone = false
  #rejected = false
  #admitted = false
  #prepared: PreparedPod | undefined
  /** Volumes and what they are made of may have changed since they were set up. */
  #volumesStale = true
  #cleaned = false
  #work = new AbortController()
  #busy = false
  #running: Promise<void> = Promise.resolve()
  #dirty = false
  #finished = false
  #timer: Timer | undefined
  #reportTimer: Timer | undefined
  #killGrace = Number.POSITIVE_INFINITY
  #whenDone: () => void = () => undefined
  /** Resolves when nothing of the pod is left to do, on the node and in the API. */
  readonly done: Promise<void>

  constructor(context: WorkerContext, pod: PodV1) {
    this.#context = context
    this.#pod = pod
    this.#retry = new Backoff({ initialMs: 500, maxMs: 15_000, jitter: 0.3, random: context.random })
    this.done = new Promise((resolve) => {
      this.#whenDone = resolve
    })
  }

  get pod(): PodV1 {
    return this.#pod
  }

  get stage(): Stage {
    return this.#stage
  }

  /** Whether the pod still uses the node: it counts for admission and eviction. */
  get active(): boolean {
    return this.#stage !== 'terminated' && !this.#rejected
  }

  /** It has been let in: what it asks for is taken. */
  get admitted(): boolean {
    return this.#admitted
  }

  /** The API's newest word on this pod. */
  update(pod: PodV1): void {
    const before = this.#pod
    const news = this.#gone || !sameWish(before, pod)
    if (!sameInputs(before, pod)) this.#volumesStale = true
    this.#pod = pod
    this.#gone = false
    if (this.#stage === 'running')
      void this.#context.checkpoints.save(pod).catch((error) => this.#note('writing a checkpoint failed', error))
    this.#interruptIfEnding()
    // Our own reports come back as changes; only a readiness gate that somebody else moved makes another one necessary.
    if (news) this.wake()
    else if (!same(before.status?.conditions, pod.status?.conditions) && pod.spec.readinessGates !== undefined) this.#reportSoon(0)
  }

  /** The pod is not in the API any more: it ends as quickly as its grace period says, and nothing is reported. */
  gone(): void {
    this.#gone = true
    this.#interruptIfEnding()
    this.wake()
  }

  /** Ends the pod for a reason of the node's own. Without effect when it is ending already. */
  endWith(end: PodEnd, graceSeconds?: number): void {
    if (this.#stage !== 'running' || this.#end !== undefined) return
    this.#end = end
    this.#graceSeconds = graceSeconds
    this.#interruptIfEnding()
    this.wake()
  }

  /** A config map or secret that the pod uses has changed. */
  refreshVolumes(): void {
    this.#volumesStale = true
    this.wake()
  }

  /** Something that the pod depends on has changed. */
  wake(): void {
    if (this.#finished || this.#context.signal.aborted) return
    this.#dirty = true
    if (!this.#busy) this.#running = this.#run()
    // A busy worker's picture is out of date: what the probes and the engine say goes out meanwhile.
    else if (this.#stage !== 'terminated') this.#reportSoon(0)
  }

  /** The agent ends: lets go of what is waited for, and resolves when the step that is going on is over. Containers stay. */
  async stop(): Promise<void> {
    this.#timer?.cancel()
    this.#reportTimer?.cancel()
    this.#work.abort(new Error('the agent is ending'))
    await this.#running
  }

  async #run(): Promise<void> {
    this.#busy = true
    // A step may be woken by the very event that started it; the rest of that event comes first.
    await Promise.resolve()
    while (this.#dirty && !this.#finished && !this.#context.signal.aborted) {
      this.#dirty = false
      this.#timer?.cancel()
      this.#timer = undefined
      try {
        const lookAgainMs = await this.#step()
        this.#retry.reset()
        if (lookAgainMs !== undefined) this.#wakeAfter(lookAgainMs)
      } catch (error) {
        if (this.#context.signal.aborted) break
        if (this.#work.signal.aborted) this.#dirty = true
        else this.#failed(error)
      }
      if (this.#work.signal.aborted) this.#work = new AbortController()
    }
    this.#busy = false
  }

  #failed(error: unknown): void {
    this.#note('working on a pod failed, trying again', error)
    // Networks and engines come back within moments; the rest is not in a hurry.
    this.#wakeAfter(this.#retry.next())
  }

  #note(message: string, error: unknown): void {
    this.#context.log.warn(message, { pod: podText(this.#pod), error: error instanceof Error ? error.message : String(error) })
  }

  #wakeAfter(ms: number): void {
    this.#timer?.cancel()
    this.#timer = this.#context.clock.after(ms, () => this.wake(), { background: true })
  }

  #mustEnd(): boolean {
    return this.#gone || this.#end !== undefined || hasEnded(this.#pod) || this.#pod.metadata.deletionTimestamp !== undefined
  }

  #interruptIfEnding(): void {
    if (!this.#mustEnd()) return
    const grace = this.#grace()
    if (!this.#busy) return
    // A running stage is left at once; an ending with more patience than is now asked for begins again with less.
    if (this.#stage === 'running' || (this.#stage === 'terminating' && grace < this.#killGrace))
      this.#work.abort(new Error('the pod is ending'))
  }

  #grace(): number {
    const own = graceSecondsOf(this.#pod)
    return this.#graceSeconds === undefined ? own : Math.min(own, this.#graceSeconds)
  }

  get #engine(): PodEngineState {
    const { uid, name, namespace = '' } = this.#pod.metadata
    return this.#context.engine.pod({ uid, name, namespace })
  }

  async #step(): Promise<number | undefined> {
    if (this.#stage === 'running' && this.#mustEnd()) this.#stage = 'terminating'
    if (this.#stage === 'running') {
      const lookAgainMs = await this.#sync(this.#work.signal)
      if (this.#stage === 'running') return lookAgainMs
    }
    if (this.#stage === 'terminating') await this.#terminate(this.#work.signal)
    return await this.#finish()
  }

  /** Brings the pod as far as it can be brought now. Returns when time alone will change something. */
  async #sync(signal: AbortSignal): Promise<number | undefined> {
    const context = this.#context
    if (!this.#admitted && !isAlive(this.#engine) && !this.#hasRun()) {
      const refusal = context.admit(this.#pod)
      if (refusal !== undefined) {
        context.events.record(this.#pod, 'Warning', refusal.reason, refusal.message)
        this.#rejected = true
        this.#end = { phase: 'Failed', ...refusal }
        this.#stage = 'terminating'
        return undefined
      }
    }
    this.#admitted = true
    await this.#publish()
    const problem = this.#pod.spec.hostNetwork ? undefined : context.networkProblem()
    if (problem !== undefined && readySandbox(this.#engine) === undefined) {
      context.events.record(this.#pod, 'Warning', 'NetworkNotReady', `network is not ready: ${problem}`)
      throw new Error(`network is not ready: ${problem}`)
    }
    await this.#prepare()
    let retryAt: number | undefined
    for (let step = 0; step < stepsMax; step++) {
      signal.throwIfAborted()
      const plan = this.#plan()
      if (plan.deadlineExceeded) {
        const message = 'Pod was active on the node longer than the specified deadline'
        context.events.record(this.#pod, 'Normal', 'DeadlineExceeded', message)
        this.#end = { phase: 'Failed', reason: 'DeadlineExceeded', message }
        this.#stage = 'terminating'
        return undefined
      }
      if (plan.finished) {
        this.#stage = 'terminating'
        return undefined
      }
      const outcome = await this.#act(plan, signal)
      if (outcome.retryAt !== undefined) retryAt = Math.min(retryAt ?? outcome.retryAt, outcome.retryAt)
      if (!outcome.again) return this.#restingTime(plan, retryAt)
    }
    return 1_000
  }

  async #prepare(): Promise<void> {
    const context = this.#context
    const tokenAt = context.tokens.renewAt(this.#pod.metadata.uid)
    const tokenDue = tokenAt !== undefined && tokenAt <= context.clock.now()
    if (this.#prepared !== undefined && !this.#volumesStale && !tokenDue) return
    this.#volumesStale = false
    try {
      this.#prepared = await preparePod(context, this.#pod, this.#engine, this.#prepared)
    } catch (error) {
      this.#volumesStale = true
      if (error instanceof VolumeError) context.events.record(this.#pod, 'Warning', 'FailedMount', error.message)
      // A pod that runs is not left alone for a volume that could not be brought up to date.
      if (this.#prepared === undefined) throw error
      this.#note('bringing a pod up to date failed', error)
    }
  }

  #plan(): PodPlan {
    return planPod({
      pod: this.#pod,
      engine: this.#engine,
      probes: this.#context.probes,
      lastStatus: this.#lastStatus(),
      now: this.#context.clock.now(),
    })
  }

  #restingTime(plan: PodPlan, retryAt: number | undefined): number | undefined {
    const tokenAt = this.#context.tokens.renewAt(this.#pod.metadata.uid)
    const times = [plan.lookAgainAt, retryAt, tokenAt].filter((t) => t !== undefined)
    return times.length === 0 ? undefined : Math.max(0, Math.min(...times) - this.#context.clock.now())
  }

  /** Takes the plan's steps. `again`: something was changed, so another look is due at once. */
  async #act(plan: PodPlan, signal: AbortSignal): Promise<{ again: boolean; retryAt?: number | undefined }> {
    const context = this.#context
    if (plan.killAll) await killPod(context, this.#pod, this.#engine, this.#grace(), signal)
    if (plan.sandbox.do === 'create') {
      const { attempt } = plan.sandbox
      if (attempt > 0)
        context.events.record(this.#pod, 'Normal', 'SandboxChanged', 'Pod sandbox changed, it will be killed and re-created.')
      await this.#whileReporting(() => makeSandbox(context, this.#pod, this.#prepared!, attempt))
      return { again: true }
    }
    const podIp = readySandbox(this.#engine)?.ips[0] ?? context.options.nodeIps[0] ?? ''
    for (const { container, graceSeconds, id, message } of plan.kill) {
      const status = context.engine.container(id)
      if (status === undefined) continue
      await killContainer(context, this.#pod, status, { container, message, graceSeconds: graceSeconds ?? this.#grace(), podIp }, signal)
    }
    for (const { container, message } of plan.waiting) this.#crashLoop(container.spec.name, message, plan)
    const started = await this.#start(plan, signal)
    await this.#publish()
    if (started.any) void pruneContainers(context, this.#engine).catch((error) => this.#note('removing old containers failed', error))
    return { again: plan.kill.length > 0 || started.any, retryAt: started.retryAt }
  }

  #crashLoop(name: string, message: string, plan: PodPlan): void {
    this.#waitReasons.set(name, { reason: 'CrashLoopBackOff', message })
    const wait = plan.waiting.find((w) => w.container.spec.name === name)
    const id = `${name} ${wait?.until}`
    if (wait === undefined || this.#announced.has(id)) return
    this.#announced.clear()
    this.#announced.add(id)
    const subject = { object: this.#pod, fieldPath: `spec.${wait.container.type === 'init' ? 'initContainers' : 'containers'}{${name}}` }
    const text = `Back-off restarting failed container ${name} in pod ${podText(this.#pod)}`
    this.#context.events.record(subject, 'Warning', 'BackOff', text)
  }

  async #start(plan: PodPlan, signal: AbortSignal): Promise<{ any: boolean; retryAt?: number | undefined }> {
    let any = false
    let retryAt: number | undefined
    for (const start of plan.start) {
      signal.throwIfAborted()
      const sandbox = readySandbox(this.#engine)
      if (sandbox === undefined || this.#prepared === undefined) return { any: true }
      const { name } = start.container.spec
      try {
        await this.#whileReporting(() => this.#startOne(start, sandbox, signal))
        this.#waitReasons.delete(name)
        any = true
      } catch (error) {
        if (!(error instanceof StartError)) throw error
        const soonest = error.retryAt ?? this.#context.clock.now() + retryStartMs
        retryAt = Math.min(retryAt ?? soonest, soonest)
        // What exited at once has an exit to show and a back-off of its own.
        if (error.reason === 'RunContainerError' || error.reason === 'PostStartHookError') any = true
        this.#waitReasons.set(name, { reason: error.reason, message: error.message })
        // The ones after an init container wait for it.
        if (start.container.type === 'init') break
      }
    }
    return { any, retryAt }
  }

  async #startOne(
    start: PodPlan['start'][number],
    sandbox: NonNullable<ReturnType<typeof readySandbox>>,
    signal: AbortSignal,
  ): Promise<void> {
    const prepared = this.#prepared!
    let created: string | undefined
    try {
      await startContainer(this.#context, {
        pod: this.#pod,
        start,
        sandbox,
        sandboxConfig: prepared.sandboxConfig(sandbox.attempt),
        volumes: prepared.volumes,
        hostsFile: await prepared.hostsFile(sandbox),
        downward: prepared.downward(sandbox),
        signal,
        onCreated: (id) => {
          created = id
          this.#starting.add(id)
        },
        onStarted: (id) => this.#starting.delete(id),
      })
    } finally {
      if (created !== undefined) this.#starting.delete(created)
    }
  }

  /** Reports while a long step goes on, so that its end is not the first that anybody hears of it. */
  async #whileReporting<T>(work: () => Promise<T>): Promise<T> {
    this.#reportSoon(reportAfterMs)
    try {
      return await work()
    } finally {
      this.#reportTimer?.cancel()
      this.#reportTimer = undefined
    }
  }

  #reportSoon(ms: number): void {
    if (this.#reportTimer !== undefined) return
    this.#reportTimer = this.#context.clock.after(
      ms,
      () => {
        this.#reportTimer = undefined
        void this.#publish().catch((error) => this.#note('reporting failed', error))
      },
      { background: true },
    )
  }

  #lastStatus(): PodStatus {
    return this.#context.statuses.get(this.#pod.metadata.uid) ?? this.#pod.status ?? {}
  }

  #hasRun(): boolean {
    const { containerStatuses = [], initContainerStatuses = [] } = this.#pod.status ?? {}
    return [...containerStatuses, ...initContainerStatuses].some((c) => c.containerID !== undefined)
  }

  /** Works out the status from what is known now, hands it to the writer, and keeps the probes on the running containers. */
  async #publish(): Promise<void> {
    if (this.#finished) return
    const context = this.#context
    const { uid } = this.#pod.metadata
    await this.#collectLastWords()
    const engine = this.#engine
    const ending = this.#stage !== 'running'
    if (this.#stage !== 'terminated') {
      const podIp = this.#pod.spec.hostNetwork ? context.options.nodeIps[0] : readySandbox(engine)?.ips[0]
      const visible = { ...engine, containers: engine.containers.filter((c) => !this.#starting.has(c.id)) }
      context.probes.follow(this.#pod, visible, podIp ?? '', this.#lastStatus(), context.runtime.info.name)
      if (ending) context.probes.onlyReadiness(uid)
    }
    const status = podStatus({
      pod: this.#pod,
      engine,
      probes: context.probes,
      lastStatus: this.#lastStatus(),
      waitReasons: this.#waitReasons,
      starting: this.#starting,
      messageOf: (id) => this.#messages.get(id),
      runtimeName: context.runtime.info.name,
      ending,
      over: this.#stage === 'terminated',
      nodeIps: context.options.nodeIps,
      now: context.clock.now(),
      end: this.#end,
      rejected: this.#rejected,
    })
    if (!this.#gone) context.statuses.set(this.#pod, status)
  }

  async #collectLastWords(): Promise<void> {
    const exited = this.#engine.containers.filter((c) => c.state === 'exited' && !this.#messages.has(c.id))
    for (const container of exited) {
      const text = await lastWords(container).catch(() => '')
      this.#messages.set(container.id, text === '' ? container.message : text)
    }
    if (this.#messages.size <= this.#engine.containers.length) return
    const known = new Set(this.#engine.containers.map((c) => c.id))
    for (const id of this.#messages.keys()) if (!known.has(id)) this.#messages.delete(id)
  }

  async #terminate(signal: AbortSignal): Promise<void> {
    this.#waitReasons.clear()
    this.#killGrace = this.#grace()
    await this.#publish()
    // An agent that died in the middle of this, or an engine that lost count, makes another round necessary.
    for (let round = 0; round < 3 && isAlive(this.#engine); round++) {
      await killPod(this.#context, this.#pod, this.#engine, this.#killGrace, signal)
    }
    if (isAlive(this.#engine)) throw new RuntimeError('unknown', 'containers are still running after they were stopped')
    this.#stage = 'terminated'
  }

  /** Nothing runs any more: report the end, take down what was set up, and let the API object go when it is to be deleted. */
  async #finish(): Promise<undefined> {
    const context = this.#context
    const { uid, namespace = '', name } = this.#pod.metadata
    await this.#publish()
    context.probes.remove(uid)
    if (!this.#cleaned) await cleanUpPod(context, this.#pod)
    this.#cleaned = true
    const deleted = this.#gone || this.#pod.metadata.deletionTimestamp !== undefined
    if (!deleted) return undefined
    if (!this.#gone) {
      await context.statuses.flush(uid)
      await context.client
        .delete(Pod, { namespace, name }, { gracePeriodSeconds: 0, preconditions: { uid }, signal: context.signal })
        .catch((error) => {
          // Gone already, or another pod of that name.
          if (!isApiError(error, 'NotFound') && !isApiError(error, 'Conflict')) throw error
        })
    }
    await removeFromEngine(context, this.#pod, this.#engine)
    this.#finished = true
    this.#timer?.cancel()
    this.#reportTimer?.cancel()
    context.statuses.remove(uid)
    context.images.forget(uid)
    await context.checkpoints.remove(uid)
    this.#whenDone()
    return undefined
  }
}

/** Whether nothing changed that a pod's worker acts upon. */
function sameWish(a: PodV1, b: PodV1): boolean {
  return (
    sameInputs(a, b) &&
    a.metadata.deletionTimestamp === b.metadata.deletionTimestamp &&
    a.metadata.deletionGracePeriodSeconds === b.metadata.deletionGracePeriodSeconds &&
    hasEnded(a) === hasEnded(b) &&
    // API servers before 1.33 count no generations of pods.
    (a.metadata.generation !== undefined || same(a.spec, b.spec))
  )
}

function hasEnded({ status }: PodV1): boolean {
  return status?.phase === 'Failed' || status?.phase === 'Succeeded'
}

/** Whether nothing changed that volumes show: the spec and what the downward API tells. */
function sameInputs(a: PodV1, b: PodV1): boolean {
  return (
    a.metadata.generation === b.metadata.generation &&
    same(a.metadata.labels, b.metadata.labels) &&
    same(a.metadata.annotations, b.metadata.annotations)
  )
}
