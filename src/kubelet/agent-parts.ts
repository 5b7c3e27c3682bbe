// The parts of the node agent, made and joined: who tells whom. Nothing here runs yet; kubelet.ts runs them.
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { Node, Pod } from '#api/generated/core-v1'
import { Service } from '#api/kinds/core/service'
import { refusePod } from './admission.ts'
import type { Cgroups } from './cgroups.ts'
import type { KubeletDeps } from './deps.ts'
import { parseResolvConf } from './dns.ts'
import { EngineView } from './engine-view.ts'
import { createEviction, type Eviction } from './eviction/evict-pods.ts'
import { createImages, type Images } from './images.ts'
import { collectUnusedImages } from './maintenance.ts'
import type { NodeFacts } from './node/node-facts.ts'
import { allocatable } from './node/node-object.ts'
import { createNodeReporter, type NodeReporter } from './node/node-status.ts'
import { defaultThresholds } from './node/pressure.ts'
import { createCheckpoints } from './pod-workers/checkpoints.ts'
import { createPodWorkers, type PodWorkers } from './pod-workers/pod-workers.ts'
import type { WorkerContext } from './pod-workers/worker-context.ts'
import { createProber } from './probes/prober.ts'
import { createRuntimeHandlers } from './runtime-handlers.ts'
import { createStatusWriter, type StatusWriter } from './status/status-writer.ts'
import { createClaims } from './volumes/claims.ts'
import type { Mounter } from './volumes/mounter.ts'
import { createPodVolumes, type PodVolumes } from './volumes/pod-volumes.ts'
import { createTokens, type Tokens } from './volumes/tokens.ts'
import { createWatchedObjects, type WatchedObjects } from './watched-objects.ts'

/** What the agent knows of the machine, and where it keeps its things. */
export interface Machine {
  readonly facts: NodeFacts
  readonly cgroups: Pick<Cgroups, 'create' | 'remove' | 'parentFor' | 'children' | 'usage'>
  readonly mounter: Mounter
  readonly podsDir: string
  readonly memoryDir: string
  readonly podLogsDir: string
}

/** What changes while the agent runs. */
export interface AgentState {
  /** As the API has it. */
  node: Node | undefined
  /** The port that the server got. */
  port: number
  /** The uid under which the API knows a pod. */
  apiUid: (pod: Pod) => string | undefined
}

export interface AgentParts {
  readonly engine: EngineView
  readonly workers: PodWorkers
  readonly statuses: StatusWriter
  readonly images: Images
  readonly reporter: NodeReporter
  readonly evictions: Eviction
}

/** `onRegistered`: the API has the node; its heartbeat may begin. */
export function createParts(
  deps: KubeletDeps,
  machine: Machine,
  state: AgentState,
  signal: AbortSignal,
  onRegistered: (node: Node) => void,
): AgentParts {
  const { client, clock, events, log, random, runtime } = deps
  const { cgroups, facts, podsDir, memoryDir, podLogsDir } = machine
  const engine = new EngineView({
    runtime,
    clock,
    log,
    signal,
    onChange: (uid) => workers.wake(uid),
    onHealth: () => reporter.check(),
  })
  const tokens = createTokens({ client, clock, random })
  const objects = createWatchedObjects({ openInformer: deps.openInformer, clock, signal, onChange: (uid) => workers.refreshVolumes(uid) })
  const parts = {
    tokens,
    objects,
    volumes: createVolumes(deps, machine, state, tokens, objects),
    images: createImages({ runtime, events, clock, parallelPulls: deps.parallelPulls ?? 4 }),
    statuses: createStatusWriter({ client, clock, log, signal, apiUid: (pod) => state.apiUid(pod) }),
    probes: createProber({ runtime, events, clock, random, log, signal, onChange: (uid) => workers.wake(uid) }),
    engine,
  }
  let networkWasReady = false
  const reporter = createNodeReporter({
    client,
    runtime,
    events,
    clock,
    random,
    log,
    options: deps,
    facts,
    thresholds: { ...defaultThresholds, ...deps.eviction },
    signal,
    port: () => state.port,
    onRegistered,
    onReadiness: ({ networkReady }) => {
      if (networkReady && !networkWasReady) workers.wakeAll()
      networkWasReady = networkReady
    },
  })
  const context = createContext(deps, machine, state, signal, { ...parts, reporter, workers: () => workers })
  const workers = createPodWorkers({
    context: () => context,
    podsDir,
    memoryDir,
    cgroupChildren: (path) => cgroups.children(path),
    removeCgroup: (path) => cgroups.remove(path),
  })
  const reclaimDisk = (): Promise<boolean> => collectUnusedImages({ ...deps, engine, workers, images: parts.images, reporter }, true)
  const evictions = createEviction({ runtime, events, log, workers, podsDir, podLogsDir, reclaimDisk })
  return { engine, workers, statuses: parts.statuses, images: parts.images, reporter, evictions }
}

