// One pod's worker: the only one that acts on this pod. It starts from whatever it finds (spec, engine, checkpoint), plans,
// takes the steps, reports, and sleeps until something changes. A pod goes through three stages: running, terminating (its
// containers are being ended), terminated (nothing of it runs; what is left is cleaned up, and its API object removed).

import { isApiError } from '#api/errors'
import type { Pod as PodV1 } from '#api/generated/core-v1'
import { Pod } from '#api/kinds/core/pod'
import { Backoff } from '#base/backoff'
import type { Timer } from '#base/clock'
import { isAlive, isFresh, type PodEngineState, readySandbox } from '../engine-state.ts'
import { type PodPlan, planPod } from '../plan-pod.ts'
import { podText } from '../pod-containers.ts'
import { RuntimeError } from '../runtimes/runtime.ts'
import type { PodEnd } from '../status/pod-status.ts'
import { same } from '../status/status-patch.ts'
import { cleanUpPod, pruneContainers, removeFromEngine } from './clean-up.ts'
import { graceSecondsOf, killContainer, killPod } from './kill.ts'
import { PodReport } from './pod-report.ts'
import { PodSetup } from './pod-setup.ts'
import { makeSandbox } from './prepare-pod.ts'
import { StartError, startContainer } from './start-container.ts'
import type { WorkerContext } from './worker-context.ts'

export type Stage = 'running' | 'terminating' | 'terminated'

// Steps within one go; a plan that never comes to rest is a bug that must not spin.
const stepsMax = 20
const retryStartMs = 10_000
// What takes longer than this is reported while it goes on.
const reportAfterMs = 400

export class PodWorker {
  readonly #context: WorkerContext
  readonly #retry: Backoff
  readonly #report: PodReport
  readonly #setup: PodSetup
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
  #cleaned = false
  #work = new AbortController()
  #busy = false
  #running: Promise<void> = Promise.resolve()
  #dirty = false
  #finished = false
  #timer: Timer | undefined
  #killGrace = Number.POSITIVE_INFINITY
  #whenDone: () => void = () => undefined
  /** Resolves when nothing of the pod is left to do, on the node and in the API. */
  readonly done: Promise<void>

  constructor(context: WorkerContext, pod: PodV1) {
    this.#context = context
    this.#pod = pod
    this.#report = new PodReport(
      context,
      () => ({
        pod: this.#pod,
        engine: this.#engine,
        stage: this.#stage,
        end: this.#end,
        gone: this.#gone,
        rejected: this.#rejected,
      }),
      (error) => this.#note('reporting failed', error),
    )
    this.#setup = new PodSetup(context, (error) => this.#note('bringing a pod up to date failed', error))
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
    if (!sameInputs(before, pod)) this.#setup.outdated()
    this.#pod = pod
    this.#gone = false
    if (this.#stage === 'running')
      void this.#context.checkpoints.save(pod).catch((error) => this.#note('writing a checkpoint failed', error))
    this.#interruptIfEnding()
    // Our own reports come back as changes; only a readiness gate that somebody else moved makes another one necessary.
    if (news) this.wake()
    else if (!same(before.status?.conditions, pod.status?.conditions) && pod.spec.readinessGates !== undefined) this.#report.soon(0)
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
    this.#setup.outdated()
    this.wake()
  }

  /** Something that the pod depends on has changed. */
  wake(): void {
    if (this.#finished || this.#context.signal.aborted) return
    this.#dirty = true
    if (!this.#busy) this.#running = this.#run()
    // A busy worker's picture is out of date: what the probes and the engine say goes out meanwhile.
    else if (this.#stage !== 'terminated') this.#report.soon(0)
  }

  /** The agent ends: lets go of what is waited for, and resolves when the step that is going on is over. Containers stay. */
  async stop(): Promise<void> {
    this.#timer?.cancel()
    this.#report.close()
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
    this.#report.soon(0)
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
    // A pod that starts within moments is reported once, when it runs.
    if (isFresh(this.#engine)) this.#report.soon(reportAfterMs)
    else await this.#report.now()
    const problem = this.#pod.spec.hostNetwork ? undefined : context.networkProblem()
    if (problem !== undefined && readySandbox(this.#engine) === undefined) {
      context.events.record(this.#pod, 'Warning', 'NetworkNotReady', `network is not ready: ${problem}`)
      throw new Error(`network is not ready: ${problem}`)
    }
    await this.#setup.prepare(this.#pod, readySandbox(this.#engine))
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

  #plan(): PodPlan {
    return planPod({
      pod: this.#pod,
      engine: this.#engine,
      probes: this.#context.probes,
      lastStatus: this.#report.last,
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
      await this.#whileReporting(() => makeSandbox(context, this.#pod, this.#setup.prepared, attempt))
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
    await this.#report.now()
    if (started.any) void pruneContainers(context, this.#engine).catch((error) => this.#note('removing old containers failed', error))
    return { again: plan.kill.length > 0 || started.any, retryAt: started.retryAt }
  }

  #crashLoop(name: string, message: string, plan: PodPlan): void {
    this.#report.waitReasons.set(name, { reason: 'CrashLoopBackOff', message })
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
      if (sandbox === undefined) return { any: true }
      const { name } = start.container.spec
      try {
        await this.#whileReporting(() => this.#startOne(start, sandbox, signal))
        this.#report.waitReasons.delete(name)
        any = true
      } catch (error) {
        if (!(error instanceof StartError)) throw error
        const soonest = error.retryAt ?? this.#context.clock.now() + retryStartMs
        retryAt = Math.min(retryAt ?? soonest, soonest)
        // What exited at once has an exit to show and a back-off of its own.
        if (error.reason === 'RunContainerError' || error.reason === 'PostStartHookError') any = true
        this.#report.waitReasons.set(name, { reason: error.reason, message: error.message })
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
    const { prepared } = this.#setup
    const volumes = await this.#setup.volumes(this.#pod)
    let created: string | undefined
    try {
      await startContainer(this.#context, {
        pod: this.#pod,
        start,
        sandbox,
        sandboxConfig: prepared.sandboxConfig(sandbox.attempt),
        volumes,
        hostsFile: await prepared.hostsFile(sandbox),
        downward: prepared.downward(sandbox),
        signal,
        onCreated: (id) => {
          created = id
          this.#report.starting.add(id)
        },
        onStarted: (id) => this.#report.starting.delete(id),
      })
    } finally {
      if (created !== undefined) this.#report.starting.delete(created)
    }
  }

  /** Reports while a long step goes on, so that its end is not the first that anybody hears of it. */
  async #whileReporting<T>(work: () => Promise<T>): Promise<T> {
    this.#report.soon(reportAfterMs)
    return await work()
  }

  #hasRun(): boolean {
    const { containerStatuses = [], initContainerStatuses = [] } = this.#pod.status ?? {}
    return [...containerStatuses, ...initContainerStatuses].some((c) => c.containerID !== undefined)
  }

  async #terminate(signal: AbortSignal): Promise<void> {
    this.#report.waitReasons.clear()
    this.#killGrace = this.#grace()
    await this.#report.now()
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
    await this.#report.now()
    context.probes.remove(uid)
    await this.#setup.settled()
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
    this.#report.close()
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
