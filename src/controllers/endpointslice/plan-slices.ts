// Which EndpointSlices a Service should have: its pods, by port set and address family, at most a hundred to a slice,
// with as few writes as can be. Pure. (KEP-752, KEP-1672 for serving and terminating.)
import type { Pod as PodObject, Service as ServiceObject, ServicePort } from '#api/generated/core-v1'
import type { Endpoint, EndpointPort, EndpointSlice } from '#api/generated/discovery-v1'
import { canonicalJson } from '#api/hash'
import { labelZone } from '#api/nodes'
import type { Manifest } from '#api/object'
import { isPodReady, isPodTerminal } from '#api/pods'

export const serviceNameLabel = 'kubernetes.io/service-name'
/** The index of slices by their service, `namespace/name`, that the cache must have. */
export const slicesByService = 'service'

export function sliceService(slice: object): readonly string[] {
  const { namespace, labels } = (slice as EndpointSlice).metadata
  const name = labels?.[serviceNameLabel]
  return name === undefined ? [] : [`${namespace}/${name}`]
}

export const managedByLabel = 'endpointslice.kubernetes.io/managed-by'
export const managedByValue = 'endpointslice-controller.k8s.io'
const headlessLabel = 'service.kubernetes.io/headless'
const endpointsPerSliceMax = 100

export interface SlicePlan {
  readonly create: Manifest<EndpointSlice>[]
  readonly update: EndpointSlice[]
  readonly remove: EndpointSlice[]
}

export interface SliceInput {
  readonly service: ServiceObject
  /** Pods that the selector matches. */
  readonly pods: readonly PodObject[]
  /** Slices of this service that the controller manages. */
  readonly slices: readonly EndpointSlice[]
  readonly zoneOf: (nodeName: string) => string | undefined
}

type AddressType = EndpointSlice['addressType']

interface Group {
  readonly addressType: AddressType
  readonly ports: EndpointPort[]
  readonly endpoints: Map<string, Endpoint>
}

/** The slices to make, change and remove, so that each endpoint stands in exactly one of them. */
export function planSlices(input: SliceInput): SlicePlan {
  const groups = wantedGroups(input)
  const plan: { create: Manifest<EndpointSlice>[]; update: EndpointSlice[]; remove: EndpointSlice[] } = {
    create: [],
    update: [],
    remove: [],
  }
  const rest = new Set(input.slices)
  for (const group of groups.values()) {
    const own = [...rest].filter((slice) => groupKey(slice.addressType, slice.ports ?? []) === groupKey(group.addressType, group.ports))
    for (const slice of own) rest.delete(slice)
    planGroup(input.service, group, own, plan)
  }
  plan.remove.push(...rest)
  return plan
}

function planGroup(
  service: ServiceObject,
  group: Group,
  slices: readonly EndpointSlice[],
  plan: { create: Manifest<EndpointSlice>[]; update: EndpointSlice[]; remove: EndpointSlice[] },
): void {
  const unplaced = new Map(group.endpoints)
  const kept = slices.map((slice) => {
    const endpoints: Endpoint[] = []
    for (const endpoint of slice.endpoints ?? []) {
      const key = endpointKey(endpoint)
      const wanted = unplaced.get(key)
      if (wanted === undefined) continue
      unplaced.delete(key)
      endpoints.push(wanted)
    }
    return { slice, endpoints }
  })
  const fresh = [...unplaced.values()]
  // New endpoints go where a write happens anyway, then where there is room, then into new slices.
  const changed = ({ slice, endpoints }: (typeof kept)[number]): boolean =>
    canonicalJson(endpoints) !== canonicalJson(slice.endpoints ?? [])
  for (const target of [...kept].sort((a, b) => Number(changed(b)) - Number(changed(a)) || b.endpoints.length - a.endpoints.length)) {
    if (fresh.length === 0) break
    target.endpoints.push(...fresh.splice(0, endpointsPerSliceMax - target.endpoints.length))
  }
  const labels = sliceLabels(service)
  const total = group.endpoints.size
  let left = kept.length
  for (const { slice, endpoints } of kept) {
    if (endpoints.length === 0 && (total > 0 || left > 1)) {
      plan.remove.push(slice)
      left--
    } else if (canonicalJson(endpoints) !== canonicalJson(slice.endpoints ?? []) || !hasAll(slice.metadata.labels, labels)) {
      plan.update.push({ ...slice, metadata: { ...slice.metadata, labels: { ...slice.metadata.labels, ...labels } }, endpoints })
    }
  }
  if (kept.length === 0 && fresh.length === 0) plan.create.push(newSlice(service, group, [], labels))
  while (fresh.length > 0) plan.create.push(newSlice(service, group, fresh.splice(0, endpointsPerSliceMax), labels))
}

