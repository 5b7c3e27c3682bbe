// Between our words and the CRI's messages.
import type {
  ContainerConfig,
  ContainerState,
  ContainerStats,
  ContainerStatus,
  ContainerSummary,
  ImageInfo,
  PodIdentity,
  RegistryAuth,
  Resources,
  Sandbox,
  SandboxConfig,
} from '../runtime.ts'
import type {
  ContainerItem,
  ContainerStatsMessage,
  ContainerStatusMessage,
  ImageMessage,
  LinuxResources,
  PodSandboxItem,
  PodSandboxStatus,
} from './messages.ts'

/** Marks the sandboxes and containers of one cluster among all in the engine. */
export const clusterLabel = 'navarch.dev/cluster'
const metaAnnotation = 'navarch.dev/meta'

/** What the CRI would not give back as it was. */
interface SandboxMeta {
  readonly network: 'pod' | 'node'
}

interface ContainerMeta extends PodIdentity {
  readonly image: string
  readonly imageRef: string
  readonly cgroupParent: string
}

const namespaceModes = { pod: 0, container: 1, node: 2 } as const
const targetMode = 3
const propagations = { private: 0, hostToContainer: 1, bidirectional: 2 } as const
const protocols = { TCP: 0, UDP: 1, SCTP: 2 } as const
const profileTypes = { RuntimeDefault: 0, Unconfined: 1, Localhost: 2 } as const

// The Signal enum, from 1 on.
const signals =
  'ABRT ALRM BUS CHLD CLD CONT FPE HUP ILL INT IO IOT KILL PIPE POLL PROF PWR QUIT SEGV STKFLT STOP SYS TERM TRAP TSTP TTIN TTOU URG USR1 USR2 VTALRM WINCH XCPU XFSZ RTMIN'.split(
    ' ',
  )

/** The sandbox's configuration. `portMappings`: whether the engine's network is to open host ports. */
export function sandboxMessage(config: SandboxConfig, facts: { cluster: string; cgroupParent: string; portMappings: boolean }): object {
  const meta: SandboxMeta = { network: config.network }
  return {
    metadata: { name: config.podName, uid: config.podUid, namespace: config.podNamespace, attempt: config.attempt },
    hostname: config.network === 'node' ? '' : config.hostname,
    logDirectory: config.logDirectory,
    ...(config.dns === undefined ? {} : { dnsConfig: config.dns }),
    portMappings: facts.portMappings
      ? config.hostPorts.map((p) => ({
          protocol: protocols[p.protocol],
          containerPort: p.containerPort,
          hostPort: p.hostPort,
          hostIp: p.hostIP ?? '',
        }))
      : [],
    labels: { ...config.labels, [clusterLabel]: facts.cluster },
    annotations: { ...config.annotations, [metaAnnotation]: JSON.stringify(meta) },
    linux: {
      cgroupParent: facts.cgroupParent,
      sysctls: config.sysctls,
      securityContext: {
        namespaceOptions: namespaces(config),
        privileged: config.privileged,
        ...numberIf('runAsUser', config.runAsUser),
        ...numberIf('runAsGroup', config.runAsGroup),
        supplementalGroups: [...(config.supplementalGroups ?? []), ...(config.fsGroup === undefined ? [] : [config.fsGroup])],
        seccomp: { profileType: profileTypes.RuntimeDefault },
      },
    },
  }
}

export function containerMessage(config: ContainerConfig, sandbox: SandboxConfig, cluster: string): object {
  const { podUid, podName, podNamespace, cgroupParent } = sandbox
  const { image, imageRef } = config
  const meta: ContainerMeta = { podUid, podName, podNamespace, image, imageRef, cgroupParent }
  return {
    metadata: { name: config.name, attempt: config.attempt },
    image: { image: imageRef, userSpecifiedImage: image },
    command: config.command,
    args: config.args,
    workingDir: config.workingDir,
    envs: config.env.map((e) => ({ key: e.name, value: Buffer.from(e.value) })),
    mounts: config.mounts.map((m) => ({
      containerPath: m.containerPath,
      hostPath: m.hostPath,
      readonly: m.readOnly,
      propagation: propagations[m.propagation],
      recursiveReadOnly: m.recursiveReadOnly ?? false,
    })),
    devices: config.devices,
    labels: { ...config.labels, [clusterLabel]: cluster },
    annotations: { ...config.annotations, [metaAnnotation]: JSON.stringify(meta) },
    logPath: config.logPath,
    stdin: config.stdin,
    stdinOnce: config.stdinOnce,
    tty: config.tty,
    linux: { resources: resourcesMessage(config.resources), securityContext: securityMessage(config, sandbox) },
    stopSignal: signals.indexOf(config.stopSignal.replace(/^SIG/, '')) + 1,
  }
}

