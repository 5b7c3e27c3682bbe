// What the node agent needs of a container engine: sandboxes, containers, images, and the news about them.
// In the fewest verbs that every engine can honour. Drivers: fake/, docker/, cri/; each passes runtime.contract.ts.
//
// The words are CRI's (kubernetes/cri-api, runtime/v1), because CRI is the narrowest of the three. The pod model is the
// same on every engine: a pause sandbox holds the network (and IPC, and when asked PID) namespaces, containers join it.
import type { Duplex } from 'node:stream'

export type NamespaceMode = 'pod' | 'node' | 'container'

/** Marks that the agent puts on what it makes, so that it can find and understand it again after a restart. */
export interface PodIdentity {
  readonly podUid: string
  readonly podName: string
  readonly podNamespace: string
}

export interface SandboxConfig extends PodIdentity {
  /** Counts sandboxes of one pod, from 0; part of the sandbox's name. */
  readonly attempt: number
  readonly hostname: string
  /** Absent with host network. */
  readonly dns?: { readonly servers: readonly string[]; readonly searches: readonly string[]; readonly options: readonly string[] }
  readonly hostPorts: readonly {
    readonly protocol: 'TCP' | 'UDP' | 'SCTP'
    readonly containerPort: number
    readonly hostPort: number
    readonly hostIP?: string
  }[]
  readonly network: 'pod' | 'node'
  readonly pid: NamespaceMode
  readonly ipc: 'pod' | 'node'
  readonly sysctls: Readonly<Record<string, string>>
  readonly privileged: boolean
  /** Directory for container logs, e.g. /var/log/pods/<ns>_<name>_<uid>. */
  readonly logDirectory: string
  /**
   * Parent cgroup, a path below the root of each hierarchy, e.g. /<cluster>/kubepods/burstable/pod<uid>, whatever the cgroup driver.
   * It is the caller's: made, limited and removed by it.
   */
  readonly cgroupParent: string
  readonly runAsUser?: number
  readonly runAsGroup?: number
  readonly supplementalGroups?: readonly number[]
  readonly fsGroup?: number
  readonly labels: Readonly<Record<string, string>>
  readonly annotations: Readonly<Record<string, string>>
  /** Name of the RuntimeClass handler; empty for the default. */
  readonly runtimeHandler: string
  /** Bits per second; the CNI bandwidth capability. */
  readonly ingressBandwidth?: number
  readonly egressBandwidth?: number
}

export interface Sandbox extends PodIdentity {
  readonly id: string
  readonly attempt: number
  readonly state: 'ready' | 'notready'
  /** Milliseconds since the epoch. */
  readonly createdAt: number
  /** Pod addresses, primary first; empty with host network or when not ready. */
  readonly ips: readonly string[]
  readonly labels: Readonly<Record<string, string>>
  readonly annotations: Readonly<Record<string, string>>
}

export interface Mount {
  readonly hostPath: string
  readonly containerPath: string
  readonly readOnly: boolean
  readonly recursiveReadOnly?: boolean
  readonly propagation: 'private' | 'hostToContainer' | 'bidirectional'
}

export interface Resources {
  readonly cpuShares?: number
  readonly cpuQuota?: number
  readonly cpuPeriod?: number
  readonly memoryLimitBytes?: number
  readonly memorySwapLimitBytes?: number
  readonly cpusetCpus?: string
  readonly cpusetMems?: string
  readonly oomScoreAdj?: number
  readonly pidsLimit?: number
  readonly hugepageLimits?: readonly { readonly pageSize: string; readonly limitBytes: number }[]
}

export interface SecurityContext {
  readonly privileged: boolean
  readonly capabilitiesAdd: readonly string[]
  readonly capabilitiesDrop: readonly string[]
  readonly readOnlyRootFilesystem: boolean
  readonly noNewPrivileges: boolean
  readonly runAsUser?: number
  readonly runAsUsername?: string
  readonly runAsGroup?: number
  readonly supplementalGroups: readonly number[]
  readonly seccomp: { readonly type: 'RuntimeDefault' | 'Unconfined' } | { readonly type: 'Localhost'; readonly path: string }
  readonly apparmor?: { readonly type: 'RuntimeDefault' | 'Unconfined' } | { readonly type: 'Localhost'; readonly profile: string }
  readonly maskedPaths: readonly string[]
  readonly readonlyPaths: readonly string[]
  readonly selinux?: { readonly user?: string; readonly role?: string; readonly type?: string; readonly level?: string }
}

