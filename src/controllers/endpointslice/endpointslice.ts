// EndpointSlice: writes down which pods stand behind each Service with a selector.

import { isApiError } from '#api/errors'
import { Node } from '#api/kinds/core/node'
import { Service } from '#api/kinds/core/service'
import { EndpointSlice } from '#api/kinds/discovery/endpoint-slice'
import { keyText } from '#api/object'
import { defineController } from '#client/controller'
import { nameOf } from '../owned-objects.ts'
import { watchKind } from '../watches.ts'
import { managedByLabel, managedByValue, planSlices, serviceNameLabel, slicesByService, zoneLabel } from './plan-slices.ts'
import { podsOf, watchPodsOfServices } from './service-pods.ts'

export const endpointSliceController = defineController({
  name: 'endpoint-slice-controller',
  watches: [
    watchKind(Service),
    watchPodsOfServices,
    {
      kind: EndpointSlice,
      keysOf: ({ metadata }) => {
        const service = metadata.labels?.[serviceNameLabel]
        return service !== undefined && metadata.labels?.[managedByLabel] === managedByValue ? [keyText(metadata.namespace, service)] : []
      },
    },
  ],
  reads: [Node],
  concurrency: 5,
  async reconcile(key, { cache, client }) {
    const service = cache.get(Service, key)
    const slices = cache
      .informer(EndpointSlice)
      .byIndex(slicesByService, key)
      .filter(({ metadata }) => metadata.labels?.[managedByLabel] === managedByValue)
    const { selector, type } = service?.spec ?? {}
    const none = service === undefined || selector === undefined || Object.keys(selector).length === 0 || type === 'ExternalName'
    if (service?.metadata.deletionTimestamp !== undefined) return
    const plan = none
      ? { create: [], update: [], remove: service === undefined ? [] : [...slices] }
      : planSlices({ service, pods: podsOf(service, cache), slices, zoneOf: (node) => zoneLabel(cache.get(Node, node)?.metadata.labels) })
    for (const slice of plan.create) {
      // The namespace may be on its way out: then nobody will ask for these.
      await client.create(EndpointSlice, slice).catch((error) => {
        if (!isApiError(error, 'Forbidden') && !isApiError(error, 'NotFound')) throw error
      })
    }
    for (const slice of plan.update) await client.update(EndpointSlice, slice)
    for (const slice of plan.remove) await client.delete(EndpointSlice, nameOf(slice)).catch(ignoreNotFound)
  },
})

function ignoreNotFound(error: unknown): void {
  if (!isApiError(error, 'NotFound')) throw error
}
