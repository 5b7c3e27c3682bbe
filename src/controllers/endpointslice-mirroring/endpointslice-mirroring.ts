// EndpointSlice mirroring: Endpoints that people write themselves, for services without a selector, are copied into slices, which is
// where everybody looks (KEP-752).

import { isApiError } from '#api/errors'
import type { EndpointAddress, EndpointSubset, Endpoints as EndpointsObject } from '#api/generated/core-v1'
import type { Endpoint, EndpointSlice as SliceObject } from '#api/generated/discovery-v1'
import { canonicalJson } from '#api/hash'
import { Endpoints } from '#api/kinds/core/endpoints'
import { Service } from '#api/kinds/core/service'
import { EndpointSlice } from '#api/kinds/discovery/endpoint-slice'
import { keyText, type Manifest, parseKey } from '#api/object'
import { defineController } from '#client/controller'
import { managedByLabel, serviceNameLabel, slicesByService } from '../endpointslice/plan-slices.ts'
import { nameOf } from '../owned-objects.ts'
import { watchKind } from '../watches.ts'

const managedBy = 'endpointslicemirroring-controller.k8s.io'
const skipMirror = 'endpointslice.kubernetes.io/skip-mirror'
const leaderAnnotation = 'control-plane.alpha.kubernetes.io/leader'
const addressesPerSubsetMax = 1_000

export const endpointSliceMirroringController = defineController({
  name: 'endpoint-slice-mirroring-controller',
  watches: [
    watchKind(Endpoints),
    watchKind(Service),
    {
      kind: EndpointSlice,
      keysOf: ({ metadata }) => {
        const service = metadata.labels?.[serviceNameLabel]
        return service !== undefined && metadata.labels?.[managedByLabel] === managedBy ? [keyText(metadata.namespace, service)] : []
      },
    },
  ],
  concurrency: 5,
  async reconcile(key, { cache, client, events }) {
    const { namespace } = parseKey(key)
    const endpoints = cache.get(Endpoints, key)
    const service = cache.get(Service, key)
    const present = cache
      .informer(EndpointSlice)
      .byIndex(slicesByService, key)
      .filter(({ metadata }) => metadata.labels?.[managedByLabel] === managedBy)
    const mirrored = endpoints !== undefined && service !== undefined && isMirrored(endpoints) && !hasSelector(service.spec.selector)
    const skipped = mirrored ? addressesSkipped(endpoints) : 0
    if (endpoints !== undefined && skipped > 0) {
      const message = `A max of ${addressesPerSubsetMax} addresses can be mirrored to EndpointSlices per Endpoints subset. ${skipped} addresses were skipped`
      events.record(endpoints, 'Warning', 'TooManyAddressesToMirror', message)
    }
    const plan = planMirror(mirrored ? endpoints : undefined, present)
    for (const slice of plan.create) {
      await client.create(EndpointSlice, { ...slice, metadata: { ...slice.metadata, namespace } }).catch((error) => {
        if (!isApiError(error, 'Forbidden') && !isApiError(error, 'NotFound')) throw error
      })
    }
    for (const slice of plan.update) await client.update(EndpointSlice, slice)
    for (const slice of plan.remove) {
      await client.delete(EndpointSlice, nameOf(slice)).catch((error) => {
        if (!isApiError(error, 'NotFound')) throw error
      })
    }
    return undefined
  },
})

function hasSelector(selector: Record<string, string> | undefined): boolean {
  return selector !== undefined && Object.keys(selector).length > 0
}

function isMirrored({ metadata }: EndpointsObject): boolean {
  return (
    metadata.deletionTimestamp === undefined &&
    metadata.labels?.[skipMirror] !== 'true' &&
    metadata.annotations?.[leaderAnnotation] === undefined
  )
}

export interface MirrorPlan {
  readonly create: readonly Manifest<SliceObject>[]
  readonly update: readonly SliceObject[]
  readonly remove: readonly SliceObject[]
}