export interface ContainerConfig {
  readonly name: string
  /** Restart count of this container; part of its name and of its log file's. */
  readonly attempt: number
  /** What the pod asked for, as the user wrote it. */
  readonly image: string
  /** What to run: the id that ensureImage or imageStatus gave. */
  readonly imageRef: string
  /** Empty: the image's own. */
  readonly command: readonly string[]
  readonly args: readonly string[]
  readonly workingDir: string
  readonly env: readonly { readonly name: string; readonly value: string }[]
  readonly mounts: readonly Mount[]
  readonly devices: readonly { readonly hostPath: string; readonly containerPath: string; readonly permissions: string }[]
  readonly labels: Readonly<Record<string, string>>
  readonly annotations: Readonly<Record<string, string>>
  /** Below the sandbox's log directory, e.g. <container>/<attempt>.log. */
  readonly logPath: string
  readonly stdin: boolean
  readonly stdinOnce: boolean
  readonly tty: boolean
  readonly resources: Resources
  readonly security: SecurityContext
  /** Signal name or number that ends the container; empty: the image's, else SIGTERM. */
  readonly stopSignal: string
  /** Id of the running container whose process table it joins; absent: what the sandbox says. */
  readonly processesOf?: string
}

export type ContainerState = 'created' | 'running' | 'exited' | 'unknown'

/** One container in a list: what the pod lifecycle needs at a glance. */
export interface ContainerSummary extends PodIdentity {
  readonly id: string
  readonly sandboxId: string
  readonly name: string
  readonly attempt: number
  readonly state: ContainerState
  readonly createdAt: number
  readonly image: string
  readonly imageRef: string
  readonly labels: Readonly<Record<string, string>>
  readonly annotations: Readonly<Record<string, string>>
}

export interface ContainerStatus extends ContainerSummary {
  /** Milliseconds since the epoch; 0 when it has not happened. */
  readonly startedAt: number
  readonly finishedAt: number
  readonly exitCode: number
  /** `Completed`, `Error`, `OOMKilled`, `ContainerCannotRun`, `StartError`, or the engine's own word. */
  readonly reason: string
  readonly message: string
  /** Repository digest reference if the image has one, else the image id. */
  readonly imageId: string
  /** Absolute path of the log file. */
  readonly logPath: string
  readonly resources?: Resources
  readonly pid?: number
}

export interface ImageInfo {
  readonly id: string
  readonly repoTags: readonly string[]
  readonly repoDigests: readonly string[]
  readonly sizeBytes: number
  /** The image's configured user: a number, or a name. */
  readonly uid?: number
  readonly username?: string
  readonly pinned: boolean
}

export interface RegistryAuth {
  readonly username?: string
  readonly password?: string
  readonly identityToken?: string
  readonly registryToken?: string
  readonly serverAddress?: string
}

/** Usage since the container's start; rates are the caller's business. */
export interface ContainerStats extends PodIdentity {
  readonly id: string
  readonly name: string
  readonly timestamp: number
  readonly cpuUsageNanoSeconds: number
  readonly memoryWorkingSetBytes: number
  readonly memoryUsageBytes: number
  readonly memoryRssBytes: number
  readonly memoryPageFaults: number
  readonly memoryMajorPageFaults: number
  readonly rootfsUsedBytes: number
  readonly rootfsInodesUsed: number
}

export interface RuntimeEvent {
  readonly type: 'containerStarted' | 'containerExited' | 'containerRemoved' | 'sandboxChanged'
  readonly podUid: string
  readonly containerId?: string
}

/** Streams of a process inside a container. `stderr` is absent with a TTY. */
export interface ProcessStreams {
  /** Writable side: stdin (ending it closes the process's stdin). Readable side: stdout. */
  readonly io: Duplex
  readonly stderr?: NodeJS.ReadableStream
  resize(columns: number, rows: number): Promise<void>
  /** Exit code of an exec; undefined for attach. Rejects when the streams broke. */
  readonly exit: Promise<number | undefined>
  /** Lets go of the streams, without killing what an attach looks at. */
  close(): void
}

export interface ExecOptions {
  readonly command: readonly string[]
  readonly stdin: boolean
  readonly stdout: boolean
  readonly stderr: boolean
  readonly tty: boolean
}

