// What a worker says of its pod: it keeps what only the worker knows (why containers wait, which are still being started, what
// they said at their end), works out the status, and hands it to the status writer and the prober.
import type { Pod, PodStatus } from '#api/generated/core-v1'
import type { Timer } from '#base/clock'
import { type PodEngineState, readySandbox } from '../engine-state.ts'
import type { WaitReason } from '../status/container-status.ts'
import { type PodEnd, podStatus } from '../status/pod-status.ts'
import { lastWords } from './last-words.ts'
import type { WorkerContext } from './worker-context.ts'

/** The worker's present view. */
export interface ReportInput {
  readonly pod: Pod
  readonly engine: PodEngineState
  readonly stage: 'running' | 'terminating' | 'terminated'
  readonly end: PodEnd | undefined
  /** The API has no such pod: nothing is written. */
  readonly gone: boolean
  /** It was never taken on. */
  readonly rejected: boolean
}

export class PodReport {
  readonly #context: WorkerContext
  readonly #input: () => ReportInput
  readonly #onError: (error: unknown) => void
  readonly #messages = new Map<string, string>()
  #timer: Timer | undefined
  #closed = false
  /** Why containers do not run, by name. */
  readonly waitReasons = new Map<string, WaitReason>()
  /** Ids of containers whose start is not over. */
  readonly starting = new Set<string>()

  constructor(context: WorkerContext, input: () => ReportInput, onError: (error: unknown) => void) {
    this.#context = context
    this.#input = input
    this.#onError = onError
  }

  /** The status last reported: by this agent, else as the API had it. */
  get last(): PodStatus {
    const { pod } = this.#input()
    return this.#context.statuses.get(pod.metadata.uid) ?? pod.status ?? {}
  }

  /** Reports after a while, unless that happens earlier. */
  soon(ms: number): void {
    if (this.#timer !== undefined || this.#closed) return
    this.#timer = this.#context.clock.after(ms, () => void this.now().catch(this.#onError), { background: true })
  }

  async now(): Promise<void> {
    this.#cancel()
    if (this.#closed) return
    await this.#collectLastWords()
    const context = this.#context
    const { pod, engine, stage, end, gone, rejected } = this.#input()
    const { uid } = pod.metadata
    const ending = stage !== 'running'
    if (stage !== 'terminated') {
      const podIp = pod.spec.hostNetwork ? context.options.nodeIps[0] : readySandbox(engine)?.ips[0]
      const visible = { ...engine, containers: engine.containers.filter((c) => !this.starting.has(c.id)) }
      context.probes.follow(pod, visible, podIp ?? '', this.last, context.runtime.info.name)
      if (ending) context.probes.onlyReadiness(uid)
    }
    const status = podStatus({
      pod,
      engine,
      probes: context.probes,
      lastStatus: this.last,
      waitReasons: this.waitReasons,
      starting: this.starting,
      messageOf: (id) => this.#messages.get(id),
      runtimeName: context.runtime.info.name,
      ending,
      over: stage === 'terminated',
      nodeIps: context.options.nodeIps,
      now: context.clock.now(),
      end,
      rejected,
    })
    if (!gone) context.statuses.set(pod, status)
  }

  /** No more reports. */
  close(): void {
    this.#closed = true
    this.#cancel()
  }

  /** Takes back a report that was to come. */
  #cancel(): void {
    this.#timer?.cancel()
    this.#timer = undefined
  }

  async #collectLastWords(): Promise<void> {
    const { engine } = this.#input()
    const exited = engine.containers.filter((c) => c.state === 'exited' && !this.#messages.has(c.id))
    for (const container of exited) {
      const text = await lastWords(container).catch(() => '')
      this.#messages.set(container.id, text === '' ? container.message : text)
    }
    if (this.#messages.size <= engine.containers.length) return
    const known = new Set(engine.containers.map((c) => c.id))
    for (const id of this.#messages.keys()) if (!known.has(id)) this.#messages.delete(id)
  }
}
