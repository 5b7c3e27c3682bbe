// What the driver reads from a CRI engine's answers (see schema.ts). Absent messages are null; 64-bit numbers are plain numbers,
// nanoseconds included, which costs the last few hundred of them.

export interface PodMetadata {
  readonly name: string
  readonly uid: string
  readonly namespace: string
  readonly attempt: number
}

type Strings = Readonly<Record<string, string>>

export interface PodSandboxItem {
  readonly id: string
  readonly metadata: PodMetadata
  /** 0 ready, 1 not ready. */
  readonly state: number
  readonly createdAt: number
  readonly labels: Strings
  readonly annotations: Strings
}

export interface PodSandboxStatus extends PodSandboxItem {
  readonly network: { readonly ip: string; readonly additionalIps: readonly { readonly ip: string }[] } | null
}

export interface LinuxResources {
  readonly cpuPeriod: number
  readonly cpuQuota: number
  readonly cpuShares: number
  readonly memoryLimitInBytes: number
  readonly oomScoreAdj: number
  readonly cpusetCpus: string
  readonly cpusetMems: string
  readonly memorySwapLimitInBytes: number
}

export interface ContainerItem {
  readonly id: string
  readonly podSandboxId: string
  readonly metadata: { readonly name: string; readonly attempt: number }
  readonly image: { readonly image: string } | null
  readonly imageRef: string
  /** 0 created, 1 running, 2 exited, 3 unknown. */
  readonly state: number
  readonly createdAt: number
  readonly labels: Strings
  readonly annotations: Strings
}

export interface ContainerStatusMessage extends Omit<ContainerItem, 'podSandboxId'> {
  readonly startedAt: number
  readonly finishedAt: number
  readonly exitCode: number
  readonly reason: string
  readonly message: string
  readonly logPath: string
  readonly resources: { readonly linux: LinuxResources | null } | null
}

export interface ImageMessage {
  readonly id: string
  readonly repoTags: readonly string[]
  readonly repoDigests: readonly string[]
  readonly size: number
  readonly uid: { readonly value: number } | null
  readonly username: string
  readonly pinned: boolean
}

type Value = { readonly value: number } | null

export interface FilesystemUsage {
  readonly fsId: { readonly mountpoint: string } | null
  readonly usedBytes: Value
  readonly inodesUsed: Value
}

export interface ContainerStatsMessage {
  readonly attributes: { readonly id: string; readonly metadata: { readonly name: string }; readonly annotations: Strings }
  readonly cpu: { readonly timestamp: number; readonly usageCoreNanoSeconds: Value } | null
  readonly memory: {
    readonly workingSetBytes: Value
    readonly usageBytes: Value
    readonly rssBytes: Value
    readonly pageFaults: Value
    readonly majorPageFaults: Value
  } | null
  readonly writableLayer: FilesystemUsage | null
}

/** What each method answers. */
export interface Answers {
  Version: { readonly runtimeName: string; readonly runtimeVersion: string; readonly runtimeApiVersion: string }
  Status: {
    readonly status: {
      readonly conditions: readonly { readonly type: string; readonly status: boolean; readonly reason: string; readonly message: string }[]
    }
    readonly info: Strings
  }
  /** cgroupDriver: 0 systemd, 1 cgroupfs. */
  RuntimeConfig: { readonly linux: { readonly cgroupDriver: number } | null }
  RunPodSandbox: { readonly podSandboxId: string }
  StopPodSandbox: object
  RemovePodSandbox: object
  PodSandboxStatus: { readonly status: PodSandboxStatus; readonly info: Strings }
  ListPodSandbox: { readonly items: readonly PodSandboxItem[] }
  CreateContainer: { readonly containerId: string }
  StartContainer: object
  StopContainer: object
  RemoveContainer: object
  ListContainers: { readonly containers: readonly ContainerItem[] }
  ContainerStatus: { readonly status: ContainerStatusMessage; readonly info: Strings }
  UpdateContainerResources: object
  ReopenContainerLog: object
  ExecSync: { readonly stdout: Buffer; readonly stderr: Buffer; readonly exitCode: number }
  Exec: { readonly url: string }
  Attach: { readonly url: string }
  ListContainerStats: { readonly stats: readonly ContainerStatsMessage[] }
  ListImages: { readonly images: readonly ImageMessage[] }
  ImageStatus: { readonly image: ImageMessage | null }
  PullImage: { readonly imageRef: string }
  RemoveImage: object
  ImageFsInfo: { readonly imageFilesystems: readonly FilesystemUsage[] }
}

export interface ContainerEventMessage {
  readonly containerId: string
  /** 0 created, 1 started, 2 stopped, 3 deleted. */
  readonly containerEventType: number
  readonly podSandboxStatus: PodSandboxStatus | null
}