function createVolumes(
  { client, clock, log }: KubeletDeps,
  machine: Machine,
  state: AgentState,
  tokens: Tokens,
  objects: WatchedObjects,
): PodVolumes {
  const { mounter, podsDir, memoryDir } = machine
  return createPodVolumes({
    mounter,
    clock,
    tokens,
    podsDir,
    memoryDir,
    configMap: (uid, namespace, name) => objects.configMap(uid, namespace, name),
    secret: (uid, namespace, name) => objects.secret(uid, namespace, name),
    onStale: (pod, volume, error) =>
      log.info('a volume stays as it was', { pod: `${pod.metadata.namespace}/${pod.metadata.name}`, volume, error: String(error) }),
    claims: createClaims({ client, node: () => state.node }),
  })
}

type ContextParts = Pick<WorkerContext, 'tokens' | 'objects' | 'volumes' | 'images' | 'statuses' | 'probes' | 'engine'> & {
  readonly reporter: NodeReporter
  readonly workers: () => PodWorkers
}

function createContext(
  deps: KubeletDeps,
  machine: Machine,
  state: AgentState,
  signal: AbortSignal,
  { reporter, workers, ...parts }: ContextParts,
): WorkerContext {
  const { client, clock, events, log, random, runtime } = deps
  const { cgroups, facts, mounter, podLogsDir } = machine
  const amounts = allocatable(facts, deps)
  const services = deps.openInformer(Service, {}, signal)
  return {
    ...parts,
    options: deps,
    client,
    runtime,
    clock,
    random,
    log,
    events,
    mounter,
    cgroups,
    podLogsDir,
    signal,
    checkpoints: createCheckpoints(join(deps.dataDir, 'checkpoints')),
    capacity: { memoryBytes: facts.memoryBytes, mayLowerOomScore: facts.hasSysResource },
    seccompDir: join(deps.dataDir, 'seccomp'),
    allocatable: () => amounts,
    services: () => services.list(),
    servicesKnown: () => services.untilSynced(signal),
    hostResolver: cachedResolver(deps),
    networkProblem: () => (reporter.readiness.networkReady ? undefined : reporter.readiness.networkMessage),
    onImages: () => reporter.imagesChanged(),
    runtimeHandler: createRuntimeHandlers(client),
    admit: (pod) => {
      const others = workers().all()
      return refusePod(pod, {
        others: others.flatMap((w) => (w.active && w.admitted && w.pod.metadata.uid !== pod.metadata.uid ? [w.pod] : [])),
        allocatable: amounts,
        node: state.node,
        allowedUnsafeSysctls: deps.allowedUnsafeSysctls ?? [],
      })
    },
  }
}

function cachedResolver({ resolvConf = '/etc/resolv.conf', clock }: KubeletDeps): WorkerContext['hostResolver'] {
  let cached: { at: number; value: ReturnType<typeof parseResolvConf> } | undefined
  return async () => {
    if (cached === undefined || clock.monotonic() - cached.at > 10_000) {
      cached = { at: clock.monotonic(), value: parseResolvConf(await readFile(resolvConf, 'utf8').catch(() => '')) }
    }
    return cached.value
  }
}
