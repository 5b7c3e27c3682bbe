// The part of the Container Runtime Interface v1 that the driver speaks, and containerd's event service, as field names, types and
// numbers: facts of the wire. In the program itself rather than in .proto files, so that a bundle needs nothing beside it.
// Engines may send fields that are not listed; they are skipped.

/** A field as `[repeated] type number`; `map<k,v> number`. */
type Fields = Readonly<Record<string, string>>

const empty: Fields = {}
const stringMap = (number: number): string => `map<string,string> ${number}`

const messages: Readonly<Record<string, Fields>> = {
  VersionRequest: { version: 'string 1' },
  VersionResponse: { version: 'string 1', runtimeName: 'string 2', runtimeVersion: 'string 3', runtimeApiVersion: 'string 4' },
  StatusRequest: { verbose: 'bool 1' },
  StatusResponse: { status: 'RuntimeStatus 1', info: stringMap(2) },
  RuntimeStatus: { conditions: 'repeated RuntimeCondition 1' },
  RuntimeCondition: { type: 'string 1', status: 'bool 2', reason: 'string 3', message: 'string 4' },
  RuntimeConfigRequest: empty,
  RuntimeConfigResponse: { linux: 'LinuxRuntimeConfiguration 1' },
  LinuxRuntimeConfiguration: { cgroupDriver: 'int32 1' },

  PodSandboxMetadata: { name: 'string 1', uid: 'string 2', namespace: 'string 3', attempt: 'uint32 4' },
  DNSConfig: { servers: 'repeated string 1', searches: 'repeated string 2', options: 'repeated string 3' },
  PortMapping: { protocol: 'int32 1', containerPort: 'int32 2', hostPort: 'int32 3', hostIp: 'string 4' },
  NamespaceOption: { network: 'int32 1', pid: 'int32 2', ipc: 'int32 3', targetId: 'string 4' },
  Int64Value: { value: 'int64 1' },
  UInt64Value: { value: 'uint64 1' },
  SecurityProfile: { profileType: 'int32 1', localhostRef: 'string 2' },
  SELinuxOption: { user: 'string 1', role: 'string 2', type: 'string 3', level: 'string 4' },
  LinuxSandboxSecurityContext: {
    namespaceOptions: 'NamespaceOption 1',
    runAsUser: 'Int64Value 3',
    supplementalGroups: 'repeated int64 5',
    privileged: 'bool 6',
    runAsGroup: 'Int64Value 8',
    seccomp: 'SecurityProfile 9',
  },
  LinuxPodSandboxConfig: { cgroupParent: 'string 1', securityContext: 'LinuxSandboxSecurityContext 2', sysctls: stringMap(3) },
  PodSandboxConfig: {
    metadata: 'PodSandboxMetadata 1',
    hostname: 'string 2',
    logDirectory: 'string 3',
    dnsConfig: 'DNSConfig 4',
    portMappings: 'repeated PortMapping 5',
    labels: stringMap(6),
    annotations: stringMap(7),
    linux: 'LinuxPodSandboxConfig 8',
  },
  RunPodSandboxRequest: { config: 'PodSandboxConfig 1', runtimeHandler: 'string 2' },
  RunPodSandboxResponse: { podSandboxId: 'string 1' },
  StopPodSandboxRequest: { podSandboxId: 'string 1' },
  StopPodSandboxResponse: empty,
  RemovePodSandboxRequest: { podSandboxId: 'string 1' },
  RemovePodSandboxResponse: empty,
  PodSandboxStatusRequest: { podSandboxId: 'string 1', verbose: 'bool 2' },
  PodIP: { ip: 'string 1' },
  PodSandboxNetworkStatus: { ip: 'string 1', additionalIps: 'repeated PodIP 2' },
  PodSandboxStatus: {
    id: 'string 1',
    metadata: 'PodSandboxMetadata 2',
    state: 'int32 3',
    createdAt: 'int64 4',
    network: 'PodSandboxNetworkStatus 5',
    labels: stringMap(7),
    annotations: stringMap(8),
  },
  PodSandboxStatusResponse: { status: 'PodSandboxStatus 1', info: stringMap(2) },
  PodSandboxFilter: { id: 'string 1', labelSelector: stringMap(3) },
  ListPodSandboxRequest: { filter: 'PodSandboxFilter 1' },
  PodSandbox: {
    id: 'string 1',
    metadata: 'PodSandboxMetadata 2',
    state: 'int32 3',
    createdAt: 'int64 4',
    labels: stringMap(5),
    annotations: stringMap(6),
  },
  ListPodSandboxResponse: { items: 'repeated PodSandbox 1' },

  ImageSpec: { image: 'string 1', annotations: stringMap(2), userSpecifiedImage: 'string 18' },
  KeyValue: { key: 'string 1', value: 'bytes 2' },
  Mount: {
    containerPath: 'string 1',
    hostPath: 'string 2',
    readonly: 'bool 3',
    propagation: 'int32 5',
    recursiveReadOnly: 'bool 8',
  },
  Device: { containerPath: 'string 1', hostPath: 'string 2', permissions: 'string 3' },
  HugepageLimit: { pageSize: 'string 1', limit: 'uint64 2' },
  LinuxContainerResources: {
    cpuPeriod: 'int64 1',
    cpuQuota: 'int64 2',
    cpuShares: 'int64 3',
    memoryLimitInBytes: 'int64 4',
    oomScoreAdj: 'int64 5',
    cpusetCpus: 'string 6',
    cpusetMems: 'string 7',
    hugepageLimits: 'repeated HugepageLimit 8',
    memorySwapLimitInBytes: 'int64 10',
  },
  Capability: { addCapabilities: 'repeated string 1', dropCapabilities: 'repeated string 2' },
  LinuxContainerSecurityContext: {
    capabilities: 'Capability 1',
    privileged: 'bool 2',
    namespaceOptions: 'NamespaceOption 3',
    selinuxOptions: 'SELinuxOption 4',
    runAsUser: 'Int64Value 5',
    runAsUsername: 'string 6',
    readonlyRootfs: 'bool 7',
    supplementalGroups: 'repeated int64 8',
    noNewPrivs: 'bool 11',
    runAsGroup: 'Int64Value 12',
    maskedPaths: 'repeated string 13',
    readonlyPaths: 'repeated string 14',
    seccomp: 'SecurityProfile 15',
    apparmor: 'SecurityProfile 16',
  },
  LinuxContainerConfig: { resources: 'LinuxContainerResources 1', securityContext: 'LinuxContainerSecurityContext 2' },
  ContainerMetadata: { name: 'string 1', attempt: 'uint32 2' },
  ContainerConfig: {
    metadata: 'ContainerMetadata 1',
    image: 'ImageSpec 2',
    command: 'repeated string 3',
    args: 'repeated string 4',
    workingDir: 'string 5',
    envs: 'repeated KeyValue 6',
    mounts: 'repeated Mount 7',
    devices: 'repeated Device 8',
    labels: stringMap(9),
    annotations: stringMap(10),
    logPath: 'string 11',
    stdin: 'bool 12',
    stdinOnce: 'bool 13',
    tty: 'bool 14',
    linux: 'LinuxContainerConfig 15',
    stopSignal: 'int32 18',
  },
  CreateContainerRequest: { podSandboxId: 'string 1', config: 'ContainerConfig 2', sandboxConfig: 'PodSandboxConfig 3' },
  CreateContainerResponse: { containerId: 'string 1' },
  StartContainerRequest: { containerId: 'string 1' },
  StartContainerResponse: empty,
  StopContainerRequest: { containerId: 'string 1', timeout: 'int64 2' },
  StopContainerResponse: empty,
  RemoveContainerRequest: { containerId: 'string 1' },
  RemoveContainerResponse: empty,
  ContainerFilter: { id: 'string 1', labelSelector: stringMap(4) },
  ListContainersRequest: { filter: 'ContainerFilter 1' },
  Container: {
    id: 'string 1',
    podSandboxId: 'string 2',
    metadata: 'ContainerMetadata 3',
    image: 'ImageSpec 4',
    imageRef: 'string 5',
    state: 'int32 6',
    createdAt: 'int64 7',
    labels: stringMap(8),
    annotations: stringMap(9),
  },
  ListContainersResponse: { containers: 'repeated Container 1' },
  ContainerStatusRequest: { containerId: 'string 1', verbose: 'bool 2' },
  ContainerResources: { linux: 'LinuxContainerResources 1' },
  ContainerStatus: {
    id: 'string 1',
    metadata: 'ContainerMetadata 2',
    state: 'int32 3',
    createdAt: 'int64 4',
    startedAt: 'int64 5',
    finishedAt: 'int64 6',
    exitCode: 'int32 7',
    image: 'ImageSpec 8',
    imageRef: 'string 9',
    reason: 'string 10',
    message: 'string 11',
    labels: stringMap(12),
    annotations: stringMap(13),
    logPath: 'string 15',
    resources: 'ContainerResources 16',
  },
  ContainerStatusResponse: { status: 'ContainerStatus 1', info: stringMap(2) },
  UpdateContainerResourcesRequest: { containerId: 'string 1', linux: 'LinuxContainerResources 2' },
  UpdateContainerResourcesResponse: empty,
  ReopenContainerLogRequest: { containerId: 'string 1' },
  ReopenContainerLogResponse: empty,

  ExecSyncRequest: { containerId: 'string 1', cmd: 'repeated string 2', timeout: 'int64 3' },
  ExecSyncResponse: { stdout: 'bytes 1', stderr: 'bytes 2', exitCode: 'int32 3' },
  ExecRequest: {
    containerId: 'string 1',
    cmd: 'repeated string 2',
    tty: 'bool 3',
    stdin: 'bool 4',
    stdout: 'bool 5',
    stderr: 'bool 6',
  },
  ExecResponse: { url: 'string 1' },
  AttachRequest: { containerId: 'string 1', stdin: 'bool 2', tty: 'bool 3', stdout: 'bool 4', stderr: 'bool 5' },
  AttachResponse: { url: 'string 1' },

  ContainerStatsFilter: { id: 'string 1', labelSelector: stringMap(3) },
  ListContainerStatsRequest: { filter: 'ContainerStatsFilter 1' },
  ListContainerStatsResponse: { stats: 'repeated ContainerStats 1' },
  ContainerAttributes: { id: 'string 1', metadata: 'ContainerMetadata 2', annotations: stringMap(4) },
  CpuUsage: { timestamp: 'int64 1', usageCoreNanoSeconds: 'UInt64Value 2' },
  MemoryUsage: {
    workingSetBytes: 'UInt64Value 2',
    usageBytes: 'UInt64Value 4',
    rssBytes: 'UInt64Value 5',
    pageFaults: 'UInt64Value 6',
    majorPageFaults: 'UInt64Value 7',
  },
  FilesystemIdentifier: { mountpoint: 'string 1' },
  FilesystemUsage: { fsId: 'FilesystemIdentifier 2', usedBytes: 'UInt64Value 3', inodesUsed: 'UInt64Value 4' },
  ContainerStats: { attributes: 'ContainerAttributes 1', cpu: 'CpuUsage 2', memory: 'MemoryUsage 3', writableLayer: 'FilesystemUsage 4' },

  GetEventsRequest: empty,
  ContainerEventResponse: { containerId: 'string 1', containerEventType: 'int32 2', podSandboxStatus: 'PodSandboxStatus 4' },

  Image: {
    id: 'string 1',
    repoTags: 'repeated string 2',
    repoDigests: 'repeated string 3',
    size: 'uint64 4',
    uid: 'Int64Value 5',
    username: 'string 6',
    pinned: 'bool 8',
  },
  ListImagesRequest: empty,
  ListImagesResponse: { images: 'repeated Image 1' },
  ImageStatusRequest: { image: 'ImageSpec 1' },
  ImageStatusResponse: { image: 'Image 1' },
  AuthConfig: {
    username: 'string 1',
    password: 'string 2',
    serverAddress: 'string 4',
    identityToken: 'string 5',
    registryToken: 'string 6',
  },
  PullImageRequest: { image: 'ImageSpec 1', auth: 'AuthConfig 2' },
  PullImageResponse: { imageRef: 'string 1' },
  RemoveImageRequest: { image: 'ImageSpec 1' },
  RemoveImageResponse: empty,
  ImageFsInfoRequest: empty,
  ImageFsInfoResponse: { imageFilesystems: 'repeated FilesystemUsage 1' },
}

