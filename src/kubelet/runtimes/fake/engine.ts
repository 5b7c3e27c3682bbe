// A container engine in memory: the machine behind the fake driver. It outlives drivers, as real engines do, so a restarted
// agent finds what it left. Cheap enough for thousands of pods: a running container is one object and no timer.
import type { Duplex } from 'node:stream'
import type { Clock } from '#base/clock'
import type { Random } from '#base/random'
import type { LogStream } from '../cri-log.ts'
import type { ContainerConfig, ContainerRuntime, ImageInfo, Resources, RuntimeEvent, SandboxConfig } from '../runtime.ts'
import { RuntimeError } from '../runtime.ts'
import { type AddressRange, addressRange } from './addresses.ts'
import { behave } from './behaviours.ts'
import { type FakeLog, openFakeLog } from './fake-log.ts'
import { type FakeProgram, RunningProcess, serverProgram } from './program.ts'

/** A verb of the driver, for delays and faults. */
export type Operation = Exclude<keyof ContainerRuntime, 'info' | 'watch' | 'close'>

export interface FakeEngineOptions {
  readonly clock: Clock
  readonly random: Random
  /** Where container output goes: real files, or nowhere (simulated nodes). Default `files`. */
  readonly logs?: 'files' | 'none'
  /** Whether every image exists in the registry unless removed from it, or only those put there. Default `listed`. */
  readonly registry?: 'all' | 'listed'
  /** How long verbs take, in milliseconds. */
  readonly delays?: Partial<Record<Operation, number>>
}

/** An image and what its containers run when they are not told otherwise. */
export interface FakeImage {
  readonly name: string
  readonly program?: FakeProgram
  readonly sizeBytes?: number
  readonly uid?: number
  readonly username?: string
  readonly pullMs?: number
  /** Present on the node without a pull. */
  readonly present?: boolean
}

export interface FakeSandbox {
  readonly id: string
  readonly config: SandboxConfig
  readonly createdAt: number
  readonly ips: readonly string[]
  ready: boolean
  readonly listeners: Map<number, (connection: Duplex) => void>
  readonly containers: Set<FakeContainer>
}

export interface FakeContainer {
  readonly id: string
  readonly sandbox: FakeSandbox
  readonly config: ContainerConfig
  readonly createdAt: number
  state: 'created' | 'running' | 'exited'
  startedAt: number
  finishedAt: number
  exitCode: number
  reason: string
  message: string
  resources: Resources
  process: RunningProcess | undefined
  log: FakeLog | undefined
  /** Who looks at its output now (attach). */
  readonly watchers: Set<(stream: LogStream, data: Buffer | undefined) => void>
}

interface StoredImage extends ImageInfo {
  readonly program: FakeProgram
}

/** Decides whether a verb fails. `subject` is an id, an image or a container's name. */
export type Fault = (operation: Operation, subject: string) => RuntimeError | undefined

export class FakeEngine {
  readonly clock: Clock
  readonly sandboxes = new Map<string, FakeSandbox>()
  readonly containers = new Map<string, FakeContainer>()
  readonly listeners = new Set<(event: RuntimeEvent) => void>()
  /** Consulted before every verb; replace it to inject faults. */
  fault: Fault = () => undefined
  delays: Partial<Record<Operation, number>>
  /** CPU and memory of a running container, for stats. */
  usage: (container: FakeContainer) => { cpuMillis: number; memoryBytes: number } = () => ({ cpuMillis: 5, memoryBytes: 8_388_608 })
  readonly #random: Random
  readonly #writesLogs: boolean
  readonly #registryHasAll: boolean
  readonly #registry = new Map<string, FakeImage>()
  readonly #pullErrors = new Map<string, RuntimeError>()
  readonly #images = new Map<string, StoredImage>()
  readonly #commands = new Map<string, FakeProgram>([['behave', behave]])
  readonly #sandboxKeys = new Set<string>()
  #addresses: AddressRange | undefined

  constructor(options: FakeEngineOptions) {
    this.clock = options.clock
    this.delays = options.delays ?? {}
    this.#random = options.random
    this.#writesLogs = options.logs !== 'none'
    this.#registryHasAll = options.registry === 'all'
  }

  /** Puts an image into the registry, and on the node when `present`. */
  addImage(image: FakeImage): void {
    this.#registry.set(canonical(image.name), image)
    this.#pullErrors.delete(canonical(image.name))
    if (image.present) this.storeImage(image.name)
  }

  /** Pulling this image fails with the error, until `addImage`. */
  failPulls(name: string, error: RuntimeError): void {
    this.#pullErrors.set(canonical(name), error)
  }

  /** What `command[0]` runs, in containers and execs alike. A name that begins with `/no/` never exists. */
  defineCommand(name: string, program: FakeProgram): void {
    this.#commands.set(name, program)
  }

