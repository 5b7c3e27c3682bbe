// What `import 'navarch'` gives: a cluster inside the process, for tests of operators, controllers and charts.
//
//   import { startCluster, kinds } from 'navarch'
//   const cluster = await startCluster({ nodes: 3 })
//   await cluster.client.create(kinds.Deployment, { … })
//   await cluster.stop()

import { generateKeyPairSync } from 'node:crypto'
import { setMaxListeners } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { allKinds, optionalKinds } from '#api/kinds/all'
import { Pod } from '#api/kinds/core/pod'
import type { KubeObject } from '#api/object'
import { createApiServer } from '#apiserver/create-api-server'
import { createOpenApi } from '#apiserver/discovery/openapi'
import type { User } from '#apiserver/request'
import { unservedKinds } from '#apiserver/runtime-config'
import { listenApi } from '#apiserver/server/listen'
import { type Clock, systemClock } from '#base/clock'
import { freshSeed, seededRandom } from '#base/random'
import type { Client } from '#client/client'
import { renderKubeconfig } from '#client/kubeconfig'
import { startInformer, withoutManagedFields } from '#client/reflector'
import { createClient } from '#client/rest-client'
import type { Transport } from '#client/transport'
import { runSimulatedNodes } from '#kubelet/simulated/simulated-nodes'
import { writeFileAtomic } from '#platform/files'
import { type Logger, silentLogger } from '#platform/log'
import { createCa, issueCertificate } from '#platform/x509'
import { openMemoryStore } from '#storage/memory/memory-store'
import { readDescriptions } from './descriptions.ts'
import { runControlLoops } from './roles/control-loops.ts'
import { kubernetesVersion, kubernetesVersionInfo } from './version.ts'

export { ApiError, isApiError } from '#api/errors'
export type { Kind } from '#api/kind'
export type { KubeList, KubeObject, Manifest, ObjectKey } from '#api/object'
export type { Client, WatchEvent } from '#client/client'
export { completeAfterAnnotation } from '#kubelet/simulated/simulated-nodes'
export * as kinds from './library-kinds.ts'

export interface StartClusterOptions {
  /** Simulated nodes, which take pods to Running without running anything; default 1, 0 for none. */
  readonly nodes?: number
  /** What each simulated node holds, e.g. `{ cpu: '4', memory: '8Gi', pods: '110' }`. */
  readonly nodeCapacity?: Readonly<Record<string, string>>
  /** Without controllers and scheduler there is just the API; default: both run. */
  readonly controllers?: boolean
  /** Whether real clients (kubectl, Helm, client libraries) can connect, on a port of 127.0.0.1; default true. */
  readonly listen?: boolean
  /** Versions and resources to serve or not, as kube-apiserver's --runtime-config: `{ 'networking.k8s.io/v1beta1': true }`. */
  readonly runtimeConfig?: Readonly<Record<string, boolean>>
  /** Where problems are told; default: nowhere. */
  readonly log?: Logger
  readonly clock?: Clock
  /** Makes generated names and tie-breaks the same from run to run. */
  readonly seed?: number
}

export interface Cluster {
  /** As cluster admin, within the process. */
  readonly client: Client
  /** `https://127.0.0.1:port`; empty when the cluster does not listen. */
  readonly server: string
  /** Admin kubeconfig as text, for real clients; empty when the cluster does not listen. */
  readonly kubeconfig: string
  /** The same in a file that only this user can read; removed by `stop`. */
  readonly kubeconfigPath: string
  /** A client as somebody else, for tests of access rules. */
  clientAs(user: { name: string; groups?: readonly string[] }): Client
  /** Ends everything and leaves nothing behind. */
  stop(): Promise<void>
}

const admin: User = { name: 'kubernetes-admin', groups: ['system:masters', 'system:authenticated'] }