// containerd.services.events.v1; `event` is a google.protobuf.Any.
const eventMessages: Readonly<Record<string, Fields>> = {
  SubscribeRequest: { filters: 'repeated string 1' },
  Any: { typeUrl: 'string 1', value: 'bytes 2' },
  Envelope: { namespace: 'string 2', topic: 'string 3', event: 'Any 4' },
}

/** Names of requests and answers follow from the method's, but for one. */
const runtimeMethods = [
  'Version',
  'Status',
  'RuntimeConfig',
  'RunPodSandbox',
  'StopPodSandbox',
  'RemovePodSandbox',
  'PodSandboxStatus',
  'ListPodSandbox',
  'CreateContainer',
  'StartContainer',
  'StopContainer',
  'RemoveContainer',
  'ListContainers',
  'ContainerStatus',
  'UpdateContainerResources',
  'ReopenContainerLog',
  'ExecSync',
  'Exec',
  'Attach',
  'ListContainerStats',
] as const
const imageMethods = ['ListImages', 'ImageStatus', 'PullImage', 'RemoveImage', 'ImageFsInfo'] as const

export type RuntimeMethod = (typeof runtimeMethods)[number]
export type ImageMethod = (typeof imageMethods)[number]

/** The descriptor in the JSON form of protobufjs. */
export function descriptor(): object {
  const method = (name: string): object => ({ requestType: `${name}Request`, responseType: `${name}Response` })
  const methods = (names: readonly string[]): Record<string, object> => Object.fromEntries(names.map((name) => [name, method(name)]))
  const events = { requestType: 'GetEventsRequest', responseType: 'ContainerEventResponse', responseStream: true }
  const subscribe = { requestType: 'SubscribeRequest', responseType: 'Envelope', responseStream: true }
  return {
    options: { syntax: 'proto3' },
    nested: {
      runtime: {
        nested: {
          v1: {
            nested: {
              ...types(messages),
              RuntimeService: { methods: { ...methods(runtimeMethods), GetContainerEvents: events } },
              ImageService: { methods: methods(imageMethods) },
            },
          },
        },
      },
      containerd: {
        nested: {
          services: {
            nested: { events: { nested: { v1: { nested: { ...types(eventMessages), Events: { methods: { Subscribe: subscribe } } } } } } },
          },
        },
      },
    },
  }
}

function types(all: Readonly<Record<string, Fields>>): Record<string, object> {
  return Object.fromEntries(
    Object.entries(all).map(([name, fields]) => [
      name,
      { fields: Object.fromEntries(Object.entries(fields).map(([field, text]) => [field, fieldOf(text)])) },
    ]),
  )
}

function fieldOf(text: string): object {
  const words = text.split(' ')
  const id = Number(words.at(-1))
  const type = words.at(-2) ?? ''
  const map = /^map<(\w+),(\w+)>$/.exec(type)
  if (map !== null) return { keyType: map[1], type: map[2], id }
  return words.length === 3 ? { rule: 'repeated', type, id } : { type, id }
}