function newSlice(service: ServiceObject, group: Group, endpoints: Endpoint[], labels: Record<string, string>): Manifest<EndpointSlice> {
  const { name, namespace = '', uid } = service.metadata
  return {
    metadata: {
      generateName: `${name.slice(0, 240)}-`,
      namespace,
      labels,
      annotations: {},
      ownerReferences: [{ apiVersion: 'v1', kind: 'Service', name, uid, controller: true, blockOwnerDeletion: true }],
    },
    addressType: group.addressType,
    endpoints,
    ports: group.ports,
  }
}

function sliceLabels(service: ServiceObject): Record<string, string> {
  const labels: Record<string, string> = { ...service.metadata.labels }
  delete labels[headlessLabel]
  labels[serviceNameLabel] = service.metadata.name
  labels[managedByLabel] = managedByValue
  if (service.spec.clusterIP === 'None') labels[headlessLabel] = ''
  return labels
}

function hasAll(labels: Record<string, string> | undefined, wanted: Record<string, string>): boolean {
  return Object.entries(wanted).every(([name, value]) => labels?.[name] === value)
}

function wantedGroups({ service, pods, zoneOf }: SliceInput): Map<string, Group> {
  const groups = new Map<string, Group>()
  const families: AddressType[] = (service.spec.ipFamilies ?? ['IPv4']).map((family) => (family === 'IPv6' ? 'IPv6' : 'IPv4'))
  for (const addressType of families) {
    const groupOf = (ports: EndpointPort[]): Group => {
      const key = groupKey(addressType, ports)
      const found = groups.get(key) ?? { addressType, ports, endpoints: new Map() }
      groups.set(key, found)
      return found
    }
    for (const pod of pods) {
      if (isPodTerminal(pod)) continue
      const address = addressOf(pod, addressType)
      if (address === undefined) continue
      const endpoint = endpointOf(service, pod, address, zoneOf)
      groupOf(portsFor(service, pod)).endpoints.set(endpointKey(endpoint), endpoint)
    }
    // A service without any pod has one empty slice, which tells that it was looked at.
    if (![...groups.values()].some((group) => group.addressType === addressType)) groupOf([])
  }
  return groups
}

function addressOf(pod: PodObject, family: AddressType): string | undefined {
  const ips = (pod.status.podIPs ?? []).map(({ ip }) => ip)
  if (ips.length === 0 && pod.status.podIP) ips.push(pod.status.podIP)
  return ips.find((ip) => ip.includes(':') === (family === 'IPv6'))
}

/** Whether the endpoint gets traffic, is able to, and is on its way out. */
function endpointOf(service: ServiceObject, pod: PodObject, address: string, zoneOf: SliceInput['zoneOf']): Endpoint {
  const serving = isPodReady(pod)
  const terminating = pod.metadata.deletionTimestamp !== undefined
  const ready = service.spec.publishNotReadyAddresses ? true : serving && !terminating
  const { nodeName, hostname, subdomain } = pod.spec
  const zone = nodeName === undefined ? undefined : zoneOf(nodeName)
  return {
    addresses: [address],
    conditions: { ready, serving, terminating },
    ...(hostname && subdomain === service.metadata.name ? { hostname } : {}),
    targetRef: { kind: 'Pod', namespace: pod.metadata.namespace ?? '', name: pod.metadata.name, uid: pod.metadata.uid },
    ...(nodeName === undefined ? {} : { nodeName }),
    ...(zone === undefined ? {} : { zone }),
  }
}

/** The service's ports as this pod has them: named target ports are looked up in its containers. */
function portsFor(service: ServiceObject, pod: PodObject): EndpointPort[] {
  const ports: EndpointPort[] = []
  for (const port of service.spec.ports ?? []) {
    const number = targetPort(port, pod)
    if (number === undefined) continue
    ports.push({
      name: port.name ?? '',
      port: number,
      protocol: port.protocol,
      ...(port.appProtocol === undefined ? {} : { appProtocol: port.appProtocol }),
    })
  }
  return ports
}

export function targetPort(port: ServicePort, pod: PodObject): number | undefined {
  const { targetPort: target } = port
  if (typeof target === 'number') return target === 0 ? port.port : target
  if (target === undefined || target === '') return port.port
  const sidecars = (pod.spec.initContainers ?? []).filter(({ restartPolicy }) => restartPolicy === 'Always')
  for (const container of [...pod.spec.containers, ...sidecars]) {
    for (const { name, containerPort, protocol } of container.ports ?? []) {
      if (name === target && protocol === port.protocol) return containerPort
    }
  }
  return undefined
}

function groupKey(addressType: AddressType, ports: readonly EndpointPort[]): string {
  const texts = ports.map(({ name = '', port, protocol, appProtocol = '' }) => `${name}/${port}/${protocol}/${appProtocol}`)
  return `${addressType} ${texts.sort().join(' ')}`
}

function endpointKey({ addresses, targetRef }: Endpoint): string {
  return `${targetRef?.uid ?? ''} ${addresses.join(' ')}`
}

export function zoneLabel(labels: Record<string, string> | undefined): string | undefined {
  return labels?.[labelZone]
}