/** The closed set of what goes wrong with an engine. The message is the engine's or registry's own words. */
export type RuntimeErrorCode =
  | 'notFound'
  | 'imageNotFound'
  | 'imagePullFailed'
  | 'registryUnavailable'
  | 'unauthorized'
  | 'alreadyExists'
  | 'invalid'
  | 'timeout'
  | 'notRunning'
  | 'networkNotReady'
  | 'startFailed'
  | 'unavailable'
  | 'unknown'

export class RuntimeError extends Error {
  override readonly name = 'RuntimeError'
  readonly code: RuntimeErrorCode
  constructor(code: RuntimeErrorCode, message: string, options?: { cause?: unknown }) {
    super(message, options)
    this.code = code
  }
}

export interface RuntimeInfo {
  /** `containerd`, `docker`, `fake`; what stands before :// in a containerID. */
  readonly name: string
  readonly version: string
  readonly apiVersion: string
  /** How the engine names cgroups; the agent makes pods' cgroups the same way. */
  readonly cgroupDriver: 'cgroupfs' | 'systemd'
}

export interface RuntimeReadiness {
  readonly runtimeReady: boolean
  readonly runtimeMessage: string
  readonly networkReady: boolean
  readonly networkMessage: string
}

export interface ContainerRuntime {
  readonly info: RuntimeInfo
  readiness(): Promise<RuntimeReadiness>
  /** Tells the engine the node's pod range; the CNI configuration is written for it. */
  setPodCidr(cidr: string): Promise<void>

  /** Creates and starts the pause container with its namespaces and its network. Nothing is left behind when it fails. */
  runSandbox(config: SandboxConfig): Promise<Sandbox>
  /** Kills every container in it and tears the network down. Done already, or not there: no error. */
  stopSandbox(id: string): Promise<void>
  /** Stops it when needed and removes it and its containers. Not there: no error. */
  removeSandbox(id: string): Promise<void>
  sandboxStatus(id: string): Promise<Sandbox | undefined>
  listSandboxes(): Promise<Sandbox[]>
  /** Path of the sandbox's network namespace, or undefined with host network. */
  networkNamespace(id: string): Promise<string | undefined>

  createContainer(sandboxId: string, config: ContainerConfig, sandbox: SandboxConfig): Promise<string>
  startContainer(id: string): Promise<void>
  /** Sends the stop signal, then SIGKILL after `graceSeconds`. Resolves when it has exited. Not running: no error. */
  stopContainer(id: string, graceSeconds: number): Promise<void>
  removeContainer(id: string): Promise<void>
  listContainers(): Promise<ContainerSummary[]>
  containerStatus(id: string): Promise<ContainerStatus | undefined>
  updateResources(id: string, resources: Resources): Promise<void>
  /** The engine opens the log file anew after the agent renamed it. */
  reopenLog(id: string): Promise<void>

  /** Runs a command to its end; output is cut at `outputBytesMax` (default 16 KiB). Timeout: RuntimeError `timeout`. */
  execSync(
    id: string,
    command: readonly string[],
    timeoutMs: number,
    outputBytesMax?: number,
  ): Promise<{ exitCode: number; stdout: Buffer; stderr: Buffer }>
  exec(id: string, options: ExecOptions): Promise<ProcessStreams>
  attach(id: string, options: Omit<ExecOptions, 'command'>): Promise<ProcessStreams>
  /** A TCP connection to 127.0.0.1:port inside the sandbox's network namespace. */
  portForward(sandboxId: string, port: number): Promise<Duplex>

  imageStatus(image: string): Promise<ImageInfo | undefined>
  /** Pulls and returns the image's id. Errors carry the registry's words. */
  pullImage(image: string, auth: RegistryAuth | undefined, signal?: AbortSignal): Promise<string>
  listImages(): Promise<ImageInfo[]>
  removeImage(image: string): Promise<void>
  imageFilesystem(): Promise<{ readonly path: string; readonly usedBytes: number; readonly inodesUsed: number }>

  listStats(): Promise<ContainerStats[]>
  /** News until the signal aborts. An engine without an event stream is polled by the driver; the agent relists as well. */
  watch(onEvent: (event: RuntimeEvent) => void, signal: AbortSignal): Promise<void>
  close(): Promise<void>
}
