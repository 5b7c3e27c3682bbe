// The whole API server behind one `Handler`: the core, and around it who asks, whether they may, how much at once, and all paths
// that are no resources. Sockets are put before it by `listenApi`, components of the same process by `inProcess`.

import type { Kind } from '#api/kind'
import { APIService } from '#api/kinds/apiregistration/api-service'
import { ConfigMap } from '#api/kinds/core/config-map'
import { FlowSchema } from '#api/kinds/flowcontrol/flow-schema'
import { PriorityLevelConfiguration } from '#api/kinds/flowcontrol/priority-level-configuration'
import { ClusterRole } from '#api/kinds/rbac/cluster-role'
import { ClusterRoleBinding } from '#api/kinds/rbac/cluster-role-binding'
import { Role } from '#api/kinds/rbac/role'
import { RoleBinding } from '#api/kinds/rbac/role-binding'
import type { KubeObject } from '#api/object'
import type { Clock } from '#base/clock'
import type { Random } from '#base/random'
import { createClient } from '#client/rest-client'
import type { Transport } from '#client/transport'
import type { Logger } from '#platform/log'
import { createMetrics, type MetricsRegistry, registerProcessMetrics } from '#platform/metrics'
import { certificateApproval, certificateSigning, certificateSubjectRestriction } from './admission/certificates.ts'
import { type Aggregator, createAggregator, type RemoteVersions } from './aggregation/aggregator.ts'
import { runLocalServices } from './aggregation/local-services.ts'
import { type ApiCore, type ApiCoreDeps, createApiCore } from './api-server.ts'
import { type AuditDeps, type AuditSink, createAudit, noAudit } from './audit/audit.ts'
import { type AuditPolicy, auditLevels, metadataPolicy } from './audit/policy.ts'
import type { OidcSettings } from './authn/oidc.ts'
import { type AuthenticationInfo, publishAuthentication } from './authn/publish-authentication.ts'
import { runRoleAggregation } from './authz/aggregate-roles.ts'
import type { CheckedAuthorizer } from './authz/authorization-configuration.ts'
import type { Authorizer } from './authz/authorizer.ts'
import { rbacEscalation } from './authz/escalation.ts'
import { reconcileDefaultPolicy } from './authz/reconcile-policy.ts'
import { decodeManifest } from './bootstrap-objects.ts'
import type { ConfigFile } from './configuration/config-file.ts'
import {
  createSecurity,
  type Keys,
  openIdDocuments,
  readKeys,
  readSecurity,
  type Security,
  type ServiceAccountKeys,
  type TokenWebhookOptions,
} from './create-security.ts'
import { createDiscovery } from './discovery/discovery.ts'
import { type PathsDeps, servePaths, type VersionInfo } from './discovery/paths.ts'
import { dumpFlowControl } from './flow-control/dump.ts'
import { createFlowControl } from './flow-control/flow-control.ts'
import { maintainFlowControl } from './flow-control/maintain.ts'
import { registerFlowControlMetrics } from './flow-control/metrics.ts'
import { createObjectStats } from './flow-control/object-stats.ts'
import { type Checks, serverChecks } from './health/checks.ts'
import { answerPanics } from './pipeline/answer-panics.ts'
import { authenticate } from './pipeline/authenticate.ts'
import { attributesOf, authorize, forbiddenError } from './pipeline/authorize.ts'
import { holdUntilSynced } from './pipeline/hold-until-synced.ts'
import { impersonate } from './pipeline/impersonate.ts'
import { limitTime, requestTimeoutMsDefault } from './pipeline/limit-time.ts'
import { refuseWhenStopping } from './pipeline/refuse-when-stopping.ts'
import { readRequestInfo } from './pipeline/request-info.ts'
import { measureRequests, registerInFlightMetrics } from './pipeline/request-metrics.ts'
import { runStages } from './pipeline/run-stages.ts'
import { measureAuthentication, measureAuthorization } from './pipeline/security-metrics.ts'
import { healthMetrics, measureChecks, registerServerMetrics } from './pipeline/server-metrics.ts'
import { internalCall } from './registry/call.ts'
import type { ApiRequest, Handler, User } from './request.ts'
import { accessReviewHandlers } from './reviews/access-reviews.ts'
import { tokenRequestHandler } from './reviews/token-request.ts'
import { tokenReviewHandlers } from './reviews/token-reviews.ts'
import { inProcessTransport } from './server/in-process.ts'
import { createAddressGuard } from './streaming/address-guard.ts'
import { streamingHandlers } from './streaming/all.ts'
import type { ResourceHandler } from './subresources/subresource.ts'