/** Starts API server, controllers and scheduler in this process, on a store in memory. Resolves when all of it is ready. */
export async function startCluster(options: StartClusterOptions = {}): Promise<Cluster> {
  const clock = options.clock ?? systemClock
  const log = options.log ?? silentLogger
  const random = seededRandom(options.seed ?? freshSeed())
  const stopping = new AbortController()
  setMaxListeners(0, stopping.signal)
  const ca = createCa({ commonName: 'navarch-ca', days: 2, nowMs: clock.now() })
  const issue = (commonName: string, organizations: string[], usage: 'client' | 'server') =>
    issueCertificate({
      ca,
      commonName,
      organizations,
      usages: [usage],
      days: 1,
      nowMs: clock.now(),
      ...(usage === 'server' ? { dnsNames: ['localhost'], ips: ['127.0.0.1'] } : {}),
    })
  const kubeletClient = issue('kube-apiserver-kubelet-client', ['system:masters'], 'client')
  const serviceAccountKeyPem = generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey.export({
    type: 'pkcs8',
    format: 'pem',
  }) as string
  const store = openMemoryStore({})
  const server = await createApiServer({
    store,
    kinds: [...allKinds, ...optionalKinds],
    unserved: unservedKinds(
      new Map(Object.entries(options.runtimeConfig ?? {}).map(([key, on]) => [key, String(on)])),
      allKinds,
      optionalKinds,
    ),
    serviceCidrs: ['10.96.0.0/16'],
    nodePortRange: { from: 30_000, to: 32_767 },
    advertise: { address: '192.0.2.1', port: 6443 },
    clock,
    random,
    log,
    version: kubernetesVersionInfo,
    serviceAccounts: {
      signingKeyPem: serviceAccountKeyPem,
      issuer: 'https://kubernetes.default.svc.cluster.local',
    },
    kubeletTls: { ca: ca.certificatePem, cert: kubeletClient.certificatePem, key: kubeletClient.privateKeyPem },
    authenticationInfo: { clientCaPem: ca.certificatePem },
    openApi: ({ catalog }, remotes) =>
      createOpenApi({ catalog, about: { version: kubernetesVersion }, descriptions: readDescriptions, remotes }),
  })
  const transports: Transport[] = []
  const connect = (user: User, userAgent: string): Client => {
    const transport = server.inProcess(user)
    transports.push(transport)
    return createClient({ transport, userAgent })
  }
  const listening = options.listen === false ? undefined : await listen()
  await server.untilReady()
  const client = connect(admin, 'navarch')
  const running: Promise<unknown>[] = []
  if (options.controllers !== false) running.push(runLoops())
  await startNodes(options.nodes ?? 1)

  return {
    client,
    server: listening?.address ?? '',
    kubeconfig: listening?.kubeconfig ?? '',
    kubeconfigPath: listening?.path ?? '',
    clientAs: ({ name, groups = [] }) => connect({ name, groups: [...groups, 'system:authenticated'] }, 'navarch'),
    async stop() {
      stopping.abort(new Error('the cluster is stopping'))
      server.stop()
      await listening?.close()
      await Promise.allSettled(running)
      await Promise.all(transports.map((transport) => transport.close()))
      await server.close()
      await store.close()
    },
  }

  async function listen() {
    const serving = issue('kube-apiserver', [], 'server')
    const person = issue(admin.name, ['system:masters'], 'client')
    const tls = { certificatePem: serving.certificatePem, privateKeyPem: serving.privateKeyPem, clientCaPem: ca.certificatePem }
    const listener = await listenApi({ handle: server.handle, tls, host: '127.0.0.1', port: 0, clock })
    const address = `https://127.0.0.1:${listener.port}`
    const access = { server: address, ca: ca.certificatePem, clientCert: person.certificatePem, clientKey: person.privateKeyPem }
    const kubeconfig = renderKubeconfig(access, { cluster: 'navarch', user: admin.name })
    const directory = await mkdtemp(join(tmpdir(), 'navarch-'))
    const path = join(directory, 'kubeconfig')
    await writeFileAtomic(path, kubeconfig)
    const close = async (): Promise<void> => {
      await listener.close(1_000)
      await rm(directory, { recursive: true, force: true })
    }
    return { address, kubeconfig, path, close }
  }

  function runLoops(): Promise<void> {
    const as = (name: string): Transport => {
      const transport = server.inProcess({ name, groups: ['system:authenticated'] })
      transports.push(transport)
      return transport
    }
    return runControlLoops({
      controllersTransport: as('system:kube-controller-manager'),
      schedulerTransport: as('system:kube-scheduler'),
      clock,
      random,
      log,
      signal: stopping.signal,
      rootCaPem: ca.certificatePem,
      signingCa: ca,
      serviceAccountKeyPem,
      podCidr: '10.244.0.0/12',
      identity: undefined,
      run: { controllers: true, scheduler: true },
    })
  }

  async function startNodes(count: number): Promise<void> {
    if (count === 0) return
    const pods = startInformer(Pod, { client, clock, random, signal: stopping.signal }, { trim: withoutManagedFields })
    await new Promise<void>((ready, failed) => {
      const nodes = runSimulatedNodes({
        client,
        pods,
        clock,
        signal: stopping.signal,
        count,
        kubeletVersion: kubernetesVersion,
        onReady: ready,
        ...(options.nodeCapacity === undefined ? {} : { capacity: options.nodeCapacity }),
      })
      nodes.catch(failed)
      running.push(nodes, pods.ended)
    })
  }
}

/** Waits until `condition` holds for an object, asking again as it changes; rejects after `timeoutMs`. */
export async function waitFor<T extends KubeObject>(
  cluster: Pick<Cluster, 'client'>,
  kind: import('#api/kind').Kind<T>,
  key: { namespace?: string; name: string },
  condition: (object: T) => boolean,
  timeoutMs = 10_000,
): Promise<T> {
  const signal = AbortSignal.timeout(timeoutMs)
  const namespace = key.namespace ?? ''
  const selection = { namespace, fieldSelector: `metadata.name=${key.name}`, signal }
  const { items, metadata } = await cluster.client.list(kind, selection)
  const found = items.find(condition)
  if (found !== undefined) return found
  for await (const event of cluster.client.watch(kind, { ...selection, resourceVersion: metadata.resourceVersion })) {
    if (event.type !== 'BOOKMARK' && event.type !== 'DELETED' && condition(event.object)) return event.object
  }
  throw new Error(`${kind.resource} ${key.name} did not come to the expected state within ${timeoutMs} ms`)
}