/** One slice for each subset and address family; what stands is used again for the same ports. */
export function planMirror(endpoints: EndpointsObject | undefined, present: readonly SliceObject[]): MirrorPlan {
  const create: Manifest<SliceObject>[] = []
  const update: SliceObject[] = []
  const left = new Set(present)
  for (const wanted of endpoints === undefined ? [] : slicesOf(endpoints)) {
    const key = (slice: Manifest<SliceObject>): string => `${slice.addressType} ${canonicalJson(slice.ports ?? [])}`
    const standing = [...left].find((slice) => key(slice as Manifest<SliceObject>) === key(wanted))
    if (standing === undefined) {
      create.push(wanted)
      continue
    }
    left.delete(standing)
    const same =
      canonicalJson(standing.endpoints ?? []) === canonicalJson(wanted.endpoints ?? []) &&
      canonicalJson(standing.metadata.labels ?? {}) === canonicalJson(wanted.metadata?.labels ?? {}) &&
      canonicalJson(standing.metadata.annotations ?? {}) === canonicalJson(wanted.metadata?.annotations ?? {})
    if (same) continue
    const { labels = {}, annotations = {} } = wanted.metadata as SliceObject['metadata']
    update.push({ ...standing, metadata: { ...standing.metadata, labels, annotations }, endpoints: wanted.endpoints as Endpoint[] })
  }
  return { create, update, remove: [...left] }
}

function slicesOf(endpoints: EndpointsObject): Manifest<SliceObject>[] {
  return (endpoints.subsets ?? []).flatMap((subset) => {
    const all = endpointsOf(subset)
    return (['IPv4', 'IPv6'] as const).flatMap((addressType) => {
      const own = all.filter(({ addresses }) => addresses[0]?.includes(':') === (addressType === 'IPv6'))
      return own.length === 0 ? [] : [sliceOf(endpoints, subset, addressType, own)]
    })
  })
}

function sliceOf(
  endpoints: EndpointsObject,
  { ports = [] }: EndpointSubset,
  addressType: 'IPv4' | 'IPv6',
  own: Endpoint[],
): Manifest<SliceObject> {
  const { name, uid, namespace, labels, annotations } = endpoints.metadata
  const {
    'kubectl.kubernetes.io/last-applied-configuration': _applied,
    'endpoints.kubernetes.io/last-change-trigger-time': _time,
    ...kept
  } = annotations ?? {}
  return {
    metadata: {
      generateName: `${name}-`,
      namespace: namespace ?? '',
      labels: { ...labels, [serviceNameLabel]: name, [managedByLabel]: managedBy },
      ...(Object.keys(kept).length > 0 ? { annotations: kept } : {}),
      ownerReferences: [{ apiVersion: 'v1', kind: 'Endpoints', name, uid, controller: true, blockOwnerDeletion: true }],
    },
    addressType,
    endpoints: own,
    ports: ports.map((port) => ({ ...port, name: port.name ?? '' })),
  }
}

/** How many addresses are too many for their subset's slice. */
function addressesSkipped({ subsets = [] }: EndpointsObject): number {
  return subsets.reduce((sum, { addresses = [], notReadyAddresses = [] }) => {
    return sum + Math.max(0, addresses.length + notReadyAddresses.length - addressesPerSubsetMax)
  }, 0)
}

function endpointsOf({ addresses = [], notReadyAddresses = [] }: EndpointSubset): Endpoint[] {
  const of =
    (ready: boolean) =>
    ({ ip, hostname, nodeName, targetRef }: EndpointAddress): Endpoint => ({
      addresses: [ip],
      conditions: { ready },
      ...(hostname ? { hostname } : {}),
      ...(nodeName === undefined ? {} : { nodeName }),
      ...(targetRef === undefined ? {} : { targetRef }),
    })
  return [...addresses.map(of(true)), ...notReadyAddresses.map(of(false))].slice(0, addressesPerSubsetMax)
}