export interface ApiServerDeps
  extends Pick<
    ApiCoreDeps,
    | 'store'
    | 'kinds'
    | 'unserved'
    | 'serviceCidrs'
    | 'nodePortRange'
    | 'advertise'
    | 'deepFreeze'
    | 'disabledAdmission'
    | 'admissionSettings'
    | 'eventTtlMs'
    | 'watchSecondsMin'
  > {
  readonly clock: Clock
  readonly random: Random
  readonly log: Logger
  readonly version: VersionInfo
  readonly serviceAccounts: ServiceAccountKeys & {
    /** `https://kubernetes.default.svc.<cluster domain>`; also what tokens are for when nothing else is said. */
    readonly issuer: string
    /** Accepted as well, so that the issuer can change. */
    readonly otherIssuers?: readonly string[]
    /** What tokens for this server are for; default: the issuer. */
    readonly audiences?: readonly string[]
    /** The longest life of a token that is asked for. */
    readonly secondsMax?: number
    /** Whether the tokens of pods hold a year, and are only noted to be old after their time; default: they do. */
    readonly extend?: boolean
  }
  /** Whether requests without credentials are those of system:anonymous; default: they are. */
  readonly anonymousAuth?: boolean
  /** How this server proves itself to kubelets, and who vouches for theirs; PEM. */
  readonly kubeletTls: { readonly ca: string; readonly cert: string; readonly key: string }
  /** Common names of front proxies; the authority is the listener's matter. Absent: no names are checked. */
  readonly frontProxyNames?: readonly string[]
  /** What is published to API servers behind this one (ConfigMap extension-apiserver-authentication); absent: nothing is. */
  readonly authenticationInfo?: AuthenticationInfo
  /** Proves to aggregated API servers that it is this one that names the user; PEM. Absent: they are shown no certificate. */
  readonly frontProxyClient?: { readonly cert: string; readonly key: string }
  /** Lines `token,user,uid,"groups"`. */
  readonly tokenFile?: string
  /** Whose tokens hold besides this server's own. */
  readonly oidc?: OidcSettings
  /** An AuthenticationConfiguration: instead of `oidc`, and of `anonymousAuth` when it says anything of that. */
  readonly authenticationConfig?: ConfigFile
  /** Somebody else who knows tokens. */
  readonly tokenWebhook?: TokenWebhookOptions
  /** Who decides what users may, in order; default: Node, RBAC. */
  readonly authorizers?: readonly CheckedAuthorizer[]
  /** An AuthorizationConfiguration, instead of `authorizers`. */
  readonly authorizationConfig?: ConfigFile
  /** Policies of the authorizer ABAC, a line of JSON each. */
  readonly abacPolicy?: string
  readonly auditSink?: AuditSink
  /** Called with who counts events that a sink has lost, by the name of the sink. */
  readonly auditLosses?: (lost: (plugin: string, events: number) => void) => void
  /** What goes there; default: who did what to which object, and how it ended. */
  readonly auditPolicy?: AuditPolicy
  /** OpenAPI documents; absent: the paths answer 404. */
  readonly openApi?: (core: ApiCore, remotes: RemoteVersions) => NonNullable<PathsDeps['openApi']>
  /** Kubernetes' --max-requests-inflight and --max-mutating-requests-inflight; their sum is what priority levels share. */
  readonly readOnlyRequestsMax?: number
  readonly mutatingRequestsMax?: number
  /** The longest that a request may take, unless it is one that lasts as long as its client wants. */
  readonly requestTimeoutMs?: number
}

