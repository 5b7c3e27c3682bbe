// The audit log: for each request that the policy names, an event at each stage that it names (audit.k8s.io/v1 Event, one line of
// JSON each). Bodies appear at the levels Request and RequestResponse alone; other headers than the user agent never.
import { ApiError, type StatusBody } from '#api/errors'
import { type Clock, microTimestamp } from '#base/clock'
import { orFailed, whenThere } from '#base/eventual'
import { isLongRunning } from '../pipeline/request-info.ts'
import type { ApiReply, ApiRequest, KindCatalog, Stage, User } from '../request.ts'
import { bodyValue, keepBody, keepStream, replyBytes, unpacked, withoutManagedFields } from './bodies.ts'
import { type AuditDecision, type AuditLevel, type AuditPolicy, type AuditStage, compileAuditPolicy } from './policy.ts'

/** One event, in the order of its fields (audit.k8s.io/v1 Event). */
export type AuditEvent = Readonly<Record<string, unknown>>

/** Where audit events go: each as itself, and as a line of JSON. Must not throw. */
export interface AuditSink {
  write(line: string, event: AuditEvent): void
}

/** Annotations with what webhooks did to an object: part of its body, and kept from levels without bodies. */
export const patchAnnotationPrefix = 'patch.webhook.admission.k8s.io/'

export interface AuditDeps {
  readonly sink: AuditSink
  readonly policy: AuditPolicy
  readonly clock: Clock
  readonly catalog: KindCatalog
  /** Told of each event that was written. */
  readonly onEvent?: () => void
  /** Told of each request's level. */
  readonly onDecision?: (level: AuditLevel) => void
}

export interface Audit {
  /** Stands right behind authentication. */
  readonly stage: Stage
  /** Stands before it: tells of requests whose credentials do not hold. */
  readonly refused: Stage
}

const userAgentCharsMax = 1_024
const nobody: User = { name: '', groups: [] }

/** One request on its way into the log. */
interface Trail {
  readonly decision: AuditDecision
  readonly body: () => Buffer | undefined
  requestObject?: unknown
  responseObject?: unknown
  status?: Partial<StatusBody>
}

export function createAudit(deps: AuditDeps): Audit {
  const decide = compileAuditPolicy(deps.policy)
  const log = (request: ApiRequest, trail: Trail, stage: AuditStage): void => {
    if (!trail.decision.stages.has(stage)) return
    const event = eventOf(request, trail, stage, deps.clock)
    deps.sink.write(lineOf(event), event)
    deps.onEvent?.()
  }
  return {
    refused: {
      name: 'auditRefused',
      run: (request, next) => {
        const failed = (error: unknown): never => {
          if (request.user.name !== '' || !(error instanceof ApiError) || error.code !== 401) throw error
          const decision = decide(nobody, request.info, request.path)
          if (decision.level !== 'None') {
            const message = `Authentication failed, ${attemptedBy(request)}`
            const status = { metadata: {}, status: 'Failure', message, reason: 'Unauthorized', code: 401 } as const
            log(request, { decision, body: () => undefined, status }, 'ResponseStarted')
          }
          throw error
        }
        return orFailed(() => next(request), failed)
      },
    },
    stage: {
      name: 'audit',
      run(request, next) {
        const decision = decide(request.user, request.info, request.path)
        deps.onDecision?.(decision.level)
        if (decision.level === 'None') return next(request)
        const trail: Trail = { decision, body: isLongRunning(request.info) ? () => undefined : keepBody(request) }
        log(request, trail, 'RequestReceived')
        const failed = (error: unknown): never => {
          takeRequest(request, trail, deps.catalog)
          takeFailure(trail, error)
          if (isLongRunning(request.info)) log(request, trail, 'ResponseStarted')
          log(request, trail, error instanceof ApiError || request.signal.aborted ? 'ResponseComplete' : 'Panic')
          throw error
        }
        return whenThere(
          orFailed(() => next(request), failed),
          (reply) => completed(request, reply, trail),
        )
      },
    },
  }

  function completed(request: ApiRequest, reply: ApiReply, trail: Trail): ApiReply {
    const { status } = reply
    takeRequest(request, trail, deps.catalog)
    const wanted = trail.decision.level === 'RequestResponse'
    const longRunning = isLongRunning(request.info)
    if (typeof reply.body !== 'function') {
      takeReply(request, reply, wanted || status >= 400 ? replyBytes(reply) : undefined, trail, deps.catalog)
      if (longRunning) log(request, trail, 'ResponseStarted')
      log(request, trail, 'ResponseComplete')
      return reply
    }
    trail.status = { metadata: {}, code: status }
    if (longRunning) log(request, trail, 'ResponseStarted')
    const kept = wanted && !longRunning ? keepStream(reply.body) : undefined
    const body = kept?.body ?? reply.body
    return {
      ...reply,
      body: async (sink, signal) => {
        try {
          await body(sink, signal)
        } finally {
          if (kept !== undefined) takeReply(request, reply, kept.bytes(), trail, deps.catalog)
          log(request, trail, 'ResponseComplete')
        }
      },
    }
  }
}

function attemptedBy({ headers, peerCertificate, certificateRefused }: ApiRequest): string {
  const attempted: string[] = []
  const scheme = headers['authorization']?.split(' ', 1)[0]?.toLowerCase()
  if (scheme === 'basic' || scheme === 'bearer') attempted.push(scheme)
  if (peerCertificate !== undefined || certificateRefused) attempted.push('x509')
  return attempted.length === 0 ? 'no credentials provided' : `attempted: ${attempted.join(', ')}`
}