function securityMessage({ security, processesOf }: ContainerConfig, sandbox: SandboxConfig): object {
  return {
    privileged: security.privileged,
    capabilities: { addCapabilities: security.capabilitiesAdd, dropCapabilities: security.capabilitiesDrop },
    namespaceOptions: { ...namespaces(sandbox), ...(processesOf === undefined ? {} : { pid: targetMode, targetId: processesOf }) },
    ...(security.selinux === undefined ? {} : { selinuxOptions: security.selinux }),
    ...numberIf('runAsUser', security.runAsUsername === undefined ? security.runAsUser : undefined),
    ...numberIf('runAsGroup', security.runAsGroup),
    runAsUsername: security.runAsUsername ?? '',
    readonlyRootfs: security.readOnlyRootFilesystem,
    supplementalGroups: security.supplementalGroups,
    noNewPrivs: security.noNewPrivileges,
    maskedPaths: security.maskedPaths,
    readonlyPaths: security.readonlyPaths,
    seccomp: profile(security.seccomp.type, security.seccomp.type === 'Localhost' ? security.seccomp.path : ''),
    ...(security.apparmor === undefined
      ? {}
      : { apparmor: profile(security.apparmor.type, security.apparmor.type === 'Localhost' ? security.apparmor.profile : '') }),
  }
}

function profile(type: keyof typeof profileTypes, localhostRef: string): object {
  return { profileType: profileTypes[type], localhostRef }
}

function namespaces({ network, pid, ipc }: SandboxConfig): object {
  return { network: namespaceModes[network], pid: namespaceModes[pid], ipc: namespaceModes[ipc] }
}

function numberIf(name: string, value: number | undefined): object {
  return value === undefined ? {} : { [name]: { value } }
}

export function resourcesMessage(resources: Resources): object {
  return {
    cpuPeriod: resources.cpuPeriod ?? 0,
    cpuQuota: resources.cpuQuota ?? 0,
    cpuShares: resources.cpuShares ?? 0,
    memoryLimitInBytes: resources.memoryLimitBytes ?? 0,
    oomScoreAdj: resources.oomScoreAdj ?? 0,
    cpusetCpus: resources.cpusetCpus ?? '',
    cpusetMems: resources.cpusetMems ?? '',
    hugepageLimits: (resources.hugepageLimits ?? []).map((h) => ({ pageSize: h.pageSize, limit: h.limitBytes })),
    memorySwapLimitInBytes: resources.memorySwapLimitBytes ?? 0,
  }
}

export function resourcesFrom(linux: LinuxResources): Resources {
  const found = {
    cpuShares: linux.cpuShares || undefined,
    cpuQuota: linux.cpuQuota || undefined,
    cpuPeriod: linux.cpuPeriod || undefined,
    memoryLimitBytes: linux.memoryLimitInBytes || undefined,
    memorySwapLimitBytes: linux.memorySwapLimitInBytes || undefined,
    cpusetCpus: linux.cpusetCpus || undefined,
    cpusetMems: linux.cpusetMems || undefined,
    oomScoreAdj: linux.oomScoreAdj || undefined,
  }
  return Object.fromEntries(Object.entries(found).filter(([, value]) => value !== undefined)) as Resources
}

export function sandboxFrom(item: PodSandboxItem, ips: readonly string[]): Sandbox {
  const { id, metadata, state, createdAt, labels, annotations } = item
  return {
    id,
    podUid: metadata.uid,
    podName: metadata.name,
    podNamespace: metadata.namespace,
    attempt: metadata.attempt,
    state: state === 0 ? 'ready' : 'notready',
    createdAt: milliseconds(createdAt),
    ips: state === 0 ? ips : [],
    labels: without(labels, clusterLabel),
    annotations: without(annotations, metaAnnotation),
  }
}