export interface ApiServer {
  /** Answers every request. Never throws. */
  readonly handle: Handler
  readonly core: ApiCore
  readonly metrics: MetricsRegistry
  /** A way in for components of this process, as `user`. */
  inProcess(user: User): Transport
  /** Resolves when the caches hold the store's state and the objects that every cluster has are there. */
  untilReady(): Promise<void>
  /** From now on /readyz fails, so that nobody new is sent here; requests are served as before. */
  leave(): void
  /** From now on new requests are refused and /readyz fails; requests under way go on. */
  stop(): void
  close(): Promise<void>
}

/** The user as whom the API server writes its own objects. */
export const loopbackUser: User = { name: 'system:apiserver', groups: ['system:masters', 'system:authenticated'] }

export async function createApiServer(deps: ApiServerDeps): Promise<ApiServer> {
  const { clock, log } = deps
  const metrics = createMetrics()
  registerProcessMetrics(metrics, clock.now())
  const keys = readKeys(deps.serviceAccounts)
  const configured = await readSecurity(deps)
  const stopping = new AbortController()
  const leaving = new AbortController()
  const background = new AbortController()

  let security!: Security
  const core = await createApiCore({
    ...deps,
    metrics,
    log: (message, error) => log.error(message, error === undefined ? {} : { error }),
    admission: [
      rbacEscalation(() => security),
      certificateApproval({ authorize: (attributes) => security.authorizer.authorize(attributes) }),
      certificateSigning({ authorize: (attributes) => security.authorizer.authorize(attributes) }),
      certificateSubjectRestriction,
    ],
    authorizer: () => security.authorizer,
    authorizeCreate: (request) => mustBeAllowed(security.authorizer, request, 'create'),
    handlers: (made) => {
      security = createSecurity(deps, configured, made, keys, metrics, background.signal)
      return resourceHandlers(deps, made, security, keys)
    },
  })
  deps.auditLosses?.(auditErrors(metrics))
  const audit =
    deps.auditSink === undefined
      ? noAudit
      : createAudit({
          sink: deps.auditSink,
          policy: deps.auditPolicy ?? metadataPolicy,
          clock,
          catalog: core.catalog,
          ...auditMetrics(metrics),
        })
  const { readOnlyRequestsMax = 400, mutatingRequestsMax = 200, requestTimeoutMs = requestTimeoutMsDefault } = deps
  const flowControl = createFlowControl({
    reader: core.reader,
    clock,
    totalSeats: readOnlyRequestsMax + mutatingRequestsMax,
    waitMsMax: requestTimeoutMs / 4,
    objectStats: createObjectStats(core, clock),
  })
  registerInFlightMetrics(metrics, flowControl, core.catalog)
  registerFlowControlMetrics(metrics, flowControl, clock)

  registerServerMetrics(metrics, { catalog: core.catalog, registries: core.registries, version: deps.version, store: deps.store })
  const recordHealth = healthMetrics(metrics)
  const measured = ({ live, ready }: Checks): Checks => ({
    live: measureChecks(live, 'livez', recordHealth),
    ready: measureChecks(ready, 'readyz', recordHealth),
  })

  let bootstrapped = false
  let flowControlReady = false
  let objectsMade = false
  let authenticationPublished = deps.authenticationInfo === undefined
  let policyTried = false
  let policyWasTried!: () => void
  const firstPolicy = new Promise<void>((resolve) => {
    policyWasTried = () => {
      policyTried = true
      resolve()
    }
  })
  const aggregator = createAggregator({
    metrics,
    reader: core.reader,
    clock,
    random: deps.random,
    guard: createAddressGuard({ ...deps.advertise, serviceCidrs: deps.serviceCidrs }),
    ...(deps.frontProxyClient === undefined ? {} : { proxyClient: deps.frontProxyClient }),
  })
  const paths = servePaths({
    discovery: createDiscovery({
      catalog: core.catalog,
      serverAddress: `${deps.advertise.address}:${deps.advertise.port}`,
      remotes: aggregator,
    }),
    version: deps.version,
    metrics,
    health: {
      ...measured(
        serverChecks(deps.store, {
          cachesFilled: () => core.synced,
          objectsMade: () => objectsMade,
          rolesMade: () => bootstrapped,
          flowControlMade: () => flowControlReady,
          authenticationPublished: () => authenticationPublished,
          stopping: AbortSignal.any([stopping.signal, leaving.signal]),
        }),
      ),
      onFailure: (root, text) => log.warn(`${root} check failed`, { checks: text }),
    },
    ...(deps.openApi === undefined ? {} : { openApi: deps.openApi(core, aggregator) }),
    debug: (request) => dumpFlowControl(request, flowControl, clock),
    fixed: openIdDocuments(deps, keys),
  })

  const handle = runStages(
    [
      measureRequests(metrics, { clock, catalog: core.catalog }),
      answerPanics({ onFault: (request, error) => log.error('request failed', { method: request.method, path: request.path, error }) }),
      readRequestInfo,
      refuseWhenStopping(stopping.signal),
      limitTime({ clock, timeoutMs: requestTimeoutMs }),
      holdUntilSynced({ synced: () => core.synced && policyTried, untilSynced: () => firstPolicy, usable: () => core.synced, clock }),
      audit.refused,
      authenticate(measureAuthentication(security.authenticator, metrics, clock)),
      audit.stage,
      impersonate(security.authorizer),
      flowControl.stage,
      authorize(measureAuthorization(security.authorizer, metrics, clock), { annotate: deps.auditSink !== undefined }),
    ],
    (request) => aggregator.answer(request) ?? (request.info.isResource ? core.dispatch(request) : paths(request)),
  )

  // What is not served is not kept up either: the server's own writes go the way of all others.
  const serves = (...kinds: readonly Kind[]): boolean => kinds.every(({ id }) => deps.unserved?.has(id) !== true)
  const transport = inProcessTransport(handle, loopbackUser, { clock })
  const client = createClient({ transport, userAgent: 'navarch-apiserver' })
  const started = core.untilSynced().then(async () => {
    objectsMade = true
    if (serves(Role, RoleBinding, ClusterRole, ClusterRoleBinding)) {
      await bootstrapPolicy(core, client, deps, policyWasTried, background.signal)
    } else policyWasTried()
    bootstrapped = true
  })
  const aggregation = started.then(() =>
    serves(ClusterRole)
      ? runRoleAggregation({
          reader: core.reader,
          client,
          clock,
          onError: (error) => log.error('cannot add up aggregated cluster roles', { error }),
          signal: background.signal,
        })
      : undefined,
  )
  const otherServers = started.then(() =>
    serves(APIService) ? runApiServices({ core, aggregator, client, clock, log, signal: background.signal }) : undefined,
  )

  const { authenticationInfo } = deps
  const publishing = started.then(async () => {
    if (authenticationInfo === undefined || !serves(ConfigMap)) {
      authenticationPublished = true
      return
    }
    const onError = (error: unknown): void => log.error('cannot publish how clients are authenticated', { error })
    await publishAuthentication(
      { reader: core.reader, client, clock, info: authenticationInfo, onError, signal: background.signal },
      () => {
        authenticationPublished = true
      },
    )
  })
  const flowLevels = started.then(() => {
    if (!serves(FlowSchema, PriorityLevelConfiguration)) {
      flowControlReady = true
      return undefined
    }
    return maintainFlowControl(
      {
        reader: core.reader,
        client,
        create: creator(core),
        clock,
        onError: (error) => log.error('cannot maintain the flow schemas and priority levels', { error }),
        signal: background.signal,
      },
      () => {
        flowControlReady = true
      },
    )
  })

  return {
    handle,
    core,
    metrics,
    inProcess: (user) => inProcessTransport(handle, user, { clock }),
    untilReady: () => started,
    leave: () => leaving.abort(new Error('the server is stopping')),
    stop: () => stopping.abort(new Error('the server is stopping')),
    async close() {
      stopping.abort(new Error('the server is stopping'))
      background.abort(new Error('the server is stopping'))
      await transport.close()
      await core.close()
      await Promise.allSettled([aggregation, otherServers])
      await Promise.allSettled([flowLevels, publishing])
    },
  }
}

