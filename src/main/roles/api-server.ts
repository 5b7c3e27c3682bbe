// The role of the API server: the store, the server over it, the port, and an orderly end.
import { allKinds, optionalKinds } from '#api/kinds/all'
import type { AuditSink } from '#apiserver/audit/audit'
import { parseAuditPolicy } from '#apiserver/audit/policy'
import { truncating } from '#apiserver/audit/truncate'
import { auditWebhook } from '#apiserver/audit/webhook-sink'
import { readAuthentication } from '#apiserver/authn/jwt-configuration'
import { abacAuthorizer } from '#apiserver/authz/abac'
import { readAuthorization } from '#apiserver/authz/authorization-configuration'
import { type ApiServerDeps, createApiServer } from '#apiserver/create-api-server'
import { createOpenApi } from '#apiserver/discovery/openapi'
import { listenApi } from '#apiserver/server/listen'
import { systemClock as clock } from '#base/clock'
import type { ClusterConfig, ClusterPaths } from '#bootstrap/cluster-config'
import { readPair, readServiceAccountKey } from '#bootstrap/pki'
import { readKubeconfig } from '#client/kubeconfig'
import { type DatedFile, openDatedFile } from '#platform/dated-file'
import { type JsonPoster, jsonPoster } from '#platform/post-json'
import { openLmdbStore } from '#storage/lmdb/lmdb-store'
import type { AuditLogSettings, AuditSettings } from '../audit-options.ts'
import { readDescriptions } from '../descriptions.ts'
import { usageFailure } from '../failure.ts'
import type { ServerSettings } from '../server-options.ts'
import { kubernetesVersionInfo } from '../version.ts'
import type { Role } from './role.ts'

/** Runs until the signal aborts. */
export async function runApiServer(config: ClusterConfig, paths: ClusterPaths, role: Role, settings: ServerSettings): Promise<void> {
  const { log, random, signal } = role
  const audit = settings.audit === undefined ? undefined : openAudit(settings.audit, role)
  await checkSecurity(settings, config)
  const store = await openLmdbStore({ dir: paths.store, clock })
  const ca = readPair(paths.pki, 'ca')
  const serving = readPair(paths.pki, 'apiserver')
  const kubeletClient = readPair(paths.pki, 'apiserver-kubelet-client')
  const frontProxyClient = readPair(paths.pki, 'front-proxy-client')
  const clientCaPem = settings.clientCaPem ?? ca.certificatePem
  const requestHeaderCaPem = settings.requestHeaderCaPem ?? readPair(paths.pki, 'front-proxy-ca').certificatePem
  const server = await createApiServer({
    store,
    kinds: [...allKinds, ...optionalKinds],
    unserved: settings.unserved,
    serviceCidrs: [config.serviceCidr],
    nodePortRange: config.nodePortRange,
    advertise: { address: config.nodeIp, port: config.apiPort },
    clock,
    random,
    log,
    version: kubernetesVersionInfo,
    serviceAccounts: serviceAccountsOf(settings, config, paths),
    authenticationInfo: { clientCaPem, requestHeader: { caPem: requestHeaderCaPem, allowedNames: settings.requestHeaderNames } },
    anonymousAuth: settings.anonymousAuth,
    disabledAdmission: settings.disabledAdmission,
    eventTtlMs: settings.eventTtlMs,
    readOnlyRequestsMax: settings.readOnlyRequestsMax,
    mutatingRequestsMax: settings.mutatingRequestsMax,
    requestTimeoutMs: settings.requestTimeoutMs,
    watchSecondsMin: settings.watchSecondsMin,
    ...(settings.oidc === undefined ? {} : { oidc: settings.oidc }),
    ...(settings.authenticationConfig === undefined ? {} : { authenticationConfig: settings.authenticationConfig }),
    ...(settings.tokenWebhook === undefined ? {} : { tokenWebhook: settings.tokenWebhook }),
    ...(settings.authorizers === undefined ? {} : { authorizers: settings.authorizers }),
    ...(settings.authorizationConfig === undefined ? {} : { authorizationConfig: settings.authorizationConfig }),
    ...(settings.admissionSettings === undefined ? {} : { admissionSettings: settings.admissionSettings }),
    ...(settings.abacPolicy === undefined ? {} : { abacPolicy: settings.abacPolicy }),
    ...(settings.tokenFile === undefined ? {} : { tokenFile: settings.tokenFile }),
    ...(audit === undefined ? {} : { auditSink: audit.sink, auditPolicy: audit.policy, auditLosses: audit.onLosses }),
    kubeletTls: { ca: ca.certificatePem, cert: kubeletClient.certificatePem, key: kubeletClient.privateKeyPem },
    frontProxyNames: settings.requestHeaderNames,
    frontProxyClient: { cert: frontProxyClient.certificatePem, key: frontProxyClient.privateKeyPem },
    openApi: ({ catalog }, remotes) =>
      createOpenApi({ catalog, about: { version: kubernetesVersionInfo.gitVersion }, descriptions: readDescriptions, remotes }),
  })
  const listener = await listenApi({
    handle: server.handle,
    tls: {
      ...serving,
      ...settings.tls,
      clientCaPem,
      requestHeaderCaPem,
    },
    limits: { streamsMax: settings.streamsMax },
    host: settings.bindAddress,
    port: config.apiPort,
    clock,
  })
  log.info('serving', { address: `${config.nodeIp}:${listener.port}` })
  await new Promise<void>((resolve) => {
    if (signal.aborted) resolve()
    else signal.addEventListener('abort', () => resolve(), { once: true })
  })
  log.info('stopping', { delayMs: settings.shutdownDelayMs, drainMs: settings.shutdownDrainMs })
  server.leave()
  if (settings.shutdownDelayMs > 0) await clock.sleep(settings.shutdownDelayMs)
  server.stop()
  await listener.close(settings.shutdownDrainMs)
  await server.close()
  await store.close()
  await audit?.close()
  log.info('stopped')
}

