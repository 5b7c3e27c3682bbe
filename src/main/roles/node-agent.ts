// The role of a node: kubelet, service proxy and cluster DNS in one process, with the engine they need.
import { hostname } from 'node:os'
import { join } from 'node:path'
import type { Kind } from '#api/kind'
import { Service } from '#api/kinds/core/service'
import { EndpointSlice } from '#api/kinds/discovery/endpoint-slice'
import type { KubeObject } from '#api/object'
import { systemClock as clock } from '#base/clock'
import type { ClusterConfig, ClusterPaths } from '#bootstrap/cluster-config'
import { privateContainerdPaths } from '#bootstrap/engine/containerd-config'
import type { Engine } from '#bootstrap/engine/engine'
import { keepPrivateContainerd } from '#bootstrap/engine/private-containerd'
import { ensureSandboxImage } from '#bootstrap/engine/sandbox-image'
import { readPair } from '#bootstrap/pki'
import type { Client } from '#client/client'
import { createEventRecorder } from '#client/event-recorder'
import type { Informer, InformerOptions } from '#client/informer'
import { startInformer, withoutManagedFields } from '#client/reflector'
import { createClient } from '#client/rest-client'
import { withRetries } from '#client/retry'
import { createForwarder, resolvConfUpstreams } from '#dns/forward'
import { runDns, serviceIndices, sliceIndices } from '#dns/run-dns'
import { runKubelet } from '#kubelet/kubelet'
import { openRuntime } from '#kubelet/runtimes/all'
import type { ContainerRuntime } from '#kubelet/runtimes/runtime'
import { createNftablesBackend } from '#proxy/backends/nftables/nftables'
import { runProxy } from '#proxy/run-proxy'
import { addLocalAddress } from '../local-address.ts'
import { freePort } from '../ports.ts'
import { kubernetesVersion } from '../version.ts'
import { type Role, transportAs } from './role.ts'

const maxPods = 110

/** Runs until the signal aborts. Containers go on afterwards. */
export async function runNodeAgent(config: ClusterConfig, paths: ClusterPaths, { log, random, signal }: Role): Promise<void> {
  const nodeTransport = transportAs('node', config, paths)
  const proxyTransport = transportAs('proxy', config, paths)
  const client = createClient({ transport: withRetries(nodeTransport, clock), userAgent: 'kubelet' })
  const proxyClient = createClient({ transport: withRetries(proxyTransport, clock), userAgent: 'kube-proxy' })
  const { runtime, keeping } = await openEngine(config, paths, { log, random, signal })
  const services = openInformer(proxyClient, Service, { indices: serviceIndices })
  const slices = openInformer(proxyClient, EndpointSlice, { indices: sliceIndices })
  const parts: Promise<void>[] = [keeping]
  if (config.engine !== 'fake') {
    const backend = createNftablesBackend({ clusterName: config.name })
    const ownAddresses = new Set([config.dnsIp])
    parts.push(
      runProxy({
        services,
        slices,
        backend,
        nodeName: config.nodeName,
        podCidrs: [config.podCidr],
        ownAddresses,
        clock,
        random,
        log,
        signal,
      }),
    )
    parts.push(serveDns())
  }
  const { certificatePem: cert, privateKeyPem: key } = readPair(paths.pki, 'kubelet')
  parts.push(
    runKubelet({
      client,
      openInformer: (kind, options, until) => openInformer(client, kind, options, until),
      events: createEventRecorder({ client, clock, random, component: 'kubelet', host: config.nodeName }),
      runtime,
      clock,
      random,
      log,
      signal,
      nodeName: config.nodeName,
      nodeIps: [config.nodeIp],
      hostname: hostname(),
      dataDir: paths.kubelet,
      clusterDns: [config.dnsIp],
      clusterDomain: config.clusterDomain,
      maxPods,
      cgroupRoot: `/${config.name}`,
      labels: {},
      taints: [],
      kubeletVersion: kubernetesVersion,
      // Another cluster's agent may have taken the port since; the node's status tells which one it is.
      port: await freePort(config.kubeletPort, 'the node agent'),
      address: '0.0.0.0',
      tls: { cert, key, clientCa: readPair(paths.pki, 'ca').certificatePem },
    }),
  )
  await Promise.all(parts)
  await runtime.close()
  await Promise.all([nodeTransport.close(), proxyTransport.close()])

  async function serveDns(): Promise<void> {
    await addLocalAddress(config.dnsIp)
    const upstreams = resolvConfUpstreams('/etc/resolv.conf', new Set([config.dnsIp]))
    const forwarder = createForwarder({ upstreams, clock })
    await runDns({ services, slices, address: config.dnsIp, zone: config.clusterDomain, forwarder, log, signal })
  }

  function openInformer<T extends KubeObject>(
    from: Client,
    kind: Kind<T>,
    options: InformerOptions<T> = {},
    until: AbortSignal = signal,
  ): Informer<T> {
    const onError = (_kind: Kind, error: unknown): void => log.debug('watch failed', { resource: kind.id, error })
    return startInformer(kind, { client: from, clock, random, signal: until, onError }, { trim: withoutManagedFields, ...options })
  }
}

/** The engine's driver, once the engine answers; `keeping` runs a private engine until the signal aborts. */
async function openEngine(
  config: ClusterConfig,
  paths: ClusterPaths,
  { log, random, signal }: Role,
): Promise<{ runtime: ContainerRuntime; keeping: Promise<void> }> {
  const common = { dataDir: paths.dataDir, clusterName: config.name, clock, log, random }
  if (config.engine === 'fake') return { runtime: await openRuntime({ ...common, engine: 'fake' }), keeping: Promise.resolve() }
  if (config.engine === 'docker') {
    const endpoint = config.dockerHost ?? ''
    await sandboxImage({ kind: 'docker', endpoint })
    return { runtime: await openRuntime({ ...common, engine: 'docker', dockerHost: endpoint }), keeping: Promise.resolve() }
  }
  if (!config.privateEngine) {
    const endpoint = config.criEndpoint ?? ''
    await sandboxImage({ kind: 'containerd', endpoint, private: false })
    return { runtime: await openRuntime({ ...common, engine: 'containerd', criEndpoint: endpoint }), keeping: Promise.resolve() }
  }
  let started: () => void = () => {}
  const first = new Promise<void>((resolve) => {
    started = resolve
  })
  const say = (line: string): void => log.info(line)
  const keeping = keepPrivateContainerd({ dataDir: paths.dataDir, clock, log: say, signal, onStart: () => started() })
  await first
  const endpoint = `unix://${privateContainerdPaths(paths.dataDir).socket}`
  await sandboxImage({ kind: 'containerd', endpoint, private: true })
  return { runtime: await openRuntime({ ...common, engine: 'containerd', criEndpoint: endpoint }), keeping }

  async function sandboxImage(engine: Engine): Promise<void> {
    await ensureSandboxImage(engine, { imagesDir: join(paths.dataDir, 'images'), clock })
  }
}
