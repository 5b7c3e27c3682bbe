// Objects that are there as soon as a cluster is: its own namespaces, the `kubernetes` service that leads to this server, the
// system's priority classes, the range of service addresses. Made once, kept true at each start.
import { ApiError } from '#api/errors'
import { isLoopback, parseIp } from '#api/ip'
import type { Kind } from '#api/kind'
import { Endpoints } from '#api/kinds/core/endpoints'
import { Namespace } from '#api/kinds/core/namespace'
import { Service } from '#api/kinds/core/service'
import { EndpointSlice } from '#api/kinds/discovery/endpoint-slice'
import { ServiceCIDR } from '#api/kinds/networking/service-cidr'
import { PriorityClass } from '#api/kinds/scheduling/priority-class'
import type { KubeObject, Manifest } from '#api/object'
import { compileDecoder } from '#api/schema/decode'
import { type Clock, timestamp } from '#base/clock'
import { internalCall } from './registry/call.ts'
import type { Registries } from './registry/registries.ts'
import { familyOf } from './registry/services/ip-families.ts'
import type { IpRange } from './registry/services/ip-range.ts'
import { cloneJson, sameJson } from './registry/written.ts'

export interface BootstrapDeps {
  readonly registries: Registries
  readonly clock: Clock
  readonly ranges: readonly IpRange[]
  readonly advertise: { readonly address: string; readonly port: number }
}

const call = internalCall('kube-apiserver')

/** Makes what is missing. Safe to call again, and with several API servers at once. */
export async function createBootstrapObjects(deps: BootstrapDeps): Promise<void> {
  const { registries } = deps
  for (const name of ['kube-system', 'kube-public', 'kube-node-lease', 'default']) {
    await ensure(registries, Namespace, '', { metadata: { name } })
  }
  await ensure(registries, ServiceCIDR, '', { metadata: { name: 'kubernetes' }, spec: { cidrs: deps.ranges.map((range) => range.cidr) } })
  await markReady(deps)
  for (const [name, value, description] of systemPriorities) {
    await ensure(registries, PriorityClass, '', { metadata: { name }, value, description })
  }
  await ensure(registries, Service, 'default', kubernetesService(deps))
  // Endpoints may not be on the loopback: a server that is only there (in tests) leads nobody to itself.
  const address = parseIp(deps.advertise.address)
  if (address === undefined || isLoopback(address)) return
  await keep(registries, Endpoints, kubernetesEndpoints(deps))
  await keep(registries, EndpointSlice, kubernetesSlice(deps))
}

const systemPriorities = [
  ['system-node-critical', 2_000_001_000, 'Used for system critical pods that must not be moved from their current node.'],
  [
    'system-cluster-critical',
    2_000_000_000,
    'Used for system critical pods that must run in the cluster, but can be moved to another node if necessary.',
  ],
] as const

function kubernetesService({ ranges, advertise }: BootstrapDeps): Manifest<Service> {
  return {
    metadata: { name: 'kubernetes', namespace: 'default', labels: { component: 'apiserver', provider: 'kubernetes' } },
    spec: {
      clusterIP: ranges[0]!.first,
      ipFamilyPolicy: 'SingleStack',
      ports: [{ name: 'https', port: 443, protocol: 'TCP', targetPort: advertise.port }],
      sessionAffinity: 'None',
      type: 'ClusterIP',
    },
  }
}

function kubernetesEndpoints({ advertise: { address, port } }: BootstrapDeps): Manifest<Endpoints> {
  return {
    metadata: { name: 'kubernetes', namespace: 'default', labels: { 'endpointslice.kubernetes.io/skip-mirror': 'true' } },
    subsets: [{ addresses: [{ ip: address }], ports: [{ name: 'https', port, protocol: 'TCP' }] }],
  }
}

function kubernetesSlice({ advertise: { address, port } }: BootstrapDeps): Manifest<EndpointSlice> {
  return {
    metadata: { name: 'kubernetes', namespace: 'default', labels: { 'kubernetes.io/service-name': 'kubernetes' } },
    addressType: familyOf(address),
    endpoints: [{ addresses: [address], conditions: { ready: true } }],
    ports: [{ name: 'https', port, protocol: 'TCP' }],
  }
}

/** A manifest as the registry takes it: decoded and defaulted; a copy. */
export function decodeManifest<T extends KubeObject>(kind: Kind<T>, manifest: Manifest<T>): T {
  const { object } = compileDecoder<T>(kind.schema())({ ...cloneJson(manifest), apiVersion: kind.apiVersion, kind: kind.kind }, 'ignore')
  object.apiVersion = kind.apiVersion
  object.kind = kind.kind
  kind.strategy.setDefaults?.(object)
  return object
}

async function ensure<T extends KubeObject>(
  registries: Registries,
  kind: Kind<T>,
  namespace: string,
  manifest: Manifest<T>,
): Promise<void> {
  const registry = registries.of(kind)
  const object = decodeManifest(kind, manifest)
  if (registry.cache.get(namespace, object.metadata.name) !== undefined) return
  try {
    await registry.create(object, namespace, call)
  } catch (error) {
    if (!(error instanceof ApiError) || error.reason !== 'AlreadyExists') throw error
  }
}

// Like `ensure`, but what is there is brought to this state: the server's address may have changed.
async function keep<T extends KubeObject>(registries: Registries, kind: Kind<T>, manifest: Manifest<T>): Promise<void> {
  const wanted = decodeManifest(kind, manifest)
  const { name, namespace = '' } = wanted.metadata
  await ensure(registries, kind, namespace, manifest)
  await registries.of(kind).update(
    { namespace, name },
    {
      subresource: '',
      createIfMissing: false,
      make(old) {
        const { metadata, ...content } = decodeManifest(kind, manifest)
        const next = { ...cloneJson(old!), ...content }
        next.metadata.labels = { ...next.metadata.labels, ...metadata.labels }
        return sameJson({ ...next, metadata: undefined }, { ...old!, metadata: undefined }) ? cloneJson(old!) : next
      },
    },
    call,
  )
}

async function markReady({ registries, clock }: BootstrapDeps): Promise<void> {
  await registries.of(ServiceCIDR).update(
    { namespace: '', name: 'kubernetes' },
    {
      subresource: 'status',
      createIfMissing: false,
      make(old) {
        const next = cloneJson(old!)
        const ready = next.status?.conditions?.some((condition) => condition.type === 'Ready' && condition.status === 'True')
        if (ready) return next
        const lastTransitionTime = timestamp(clock.now())
        const message = 'Kubernetes Service CIDR is ready'
        next.status = { conditions: [{ type: 'Ready', status: 'True', reason: '', message, lastTransitionTime }] }
        return next
      },
    },
    call,
  )
}
