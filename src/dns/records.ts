// What cluster DNS says of a name: the Kubernetes DNS specification 1.1.0 over Services and EndpointSlices. Pure but for reading
// the informers; nothing is prepared per record, an answer costs a few look-ups.
import type { Service } from '#api/generated/core-v1'
import type { Endpoint, EndpointSlice } from '#api/generated/discovery-v1'

export type Answer =
  | { readonly type: 'A' | 'AAAA' | 'CNAME' | 'PTR'; readonly name: string; readonly data: string }
  | { readonly type: 'TXT'; readonly name: string; readonly data: string }
  | { readonly type: 'SRV'; readonly name: string; readonly data: { priority: number; weight: number; port: number; target: string } }

/** `answers` of the asked type, and what a client will ask next. `exists`: the name is there, if perhaps without that type. */
export interface Resolution {
  readonly exists: boolean
  readonly answers: readonly Answer[]
  readonly additionals: readonly Answer[]
}

/** Reads of the cluster's state. */
export interface RecordSource {
  service(namespace: string, name: string): Service | undefined
  /** Slices of a Service. */
  slices(namespace: string, name: string): readonly EndpointSlice[]
  namespaceExists(namespace: string): boolean
  serviceByIp(ip: string): Service | undefined
  /** Slices that hold an endpoint with this address. */
  slicesByIp(ip: string): readonly EndpointSlice[]
}

const nothing: Resolution = { exists: false, answers: [], additionals: [] }
const empty: Resolution = { exists: true, answers: [], additionals: [] }

/** Version of the specification, as `dns-version.<zone>` tells it. */
export const specificationVersion = '1.1.0'

/** Resolves a name below `zone` (both lower-case, without the last dot). */
export function resolveInZone(name: string, type: string, zone: string, source: RecordSource): Resolution {
  if (name === zone) return empty
  const labels = name.slice(0, -zone.length - 1).split('.')
  const kind = labels.at(-1)
  if (labels.length === 1 && kind === 'dns-version') {
    return type === 'TXT' ? { exists: true, answers: [{ type: 'TXT', name, data: specificationVersion }], additionals: [] } : empty
  }
  if (kind === 'svc') return resolveService(labels.slice(0, -1), name, type, zone, source)
  if (kind === 'pod') return resolvePod(labels.slice(0, -1), name, type, source)
  return nothing
}

/** `labels`: [hostname | _port _proto] service namespace. */
function resolveService(labels: readonly string[], name: string, type: string, zone: string, source: RecordSource): Resolution {
  if (labels.length === 0) return empty
  const namespace = labels.at(-1) ?? ''
  if (labels.length === 1) return source.namespaceExists(namespace) ? empty : nothing
  const serviceName = labels.at(-2) ?? ''
  const service = source.service(namespace, serviceName)
  if (service === undefined) return nothing
  const base = `${serviceName}.${namespace}.svc.${zone}`
  const before = labels.slice(0, -2)
  if (service.spec.type === 'ExternalName') {
    const target = service.spec.externalName?.replace(/\.$/, '')
    if (before.length > 0 || target === undefined) return nothing
    return { exists: true, answers: [{ type: 'CNAME', name, data: target }], additionals: [] }
  }
  if (before.length === 0) return addressesOf(service, name, type, base, source)
  const [first = '', second = ''] = before
  if (before.length === 1 && first.startsWith('_')) return protocolExists(service, first) ? empty : nothing
  if (before.length === 2 && first.startsWith('_')) return resolvePort(service, first.slice(1), second.slice(1), name, type, base, source)
  if (before.length === 1 && isHeadless(service)) return resolveHost(service, first, name, type, source)
  return nothing
}

function isHeadless({ spec }: Service): boolean {
  return spec.clusterIP === 'None'
}

function clusterIps({ spec }: Service): string[] {
  return (spec.clusterIPs ?? (spec.clusterIP ? [spec.clusterIP] : [])).filter((ip) => ip !== 'None' && ip !== '')
}

function addressType(ip: string): 'A' | 'AAAA' {
  return ip.includes(':') ? 'AAAA' : 'A'
}

function addressAnswers(name: string, ips: readonly string[], type: string): Answer[] {
  return [...new Set(ips)].filter((ip) => addressType(ip) === type).map((ip) => ({ type: addressType(ip), name, data: ip }))
}

function addressesOf(service: Service, name: string, type: string, base: string, source: RecordSource): Resolution {
  if (type === 'SRV') return allPorts(service, name, base, source)
  const ips = isHeadless(service) ? hostsOf(service, source).flatMap(({ endpoint }) => endpoint.addresses) : clusterIps(service)
  // A headless service without endpoints has no record at all, as the specification says.
  if (isHeadless(service) && ips.length === 0) return nothing
  return { exists: true, answers: addressAnswers(name, ips, type), additionals: [] }
}

interface Host {
  readonly endpoint: Endpoint
  readonly slice: EndpointSlice
  /** Its label below the service's name. */
  readonly label: string
}

function hostsOf(service: Service, source: RecordSource): Host[] {
  const { namespace = '', name } = service.metadata
  return source
    .slices(namespace, name)
    .flatMap((slice) =>
      (slice.endpoints ?? [])
        .filter(({ conditions }) => conditions?.ready !== false)
        .map((endpoint) => ({ endpoint, slice, label: hostLabel(endpoint) })),
    )
}