// What is wrong with a file is told before anything is opened.
async function checkSecurity(settings: ServerSettings, config: ClusterConfig): Promise<void> {
  const { authenticationConfig, authorizationConfig, authorizers = [], tokenWebhook, abacPolicy } = settings
  const wrong = (name: string, error: unknown): never => {
    throw usageFailure(`--${name}: ${(error as Error).message}`)
  }
  if (authenticationConfig !== undefined) {
    const issuers = settings.issuers.length > 0 ? settings.issuers : [ownIssuer(config)]
    const { anonymous } = await readAuthentication(authenticationConfig.text, issuers).catch((error) =>
      wrong('authentication-config', error),
    )
    if (anonymous !== undefined && settings.anonymousAuthSaid) {
      const why = '--anonymous-auth flag cannot be set when anonymous field is configured in authentication configuration file'
      wrong('authentication-config', new Error(`anonymous: Forbidden: ${why}`))
    }
  }
  const configured =
    authorizationConfig === undefined
      ? authorizers
      : await readAuthorization(authorizationConfig.text).catch((error) => wrong('authorization-config', error))
  const attempt = (name: string, run: () => unknown): void => {
    try {
      run()
    } catch (error) {
      wrong(name, error)
    }
  }
  for (const each of configured) {
    if (each.type === 'Webhook') attempt('authorization-webhook-config-file', () => readKubeconfig(each.kubeconfigFile))
  }
  if (tokenWebhook !== undefined) attempt('authentication-token-webhook-config-file', () => readKubeconfig(tokenWebhook.kubeconfigFile))
  if (abacPolicy !== undefined) attempt('authorization-policy-file', () => abacAuthorizer(abacPolicy))
}

function ownIssuer(config: ClusterConfig): string {
  return `https://kubernetes.default.svc.${config.clusterDomain}`
}

function serviceAccountsOf(settings: ServerSettings, config: ClusterConfig, paths: ClusterPaths): ApiServerDeps['serviceAccounts'] {
  const [issuer = ownIssuer(config), ...otherIssuers] = settings.issuers
  return {
    signingKeyPem: settings.signingKeyPem ?? readServiceAccountKey(paths.pki),
    verificationKeysPem: settings.verificationKeysPem,
    issuer,
    otherIssuers,
    extend: settings.extendTokens,
    ...(settings.audiences.length === 0 ? {} : { audiences: settings.audiences }),
    ...(settings.tokenSecondsMax === undefined ? {} : { secondsMax: settings.tokenSecondsMax }),
  }
}

function openAudit({ policy, policyFile, log: toLog, webhook: toWebhook }: AuditSettings, { log, random }: Role) {
  let parsed: ReturnType<typeof parseAuditPolicy>
  try {
    parsed = parseAuditPolicy(policy)
  } catch (error) {
    throw usageFailure(`--audit-policy-file ${policyFile}: ${(error as Error).message}`)
  }
  let lost = 0
  let count: (plugin: string, events: number) => void = () => {}
  const losses =
    (plugin: string) =>
    (error: Error, events = 1): void => {
      count(plugin, events)
      // One line for a flood of events.
      if (lost === 0) clock.after(10_000, tell, { background: true })
      lost += events
      reason = error.message
    }
  let reason = ''
  const tell = (): void => {
    log.error('audit events were lost', { events: lost, error: reason })
    lost = 0
  }
  const bounded = (sink: AuditSink, eventBytesMax: number | undefined): AuditSink =>
    eventBytesMax === undefined ? sink : truncating(sink, { eventBytesMax, onError: losses('truncate') })
  const file = toLog === undefined ? undefined : openAuditLog(toLog)
  const webhook =
    toWebhook === undefined
      ? undefined
      : auditWebhook({ poster: auditPoster(toWebhook.kubeconfigFile), settings: toWebhook, clock, random, onError: losses('webhook') })
  const sinks = [
    ...(file === undefined ? [] : [bounded(file.sink, toLog?.eventBytesMax)]),
    ...(webhook === undefined ? [] : [bounded(webhook, toWebhook?.eventBytesMax)]),
  ]
  const sink: AuditSink = {
    write(line, event) {
      for (const each of sinks) each.write(line, event)
    },
  }
  const close = async (): Promise<void> => {
    await Promise.all([file?.close(), webhook?.close(auditDrainMs)])
  }
  const onLosses = (counts: typeof count): void => {
    count = counts
  }
  return { policy: parsed, sink, close, onLosses }
}

// How long audit events may take to go when the server ends.
const auditDrainMs = 5_000

function auditPoster(kubeconfigFile: string): JsonPoster {
  try {
    const { server, ...access } = readKubeconfig(kubeconfigFile)
    return jsonPoster({ url: server, ...access })
  } catch (error) {
    throw usageFailure(`--audit-webhook-config-file ${kubeconfigFile}: ${(error as Error).message}`)
  }
}

function openAuditLog({ path, ...limits }: AuditLogSettings): { sink: AuditSink; close(): Promise<void> } {
  if (path === '-') return { sink: { write: (line) => void process.stdout.write(line) }, close: () => Promise.resolve() }
  let file: DatedFile
  try {
    file = openDatedFile({ path, clock, ...limits })
  } catch (error) {
    throw usageFailure(`--audit-log-path ${path}: it cannot be written (${(error as NodeJS.ErrnoException).code})`)
  }
  return { sink: file, close: () => file.close() }
}