export function sandboxMetaOf(item: Pick<PodSandboxItem, 'annotations'>): SandboxMeta | undefined {
  const text = item.annotations[metaAnnotation]
  return text === undefined ? undefined : (JSON.parse(text) as SandboxMeta)
}

export function containerMetaOf(item: Pick<ContainerItem, 'annotations'>): ContainerMeta | undefined {
  const text = item.annotations[metaAnnotation]
  return text === undefined ? undefined : (JSON.parse(text) as ContainerMeta)
}

export function ipsOf({ network }: PodSandboxStatus): string[] {
  return [network?.ip ?? '', ...(network?.additionalIps ?? []).map((p) => p.ip)].filter((ip) => ip !== '')
}

const states: readonly ContainerState[] = ['created', 'running', 'exited', 'unknown']

export function summaryFrom(item: Omit<ContainerItem, 'podSandboxId'>, sandboxId: string): ContainerSummary | undefined {
  const meta = containerMetaOf(item)
  if (meta === undefined) return undefined
  const { podUid, podName, podNamespace, image, imageRef } = meta
  return {
    id: item.id,
    sandboxId,
    podUid,
    podName,
    podNamespace,
    name: item.metadata.name,
    attempt: item.metadata.attempt,
    state: states[item.state] ?? 'unknown',
    createdAt: milliseconds(item.createdAt),
    image,
    imageRef,
    labels: without(item.labels, clusterLabel),
    annotations: without(item.annotations, metaAnnotation),
  }
}

export function statusFrom(
  message: ContainerStatusMessage,
  sandboxId: string,
  resources: Resources | undefined,
): ContainerStatus | undefined {
  const summary = summaryFrom(message, sandboxId)
  if (summary === undefined) return undefined
  const over = summary.state === 'exited'
  return {
    ...summary,
    startedAt: milliseconds(message.startedAt),
    finishedAt: milliseconds(message.finishedAt),
    exitCode: over ? message.exitCode : 0,
    reason: message.reason,
    message: message.message,
    imageId: message.imageRef,
    logPath: message.logPath,
    ...(resources === undefined ? {} : { resources }),
  }
}

export function statsFrom(message: ContainerStatsMessage): ContainerStats | undefined {
  const meta = containerMetaOf(message.attributes)
  if (meta === undefined || message.cpu === null) return undefined
  const { podUid, podName, podNamespace } = meta
  const { cpu, memory, writableLayer } = message
  return {
    id: message.attributes.id,
    podUid,
    podName,
    podNamespace,
    name: message.attributes.metadata.name,
    timestamp: milliseconds(cpu.timestamp),
    cpuUsageNanoSeconds: cpu.usageCoreNanoSeconds?.value ?? 0,
    memoryWorkingSetBytes: memory?.workingSetBytes?.value ?? 0,
    memoryUsageBytes: memory?.usageBytes?.value ?? 0,
    memoryRssBytes: memory?.rssBytes?.value ?? 0,
    memoryPageFaults: memory?.pageFaults?.value ?? 0,
    memoryMajorPageFaults: memory?.majorPageFaults?.value ?? 0,
    rootfsUsedBytes: writableLayer?.usedBytes?.value ?? 0,
    rootfsInodesUsed: writableLayer?.inodesUsed?.value ?? 0,
  }
}

export function imageFrom(image: ImageMessage): ImageInfo {
  const { id, repoTags, repoDigests, size, uid, username, pinned } = image
  return {
    id,
    repoTags,
    repoDigests,
    sizeBytes: size,
    ...(uid === null ? {} : { uid: uid.value }),
    ...(username === '' ? {} : { username }),
    pinned,
  }
}

export function authMessage(auth: RegistryAuth): object {
  const { username = '', password = '', identityToken = '', registryToken = '' } = auth
  // The address stays away, as in Kubernetes' requests: containerd takes it for a URL, and credentials for a plain `host:port` for none.
  return { username, password, serverAddress: '', identityToken, registryToken }
}

function milliseconds(nanoseconds: number): number {
  return nanoseconds <= 0 ? 0 : Math.floor(nanoseconds / 1e6)
}

function without(strings: Readonly<Record<string, string>>, name: string): Record<string, string> {
  const { [name]: _, ...rest } = strings
  return rest
}