// APIServices of what this server has itself, and those that name other servers.
async function runApiServices({
  core: { catalog, reader },
  aggregator,
  client,
  clock,
  log,
  signal,
}: {
  core: ApiCore
  aggregator: Aggregator
  client: ReturnType<typeof createClient>
  clock: Clock
  log: Logger
  signal: AbortSignal
}): Promise<void> {
  await Promise.all([
    runLocalServices({
      catalog,
      reader,
      client,
      clock,
      onError: (error) => log.error('cannot register the APIServices of this server', { error }),
      signal,
    }),
    aggregator.run({ client, onError: (error) => log.error('cannot look after aggregated API servers', { error }), signal }),
  ])
}

function resourceHandlers(deps: ApiServerDeps, { reader }: ApiCore, security: Security, keys: Keys): readonly ResourceHandler[] {
  const { clock, random } = deps
  const { issuer, audiences = [issuer], secondsMax, extend } = deps.serviceAccounts
  return [
    ...accessReviewHandlers(security),
    ...tokenReviewHandlers({ tokens: security.tokens, clock, audiences }),
    tokenRequestHandler({
      reader,
      clock,
      issuer,
      audiences,
      key: () => keys.signing,
      ...(secondsMax === undefined ? {} : { secondsMax }),
      ...(extend === undefined ? {} : { extend }),
    }),
    ...streamingHandlers({
      reader,
      random,
      clock,
      kubeletTls: deps.kubeletTls,
      own: { ...deps.advertise, serviceCidrs: deps.serviceCidrs },
      authorizer: security.authorizer,
    }),
  ]
}

