// Between CRI's words and the Docker Engine API's: what is sent to create, and what inspecting tells.
import { readFile } from 'node:fs/promises'
import type {
  ContainerConfig,
  ContainerState,
  ContainerStatus,
  ContainerSummary,
  Resources,
  Sandbox,
  SandboxConfig,
  SecurityContext,
} from '../runtime.ts'
import { jsonLogConfig } from './json-log.ts'
import type { ContainerMeta, SandboxMeta } from './marks.ts'

/** What a container may not have less than: the engine cannot lower the score when this process cannot. */
export type OomScore = (wanted: number) => number

export interface Inspected {
  readonly Id: string
  readonly Image: string
  readonly State: {
    readonly Status: string
    readonly Running: boolean
    readonly OOMKilled: boolean
    readonly Pid: number
    readonly ExitCode: number
    readonly Error: string
    readonly StartedAt: string
    readonly FinishedAt: string
  }
  readonly Config: { readonly Labels?: Record<string, string>; readonly Tty: boolean; readonly OpenStdin: boolean }
  readonly HostConfig: {
    readonly CpuShares?: number
    readonly CpuQuota?: number
    readonly CpuPeriod?: number
    readonly Memory?: number
    readonly MemorySwap?: number
    readonly CpusetCpus?: string
    readonly CpusetMems?: string
    readonly PidsLimit?: number | null
    readonly OomScoreAdj?: number
  }
  readonly GraphDriver?: { readonly Data?: { readonly UpperDir?: string } | null }
}

export interface Listed {
  readonly Id: string
  readonly State: string
  readonly Labels?: Record<string, string>
}

/** The body that creates a pause container. */
export function sandboxBody(
  config: SandboxConfig,
  facts: { image: string; labels: Record<string, string>; cgroupParent: string; oomScore: OomScore },
): Record<string, unknown> {
  const hostNetwork = config.network === 'node'
  const user =
    config.runAsUser === undefined
      ? ''
      : config.runAsGroup === undefined
        ? `${config.runAsUser}`
        : `${config.runAsUser}:${config.runAsGroup}`
  return {
    Image: facts.image,
    // On the node's network the name is the node's too.
    Hostname: hostNetwork ? '' : config.hostname,
    User: user,
    Labels: facts.labels,
    // Docker's own networking costs half of the start and would be undone; CNI does what is needed.
    NetworkDisabled: !hostNetwork,
    HostConfig: {
      NetworkMode: hostNetwork ? 'host' : 'none',
      IpcMode: config.ipc === 'node' ? 'host' : 'shareable',
      PidMode: config.pid === 'node' ? 'host' : '',
      CgroupParent: facts.cgroupParent,
      Privileged: config.privileged,
      Sysctls: config.sysctls,
      Runtime: config.runtimeHandler || undefined,
      GroupAdd: config.supplementalGroups?.map(String),
      OomScoreAdj: facts.oomScore(-998),
      CpuShares: 2,
      LogConfig: { Type: 'none' },
      Init: false,
      ...(config.privileged ? {} : { SecurityOpt: ['no-new-privileges'] }),
    },
  }
}

