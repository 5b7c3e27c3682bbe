// Where a proxied request goes: the kubelet of a node, a pod, an endpoint of a service. Addresses are looked at at the moment of
// proxying (CVE-2022-3294): what a status says may have changed since.

import { badRequest, internalError, notFound, serviceUnavailable } from '#api/errors'
import type { Node as NodeObject, Pod as PodObject } from '#api/generated/core-v1'
import { isLinkLocalMulticast, isLinkLocalUnicast, isLoopback, isUnspecified, parseIp } from '#api/ip'
import { Node } from '#api/kinds/core/node'
import { Pod } from '#api/kinds/core/pod'
import { Service } from '#api/kinds/core/service'
import { EndpointSlice } from '#api/kinds/discovery/endpoint-slice'
import type { LocalReader } from '../request.ts'

export interface Address {
  readonly host: string
  readonly port: number
}

/** This server's own address: a proxied request must not come back as if from the inside. */
export interface OwnAddress {
  readonly address: string
  readonly port: number
}

const kubeletPortDefault = 10_250
const addressTypes = ['InternalIP', 'ExternalIP', 'Hostname'] as const

/** The pod, which must exist and stand on a node. */
export function placedPod(reader: LocalReader, namespace: string, name: string): PodObject {
  const pod = reader.get(Pod, namespace, name)
  if (pod === undefined) throw notFound(Pod, name)
  if (!pod.spec.nodeName) throw badRequest(`pod ${name} does not have a host assigned`)
  return pod
}

/** The kubelet of a node. */
export function kubeletOf(reader: LocalReader, nodeName: string, own: OwnAddress): Address {
  const node = reader.get(Node, '', nodeName)
  if (node === undefined) throw notFound(Node, nodeName)
  const host = preferredAddress(node)
  if (host === undefined) throw internalError(`no preferred addresses found; known addresses: []`)
  const port = node.status.daemonEndpoints?.kubeletEndpoint?.Port || kubeletPortDefault
  // A kubelet may share the machine with this server, and be reached at its loopback address when there is no other.
  if (host !== own.address) refuseInner(host)
  refuseOwn({ host, port }, own)
  return { host, port }
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
  if (parts.length === 3 && (first === '' || first === 'http' || first === 'https'))
    return { scheme: first === 'https' ? 'https' : 'http', name: second, port: third }
  throw badRequest(`invalid proxy request "${text}"`)
}

export function podAddress(reader: LocalReader, namespace: string, { name, port }: ProxyName, own: OwnAddress): Address {
  const pod = reader.get(Pod, namespace, name)
  if (pod === undefined) throw notFound(Pod, name)
  const host = pod.status.podIP
  if (!host) throw badRequest('address not allowed')
  const number = port === '' ? firstPort(pod) : portNumber(port)
  const address = { host, port: number }
  refuseInner(host)
  refuseOwn(address, own)
  return address
}

function firstPort(pod: PodObject): number {
  return pod.spec.containers.flatMap(({ ports }) => ports ?? [])[0]?.containerPort ?? 80
}

function portNumber(text: string): number {
  const port = Number(text)
  if (!Number.isInteger(port) || port < 1 || port > 65_535) throw badRequest(`invalid port "${text}"`)
  return port
}

/** A ready endpoint of the service's port (by name or number; the only one when not said), chosen by `random`. */
export function endpointAddress(
  reader: LocalReader,
  namespace: string,
  proxied: ProxyName,
  own: OwnAddress,
  random: () => number,
): Address {
  const service = reader.get(Service, namespace, proxied.name)
  if (service === undefined) throw notFound(Service, proxied.name)
  const ports = service.spec.ports ?? []
  const port =
    proxied.port === ''
      ? ports.length === 1
        ? ports[0]
        : undefined
      : ports.find(({ name, port: number }) => name === proxied.port || String(number) === proxied.port)
  const nothing = serviceUnavailable(`no endpoints available for service "${proxied.name}"`)
  if (port === undefined)
    throw proxied.port === '' ? nothing : serviceUnavailable(`no service port "${proxied.port}" found for service "${proxied.name}"`)
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
  if (chosen === undefined) throw nothing
  refuseInner(chosen.host)
  refuseOwn(chosen, own)
  return chosen
}

/** Loopback, link-local (where clouds keep their metadata) and the like are never proxied to. */
function refuseInner(host: string): void {
  const ip = parseIp(host)
  if (ip === undefined) return
  if (isLoopback(ip) || isLinkLocalUnicast(ip) || isLinkLocalMulticast(ip) || isUnspecified(ip)) throw badRequest('address not allowed')
}

function refuseOwn({ host, port }: Address, own: OwnAddress): void {
  if (host === own.address && port === own.port) throw badRequest('address not allowed')
}
