// The API server without its sockets. `createApiCore` is the heart: watch caches, registries, admission and the dispatch of
// resource requests over one Store. The pipeline (authentication, authorization, discovery, …) is put around it.
import { randomUUID } from 'node:crypto'
import type { Kind } from '#api/kind'
import { ValidatingAdmissionPolicy } from '#api/kinds/admissionregistration/validating-admission-policy'
import { CustomResourceDefinition } from '#api/kinds/apiextensions/custom-resource-definition'
import { CertificateSigningRequest } from '#api/kinds/certificates/certificate-signing-request'
import { Event } from '#api/kinds/core/event'
import { Namespace } from '#api/kinds/core/namespace'
import { Service } from '#api/kinds/core/service'
import type { Clock } from '#base/clock'
import type { Random } from '#base/random'
import type { MetricsRegistry } from '#platform/metrics'
import { boundRegularExpressions } from '#platform/regular-expressions'
import type { Store } from '#storage/store'
import { createAdmission, unreadMeasures } from './admission/admission.ts'
import type { AdmissionSettings } from './admission/admission-configuration.ts'
import { admissionPlugins } from './admission/all.ts'
import { createAdmissionMetrics } from './admission/metrics.ts'
import type { AdmissionPlugin } from './admission/plugin.ts'
import { runPolicyStatus } from './admission/policies/policy-status.ts'
import { createWebhookClient } from './admission/webhooks/call-webhook.ts'
import { type Authorizer, mastersAuthorizer } from './authz/authorizer.ts'
import { createBootstrapObjects } from './bootstrap-objects.ts'
import { conversionMetrics } from './custom/conversion-metrics.ts'
import { type CustomKinds, runCustomKinds } from './custom/custom-kinds.ts'
import { customHooks, definitionHooks } from './custom/definition-hooks.ts'
import { expireEvents } from './expire-events.ts'
import { createKindCatalog, type MutableKindCatalog } from './kind-catalog.ts'
import { createLocalReader } from './local-reader.ts'
import { certificateRequestHooks } from './registry/certificate-request-hooks.ts'
import type { RegistryHooks } from './registry/hooks.ts'
import { namespaceHooks } from './registry/namespace-hooks.ts'
import { createRegistries, isStored, type Registries } from './registry/registries.ts'
import { createIpRange, type IpRange } from './registry/services/ip-range.ts'
import { createNodePorts, type NodePorts } from './registry/services/node-ports.ts'
import { repairNodePorts } from './registry/services/repair.ts'
import { serviceHooks } from './registry/services/service-hooks.ts'
import type { ApiRequest, Handler, LocalReader } from './request.ts'
import { createAddressGuard } from './streaming/address-guard.ts'
import { coreHandlers } from './subresources/all.ts'
import type { ResourceHandler } from './subresources/subresource.ts'
import { createBookmarks } from './verbs/bookmarks.ts'
import { createDispatch, handlerKey } from './verbs/dispatch.ts'
import { createWatchDeadlines } from './verbs/watch-deadlines.ts'
import { CacheFeed } from './watch-cache/cache-feed.ts'