function takeRequest(request: ApiRequest, trail: Trail, catalog: KindCatalog): void {
  const bytes = trail.body()
  if (bytes === undefined) return
  const value = bodyValue(bytes, request.headers['content-type'], request, catalog)
  trail.requestObject = trail.decision.omitManagedFields ? withoutManagedFields(value) : value
}

function takeReply(request: ApiRequest, reply: ApiReply, bytes: Buffer | undefined, trail: Trail, catalog: KindCatalog): void {
  trail.status = { metadata: {}, code: reply.status }
  if (bytes === undefined) return
  const { headers } = reply
  let value: unknown
  try {
    value = bodyValue(unpacked(bytes, headers['content-encoding']), headers['content-type'], request, catalog)
  } catch {
    return
  }
  if (reply.status >= 400 && (value as Partial<StatusBody> | undefined)?.kind === 'Status') trail.status = plainStatus(value as StatusBody)
  if (trail.decision.level === 'RequestResponse') {
    trail.responseObject = trail.decision.omitManagedFields ? withoutManagedFields(value) : value
  }
}

function takeFailure(trail: Trail, error: unknown): void {
  if (!(error instanceof ApiError)) {
    const message = "APIServer panic'd"
    trail.status = { metadata: {}, status: 'Failure', message, reason: 'InternalError', code: 500 }
    return
  }
  trail.status = plainStatus(error.status)
  if (trail.decision.level === 'RequestResponse') trail.responseObject = error.status
}

function plainStatus({ kind: _kind, apiVersion: _apiVersion, ...status }: StatusBody): Partial<StatusBody> {
  return status
}

/** The line that an event is written as. */
export function lineOf(event: AuditEvent): string {
  return `${JSON.stringify(event)}\n`
}

function eventOf(request: ApiRequest, trail: Trail, stage: AuditStage, clock: Clock): AuditEvent {
  const { info, originalUser, user } = request
  const { level } = trail.decision
  const userAgent = request.headers['user-agent'] ?? ''
  const bodies = level === 'Request' || level === 'RequestResponse'
  const annotations = bodies ? request.auditAnnotations : withoutPatches(request.auditAnnotations)
  return {
    kind: 'Event',
    apiVersion: 'audit.k8s.io/v1',
    level,
    auditID: request.id,
    stage,
    requestURI: request.rawQuery === '' ? request.rawPath : `${request.rawPath}?${request.rawQuery}`,
    verb: info.verb,
    user: userOf(originalUser ?? user),
    impersonatedUser: originalUser === undefined ? undefined : userOf(user),
    authenticationMetadata:
      request.impersonationConstraint === undefined ? undefined : { impersonationConstraint: request.impersonationConstraint },
    sourceIPs: sourceIps(request),
    userAgent: userAgent.length > userAgentCharsMax ? `${userAgent.slice(0, userAgentCharsMax)}...TRUNCATED` : userAgent || undefined,
    objectRef: info.isResource ? objectOf(request, trail.requestObject) : undefined,
    responseStatus: trail.status,
    requestObject: bodies ? trail.requestObject : undefined,
    responseObject: trail.responseObject,
    requestReceivedTimestamp: microTimestamp(request.receivedAtMs),
    stageTimestamp: microTimestamp(clock.now()),
    annotations: Object.keys(annotations).length === 0 ? undefined : annotations,
  }
}

function withoutPatches(annotations: Readonly<Record<string, string>>): Readonly<Record<string, string>> {
  const keys = Object.keys(annotations)
  if (!keys.some((key) => key.startsWith(patchAnnotationPrefix))) return annotations
  return Object.fromEntries(Object.entries(annotations).filter(([key]) => !key.startsWith(patchAnnotationPrefix)))
}

function userOf({ name, uid, groups, extra }: User): Record<string, unknown> {
  return {
    username: name === '' ? undefined : name,
    uid: uid === '' ? undefined : uid,
    groups: groups.length === 0 ? undefined : groups,
    extra,
  }
}

// Those whom proxies name before them, and the peer itself (X-Forwarded-For, X-Real-Ip). The client may claim what it likes there:
// the last one is true.
function sourceIps({ headers, remoteAddress }: ApiRequest): string[] {
  const named = (headers['x-forwarded-for'] ?? '')
    .split(',')
    .map((text) => text.trim())
    .filter((text) => /^[0-9a-fA-F.:]{2,45}$/.test(text))
    .slice(0, 16)
  const real = headers['x-real-ip']
  if (named.length === 0 && real !== undefined && /^[0-9a-fA-F.:]{2,45}$/.test(real)) named.push(real)
  if (named.at(-1) !== remoteAddress) named.push(remoteAddress)
  return named
}

// A request that names no object in its path names one in its body, perhaps.
function objectOf({ info }: ApiRequest, object: unknown): Record<string, unknown> {
  const metadata = (object as { metadata?: unknown } | undefined)?.metadata
  const said = (typeof metadata === 'object' && metadata !== null ? metadata : {}) as Record<string, unknown>
  const given = (text: string, field?: string): unknown => {
    if (text !== '') return text
    const other = field === undefined ? undefined : said[field]
    return typeof other === 'string' && other !== '' ? other : undefined
  }
  return {
    resource: info.resource,
    namespace: given(info.namespace, 'namespace'),
    name: given(info.name, 'name'),
    uid: given('', 'uid'),
    apiGroup: given(info.group),
    apiVersion: info.version,
    resourceVersion: given('', 'resourceVersion'),
    subresource: given(info.subresource),
  }
}

/** The stages that tell nothing, for servers without a log. */
export const noAudit: Audit = {
  stage: { name: 'audit', run: (request, next) => next(request) },
  refused: { name: 'auditRefused', run: (request, next) => next(request) },
}
