// The admission plugins, in Kubernetes' order.
import type { Clock } from '#base/clock'
import type { Random } from '#base/random'
import type { Store } from '#storage/store'
import type { Authorizer } from '../authz/authorizer.ts'
import type { Registries } from '../registry/registries.ts'
import type { KindCatalog, LocalReader } from '../request.ts'
import { createAddressGuard, type OwnAddress } from '../streaming/address-guard.ts'
import type { AdmissionSettings } from './admission-configuration.ts'
import { defaultIngressClass } from './default-ingress-class.ts'
import { defaultStorageClass } from './default-storage-class.ts'
import { defaultTolerationSeconds } from './default-toleration-seconds.ts'
import { deviceAccess } from './device-access.ts'
import { limitRanger } from './limit-ranger.ts'
import { webhookConditions } from './matching/conditions.ts'
import type { AdmissionMetrics } from './metrics.ts'
import { namespaceLifecycle } from './namespace-lifecycle.ts'
import { nodeDeclaredFeatures } from './node-declared-features.ts'
import { nodeRestriction } from './node-restriction.ts'
import { persistentVolumeClaimResize } from './persistent-volume-claim-resize.ts'
import type { AdmissionPlugin } from './plugin.ts'
import { podResizeValidator } from './pod-resize-validator.ts'
import { podSecurity } from './pod-security.ts'
import { podTopologyLabels } from './pod-topology-labels.ts'
import { expressionChecks } from './policies/expression-checks.ts'
import { mutatingPolicies } from './policies/mutating.ts'
import { validatingPolicies } from './policies/validating.ts'
import { priority } from './priority.ts'
import { resourceQuota } from './resource-quota.ts'
import { runtimeClass } from './runtime-class.ts'
import { serviceAccount } from './service-account.ts'
import { storageObjectInUseProtection } from './storage-object-in-use-protection.ts'
import { taintNodesByCondition } from './taint-nodes-by-condition.ts'
import { createWebhookClient } from './webhooks/call-webhook.ts'
import type { WebhookCredentials } from './webhooks/credentials.ts'
import { mutatingWebhooks } from './webhooks/mutating.ts'
import { validatingWebhooks } from './webhooks/validating.ts'

export interface AdmissionDeps {
  readonly reader: LocalReader
  readonly store: Store
  readonly clock: Clock
  readonly random: Random
  readonly registries: () => Registries
  readonly catalog: KindCatalog
  /** This server, where webhooks behind services must not lead. */
  readonly own: OwnAddress
  readonly newUid: () => string
  /** Whom expressions may ask; it is made after admission. */
  readonly authorizer: () => Authorizer
  readonly metrics: AdmissionMetrics
  /** What plugins are told by the administrator. */
  readonly settings?: AdmissionSettings
  /** Plugins that others bring: they stand before policies and webhooks. */
  readonly more?: readonly AdmissionPlugin[]
  readonly log?: (message: string, error?: unknown) => void
}

export function admissionPlugins(deps: AdmissionDeps): readonly AdmissionPlugin[] {
  const { reader, clock, metrics } = deps
  const guard = createAddressGuard(deps.own)
  const conditionsHold = webhookConditions(deps)
  const { podSecurity: podSecuritySettings, mutatingCredentials, validatingCredentials } = deps.settings ?? {}
  const client = createWebhookClient({ ...deps, guard })
  const asking = (credentials: WebhookCredentials | undefined) => ({
    ...deps,
    client: credentials === undefined ? client : createWebhookClient({ ...deps, guard, credentials }),
    conditionsHold,
  })
  return [
    namespaceLifecycle(deps),
    limitRanger(deps),
    serviceAccount(deps),
    nodeRestriction(deps),
    taintNodesByCondition,
    podSecurity({ reader, clock, metrics, ...(podSecuritySettings === undefined ? {} : { settings: podSecuritySettings }) }),
    priority(deps),
    defaultTolerationSeconds,
    defaultStorageClass(deps),
    storageObjectInUseProtection,
    persistentVolumeClaimResize(deps),
    runtimeClass(deps),
    defaultIngressClass(deps),
    podTopologyLabels(deps),
    nodeDeclaredFeatures(deps),
    podResizeValidator(deps),
    ...(deps.more ?? []),
    expressionChecks,
    deviceAccess(deps),
    mutatingPolicies(deps),
    mutatingWebhooks(asking(mutatingCredentials)),
    validatingPolicies(deps),
    validatingWebhooks(asking(validatingCredentials)),
    resourceQuota(deps),
  ]
}
