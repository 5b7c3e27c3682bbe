// The node agent: one function that runs until its signal aborts. Everything here is wiring; each part is a file of its own.
// What it leaves behind when it ends is what it wants to find again: running containers.
import { setMaxListeners } from 'node:events'
import { mkdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { Node as NodeV1 } from '#api/generated/core-v1'
import { Node } from '#api/kinds/core/node'
import { Pod } from '#api/kinds/core/pod'
import { Service } from '#api/kinds/core/service'
import { refusePod } from './admission.ts'
import { type Cgroups, openCgroups } from './cgroups.ts'
import type { KubeletDeps } from './deps.ts'
import { parseResolvConf } from './dns.ts'
import { EngineView } from './engine-view.ts'
import { createEviction } from './eviction/evict-pods.ts'
import { createImages } from './images.ts'
import { collectUnusedImages, maintain } from './maintenance.ts'
import { keepLease } from './node/lease.ts'
import { readNodeFacts } from './node/node-facts.ts'
import { allocatable } from './node/node-object.ts'
import { createNodeReporter } from './node/node-status.ts'
import { defaultThresholds } from './node/pressure.ts'
import { createCheckpoints } from './pod-workers/checkpoints.ts'
import { createPodWorkers } from './pod-workers/pod-workers.ts'
import type { WorkerContext } from './pod-workers/worker-context.ts'
import { createProber } from './probes/prober.ts'
import { createRuntimeHandlers } from './runtime-handlers.ts'
import { runServer } from './server/server.ts'
import { createStatusWriter } from './status/status-writer.ts'
import { createMounter, type Mounter } from './volumes/mounter.ts'
import { createPodVolumes } from './volumes/pod-volumes.ts'
import { createTokens } from './volumes/tokens.ts'
import { createWatchedObjects } from './watched-objects.ts'

/** Parts that tests put in the place of the machine's own. */
export interface KubeletMachine {
  readonly cgroups?: Pick<Cgroups, 'create' | 'remove' | 'parentFor' | 'children' | 'usage'>
  readonly mounter?: Mounter
  /** No HTTPS server: nobody asks. */
  readonly withoutServer?: boolean
}

/** Runs the node agent. Rejects when it cannot start (no engine is waited for, not failed on); resolves when the signal aborts. */
export async function runKubelet(deps: KubeletDeps, machine: KubeletMachine = {}): Promise<void> {
  const { client, clock, events, log, random, runtime } = deps
  // Any part that breaks ends the others.
  const ending = new AbortController()
  const signal = AbortSignal.any([deps.signal, ending.signal])
  // Everything that lives here listens to it.
  setMaxListeners(0, signal)
  const podsDir = join(deps.dataDir, 'pods')
  const memoryDir = join(deps.dataDir, 'memory')
  const podLogsDir = deps.podLogsDir ?? join(deps.dataDir, 'pod-logs')
  const mounter = machine.mounter ?? createMounter()
  const cgroups = machine.cgroups ?? (await openCgroups({ driver: runtime.info.cgroupDriver }))
  await Promise.all([podsDir, memoryDir, podLogsDir].map((path) => mkdir(path, { recursive: true, mode: 0o755 })))
  await mountMemory(mounter, memoryDir, deps)
  const facts = await readNodeFacts(deps.dataDir)
  const amounts = allocatable(facts, deps)

  let node: NodeV1 | undefined
  let port = deps.port
  const engine = new EngineView({
    runtime,
    clock,
    log,
    signal,
    onChange: (uid) => workers.wake(uid),
    onHealth: () => reporter.check(),
  })
  const statuses = createStatusWriter({ client, clock, log, signal })
  const tokens = createTokens({ client, clock, random })
  const objects = createWatchedObjects({ openInformer: deps.openInformer, clock, signal, onChange: (uid) => workers.refreshVolumes(uid) })
  const volumes = createPodVolumes({
    mounter,
    clock,
    tokens,
    podsDir,
    memoryDir,
    configMap: (uid, namespace, name) => objects.configMap(uid, namespace, name),
    secret: (uid, namespace, name) => objects.secret(uid, namespace, name),
    onStale: (pod, volume, error) =>
      log.info('a volume stays as it was', { pod: `${pod.metadata.namespace}/${pod.metadata.name}`, volume, error: String(error) }),
    claimPath: async (_pod, claimName) => {
      throw new Error(`persistentvolumeclaim ${JSON.stringify(claimName)} cannot be mounted on this node`)
    },
  })
  const images = createImages({ runtime, events, clock, parallelPulls: deps.parallelPulls ?? 4 })
  const probes = createProber({ runtime, events, clock, random, log, signal, onChange: (uid) => workers.wake(uid) })
  const services = deps.openInformer(Service, {}, signal)
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
    port: () => port,
    onReadiness: ({ networkReady }) => {
      if (networkReady && !networkWasReady) workers.wakeAll()
      networkWasReady = networkReady
    },
    onRegistered: (registered) => {
      node = registered
      deps.onRegistered?.()
      watchNode(registered)
    },
  })
  let networkWasReady = false
  const hostResolver = cachedResolver(deps)
  const context: WorkerContext = {
    options: deps,
    client,
    runtime,
    engine,
    clock,
    random,
    log,
    events,
    images,
    volumes,
    mounter,
    tokens,
    probes,
    statuses,
    objects,
    checkpoints: createCheckpoints(join(deps.dataDir, 'checkpoints')),
    cgroups,
    capacity: { memoryBytes: facts.memoryBytes, mayLowerOomScore: facts.hasSysResource },
    podLogsDir,
    seccompDir: join(deps.dataDir, 'seccomp'),
    allocatable: () => amounts,
    services: () => services.list(),
    servicesKnown: () => services.untilSynced(signal),
    hostResolver,
    networkProblem: () => (reporter.readiness.networkReady ? undefined : reporter.readiness.networkMessage),
    onImages: () => reporter.imagesChanged(),
    runtimeHandler: createRuntimeHandlers(client),
    admit: (pod) =>
      refusePod(pod, {
        others: workers.all().flatMap((w) => (w.active && w.pod.metadata.uid !== pod.metadata.uid && w.admitted ? [w.pod] : [])),
        allocatable: amounts,
        node,
        allowedUnsafeSysctls: deps.allowedUnsafeSysctls ?? [],
      }),
    signal,
  }
  const workers = createPodWorkers({
    context: () => context,
    podsDir,
    memoryDir,
    cgroupChildren: (path) => cgroups.children(path),
    removeCgroup: (path) => cgroups.remove(path),
  })

  let leaseStarted = false
  const parts: Promise<void>[] = []
  function watchNode(registered: NodeV1): void {
    if (leaseStarted) return
    leaseStarted = true
    const informer = deps.openInformer(Node, { fieldSelector: `metadata.name=${deps.nodeName}` }, signal)
    informer.subscribe(({ type, object }) => {
      if (type === 'deleted') return
      node = object
      reporter.nodeChanged(object)
    })
    part(keepLease({ client, clock, random, log, nodeName: deps.nodeName, nodeUid: registered.metadata.uid, signal }))
  }
  function part(work: Promise<void>): void {
    parts.push(
      work.catch((error) => {
        if (!signal.aborted) ending.abort(error)
      }),
    )
  }

  const onListening = (actual: number): void => {
    port = actual
    deps.onListening?.(actual)
    part(reporter.run())
  }
  if (machine.withoutServer) onListening(deps.port)
  else
    part(
      runServer({
        ...deps,
        signal,
        engine,
        workers,
        statuses,
        cgroups,
        onListening,
      }),
    )
  part(startPods())
  async function startPods(): Promise<void> {
    await engine.start()
    part(engine.run())
    await workers.resume()
    const pods = deps.openInformer(Pod, { fieldSelector: `spec.nodeName=${deps.nodeName}` }, signal)
    workers.follow(pods)
    const evictions = createEviction({
      runtime,
      events,
      log,
      workers,
      podsDir,
      podLogsDir,
      reclaimDisk: () => collectUnusedImages({ ...deps, engine, workers, images, reporter }, true),
    })
    part(maintain({ ...deps, signal, engine, workers, images, reporter, evictions }))
  }

  await new Promise<void>((resolve) => {
    if (signal.aborted) resolve()
    signal.addEventListener('abort', () => resolve(), { once: true })
  })
  await Promise.allSettled([...parts, workers.stop()])
  if (!deps.signal.aborted) throw ending.signal.reason
}

/** A file system in memory for what comes out of secrets and tokens. Without the right to mount, the directory itself must do. */
async function mountMemory(mounter: Mounter, directory: string, { log }: KubeletDeps): Promise<void> {
  if ((await mounter.mountsBelow(directory)).includes(directory)) return
  await mounter.tmpfs(directory, { mode: '0755' }).catch((error) => {
    log.warn('secrets will be kept on disk: mounting a file system in memory failed', { error: String(error) })
  })
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
