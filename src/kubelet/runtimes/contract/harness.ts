// What the contract suite needs of a driver under test, and the pods it makes with it.
import { randomUUID } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { Behaviour } from '../behaviour.ts'
import type { ContainerConfig, ContainerRuntime, ContainerStatus, Sandbox, SandboxConfig } from '../runtime.ts'

export interface RuntimeHarness {
  /** The driver that is open now. */
  readonly runtime: ContainerRuntime
  /** Closes the driver and opens a fresh one over the same engine, as an agent's restart does. */
  reopen(): Promise<void>
  /** An image that the engine has. */
  readonly image: string
  /** Images whose pull fails, with the code it fails with. */
  readonly unpullable: readonly { readonly image: string; readonly code: string }[]
  /** Container logs go below it. */
  readonly logRoot: string
  /** Pod cgroups go below it. */
  readonly cgroupRoot: string
  /** Whether containers are real processes of this machine; what /proc and cgroups say is only asked then. */
  readonly realProcesses: boolean
  /** False where the machine cannot run privileged containers on this engine. */
  readonly privilegedWorks: boolean
  command(behaviour: Behaviour): string[]
  /** Lets time go on: really, or on the fake clock. */
  pass(ms: number): Promise<void>
  /** What lies about on the node beside the engine: containers' cgroups, links, mounts, leases. Empty when everything is clean. */
  residue(): Promise<string[]>
  close(): Promise<void>
}

export type Open = () => Promise<RuntimeHarness>

/** A pod under test: a sandbox that runs, and containers in it. */
export interface TestPod {
  readonly config: SandboxConfig
  readonly sandbox: Sandbox
  create(name: string, behaviour: Behaviour | readonly string[], overrides?: Partial<ContainerConfig>): Promise<string>
  /** Creates and starts. */
  run(name: string, behaviour: Behaviour | readonly string[], overrides?: Partial<ContainerConfig>): Promise<string>
}

/** A sandbox's configuration; every call is another pod. */
export function sandboxConfig(h: RuntimeHarness, overrides: Partial<SandboxConfig> = {}): SandboxConfig {
  const podUid = randomUUID()
  return {
    podUid,
    podName: 'pod',
    podNamespace: 'default',
    attempt: 0,
    hostname: 'pod',
    dns: { servers: ['10.96.0.10'], searches: ['default.svc.cluster.local'], options: ['ndots:5'] },
    hostPorts: [],
    network: 'pod',
    pid: 'container',
    ipc: 'pod',
    sysctls: {},
    privileged: false,
    logDirectory: join(h.logRoot, podUid),
    cgroupParent: `${h.cgroupRoot}/pod${podUid}`,
    labels: { app: 'contract', 'io.kubernetes.pod.uid': podUid },
    annotations: { 'example.com/note': 'a b' },
    runtimeHandler: '',
    ...overrides,
  }
}

/** A container's configuration that asks for nothing special. */
export function containerConfig(h: RuntimeHarness, name: string, command: readonly string[], imageRef: string): ContainerConfig {
  return {
    name,
    attempt: 0,
    image: h.image,
    imageRef,
    command,
    args: [],
    workingDir: '',
    env: [],
    mounts: [],
    devices: [],
    labels: { 'io.kubernetes.container.name': name },
    annotations: { 'example.com/hash': 'abc' },
    logPath: `${name}/0.log`,
    stdin: false,
    stdinOnce: false,
    tty: false,
    resources: { cpuShares: 2, oomScoreAdj: 1000 },
    security: {
      privileged: false,
      capabilitiesAdd: [],
      capabilitiesDrop: [],
      readOnlyRootFilesystem: false,
      noNewPrivileges: false,
      supplementalGroups: [],
      seccomp: { type: 'Unconfined' },
      maskedPaths: ['/proc/kcore', '/proc/keys'],
      readonlyPaths: ['/proc/sys', '/proc/irq'],
    },
    stopSignal: '',
  }
}

/** Runs a sandbox, hands it to `use`, and removes it whatever happens. */
export async function withPod(h: RuntimeHarness, overrides: Partial<SandboxConfig>, use: (pod: TestPod) => Promise<void>): Promise<void> {
  const config = sandboxConfig(h, overrides)
  const sandbox = await h.runtime.runSandbox(config)
  const image = await h.runtime.imageStatus(h.image)
  if (image === undefined) throw new Error(`the engine has no image ${h.image}`)
  const create: TestPod['create'] = (name, behaviour, changes = {}) => {
    const command = 'do' in behaviour ? h.command(behaviour) : behaviour
    return h.runtime.createContainer(sandbox.id, { ...containerConfig(h, name, command, image.id), ...changes }, config)
  }
  try {
    await use({
      config,
      sandbox,
      create,
      async run(name, behaviour, changes) {
        const id = await create(name, behaviour, changes)
        await h.runtime.startContainer(id)
        return id
      },
    })
  } finally {
    await h.runtime.removeSandbox(sandbox.id)
  }
}

const patienceMs = 60_000
const stepMs = 20

/** Looks until `check` gives something; fails with the last thing it threw. */
export async function until<T>(h: RuntimeHarness, what: string, check: () => Promise<T | undefined | false>): Promise<T> {
  for (let waited = 0; waited < patienceMs; waited += stepMs) {
    const found = await check()
    if (found !== undefined && found !== false) return found
    await h.pass(stepMs)
  }
  throw new Error(`never came: ${what}`)
}

/** Awaits a promise while time goes on. */
export async function settled<T>(h: RuntimeHarness, promise: Promise<T>): Promise<T> {
  let open = true
  const watched = promise.finally(() => {
    open = false
  })
  watched.catch(() => undefined)
  while (open) await h.pass(stepMs)
  return watched
}

/** The container's status once it has exited. */
export function exited(h: RuntimeHarness, id: string): Promise<ContainerStatus> {
  return until(h, `exit of ${id}`, async () => {
    const status = await h.runtime.containerStatus(id)
    return status?.state === 'exited' ? status : undefined
  })
}

export interface LogLine {
  readonly time: string
  readonly stream: string
  readonly tag: string
  readonly text: string
}

/** The lines of a CRI log file; throws when a line is not of that form. */
export async function readLog(path: string): Promise<LogLine[]> {
  const text = await readFile(path, 'utf8').catch(() => '')
  return text
    .split('\n')
    .slice(0, -1)
    .map((line) => {
      const match = /^(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d{1,9})?(?:Z|[+-]\d\d:\d\d)) (stdout|stderr) ([FP]) (.*)$/s.exec(line)
      if (match === null) throw new Error(`not a log line: ${JSON.stringify(line.slice(0, 200))}`)
      return { time: match[1]!, stream: match[2]!, tag: match[3]!, text: match[4]! }
    })
}

/** Everything a stream gives until its end. */
export async function drain(stream: NodeJS.ReadableStream | undefined): Promise<Buffer> {
  const chunks: Buffer[] = []
  for await (const chunk of stream ?? []) chunks.push(Buffer.from(chunk))
  return Buffer.concat(chunks)
}
