// A whole control plane for tests: the API server with its authorization on a memory store, every controller, the scheduler, and nodes
// that only pretend to run pods. Time is virtual; `until` moves it in small steps.
import { setMaxListeners } from 'node:events'
import { onTestFinished } from 'vitest'
import { isApiError } from '#api/errors'
import type { Node as NodeObject, Pod as PodObject } from '#api/generated/core-v1'
import type { Kind } from '#api/kind'
import { allKinds } from '#api/kinds/all'
import { Lease } from '#api/kinds/coordination/lease'
import { Node } from '#api/kinds/core/node'
import { Pod } from '#api/kinds/core/pod'
import type { KubeObject, Manifest } from '#api/object'
import { isPodTerminal } from '#api/pods'
import { createApiServer } from '#apiserver/create-api-server'
import { microTimestamp, timestamp } from '#base/clock'
import { FakeClock } from '#base/fake-clock'
import { seededRandom } from '#base/random'
import { createCache } from '#client/cache'
import type { Client } from '#client/client'
import { createEventRecorder } from '#client/event-recorder'
import type { Informer } from '#client/informer'
import { startInformer } from '#client/reflector'
import { createClient } from '#client/rest-client'
import { runControllers } from '#client/run-controllers'
import { createLogger } from '#platform/log'
import { createCa, createPrivateKeyPem, issueCertificate } from '#platform/x509'
import { runScheduler } from '#scheduler/run-scheduler'
import { openMemoryStore } from '#storage/memory/memory-store'
import { allControllers, type ControllersConfig, controllerIndices, metadataControllers, needsWholeObjects } from './all.ts'

export interface FakeNode {
  readonly name: string
  /** From now on nothing is heard of it. */
  silence(): void
  /** Whether new pods get ready; default yes. */
  readiness(pod: (pod: PodObject) => 'ready' | 'running' | 'succeeded' | 'failed' | 'waiting'): void
}

export interface TestCluster {
  /** As an administrator. */
  readonly client: Client
  readonly clock: FakeClock
  /** What controllers failed at, as text. */
  readonly failures: string[]
  addNode(name: string, node?: Manifest<NodeObject>): Promise<FakeNode>
  /** Moves time in small steps until the condition holds; throws after two virtual minutes, or as long as told. */
  until<R>(condition: () => R | Promise<R>, options?: { withinMs?: number }): Promise<NonNullable<R>>
  create<T extends KubeObject>(kind: Kind<T>, manifest: Manifest<T>): Promise<T>
  list<T extends KubeObject>(kind: Kind<T>, namespace?: string): Promise<T[]>
  get<T extends KubeObject>(kind: Kind<T>, name: string, namespace?: string): Promise<T | undefined>
}

const nowMs = Date.UTC(2026, 0, 1)
const ca = createCa({ commonName: 'cluster', days: 1, nowMs })
const kubeletClient = issueCertificate({ ca, commonName: 'admin', organizations: ['system:masters'], usages: ['client'], days: 1, nowMs })
const signingKeyPem = createPrivateKeyPem()
const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve))

/** What the machine does for volumes. */
type VolumeOptions = Pick<ControllersConfig, 'localVolumes' | 'removeHostPath'>