async function mustBeAllowed(authorizer: Authorizer, request: ApiRequest, verb: string): Promise<void> {
  const attributes = attributesOf(request, verb)
  const decision = await authorizer.authorize(attributes)
  if (decision.verdict !== 'allow') throw forbiddenError(attributes, decision.reason)
}

function auditErrors(metrics: MetricsRegistry): (plugin: string, events: number) => void {
  const errors = metrics.counter({
    name: 'apiserver_audit_error_total',
    help: 'Counter of audit events that failed to be audited properly. Plugin identifies the plugin affected by the error.',
    labels: ['plugin'],
  })
  return (plugin, events) => errors.inc([plugin], events)
}

function auditMetrics(metrics: MetricsRegistry): Pick<AuditDeps, 'onEvent' | 'onDecision'> {
  const levels = metrics.counter({
    name: 'apiserver_audit_level_total',
    help: 'Counter of policy levels for audit events (1 per request).',
    labels: ['level'],
  })
  const byLevel = new Map(auditLevels.map((level) => [level, levels.series([level])]))
  const total = metrics.counter({
    name: 'apiserver_audit_event_total',
    help: 'Counter of audit events generated and sent to the audit backend.',
  })
  const series = total.series([])
  return { onEvent: () => series.inc(), onDecision: (level) => byLevel.get(level)!.inc() }
}

const policyRetryMs = 1_000
const policyCall = internalCall('navarch-apiserver')

// Straight to the registry: the way of a request would take as long again as the writing.
function creator({ registries }: ApiCore): <T extends KubeObject>(kind: Kind<T>, object: T) => Promise<unknown> {
  return (kind, object) => registries.of(kind).create(decodeManifest(kind, object as never), object.metadata.namespace ?? '', policyCall)
}

// Goes on trying: a cluster without its roles is of no use to anybody but its administrator.
async function bootstrapPolicy(
  core: ApiCore,
  client: ReturnType<typeof createClient>,
  { log, clock }: ApiServerDeps,
  tried: () => void,
  signal: AbortSignal,
): Promise<void> {
  while (!signal.aborted) {
    try {
      await reconcileDefaultPolicy({
        reader: core.reader,
        client,
        create: creator(core),
      })
      tried()
      return
    } catch (error) {
      // Whoever has rights without these roles need not wait for them.
      tried()
      if (signal.aborted) return
      log.error('cannot bring the default roles into being; trying again', { error })
      await clock.sleep(policyRetryMs, signal).catch(() => undefined)
    }
  }
}
