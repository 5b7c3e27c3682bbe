// The agent's picture of the engine: every pod's sandboxes and containers, kept up to date by the engine's news and by what
// the agent itself does, and compared with a full listing now and then. Readers get a consistent picture of one pod at once.
import type { Clock } from '#base/clock'
import type { Log } from './deps.ts'
import { emptyEngineState, newestFirst, type PodEngineState } from './engine-state.ts'
import type { ContainerRuntime, ContainerStatus, ContainerSummary, RuntimeEvent, Sandbox } from './runtimes/runtime.ts'

export interface EngineViewDeps {
  readonly runtime: ContainerRuntime
  readonly clock: Clock
  readonly log: Log
  readonly signal: AbortSignal
  /** Something of this pod changed. */
  readonly onChange: (podUid: string) => void
  /** The engine answers again, or no longer. */
  readonly onHealth: (healthy: boolean, message: string) => void
}

/** The safety net under the engine's events. */
const relistEveryMs = 60_000
const retryMs = { first: 500, max: 5_000 } as const
const catchUpMs = 1_000
const statusCallsMax = 16

interface Known<T> {
  readonly value: T
  /** The listing that was going on when this was learnt; an older listing's silence does not remove it. */
  readonly generation: number
}

export class EngineView {
  readonly #deps: EngineViewDeps
  readonly #sandboxes = new Map<string, Known<Sandbox>>()
  readonly #containers = new Map<string, Known<ContainerStatus>>()
  /** Pod uid to the ids of its sandboxes and containers. */
  readonly #ids = new Map<string, Set<string>>()
  readonly #states = new Map<string, PodEngineState>()
  /** Ids removed while a listing was under way, which may still name them. */
  readonly #gone = new Map<string, number>()
  #generation = 0
  #relistWanted = false
  #wakeRelist: () => void = () => undefined

  constructor(deps: EngineViewDeps) {
    this.#deps = deps
  }