/** Starts everything; it ends with the test. */
export async function startTestCluster(volumes: VolumeOptions = {}): Promise<TestCluster> {
  const clock = new FakeClock()
  const random = seededRandom(1)
  const stop = new AbortController()
  setMaxListeners(0, stop.signal)
  const api = await createApiServer({
    store: openMemoryStore(),
    kinds: allKinds,
    clock,
    random,
    log: createLogger({ sink: { write: () => {} }, clock, level: 'error' }),
    version: { major: '1', minor: '36', gitVersion: 'v1.36.0', gitCommit: 'test', buildDate: '2026-01-01T00:00:00Z' },
    serviceCidrs: ['10.96.0.0/16'],
    nodePortRange: { from: 30_000, to: 32_767 },
    advertise: { address: '192.0.2.1', port: 6443 },
    serviceAccounts: { signingKeyPem, issuer: 'https://kubernetes.default.svc' },
    kubeletTls: { ca: ca.certificatePem, cert: kubeletClient.certificatePem, key: kubeletClient.privateKeyPem },
    deepFreeze: true,
  })
  const clientOf = (name: string, groups: string[]): Client =>
    createClient({ transport: api.inProcess({ name, groups: [...groups, 'system:authenticated'] }), userAgent: name })
  const client = clientOf('admin', ['system:masters'])
  const ready = api.untilReady()
  await settle(clock, ready)
  const failures: string[] = []
  const loops = startLoops(clientOf, { clock, random, signal: stop.signal, failures, volumes })
  onTestFinished(async () => {
    stop.abort(new Error('the test is over'))
    await settle(clock, Promise.allSettled(loops))
    await api.close()
  })
  const kubelet = clientOf('kubelet', ['system:masters'])
  const pods = startInformer(Pod, { client: kubelet, clock, random, signal: stop.signal })
  return {
    client,
    clock,
    failures,
    addNode: (name, node = {}) => addNode(name, node, { client: kubelet, clock, pods, signal: stop.signal }),
    async until(condition, { withinMs = 120_000 } = {}) {
      const deadline = clock.now() + withinMs
      for (;;) {
        for (let i = 0; i < 4; i++) await turn()
        const result = await condition()
        if (result) return result
        if (clock.now() > deadline) throw new Error(`waited in vain; controllers failed at: ${failures.join('; ') || 'nothing'}`)
        await clock.advance(50)
      }
    },
    create: (kind, manifest) => client.create(kind, manifest),
    list: async (kind, namespace = 'default') => (await client.list(kind, kind.namespaced ? { namespace } : {})).items,
    async get(kind, name, namespace = 'default') {
      try {
        return await client.get(kind, { namespace: kind.namespaced ? namespace : '', name })
      } catch (error) {
        if (isApiError(error, 'NotFound')) return undefined
        throw error
      }
    },
  }
}

async function settle(clock: FakeClock, work: Promise<unknown>): Promise<void> {
  let done = false
  void work.finally(() => {
    done = true
  })
  for (let i = 0; i < 2_000 && !done; i++) {
    await turn()
    await clock.advance(10)
  }
  if (!done) throw new Error('does not come to rest')
}

interface LoopDeps {
  readonly clock: FakeClock
  readonly random: () => number
  readonly signal: AbortSignal
  readonly failures: string[]
  readonly volumes: VolumeOptions
}

function startLoops(
  clientOf: (name: string, groups: string[]) => Client,
  { clock, random, signal, failures, volumes }: LoopDeps,
): Promise<void>[] {
  const controllersClient = clientOf('system:kube-controller-manager', [])
  const schedulerClient = clientOf('system:kube-scheduler', [])
  const controllers = allControllers({
    kinds: allKinds,
    rootCaPem: 'ca',
    serviceAccountKeyPem: signingKeyPem,
    podCidr: '10.244.0.0/16',
    dnsIp: '10.96.0.10',
    ...volumes,
  })
  const whole = needsWholeObjects(controllers, metadataControllers)
  const scheduled = new Set(['core/v1/pods', 'core/v1/nodes', 'core/v1/namespaces', 'policy/v1/poddisruptionbudgets'])
  const cache = createCache(
    { client: controllersClient, clock, random, signal, onError: (kind, error) => void failures.push(`${kind.id}: ${error}`) },
    { indices: controllerIndices, metadataOnly: (kind) => !whole(kind) && !scheduled.has(kind.id) },
  )
  const recorder = (client: Client) => (component: string) => createEventRecorder({ client, clock, random, component })
  const ignoreAbort = (error: unknown): void => {
    if (!signal.aborted) failures.push(String(error))
  }
  return [
    runControllers(controllers, {
      cache,
      client: controllersClient,
      clock,
      random,
      signal,
      recorder: recorder(controllersClient),
      onError: (controller, key, error) => void failures.push(`${controller} ${key}: ${(error as Error).message}`),
    }).catch(ignoreAbort),
    runScheduler({
      cache,
      client: schedulerClient,
      clock,
      random,
      signal,
      events: recorder(schedulerClient)('default-scheduler'),
      onError: (pod, error) => void failures.push(`scheduler ${pod}: ${(error as Error).message}`),
    }).catch(ignoreAbort),
  ]
}