  /** Ends a container's process from outside, as `kill` on the node would. */
  kill(containerId: string, signal = 'SIGKILL'): void {
    this.containers.get(containerId)?.process?.signal(signal)
  }

  /** What a reboot leaves: sandboxes that are not ready, containers that ended with 255, no processes. */
  reboot(): void {
    for (const container of this.containers.values()) {
      if (container.state !== 'running') continue
      container.process?.signal('SIGKILL')
      container.exitCode = 255
      container.reason = 'Unknown'
    }
    for (const sandbox of this.sandboxes.values()) this.stopSandbox(sandbox)
  }

  /** Waits as long as the verb takes here, then fails if it is to fail. */
  async perform(operation: Operation, subject = ''): Promise<void> {
    const delay = this.delays[operation]
    if (delay !== undefined && delay > 0) await this.clock.sleep(delay)
    const error = this.fault(operation, subject)
    if (error !== undefined) throw error
  }

  setPodCidr(cidr: string): void {
    this.#addresses ??= addressRange(cidr.split(',')[0] ?? cidr)
  }

  get networkReady(): boolean {
    return this.#addresses !== undefined
  }

  addSandbox(config: SandboxConfig): FakeSandbox {
    const key = `${config.podUid}/${config.attempt}`
    if (this.#sandboxKeys.has(key)) throw new RuntimeError('alreadyExists', `sandbox ${config.podName} attempt ${config.attempt} exists`)
    const ips: string[] = []
    if (config.network === 'pod') {
      if (this.#addresses === undefined) throw new RuntimeError('networkNotReady', 'the node has no pod range yet')
      const ip = this.#addresses.take()
      if (ip === undefined) throw new RuntimeError('unknown', 'no IP addresses available in the pod range')
      ips.push(ip)
    }
    const sandbox: FakeSandbox = {
      id: this.#newId(),
      config,
      createdAt: this.clock.now(),
      ips,
      ready: true,
      listeners: new Map(),
      containers: new Set(),
    }
    this.sandboxes.set(sandbox.id, sandbox)
    this.#sandboxKeys.add(key)
    this.emit({ type: 'sandboxChanged', podUid: config.podUid })
    return sandbox
  }

  stopSandbox(sandbox: FakeSandbox): void {
    if (!sandbox.ready) return
    for (const container of [...sandbox.containers]) container.process?.signal('SIGKILL')
    sandbox.ready = false
    for (const ip of sandbox.ips) this.#addresses?.release(ip)
    this.emit({ type: 'sandboxChanged', podUid: sandbox.config.podUid })
  }

  addContainer(sandbox: FakeSandbox, config: ContainerConfig): FakeContainer {
    const clash = [...sandbox.containers].find((c) => c.config.name === config.name && c.config.attempt === config.attempt)
    if (clash !== undefined) throw new RuntimeError('alreadyExists', `container ${config.name} attempt ${config.attempt} exists`)
    if (this.image(config.imageRef) === undefined) throw new RuntimeError('imageNotFound', `image "${config.imageRef}" not found`)
    const container: FakeContainer = {
      id: this.#newId(),
      sandbox,
      config,
      createdAt: this.clock.now(),
      state: 'created',
      startedAt: 0,
      finishedAt: 0,
      exitCode: 0,
      reason: '',
      message: '',
      resources: config.resources,
      process: undefined,
      log: undefined,
      watchers: new Set(),
    }
    this.containers.set(container.id, container)
    sandbox.containers.add(container)
    return container
  }

  start(container: FakeContainer): void {
    const command = [...container.config.command, ...container.config.args]
    container.startedAt = this.clock.now()
    const program =
      this.programFor(command, serverProgram) ??
      (container.config.command.length > 0 ? undefined : this.image(container.config.imageRef)?.program)
    if (program === undefined) return this.#failStart(container, command[0] ?? '')
    container.state = 'running'
    container.log = this.#writesLogs
      ? openFakeLog(`${container.sandbox.config.logDirectory}/${container.config.logPath}`, this.clock)
      : undefined
    const process = this.launch(container, command, {
      tty: container.config.tty,
      hasStdin: container.config.stdin,
      onOutput: (stream, data) => {
        container.log?.write(stream, data)
        for (const watcher of container.watchers) watcher(stream, data)
      },
      onExit: (code, oomKilled) => this.#finish(container, code, oomKilled ? 'OOMKilled' : code === 0 ? 'Completed' : 'Error'),
    })
    container.process = process
    this.emit({ type: 'containerStarted', podUid: container.sandbox.config.podUid, containerId: container.id })
    program(process)
  }

  /** A process in a container's sandbox, not started yet. */
  launch(
    container: FakeContainer,
    command: readonly string[],
    options: {
      tty: boolean
      hasStdin: boolean
      onOutput: (stream: LogStream, data: Buffer) => void
      onExit: (code: number, oomKilled: boolean) => void
    },
  ): RunningProcess {
    const { listeners } = container.sandbox
    return new RunningProcess({
      ...options,
      clock: this.clock,
      command,
      container: container.config,
      onListen: (port, accept) => void (accept === undefined ? listeners.delete(port) : listeners.set(port, accept)),
    })
  }

  /** The program that a command names, `otherwise` when nobody defined it; undefined when it does not exist. */
  programFor(command: readonly string[], otherwise: FakeProgram): FakeProgram | undefined {
    const [name] = command
    if (name === undefined || name.startsWith('/no/')) return undefined
    return this.#commands.get(name) ?? otherwise
  }

  removeContainer(container: FakeContainer): void {
    container.process?.signal('SIGKILL')
    this.containers.delete(container.id)
    container.sandbox.containers.delete(container)
    this.emit({ type: 'containerRemoved', podUid: container.sandbox.config.podUid, containerId: container.id })
  }

  removeSandbox(sandbox: FakeSandbox): void {
    this.stopSandbox(sandbox)
    for (const container of [...sandbox.containers]) this.removeContainer(container)
    this.sandboxes.delete(sandbox.id)
    this.#sandboxKeys.delete(`${sandbox.config.podUid}/${sandbox.config.attempt}`)
    this.emit({ type: 'sandboxChanged', podUid: sandbox.config.podUid })
  }

  image(nameOrId: string): StoredImage | undefined {
    return this.#images.get(canonical(nameOrId)) ?? [...this.#images.values()].find((i) => i.id === nameOrId)
  }

  images(): StoredImage[] {
    return [...this.#images.values()]
  }

  removeImage(nameOrId: string): void {
    const image = this.image(nameOrId)
    for (const tag of image?.repoTags ?? []) this.#images.delete(tag)
  }

  async pull(name: string, signal: AbortSignal | undefined): Promise<string> {
    const wanted = canonical(name)
    const error = this.#pullErrors.get(wanted)
    if (error !== undefined) throw error
    const image = this.#registry.get(wanted)
    if (image === undefined && !this.#registryHasAll) throw new RuntimeError('imageNotFound', `${wanted}: not found`)
    if (image?.pullMs) await this.clock.sleep(image.pullMs, signal)
    return this.storeImage(name).id
  }

  storeImage(name: string): StoredImage {
    const tag = canonical(name)
    const known = this.#registry.get(tag)
    const digest = `sha256:${hashOf(tag)}`
    const image: StoredImage = {
      id: digest,
      repoTags: [tag],
      repoDigests: [`${tag.replace(/:[^:/]*$/, '')}@${digest}`],
      sizeBytes: known?.sizeBytes ?? 1_000_000,
      ...(known?.uid === undefined ? {} : { uid: known.uid }),
      ...(known?.username === undefined ? {} : { username: known.username }),
      pinned: false,
      program: known?.program ?? serverProgram,
    }
    this.#images.set(tag, image)
    return image
  }

  emit(event: RuntimeEvent): void {
    for (const listener of this.listeners) listener(event)
  }

  #finish(container: FakeContainer, code: number, reason: string): void {
    container.state = 'exited'
    container.finishedAt = this.clock.now()
    container.exitCode = code
    container.reason = reason
    container.process = undefined
    container.log?.close()
    container.log = undefined
    for (const watcher of container.watchers) watcher('stdout', undefined)
    container.watchers.clear()
    this.emit({ type: 'containerExited', podUid: container.sandbox.config.podUid, containerId: container.id })
  }

  #failStart(container: FakeContainer, name: string): never {
    const message = `exec: "${name}": stat ${name}: no such file or directory`
    container.state = 'exited'
    container.finishedAt = this.clock.now()
    container.exitCode = 128
    container.reason = 'StartError'
    container.message = message
    this.emit({ type: 'containerExited', podUid: container.sandbox.config.podUid, containerId: container.id })
    throw new RuntimeError('startFailed', message)
  }

  #newId(): string {
    let id = ''
    for (let i = 0; i < 8; i++)
      id += Math.floor(this.#random() * 2 ** 32)
        .toString(16)
        .padStart(8, '0')
    return id
  }
}

/** The name with its tag: `latest` when it has neither tag nor digest. */
function canonical(name: string): string {
  const last = name.slice(name.lastIndexOf('/') + 1)
  return name.startsWith('sha256:') || last.includes(':') || last.includes('@') ? name : `${name}:latest`
}

/** 64 hexadecimal digits that depend on the text: a stand-in for a digest. */
function hashOf(text: string): string {
  let out = ''
  for (let round = 0; round < 8; round++) {
    let h = 0x811c9dc5 ^ round
    for (let i = 0; i < text.length; i++) h = Math.imul(h ^ text.charCodeAt(i), 0x01000193)
    out += (h >>> 0).toString(16).padStart(8, '0')
  }
  return out
}
