// Every controller, in the order of its part in a cluster's life. The table of contents of this layer.

import type { Pod } from '#api/generated/core-v1'
import type { Kind } from '#api/kind'
import { CustomResourceDefinition } from '#api/kinds/apiextensions/custom-resource-definition'
import { Secret } from '#api/kinds/core/secret'
import type { KubeObject } from '#api/object'
import type { Controller } from '#client/controller'
import { withoutManagedFields } from '#client/reflector'
import type { CertifiedKey } from '#platform/x509'
import {
  certificateApprovingController,
  certificateCleanerController,
  createCertificateSigningController,
} from './certificates/certificates.ts'
import { createClusterDnsController } from './cluster-dns/cluster-dns.ts'
import { cronJobController } from './cronjob/cronjob.ts'
import { createDaemonSetController } from './daemonset/daemonset.ts'
import { deploymentController } from './deployment/deployment.ts'
import { disruptionController } from './disruption/disruption.ts'
import { staleDisruptionController } from './disruption/stale-disruption.ts'
import { endpointsController } from './endpointslice/endpoints.ts'
import { endpointSliceController } from './endpointslice/endpointslice.ts'
import { sliceService, slicesByService } from './endpointslice/plan-slices.ts'
import { selectorPair, servicesByLabel } from './endpointslice/service-pods.ts'
import { endpointSliceMirroringController } from './endpointslice-mirroring/endpointslice-mirroring.ts'
import { ephemeralVolumeController } from './ephemeral-volume/ephemeral-volume.ts'
import { createGarbageCollector } from './garbage-collector/garbage-collector.ts'
import { createHorizontalPodAutoscalerController } from './horizontal-pod-autoscaler/horizontal-pod-autoscaler.ts'
import { createJobController } from './job/job.ts'
import { createLocalVolumesController, type LocalVolumes } from './local-volumes/local-volumes.ts'
import { createNamespaceController } from './namespace/namespace.ts'
import { createNodeIpamController } from './node-ipam/node-ipam.ts'
import { createNodeLifecycleController } from './node-lifecycle/node-lifecycle.ts'
import { podsByNode } from './node-lifecycle/pods-on-node.ts'
import { orphanNamespaces, orphansIndex } from './owned-objects.ts'
import { volumeExpandController } from './persistent-volume/expand.ts'
import { createPersistentVolumeController } from './persistent-volume/persistent-volume.ts'
import { claimKeysOf, podsByClaim } from './persistent-volume/pods-by-claim.ts'
import type { RemoveHostPath } from './persistent-volume/reclaim.ts'
import { createPodGcController } from './pod-gc/pod-gc.ts'
import { replicaSetController } from './replicaset/replicaset.ts'
import { replicationControllerController } from './replication-controller/replication-controller.ts'
import {
  podsByResourceClaim,
  podsByResourceClaimTemplate,
  resourceClaimController,
  resourceClaimKeys,
  resourceClaimTemplateKeys,
} from './resource-claim/resource-claim.ts'
import { createResourceQuotaController, quotaWholeKinds } from './resource-quota/resource-quota.ts'
import { createRootCaController } from './root-ca/root-ca.ts'
import { serviceCidrController } from './service-cidr/service-cidr.ts'
import { serviceAccountController } from './serviceaccount/serviceaccount.ts'
import { createTokenSecretsController, trimSecret } from './serviceaccount/token-secrets.ts'
import { statefulSetController } from './statefulset/statefulset.ts'
import { storageProtectionControllers } from './storage-protection/storage-protection.ts'
import { createTtlController } from './ttl/ttl.ts'
import { ttlAfterFinishedController } from './ttl-after-finished/ttl-after-finished.ts'

export interface ControllersConfig {
  /** All kinds that are served. */
  readonly kinds: readonly Kind[]
  /** Authority of the API server's certificate, for pods to verify it by. */
  readonly rootCaPem: string
  /** Signs certificates that are asked for through the API; absent: they wait for somebody who does. */
  readonly signingCa?: CertifiedKey
  /** Signs tokens that are kept in Secrets, PEM; absent: such Secrets wait for somebody who does. */
  readonly serviceAccountKeyPem?: string
  readonly podCidr: string
  /** Deletes hostPath volumes with their claims, where the control plane shares its machine with the node; absent: nobody does. */
  readonly removeHostPath?: RemoveHostPath
  /** Where volumes are made on demand, on the node that shares this machine; absent: they are not. */
  readonly localVolumes?: LocalVolumes
  /** Where cluster DNS answers; absent: there is none. */
  readonly dnsIp?: string
}