export interface ApiCoreDeps {
  readonly store: Store
  readonly clock: Clock
  readonly random: Random
  readonly kinds: readonly Kind[]
  /** Ids of those of them that are stored and not served (`unservedKinds`); default: none. */
  readonly unserved?: ReadonlySet<string>
  /** One or two ranges for Services, the first names the default family: `10.96.0.0/12`. */
  readonly serviceCidrs: readonly string[]
  readonly nodePortRange: { readonly from: number; readonly to: number }
  /** Where the `kubernetes` service leads: this server's address as pods reach it. */
  readonly advertise: { readonly address: string; readonly port: number }
  /** Freezes decoded objects to the bottom, so that a mutation fails on its own line. For tests and development. */
  readonly deepFreeze?: boolean
  /** Handlers of what the core does not answer itself: exec, log, proxy, token, reviews. Called once the core stands. */
  readonly handlers?: (core: ApiCore) => readonly ResourceHandler[]
  /** More admission plugins; they stand before policies and webhooks. */
  readonly admission?: readonly AdmissionPlugin[]
  /** What admission plugins are told by the administrator (AdmissionConfiguration). */
  readonly admissionSettings?: AdmissionSettings
  /** Names of admission plugins that do not run. */
  readonly disabledAdmission?: ReadonlySet<string>
  /** Kubernetes' --min-request-timeout: how long watches that name no time of their own last at least, and at most twice that. */
  readonly watchSecondsMin?: number
  /** How long events are kept after they were last seen. */
  readonly eventTtlMs?: number
  /** Asked before a PUT or an apply creates what was not there: throws Forbidden when the request's user may not create. */
  readonly authorizeCreate?: (request: ApiRequest) => Promise<void>
  /** Whom expressions of admission may ask; default: one that knows nobody but system:masters. */
  readonly authorizer?: () => Authorizer
  /** Where admission is measured; default: nowhere. */
  readonly metrics?: MetricsRegistry
  /** Fresh values of metadata.uid; default: from the platform's randomness. */
  readonly newUid?: () => string
  /** A message for the log, about something that went wrong behind the scenes. */
  readonly log?: (message: string, error?: unknown) => void
}

export interface ApiCore {
  /** Answers resource requests (`request.info.isResource`), and says 404 to all others. Throws ApiErrors. */
  readonly dispatch: Handler
  readonly reader: LocalReader
  readonly catalog: MutableKindCatalog
  readonly registries: Registries
  /** Resolves when every watch cache holds what the store held at the start; requests wait for their own cache only. */
  untilSynced(): Promise<void>
  readonly synced: boolean
  /** Ends watches and timers. The store stays open; who opened it closes it. */
  close: () => Promise<void>
}