/** The endpoint's hostname, else its address with dashes: stable, and unique within the service. */
function hostLabel({ hostname, addresses: [ip = ''] }: Endpoint): string {
  return hostname ? hostname.toLowerCase() : ip.replace(/[.:]/g, '-')
}

function resolveHost(service: Service, label: string, name: string, type: string, source: RecordSource): Resolution {
  const ips = hostsOf(service, source)
    .filter((host) => host.label === label)
    .flatMap(({ endpoint }) => endpoint.addresses)
  return ips.length === 0 ? nothing : { exists: true, answers: addressAnswers(name, ips, type), additionals: [] }
}

function protocolExists({ spec }: Service, label: string): boolean {
  return (spec.ports ?? []).some(({ protocol }) => `_${protocol.toLowerCase()}` === label)
}

function resolvePort(
  service: Service,
  portName: string,
  protocol: string,
  name: string,
  type: string,
  base: string,
  source: RecordSource,
): Resolution {
  const port = (service.spec.ports ?? []).find((candidate) => candidate.name === portName && candidate.protocol.toLowerCase() === protocol)
  if (port === undefined) return nothing
  if (type !== 'SRV') return empty
  return serviceRecords(service, [{ name: portName, port: port.port, protocol }], name, base, source)
}

/** SRV of the service's own name: every port that has one. */
function allPorts(service: Service, name: string, base: string, source: RecordSource): Resolution {
  const ports = (service.spec.ports ?? []).map((port) => ({
    name: port.name ?? '',
    port: port.port,
    protocol: port.protocol.toLowerCase(),
  }))
  return serviceRecords(service, ports, name, base, source)
}

function serviceRecords(
  service: Service,
  ports: readonly { name: string; port: number; protocol: string }[],
  name: string,
  base: string,
  source: RecordSource,
): Resolution {
  const targets = new Map<string, { port: number; target: string; ips: readonly string[] }>()
  const add = (target: string, port: number, ips: readonly string[]): void => void targets.set(`${target} ${port}`, { port, target, ips })
  if (!isHeadless(service)) for (const { port } of ports) add(base, port, clusterIps(service))
  else {
    for (const { endpoint, slice, label } of hostsOf(service, source)) {
      for (const wanted of ports) {
        const found = (slice.ports ?? []).find(
          ({ name: own = '', protocol = 'TCP' }) => own === wanted.name && protocol.toLowerCase() === wanted.protocol,
        )
        if (found?.port !== undefined) add(`${label}.${base}`, found.port, endpoint.addresses)
      }
    }
  }
  const weight = targets.size === 0 ? 0 : Math.floor(100 / targets.size)
  const all = [...targets.values()]
  return {
    exists: all.length > 0 || !isHeadless(service),
    answers: all.map(({ port, target }) => ({ type: 'SRV', name, data: { priority: 0, weight, port, target } })),
    additionals: all.flatMap(({ target, ips }) => ips.map((ip) => ({ type: addressType(ip), name: target, data: ip }))),
  }
}

/** `a-b-c-d.namespace.pod.zone`: the address that the name itself tells. */
function resolvePod(labels: readonly string[], name: string, type: string, source: RecordSource): Resolution {
  if (labels.length === 0) return empty
  const namespace = labels.at(-1) ?? ''
  if (!source.namespaceExists(namespace)) return nothing
  if (labels.length === 1) return empty
  const ip = (labels[0] ?? '').replace(/-/g, '.')
  if (labels.length !== 2 || !/^\d{1,3}(\.\d{1,3}){3}$/.test(ip) || ip.split('.').some((part) => Number(part) > 255)) return nothing
  return { exists: true, answers: addressAnswers(name, [ip], type), additionals: [] }
}

/** The name of a cluster address; undefined when the address is not the cluster's to name. */
export function resolveReverse(ip: string, name: string, zone: string, source: RecordSource): Answer | undefined {
  const service = source.serviceByIp(ip)
  if (service !== undefined) return { type: 'PTR', name, data: `${service.metadata.name}.${service.metadata.namespace}.svc.${zone}` }
  for (const slice of source.slicesByIp(ip)) {
    const serviceName = slice.metadata.labels?.['kubernetes.io/service-name']
    if (serviceName === undefined || slice.metadata.labels?.['service.kubernetes.io/headless'] === undefined) continue
    const endpoint = (slice.endpoints ?? []).find(({ addresses }) => addresses.includes(ip))
    if (endpoint !== undefined)
      return { type: 'PTR', name, data: `${hostLabel(endpoint)}.${serviceName}.${slice.metadata.namespace}.svc.${zone}` }
  }
  return undefined
}

/** The address in `4.3.2.1.in-addr.arpa` or its IPv6 form, or undefined. */
export function reverseAddress(name: string): string | undefined {
  const v4 = /^(\d+)\.(\d+)\.(\d+)\.(\d+)\.in-addr\.arpa$/.exec(name)
  if (v4 !== null) return `${v4[4]}.${v4[3]}.${v4[2]}.${v4[1]}`
  const v6 = /^((?:[0-9a-f]\.){32})ip6\.arpa$/.exec(name)
  if (v6 === null) return undefined
  const digits = (v6[1] ?? '').split('.').reverse().join('')
  const groups = digits.match(/.{4}/g) ?? []
  return new URL(`http://[${groups.join(':')}]`).hostname.slice(1, -1)
}
