// Where a proxied request goes: the kubelet of a node, a pod, an endpoint of a service.
import { badRequest, internalError, notFound, serviceUnavailable } from '#api/errors'
import type { Node as NodeObject, Pod as PodObject } from '#api/generated/core-v1'
import { Node } from '#api/kinds/core/node'
import { Pod } from '#api/kinds/core/pod'
import { Service } from '#api/kinds/core/service'
import { EndpointSlice } from '#api/kinds/discovery/endpoint-slice'
import type { Random } from '#base/random'
import type { LocalReader } from '../request.ts'

export interface Address {
  readonly host: string
  readonly port: number
}

const kubeletPortDefault = 10_250
const addressTypes = ['InternalIP', 'ExternalIP', 'Hostname'] as const

/** Throws NotFound when there is none. */
export function existingPod(reader: LocalReader, namespace: string, name: string): PodObject {
  const pod = reader.get(Pod, namespace, name)
  if (pod === undefined) throw notFound(Pod, name)
  return pod
}

/** Where the pod stands; throws BadRequest when nowhere yet. */
export function nodeOf({ metadata, spec }: PodObject): string {
  if (!spec.nodeName) throw badRequest(`pod ${metadata.name} does not have a host assigned`)
  return spec.nodeName
}

/** The kubelet of a node. */
export function kubeletOf(reader: LocalReader, nodeName: string): Address {
  const node = reader.get(Node, '', nodeName)
  if (node === undefined) throw notFound(Node, nodeName)
  const host = preferredAddress(node)
  if (host === undefined) throw internalError('no preferred addresses found; known addresses: []')
  return { host, port: node.status.daemonEndpoints?.kubeletEndpoint?.Port || kubeletPortDefault }
}

function preferredAddress(node: NodeObject): string | undefined {
  const known = node.status.addresses ?? []
  for (const type of addressTypes) {
    const found = known.find((address) => address.type === type)
    if (found !== undefined) return found.address
  }
  return undefined
}

/** `[scheme:]name[:port]`, as it stands in a proxy path. */
export interface ProxyName {
  readonly scheme: 'http' | 'https'
  readonly name: string
  readonly port: string
}

export function parseProxyName(text: string): ProxyName {
  const parts = text.split(':')
  const [first = '', second = '', third = ''] = parts
  if (parts.length === 1) return { scheme: 'http', name: first, port: '' }
  if (parts.length === 2) return { scheme: 'http', name: first, port: second }
  if (parts.length === 3 && (first === '' || first === 'http' || first === 'https')) {
    return { scheme: first === 'https' ? 'https' : 'http', name: second, port: third }
  }
  throw badRequest(`invalid proxy request ${JSON.stringify(text)}`)
}

export function podAddress(reader: LocalReader, namespace: string, { name, port }: ProxyName): Address {
  const pod = reader.get(Pod, namespace, name)
  if (pod === undefined) throw notFound(Pod, name)
  const host = pod.status.podIP
  if (!host) throw badRequest('address not allowed')
  return { host, port: port === '' ? firstPort(pod) : portNumber(port) }
}

function firstPort(pod: PodObject): number {
  return pod.spec.containers.flatMap(({ ports }) => ports ?? [])[0]?.containerPort ?? 80
}

function portNumber(text: string): number {
  const port = Number(text)
  if (!/^\d+$/.test(text) || port < 1 || port > 65_535) throw badRequest(`invalid port ${JSON.stringify(text)}`)
  return port
}

/** A ready endpoint of the service's port (by name or number; the only one when not said), chosen by `random`. */
export function endpointAddress(reader: LocalReader, namespace: string, proxied: ProxyName, random: Random): Address {
  const service = reader.get(Service, namespace, proxied.name)
  if (service === undefined) throw notFound(Service, proxied.name)
  const ports = service.spec.ports ?? []
  const port =
    proxied.port === ''
      ? ports.length === 1
        ? ports[0]
        : undefined
      : ports.find(({ name, port: number }) => name === proxied.port || String(number) === proxied.port)
  if (port === undefined) {
    throw serviceUnavailable(
      proxied.port === ''
        ? `no endpoints available for service ${JSON.stringify(proxied.name)}`
        : `no service port ${JSON.stringify(proxied.port)} found for service ${JSON.stringify(proxied.name)}`,
    )
  }
  const candidates: Address[] = []
  for (const slice of reader.list(EndpointSlice, namespace)) {
    if (slice.metadata.labels?.['kubernetes.io/service-name'] !== proxied.name) continue
    const number = (slice.ports ?? []).find(({ name = '' }) => name === (port.name ?? ''))?.port
    if (number === undefined) continue
    for (const { addresses, conditions } of slice.endpoints ?? []) {
      const [host] = addresses
      if (host !== undefined && conditions?.ready !== false) candidates.push({ host, port: number })
    }
  }
  const chosen = candidates[Math.floor(random() * candidates.length)]
  if (chosen === undefined) throw serviceUnavailable(`no endpoints available for service ${JSON.stringify(proxied.name)}`)
  return chosen
}