/** The core over an open store. It answers at once; requests wait until what they need is loaded. */
export async function createApiCore(deps: ApiCoreDeps): Promise<ApiCore> {
  const { store, clock, random } = deps
  boundRegularExpressions()
  const catalog = createKindCatalog(deps.kinds)
  const feed = new CacheFeed({
    store,
    clock,
    ...(deps.deepFreeze === undefined ? {} : { deepFreeze: deps.deepFreeze }),
    ...(deps.log === undefined ? {} : { log: deps.log }),
  })
  const bookmarks = createBookmarks(clock)
  const reader: LocalReader = {
    get: (kind, namespace, name) => local.get(kind, namespace, name),
    list: (kind, namespace) => local.list(kind, namespace),
    onChange: (kind, changed) => local.onChange(kind, changed),
  }
  const newUid = deps.newUid ?? randomUUID
  const ranges = deps.serviceCidrs.map((cidr) => createIpRange(cidr, random))
  const nodePorts = createNodePorts(store, deps.nodePortRange, random)
  const hooks = new Map<string, RegistryHooks>([
    [CertificateSigningRequest.id, certificateRequestHooks as unknown as RegistryHooks],
    [CustomResourceDefinition.id, definitionHooks as unknown as RegistryHooks],
    [Namespace.id, namespaceHooks as unknown as RegistryHooks],
    [Service.id, serviceHooks({ reader, clock, newUid, ranges, nodePorts }) as unknown as RegistryHooks],
  ])
  const measures = deps.metrics === undefined ? unreadMeasures(clock) : { clock, metrics: createAdmissionMetrics(deps.metrics) }
  const admission = createAdmission(
    admissionPlugins({
      reader,
      store,
      clock,
      random,
      registries: () => registries,
      catalog,
      own: { ...deps.advertise, serviceCidrs: deps.serviceCidrs },
      newUid: randomUUID,
      authorizer: deps.authorizer ?? (() => mastersAuthorizer),
      metrics: measures.metrics,
      more: deps.admission ?? [],
      ...(deps.admissionSettings === undefined ? {} : { settings: deps.admissionSettings }),
      ...(deps.log === undefined ? {} : { log: deps.log }),
    }).filter(({ name }) => deps.disabledAdmission?.has(name) !== true),
    measures,
  )
  const registries = createRegistries({
    store,
    clock,
    random,
    newUid,
    admission,
    decoded: feed.decoded,
    catalog,
    feed,
    hooksOf: (kind) => hooks.get(kind.id) ?? (kind.custom ? customHooks(reader, kind) : {}),
  })
  const local = createLocalReader(registries)
  for (const kind of catalog.all()) if (isStored(kind)) registries.of(kind)
  for (const id of deps.unserved ?? []) catalog.hide(id)

  const handlers = new Map<string, ResourceHandler>()
  const core: ApiCore = {
    dispatch: createDispatch({
      store,
      clock,
      random,
      registries,
      catalog,
      bookmarks,
      deadlines: createWatchDeadlines(clock),
      ...(deps.watchSecondsMin === undefined ? {} : { watchSecondsMin: deps.watchSecondsMin }),
      admission,
      handlers: () => handlers,
      ...(deps.authorizeCreate === undefined ? {} : { authorizeCreate: deps.authorizeCreate }),
    }),
    reader,
    catalog,
    registries,
    untilSynced: () => started,
    get synced() {
      return feed.synced
    },
    close: async () => {},
  }
  for (const handler of [...coreHandlers({ registries, reader, clock, store }), ...(deps.handlers?.(core) ?? [])]) {
    handlers.set(handlerKey(handler.group, handler.resource, handler.subresource), handler)
  }
  const stop = new AbortController()
  const webhooks = createWebhookClient({
    reader,
    clock,
    random,
    guard: createAddressGuard({ ...deps.advertise, serviceCidrs: deps.serviceCidrs }),
  })
  let customKinds: CustomKinds | undefined
  const started = feed.start().then(async () => {
    if (catalog.byId(CustomResourceDefinition.id) !== undefined && !stop.signal.aborted) {
      customKinds = runCustomKinds({
        registries,
        catalog,
        feed,
        clock,
        webhooks,
        newUid: randomUUID,
        ...(deps.metrics === undefined ? {} : { measures: conversionMetrics(deps.metrics, clock) }),
        ...(deps.log === undefined ? {} : { log: deps.log }),
      })
      await customKinds.ready
    }
    if (catalog.byId(ValidatingAdmissionPolicy.id) !== undefined && !stop.signal.aborted) {
      const log = deps.log === undefined ? {} : { log: deps.log }
      runPolicyStatus({ registries, reader, catalog, clock, ...log }, stop.signal)
    }
    await bootstrap(deps, registries, reader, ranges, nodePorts, stop.signal)
  })
  const expiry =
    catalog.byId(Event.id) === undefined
      ? undefined
      : expireEvents({
          registry: registries.of(Event),
          clock,
          ...(deps.eventTtlMs === undefined ? {} : { keptMs: deps.eventTtlMs }),
          ...(deps.log === undefined ? {} : { log: deps.log }),
        })
  core.close = async () => {
    stop.abort()
    expiry?.close()
    customKinds?.close()
    webhooks.close()
    bookmarks.close()
    feed.close()
    await started
  }
  return core
}

const bootstrapRetryMs = 1_000

// Goes on trying: without its own objects the server is of little use, but it can still say what is wrong.
async function bootstrap(
  deps: ApiCoreDeps,
  registries: Registries,
  reader: LocalReader,
  ranges: readonly IpRange[],
  nodePorts: NodePorts,
  signal: AbortSignal,
): Promise<void> {
  while (!signal.aborted) {
    try {
      await createBootstrapObjects({ registries, clock: deps.clock, ranges, advertise: deps.advertise })
      await repairNodePorts(reader, deps.store, nodePorts)
      return
    } catch (error) {
      if (signal.aborted) return
      deps.log?.('cannot make the objects that every cluster has; trying again', error)
      await deps.clock.sleep(bootstrapRetryMs, signal).catch(() => {})
    }
  }
}