  /** Lists until it succeeds once; then keeps up until the signal aborts. Resolves after the first listing. */
  async start(): Promise<void> {
    const { clock, signal } = this.#deps
    let wait: number = retryMs.first
    while (!(await this.#tryRelist())) {
      await clock.sleep(wait, signal)
      wait = Math.min(wait * 2, retryMs.max)
    }
  }

  /** Follows the engine's events and relists as a safety net, until the signal aborts. */
  async run(): Promise<void> {
    await Promise.all([this.#follow(), this.#relistLoop()])
  }

  pod(identity: { uid: string; name: string; namespace: string }): PodEngineState {
    return this.#states.get(identity.uid) ?? emptyEngineState(identity)
  }

  /** Every pod of which the engine holds something. */
  pods(): readonly PodEngineState[] {
    return [...this.#states.values()]
  }

  container(id: string): ContainerStatus | undefined {
    return this.#containers.get(id)?.value
  }

  /** Asks the engine about one container and waits until the picture shows it. Returns what it is now. */
  async refreshContainer(id: string): Promise<ContainerStatus | undefined> {
    const status = await this.#deps.runtime.containerStatus(id)
    if (status === undefined) this.#forget(id)
    else this.#setContainer(status)
    return status
  }

  async refreshSandbox(id: string): Promise<Sandbox | undefined> {
    const sandbox = await this.#deps.runtime.sandboxStatus(id)
    if (sandbox === undefined) this.#forget(id)
    else this.setSandbox(sandbox)
    return sandbox
  }

  setSandbox(sandbox: Sandbox): void {
    this.#sandboxes.set(sandbox.id, { value: sandbox, generation: this.#generation })
    this.#index(sandbox.podUid, sandbox.id)
    this.#rebuild(sandbox)
  }

  /** The engine no longer holds it: removed by us, or found gone. */
  removed(id: string): void {
    this.#gone.set(id, this.#generation)
    this.#forget(id)
  }

  /** Asks for a full listing soon. */
  requestRelist(): void {
    this.#relistWanted = true
    this.#wakeRelist()
  }

  async #follow(): Promise<void> {
    const { runtime, clock, log, signal } = this.#deps
    let wait: number = retryMs.first
    while (!signal.aborted) {
      const began = clock.monotonic()
      // What happened between the last listing and the moment the engine began to tell.
      const catchUp = clock.after(catchUpMs, () => this.requestRelist(), { background: true })
      try {
        await runtime.watch((event) => void this.#onEvent(event), signal)
      } catch (error) {
        if (signal.aborted) return
        log.warn('the stream of engine events ended', { error: String(error) })
      } finally {
        catchUp.cancel()
      }
      if (signal.aborted) return
      if (clock.monotonic() - began > 30_000) wait = retryMs.first
      await clock.sleep(wait, signal).catch(() => undefined)
      wait = Math.min(wait * 2, retryMs.max)
      // What happened while nobody listened.
      this.requestRelist()
    }
  }

  async #onEvent(event: RuntimeEvent): Promise<void> {
    try {
      if (event.type === 'sandboxChanged') return await this.#refreshSandboxes(event.podUid)
      if (event.containerId === undefined) return this.requestRelist()
      if (event.type === 'containerRemoved') return this.#forgetAndTell(event.containerId, event.podUid)
      const known = this.#containers.get(event.containerId)?.value
      // News of what the agent did itself arrives after the agent has looked.
      if (known?.state === 'exited' || (known?.state === 'running' && event.type === 'containerStarted')) return
      const status = await this.refreshContainer(event.containerId)
      this.#deps.onChange(status?.podUid ?? event.podUid)
    } catch (error) {
      this.#deps.log.debug('asking the engine about an event failed', { error: String(error) })
      this.requestRelist()
    }
  }

  async #refreshSandboxes(podUid: string): Promise<void> {
    const ids = [...(this.#ids.get(podUid) ?? [])].filter((id) => this.#sandboxes.has(id))
    if (ids.length === 0) return this.requestRelist()
    for (const id of ids) await this.refreshSandbox(id)
    this.#deps.onChange(podUid)
  }

  #forgetAndTell(id: string, podUid: string): void {
    if (!this.#containers.has(id) && !this.#sandboxes.has(id)) return
    this.#forget(id)
    this.#deps.onChange(podUid)
  }

  async #relistLoop(): Promise<void> {
    const { clock, signal } = this.#deps
    let wait = relistEveryMs
    while (!signal.aborted) {
      await this.#untilRelistDue(wait)
      if (signal.aborted) return
      this.#relistWanted = false
      const ok = await this.#tryRelist()
      wait = ok ? relistEveryMs : Math.min(wait >= relistEveryMs ? retryMs.first : wait * 2, retryMs.max)
      // A flood of requests becomes a few listings a second at most.
      if (ok) await clock.sleep(100, signal).catch(() => undefined)
    }
  }

  #untilRelistDue(waitMs: number): Promise<void> {
    const { clock, signal } = this.#deps
    if (this.#relistWanted || signal.aborted) return Promise.resolve()
    return new Promise((resolve) => {
      const done = (): void => {
        timer.cancel()
        signal.removeEventListener('abort', done)
        this.#wakeRelist = () => undefined
        resolve()
      }
      const timer = clock.after(waitMs, done, { background: true })
      signal.addEventListener('abort', done, { once: true })
      this.#wakeRelist = done
    })
  }

  async #tryRelist(): Promise<boolean> {
    try {
      await this.#relist()
      this.#deps.onHealth(true, '')
      return true
    } catch (error) {
      if (this.#deps.signal.aborted) throw error
      const message = error instanceof Error ? error.message : String(error)
      this.#deps.onHealth(false, message)
      this.#deps.log.warn('listing what the engine holds failed', { error: message })
      return false
    }
  }

  async #relist(): Promise<void> {
    const generation = ++this.#generation
    const { runtime } = this.#deps
    const [sandboxes, containers] = await Promise.all([runtime.listSandboxes(), runtime.listContainers()])
    const listed = new Set([...sandboxes.map((s) => s.id), ...containers.map((c) => c.id)])
    const changed = new Set<string>()
    for (const id of [...this.#sandboxes.keys(), ...this.#containers.keys()]) {
      const known = this.#sandboxes.get(id) ?? this.#containers.get(id)
      if (known === undefined || listed.has(id) || known.generation >= generation) continue
      changed.add(known.value.podUid)
      this.#forget(id)
    }
    for (const sandbox of sandboxes) {
      if (this.#gone.has(sandbox.id)) continue
      const known = this.#sandboxes.get(sandbox.id)
      if (known !== undefined && known.generation >= generation) continue
      if (known?.value.state === sandbox.state && known.value.ips.length === sandbox.ips.length) continue
      this.setSandbox(sandbox)
      changed.add(sandbox.podUid)
    }
    await this.#refreshChanged(containers, generation, changed)
    for (const [id, at] of this.#gone) if (at < generation) this.#gone.delete(id)
    for (const uid of changed) this.#deps.onChange(uid)
  }

  async #refreshChanged(listed: readonly ContainerSummary[], generation: number, changed: Set<string>): Promise<void> {
    const stale = listed.filter((summary) => {
      const known = this.#containers.get(summary.id)
      if (this.#gone.has(summary.id)) return false
      return known === undefined || (known.generation < generation && known.value.state !== summary.state)
    })
    for (let i = 0; i < stale.length; i += statusCallsMax) {
      await Promise.all(
        stale.slice(i, i + statusCallsMax).map(async (summary) => {
          await this.refreshContainer(summary.id)
          changed.add(summary.podUid)
        }),
      )
    }
  }

  #setContainer(status: ContainerStatus): void {
    const known = this.#containers.get(status.id)?.value
    // An exit is final; an answer that was on its way when it happened does not undo it.
    if (known?.state === 'exited' && status.state !== 'exited') return
    this.#containers.set(status.id, { value: status, generation: this.#generation })
    this.#index(status.podUid, status.id)
    this.#rebuild(status)
  }

  #forget(id: string): void {
    const known = this.#containers.get(id)?.value ?? this.#sandboxes.get(id)?.value
    if (known === undefined) return
    this.#containers.delete(id)
    this.#sandboxes.delete(id)
    this.#ids.get(known.podUid)?.delete(id)
    this.#rebuild(known)
  }

  #index(podUid: string, id: string): void {
    const ids = this.#ids.get(podUid)
    if (ids === undefined) this.#ids.set(podUid, new Set([id]))
    else ids.add(id)
  }

  #rebuild(of: { podUid: string; podName: string; podNamespace: string }): void {
    const ids = this.#ids.get(of.podUid)
    if (ids === undefined || ids.size === 0) {
      this.#ids.delete(of.podUid)
      this.#states.delete(of.podUid)
      return
    }
    const sandboxes: Sandbox[] = []
    const containers: ContainerStatus[] = []
    for (const id of ids) {
      const sandbox = this.#sandboxes.get(id)?.value
      if (sandbox !== undefined) sandboxes.push(sandbox)
      const container = this.#containers.get(id)?.value
      if (container !== undefined) containers.push(container)
    }
    const identity = { uid: of.podUid, name: of.podName, namespace: of.podNamespace }
    this.#states.set(of.podUid, { ...identity, sandboxes: newestFirst(sandboxes), containers: newestFirst(containers) })
  }
}
