// From Services and EndpointSlices to rules. Pure: the same world gives the same rules, in the same order.
import type { Service, ServicePort } from '#api/generated/core-v1'
import type { Endpoint, EndpointSlice } from '#api/generated/discovery-v1'
import type { Protocol, RuleSet, ServiceRule, Target } from './rule-set.ts'

const serviceNameLabel = 'kubernetes.io/service-name'
/** Services that another proxy looks after. */
const otherProxyLabel = 'service.kubernetes.io/service-proxy-name'

export interface World {
  readonly services: readonly Service[]
  readonly slices: readonly EndpointSlice[]
  readonly nodeName: string
  readonly podCidrs: readonly string[]
  /** Service addresses that this node answers itself (cluster DNS): they need no rules. */
  readonly ownAddresses: ReadonlySet<string>
}

/** The whole rule set of a node. IPv4; addresses of the other family are left out. */
export function planRules(world: World): RuleSet {
  const slicesOf = new Map<string, EndpointSlice[]>()
  for (const slice of world.slices) {
    const name = slice.metadata.labels?.[serviceNameLabel]
    if (name === undefined || slice.addressType !== 'IPv4') continue
    const key = `${slice.metadata.namespace}/${name}`
    const list = slicesOf.get(key)
    if (list === undefined) slicesOf.set(key, [slice])
    else list.push(slice)
  }
  const services = world.services.flatMap((service) => {
    const key = `${service.metadata.namespace}/${service.metadata.name}`
    return isOurs(service) ? rulesOf(service, key, slicesOf.get(key) ?? [], world) : []
  })
  services.sort((a, b) => (a.id < b.id ? -1 : 1))
  return { services, podCidrs: world.podCidrs }
}

function isOurs({ spec, metadata }: Service): boolean {
  return (
    spec.type !== 'ExternalName' &&
    spec.clusterIP !== undefined &&
    spec.clusterIP !== '' &&
    spec.clusterIP !== 'None' &&
    metadata.labels?.[otherProxyLabel] === undefined
  )
}

function rulesOf(service: Service, key: string, slices: readonly EndpointSlice[], world: World): ServiceRule[] {
  const { spec, status } = service
  const clusterIps = (spec.clusterIPs ?? [spec.clusterIP ?? '']).filter((ip) => isIpv4(ip) && !world.ownAddresses.has(ip))
  if (clusterIps.length === 0) return []
  const balancers = (status.loadBalancer?.ingress ?? [])
    .filter(({ ipMode }) => ipMode !== 'Proxy')
    .flatMap(({ ip }) => (ip === undefined ? [] : [ip]))
  const externalIps = [...(spec.externalIPs ?? []), ...balancers].filter(isIpv4)
  const external = spec.type === 'NodePort' || spec.type === 'LoadBalancer' || externalIps.length > 0
  const externalLocal = external && spec.externalTrafficPolicy === 'Local'
  const affinitySeconds = spec.sessionAffinity === 'ClientIP' ? (spec.sessionAffinityConfig?.clientIP?.timeoutSeconds ?? 10_800) : undefined
  return (spec.ports ?? []).map((port): ServiceRule => {
    const endpoints = endpointsFor(port, slices)
    const local = endpoints.filter(({ endpoint }) => endpoint.nodeName === world.nodeName)
    const wide = usable(endpoints)
    return {
      id: `${key}:${port.name ?? ''}/${port.protocol}`,
      protocol: port.protocol.toLowerCase() as Protocol,
      port: port.port,
      clusterIps,
      externalIps,
      sourceRanges: (spec.loadBalancerSourceRanges ?? []).filter((range) => isIpv4(range.split('/')[0] ?? '')),
      nodePort: port.nodePort,
      clusterTargets: spec.internalTrafficPolicy === 'Local' ? usable(local) : wide,
      externalTargets: externalLocal ? usable(local) : wide,
      externalLocal,
      hasEndpoints: wide.length > 0,
      affinitySeconds,
    }
  })
}

interface PortEndpoint {
  readonly endpoint: Endpoint
  readonly port: number
}

function endpointsFor(port: ServicePort, slices: readonly EndpointSlice[]): PortEndpoint[] {
  const found: PortEndpoint[] = []
  for (const slice of slices) {
    const match = (slice.ports ?? []).find(({ name = '', protocol }) => name === (port.name ?? '') && (protocol ?? 'TCP') === port.protocol)
    if (match?.port === undefined) continue
    for (const endpoint of slice.endpoints ?? []) found.push({ endpoint, port: match.port })
  }
  return found
}

/** Ready endpoints; when there is none, those that still serve while they terminate (KEP-1669). */
function usable(endpoints: readonly PortEndpoint[]): Target[] {
  const ready = endpoints.filter(({ endpoint }) => endpoint.conditions?.ready !== false)
  const chosen =
    ready.length > 0
      ? ready
      : endpoints.filter(({ endpoint: { conditions } }) => conditions?.serving === true && conditions.terminating === true)
  const targets = new Map<string, Target>()
  for (const { endpoint, port } of chosen) {
    const [ip] = endpoint.addresses
    if (ip !== undefined) targets.set(`${ip}:${port}`, { ip, port })
  }
  return [...targets.entries()].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, target]) => target)
}

function isIpv4(text: string): boolean {
  return /^\d+\.\d+\.\d+\.\d+$/.test(text)
}