/** The controllers of a cluster. */
export function allControllers({
  kinds,
  rootCaPem,
  signingCa,
  serviceAccountKeyPem,
  podCidr,
  dnsIp,
  removeHostPath,
  localVolumes,
}: ControllersConfig): readonly Controller[] {
  return [
    serviceAccountController,
    createRootCaController(rootCaPem),
    ...(serviceAccountKeyPem === undefined ? [] : [createTokenSecretsController({ signingKeyPem: serviceAccountKeyPem, rootCaPem })]),
    ...(dnsIp === undefined ? [] : [createClusterDnsController(dnsIp)]),
    createNodeIpamController({ podCidr }),
    createNodeLifecycleController(),
    createTtlController(),
    deploymentController,
    replicaSetController,
    replicationControllerController,
    statefulSetController,
    createDaemonSetController(),
    createJobController(),
    cronJobController,
    ttlAfterFinishedController,
    createHorizontalPodAutoscalerController(),
    endpointSliceController,
    endpointsController,
    endpointSliceMirroringController,
    disruptionController,
    staleDisruptionController,
    createNamespaceController(kinds),
    createGarbageCollector(kinds),
    createPodGcController(),
    createPersistentVolumeController(removeHostPath === undefined ? {} : { removeHostPath }),
    ...(localVolumes === undefined ? [] : [createLocalVolumesController(localVolumes)]),
    volumeExpandController,
    ephemeralVolumeController,
    resourceClaimController,
    serviceCidrController,
    ...storageProtectionControllers,
    createResourceQuotaController(kinds),
    certificateApprovingController,
    ...(signingCa === undefined ? [] : [createCertificateSigningController(signingCa)]),
    certificateCleanerController,
  ]
}

/** Indices that the controllers read by, for the cache that they share: by kind id. */
export const controllerIndices = {
  'apps/v1/replicasets': { [orphansIndex]: orphanNamespaces },
  'apps/v1/controllerrevisions': { [orphansIndex]: orphanNamespaces },
  'core/v1/services': { [servicesByLabel]: selectorPair },
  'discovery.k8s.io/v1/endpointslices': { [slicesByService]: sliceService },
  'core/v1/pods': {
    [orphansIndex]: orphanNamespaces,
    [podsByResourceClaim]: (pod: object): readonly string[] => resourceClaimKeys(pod as Pod),
    [podsByResourceClaimTemplate]: (pod: object): readonly string[] => resourceClaimTemplateKeys(pod as Pod),
    [podsByClaim]: (pod: object): readonly string[] => claimKeysOf(pod as Pod),
    [podsByNode]: (pod: object): readonly string[] => {
      const { nodeName } = (pod as { spec: { nodeName?: string } }).spec
      return nodeName ? [nodeName] : []
    },
  },
} as const

/** What the controllers do not hold of objects, by kind id: the schemas of custom resources are big, and the API server's matter. */
export const controllerTrims = {
  [Secret.id]: trimSecret,
  [CustomResourceDefinition.id]: (object: KubeObject): KubeObject => {
    const definition = withoutManagedFields(object) as CustomResourceDefinition
    for (const version of definition.spec.versions) delete version.schema
    return definition
  },
} as const

/** Kinds of which the controllers need more than metadata: those that one of them watches for its own sake. */
export function needsWholeObjects(controllers: readonly Controller[], general: readonly string[]): (kind: Kind) => boolean {
  const whole = new Set<string>([...quotaWholeKinds, CustomResourceDefinition.id])
  for (const { name, watches, reads } of controllers) {
    if (general.includes(name)) continue
    for (const { kind } of watches) whole.add(kind.id)
    for (const kind of reads ?? []) whole.add(kind.id)
  }
  return (kind) => whole.has(kind.id)
}

/** Controllers that look at every kind and read metadata alone. */
export const metadataControllers = ['namespace-controller', 'garbage-collector-controller', 'resourcequota-controller'] as const