/** The body that creates a container in a sandbox. `resolvConf` is mounted unless the pod mounts something there itself. */
export function containerBody(
  config: ContainerConfig,
  facts: {
    sandboxId: string
    sandbox: SandboxConfig
    labels: Record<string, string>
    cgroupParent: string
    resolvConf: string | undefined
    seccompProfile: string | undefined
    oomScore: OomScore
  },
): Record<string, unknown> {
  const { security, resources } = config
  const { sandboxId, sandbox } = facts
  const join = `container:${sandboxId}`
  const mounts = config.mounts.map((m) => ({
    Type: 'bind',
    Source: m.hostPath,
    Target: m.containerPath,
    ReadOnly: m.readOnly,
    BindOptions: { Propagation: { private: 'rprivate', hostToContainer: 'rslave', bidirectional: 'rshared' }[m.propagation] },
  }))
  if (facts.resolvConf !== undefined && !config.mounts.some((m) => m.containerPath === '/etc/resolv.conf')) {
    mounts.push({
      Type: 'bind',
      Source: facts.resolvConf,
      Target: '/etc/resolv.conf',
      ReadOnly: false,
      BindOptions: { Propagation: 'rprivate' },
    })
  }
  return {
    Image: config.imageRef,
    ...(config.command.length === 0 ? {} : { Entrypoint: config.command }),
    ...(config.command.length === 0 && config.args.length === 0 ? {} : { Cmd: config.args }),
    WorkingDir: config.workingDir,
    Env: config.env.map((e) => `${e.name}=${e.value}`),
    User: userOf(security),
    Labels: facts.labels,
    Tty: config.tty,
    OpenStdin: config.stdin,
    StdinOnce: config.stdinOnce,
    ...(config.stopSignal === '' ? {} : { StopSignal: config.stopSignal }),
    // Probes are the pod's, not the image's.
    Healthcheck: { Test: ['NONE'] },
    HostConfig: {
      NetworkMode: join,
      IpcMode: sandbox.ipc === 'node' ? 'host' : join,
      PidMode:
        config.processesOf !== undefined
          ? `container:${config.processesOf}`
          : sandbox.pid === 'node'
            ? 'host'
            : sandbox.pid === 'pod'
              ? join
              : '',
      CgroupParent: facts.cgroupParent,
      Mounts: mounts,
      Devices: config.devices.map((d) => ({ PathOnHost: d.hostPath, PathInContainer: d.containerPath, CgroupPermissions: d.permissions })),
      Privileged: security.privileged,
      CapAdd: security.capabilitiesAdd,
      CapDrop: security.capabilitiesDrop,
      GroupAdd: security.supplementalGroups.map(String),
      ReadonlyRootfs: security.readOnlyRootFilesystem,
      SecurityOpt: securityOptions(security, facts.seccompProfile),
      // Without these two, Docker takes its defaults; a privileged container has none.
      ...(security.privileged ? {} : { MaskedPaths: security.maskedPaths, ReadonlyPaths: security.readonlyPaths }),
      Runtime: sandbox.runtimeHandler || undefined,
      ...resourcesBody(resources),
      ...(resources.oomScoreAdj === undefined ? {} : { OomScoreAdj: facts.oomScore(resources.oomScoreAdj) }),
      LogConfig: jsonLogConfig,
      RestartPolicy: { Name: 'no' },
      Init: false,
    },
  }
}

/** Limits as create and update take them. Swap is bounded by the memory limit: pods do not swap unless told. */
export function resourcesBody(resources: Resources): Record<string, unknown> {
  const { cpuShares, cpuQuota, cpuPeriod, memoryLimitBytes, memorySwapLimitBytes, cpusetCpus, cpusetMems, pidsLimit } = resources
  const body = {
    CpuShares: cpuShares,
    CpuQuota: cpuQuota,
    CpuPeriod: cpuPeriod,
    Memory: memoryLimitBytes,
    MemorySwap: memorySwapLimitBytes ?? memoryLimitBytes,
    CpusetCpus: cpusetCpus,
    CpusetMems: cpusetMems,
    PidsLimit: pidsLimit,
  }
  return Object.fromEntries(Object.entries(body).filter(([, value]) => value !== undefined))
}

function userOf(security: SecurityContext): string {
  const user = security.runAsUsername ?? security.runAsUser
  if (security.runAsGroup === undefined) return user === undefined ? '' : `${user}`
  return `${user ?? 0}:${security.runAsGroup}`
}

function securityOptions(security: SecurityContext, seccompProfile: string | undefined): string[] {
  const options: string[] = []
  if (security.seccomp.type === 'Unconfined') options.push('seccomp=unconfined')
  if (seccompProfile !== undefined) options.push(`seccomp=${seccompProfile}`)
  if (security.noNewPrivileges) options.push('no-new-privileges')
  if (security.apparmor?.type === 'Unconfined') options.push('apparmor=unconfined')
  if (security.apparmor?.type === 'Localhost') options.push(`apparmor=${security.apparmor.profile}`)
  for (const [name, value] of Object.entries(security.selinux ?? {})) if (value) options.push(`label=${name}:${value}`)
  return options
}

/** The text of resolv.conf. */
export function resolvConfText(dns: NonNullable<SandboxConfig['dns']>): string {
  const lines = [
    ...(dns.searches.length > 0 ? [`search ${dns.searches.join(' ')}`] : []),
    ...dns.servers.map((server) => `nameserver ${server}`),
    ...(dns.options.length > 0 ? [`options ${dns.options.join(' ')}`] : []),
  ]
  return `${lines.join('\n')}\n`
}

