// Endpoints: the older form of the same knowledge, for clients that still read it. At most a thousand addresses.

import { isApiError } from '#api/errors'
import type { EndpointAddress, EndpointPort, EndpointSubset, Pod as PodObject, Service as ServiceObject } from '#api/generated/core-v1'
import { canonicalJson } from '#api/hash'
import { Endpoints } from '#api/kinds/core/endpoints'
import { Service } from '#api/kinds/core/service'
import { keyOf, parseKey } from '#api/object'
import { isPodReady, isPodTerminal } from '#api/pods'
import { defineController } from '#client/controller'
import { watchKind } from '../watches.ts'
import { targetPort } from './plan-slices.ts'
import { podsOf, watchPodsOfServices } from './service-pods.ts'

const managedBy = 'endpoints.kubernetes.io/managed-by'
const overCapacity = 'endpoints.kubernetes.io/over-capacity'
const addressesMax = 1_000

export const endpointsController = defineController({
  name: 'endpoint-controller',
  watches: [watchKind(Service), watchPodsOfServices, { kind: Endpoints, keysOf: (endpoints) => [keyOf(endpoints)] }],
  concurrency: 5,
  async reconcile(key, { cache, client }) {
    const { namespace, name } = parseKey(key)
    const service = cache.get(Service, key)
    const current = cache.get(Endpoints, key)
    if (service === undefined) {
      if (current?.metadata.labels?.[managedBy] === 'endpoint-controller')
        await client.delete(Endpoints, { namespace, name }).catch(ignoreNotFound)
      return
    }
    const { selector } = service.spec
    if (selector === undefined || Object.keys(selector).length === 0 || service.metadata.deletionTimestamp !== undefined) return
    const { subsets, cut } = planSubsets(service, podsOf(service, cache))
    const labels: Record<string, string> = { ...service.metadata.labels, [managedBy]: 'endpoint-controller' }
    if (service.spec.clusterIP === 'None') labels['service.kubernetes.io/headless'] = ''
    const annotations = cut ? { [overCapacity]: 'truncated' } : {}
    if (current === undefined) {
      await client.create(Endpoints, { metadata: { name, namespace, labels, annotations }, subsets }).catch((error) => {
        if (!isApiError(error, 'Forbidden') && !isApiError(error, 'NotFound') && !isApiError(error, 'AlreadyExists')) throw error
      })
      return
    }
    const kept = { ...current.metadata.annotations, ...annotations }
    if (!cut) delete kept[overCapacity]
    const same =
      canonicalJson(current.subsets ?? []) === canonicalJson(subsets) &&
      canonicalJson(current.metadata.labels ?? {}) === canonicalJson(labels)
    if (same && canonicalJson(kept) === canonicalJson(current.metadata.annotations ?? {})) return
    await client.update(Endpoints, { ...current, metadata: { ...current.metadata, labels, annotations: kept }, subsets })
  },
})

/** Pods grouped by the ports they have, ready ones apart from the others; in a fixed order, so that equal means equal. */
export function planSubsets(service: ServiceObject, pods: readonly PodObject[]): { subsets: EndpointSubset[]; cut: boolean } {
  const groups = new Map<string, { ports: EndpointPort[]; ready: EndpointAddress[]; notReady: EndpointAddress[] }>()
  const usable = pods
    .filter((pod) => !isPodTerminal(pod) && pod.status.podIP && pod.metadata.deletionTimestamp === undefined)
    .sort((a, b) => (a.status.podIP! < b.status.podIP! ? -1 : 1))
  for (const pod of usable.slice(0, addressesMax)) {
    const ports = portsOf(service, pod)
    if (ports.length === 0 && service.spec.clusterIP !== 'None') continue
    const key = canonicalJson(ports)
    const group = groups.get(key) ?? { ports, ready: [], notReady: [] }
    groups.set(key, group)
    const ready = isPodReady(pod) || service.spec.publishNotReadyAddresses === true
    ;(ready ? group.ready : group.notReady).push(addressOf(service, pod))
  }
  const subsets = [...groups.entries()]
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([, { ports, ready, notReady }]) => ({
      ...(ready.length > 0 ? { addresses: ready } : {}),
      ...(notReady.length > 0 ? { notReadyAddresses: notReady } : {}),
      ...(ports.length > 0 ? { ports } : {}),
    }))
  return { subsets, cut: usable.length > addressesMax }
}

function addressOf(service: ServiceObject, pod: PodObject): EndpointAddress {
  const { hostname, subdomain, nodeName } = pod.spec
  return {
    ip: pod.status.podIP ?? '',
    ...(hostname && subdomain === service.metadata.name ? { hostname } : {}),
    ...(nodeName === undefined ? {} : { nodeName }),
    targetRef: { kind: 'Pod', namespace: pod.metadata.namespace ?? '', name: pod.metadata.name, uid: pod.metadata.uid },
  }
}

function portsOf(service: ServiceObject, pod: PodObject): EndpointPort[] {
  const ports: EndpointPort[] = []
  for (const port of service.spec.ports ?? []) {
    const number = targetPort(port, pod)
    if (number === undefined) continue
    const { name, protocol, appProtocol } = port
    ports.push({ ...(name ? { name } : {}), port: number, protocol, ...(appProtocol === undefined ? {} : { appProtocol }) })
  }
  return ports
}

function ignoreNotFound(error: unknown): void {
  if (!isApiError(error, 'NotFound')) throw error
}