interface NodeDeps {
  readonly client: Client
  readonly clock: FakeClock
  readonly pods: Informer<PodObject>
  readonly signal: AbortSignal
}

let address = 1

async function addNode(name: string, manifest: Manifest<NodeObject>, deps: NodeDeps): Promise<FakeNode> {
  const { client, clock, pods, signal } = deps
  let silent = false
  let readiness: Parameters<FakeNode['readiness']>[0] = () => 'ready'
  const now = (): string => timestamp(clock.now())
  const status = {
    allocatable: { cpu: '4', memory: '8Gi', pods: '110' },
    capacity: { cpu: '4', memory: '8Gi', pods: '110' },
    conditions: ['Ready', 'MemoryPressure', 'DiskPressure', 'PIDPressure'].map((type) => ({
      type,
      status: type === 'Ready' ? ('True' as const) : ('False' as const),
      lastHeartbeatTime: now(),
      lastTransitionTime: now(),
      reason: 'Fake',
      message: '',
    })),
    ...manifest.status,
  }
  await client.create(Node, { ...manifest, metadata: { labels: { 'kubernetes.io/hostname': name }, ...manifest.metadata, name }, status })
  const lease = { namespace: 'kube-node-lease', name }
  const renew = async (): Promise<void> => {
    const spec = { holderIdentity: name, leaseDurationSeconds: 40, renewTime: microTimestamp(clock.now()) }
    await client.create(Lease, { metadata: lease, spec })
    while (!signal.aborted && !silent) {
      await clock.sleep(10_000, signal).catch(() => {})
      if (signal.aborted || silent) return
      await client.patch(Lease, lease, 'merge', { spec: { renewTime: microTimestamp(clock.now()) } })
    }
  }
  void renew().catch(() => {})
  const tend = (pod: PodObject): void => {
    if (pod.spec.nodeName !== name || silent || signal.aborted) return
    const key = { namespace: pod.metadata.namespace ?? '', name: pod.metadata.name }
    const step = async (): Promise<void> => {
      if (pod.metadata.deletionTimestamp !== undefined) {
        const preconditions = { uid: pod.metadata.uid }
        if (!isPodTerminal(pod)) await client.patch(Pod, key, 'merge', { status: { phase: 'Failed' } }, { subresource: 'status' })
        await client.delete(Pod, key, { gracePeriodSeconds: 0, preconditions })
      } else if (!isPodTerminal(pod)) {
        const next = podStatus(pod, readiness(pod), now())
        if (next !== undefined) await client.patch(Pod, key, 'merge', { status: next }, { subresource: 'status' })
      }
    }
    void step().catch(() => {})
  }
  pods.subscribe(({ type, object }) => type !== 'deleted' && tend(object))
  return {
    name,
    silence: () => {
      silent = true
    },
    readiness: (of) => {
      readiness = of
      for (const pod of pods.list()) tend(pod)
    },
  }
}

function podStatus(pod: PodObject, wanted: string, now: string): object | undefined {
  const phases: Record<string, string> = {
    ready: 'Running',
    running: 'Running',
    succeeded: 'Succeeded',
    failed: 'Failed',
    waiting: 'Pending',
  }
  const phase = phases[wanted]
  const ready = wanted === 'ready' ? 'True' : 'False'
  const before = pod.status.conditions?.find(({ type }) => type === 'Ready')
  if (pod.status.phase === phase && before?.status === ready) return undefined
  const others = (pod.status.conditions ?? []).filter(({ type }) => type !== 'Ready')
  const podIP = pod.status.podIP ?? `10.244.0.${(address++ % 250) + 1}`
  const exitCode = wanted === 'failed' ? 1 : 0
  return {
    phase,
    podIP,
    podIPs: [{ ip: podIP }],
    startTime: pod.status.startTime ?? now,
    conditions: [...others, { type: 'Ready', status: ready, lastTransitionTime: now }],
    containerStatuses: pod.spec.containers.map(({ name, image }) => ({
      name,
      image,
      imageID: '',
      ready: ready === 'True',
      restartCount: 0,
      state: phase === 'Succeeded' || phase === 'Failed' ? { terminated: { exitCode, finishedAt: now } } : { running: { startedAt: now } },
    })),
  }
}
