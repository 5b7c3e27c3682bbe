// What every pod worker shares: the node's services, wired once.
import type { Pod, Service } from '#api/generated/core-v1'
import type { Clock } from '#base/clock'
import type { Random } from '#base/random'
import type { Client } from '#client/client'
import type { EventRecorder } from '#client/events'
import type { Cgroups } from '../cgroups.ts'
import type { NodeCapacity } from '../container-resources.ts'
import type { KubeletOptions, Log } from '../deps.ts'
import type { ResolverConfig } from '../dns.ts'
import type { EngineView } from '../engine-view.ts'
import type { Images } from '../images.ts'
import type { Prober } from '../probes/prober.ts'
import type { ContainerRuntime } from '../runtimes/runtime.ts'
import type { StatusWriter } from '../status/status-writer.ts'
import type { Mounter } from '../volumes/mounter.ts'
import type { PodVolumes } from '../volumes/pod-volumes.ts'
import type { Tokens } from '../volumes/tokens.ts'
import type { WatchedObjects } from '../watched-objects.ts'
import type { Checkpoints } from './checkpoints.ts'

export interface WorkerContext {
  readonly options: KubeletOptions
  readonly client: Client
  readonly runtime: ContainerRuntime
  readonly engine: EngineView
  readonly clock: Clock
  readonly random: Random
  readonly log: Log
  readonly events: EventRecorder
  readonly images: Images
  readonly volumes: PodVolumes
  readonly mounter: Mounter
  readonly tokens: Tokens
  readonly probes: Prober
  readonly statuses: StatusWriter
  readonly objects: WatchedObjects
  readonly checkpoints: Checkpoints
  readonly cgroups: Pick<Cgroups, 'create' | 'remove' | 'parentFor'>
  readonly capacity: NodeCapacity
  readonly podLogsDir: string
  readonly seccompDir: string
  /** The node's allocatable amounts, for the downward API. */
  readonly allocatable: () => Readonly<Record<string, string>>
  readonly services: () => readonly Service[]
  readonly servicesKnown: () => Promise<void>
  readonly hostResolver: () => Promise<ResolverConfig>
  /** Undefined: the pod network is ready. Else why not. */
  readonly networkProblem: () => string | undefined
  /** Images on the node may have changed. */
  readonly onImages: () => void
  /** The engine's handler of the pod's RuntimeClass; empty: the default one. Rejects when there is no such class. */
  readonly runtimeHandler: (pod: Pod) => Promise<string>
  /** Undefined: the pod may run here. Else why not; asked once, before anything of the pod is made. */
  readonly admit: (pod: Pod) => { readonly reason: string; readonly message: string } | undefined
  /** Aborts when the agent ends. Pods keep running. */
  readonly signal: AbortSignal
}