export function sandboxFrom(id: string, state: string, meta: SandboxMeta, ips: readonly string[]): Sandbox {
  const { podUid, podName, podNamespace, attempt, createdAt, labels, annotations, network } = meta
  // A pause container whose network was never finished is of no use.
  const ready = state === 'running' && (network === 'node' || ips.length > 0)
  return {
    id,
    podUid,
    podName,
    podNamespace,
    attempt,
    createdAt,
    labels,
    annotations,
    state: ready ? 'ready' : 'notready',
    ips: ready ? ips : [],
  }
}

export function summaryFrom(id: string, state: ContainerState, meta: ContainerMeta): ContainerSummary {
  const { podUid, podName, podNamespace, sandboxId, name, attempt, createdAt, image, imageRef, labels, annotations } = meta
  return { id, sandboxId, podUid, podName, podNamespace, name, attempt, state, createdAt, image, imageRef, labels, annotations }
}

/** CRI's state of a container that Docker lists. One that failed to start stays `created` in Docker. */
export function stateFrom(status: string, failedToStart: boolean): ContainerState {
  switch (status) {
    case 'created':
      return failedToStart ? 'exited' : 'created'
    case 'running':
    case 'paused':
    case 'restarting':
      return 'running'
    case 'exited':
    case 'removing':
    case 'dead':
      return 'exited'
    default:
      return 'unknown'
  }
}

export function failedToStart({ State }: Pick<Inspected, 'State'>): boolean {
  return State.Status === 'created' && (State.ExitCode !== 0 || State.Error !== '')
}

export function statusFrom(inspected: Inspected, meta: ContainerMeta, imageId: string): ContainerStatus {
  const { State, HostConfig } = inspected
  const failed = failedToStart(inspected)
  const state = stateFrom(State.Status, failed)
  const over = state === 'exited'
  return {
    ...summaryFrom(inspected.Id, state, meta),
    startedAt: failed ? meta.createdAt : timeFrom(State.StartedAt),
    finishedAt: failed ? meta.createdAt : over ? timeFrom(State.FinishedAt) : 0,
    exitCode: over ? State.ExitCode : 0,
    reason: !over ? '' : failed ? 'ContainerCannotRun' : State.OOMKilled ? 'OOMKilled' : State.ExitCode === 0 ? 'Completed' : 'Error',
    message: State.Error,
    imageId,
    logPath: meta.logPath,
    resources: resourcesFrom(HostConfig),
    ...(State.Running && State.Pid > 0 ? { pid: State.Pid } : {}),
  }
}

function resourcesFrom(host: Inspected['HostConfig']): Resources {
  // Docker writes 0 for what is not set.
  const set = (value: number | null | undefined): number | undefined => (value ? value : undefined)
  const found = {
    cpuShares: set(host.CpuShares),
    cpuQuota: set(host.CpuQuota),
    cpuPeriod: set(host.CpuPeriod),
    memoryLimitBytes: set(host.Memory),
    memorySwapLimitBytes: set(host.MemorySwap),
    cpusetCpus: host.CpusetCpus || undefined,
    cpusetMems: host.CpusetMems || undefined,
    pidsLimit: set(host.PidsLimit),
    oomScoreAdj: set(host.OomScoreAdj),
  }
  return Object.fromEntries(Object.entries(found).filter(([, value]) => value !== undefined)) as Resources
}

/** Docker's time in milliseconds; 0 for its "never", the year 1. */
function timeFrom(text: string): number {
  const ms = Date.parse(text)
  return Number.isNaN(ms) || ms < 0 ? 0 : ms
}

const capSysResource = 1n << 24n

/** Keeps OOM scores where the kernel lets this machine's root set them: without CAP_SYS_RESOURCE never below its own. */
export async function openOomScore(): Promise<OomScore> {
  const status = await readFile('/proc/self/status', 'utf8').catch(() => '')
  const capabilities = /^CapEff:\s*([0-9a-f]+)/m.exec(status)?.[1]
  if (capabilities === undefined || (BigInt(`0x${capabilities}`) & capSysResource) !== 0n) return (wanted) => wanted
  const own = Number(await readFile('/proc/self/oom_score_adj', 'utf8').catch(() => '0'))
  return (wanted) => Math.max(wanted, own)
}
