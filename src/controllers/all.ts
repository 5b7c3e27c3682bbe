// Every controller, in the order of its part in a cluster's life. The table of contents of this layer.
import type { Kind } from '#api/kind'
import type { Controller } from '#client/controller'
import { createClusterDnsController } from './cluster-dns/cluster-dns.ts'
import { deploymentController } from './deployment/deployment.ts'
import { endpointsController } from './endpointslice/endpoints.ts'
import { endpointSliceController } from './endpointslice/endpointslice.ts'
import { createGarbageCollector } from './garbage-collector/garbage-collector.ts'
import { createNamespaceController } from './namespace/namespace.ts'
import { createNodeIpamController } from './node-ipam/node-ipam.ts'
import { createNodeLifecycleController, podsByNode } from './node-lifecycle/node-lifecycle.ts'
import { createPodGcController } from './pod-gc/pod-gc.ts'
import { replicaSetController } from './replicaset/replicaset.ts'
import { createResourceQuotaController, quotaWholeKinds } from './resource-quota/resource-quota.ts'
import { createRootCaController } from './root-ca/root-ca.ts'
import { serviceAccountController } from './serviceaccount/serviceaccount.ts'

export interface ControllersConfig {
  /** All kinds that are served. */
  readonly kinds: readonly Kind[]
  /** Authority of the API server's certificate, for pods to verify it by. */
  readonly rootCaPem: string
  readonly podCidr: string
  /** Where cluster DNS answers; absent: there is none. */
  readonly dnsIp?: string
}

/** The controllers of a cluster. */
export function allControllers({ kinds, rootCaPem, podCidr, dnsIp }: ControllersConfig): readonly Controller[] {
  return [
    serviceAccountController,
    createRootCaController(rootCaPem),
    ...(dnsIp === undefined ? [] : [createClusterDnsController(dnsIp)]),
    createNodeIpamController({ podCidr }),
    createNodeLifecycleController(),
    deploymentController,
    replicaSetController,
    endpointSliceController,
    endpointsController,
    createNamespaceController(kinds),
    createGarbageCollector(kinds),
    createPodGcController(),
    createResourceQuotaController(kinds),
  ]
}

/** Indices that the controllers read by, for the cache that they share: by kind id. */
export const controllerIndices = {
  'core/v1/pods': {
    [podsByNode]: (pod: object): readonly string[] => {
      const { nodeName } = (pod as { spec: { nodeName?: string } }).spec
      return nodeName ? [nodeName] : []
    },
  },
} as const

/** Kinds of which the controllers need more than metadata: those that one of them watches for its own sake. */
export function needsWholeObjects(controllers: readonly Controller[], general: readonly string[]): (kind: Kind) => boolean {
  const whole = new Set<string>(quotaWholeKinds)
  for (const { name, watches, reads } of controllers) {
    if (general.includes(name)) continue
    for (const { kind } of watches) whole.add(kind.id)
    for (const kind of reads ?? []) whole.add(kind.id)
  }
  return (kind) => whole.has(kind.id)
}

/** Controllers that look at every kind and read metadata alone. */
export const metadataControllers = ['namespace-controller', 'garbage-collector-controller', 'resourcequota-controller'] as const
