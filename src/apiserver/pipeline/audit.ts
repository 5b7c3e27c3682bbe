// The audit log at level Metadata: who did what to which object, and how it ended; never bodies, tokens or other headers.
// Events have the form of audit.k8s.io/v1.
import { ApiError } from '#api/errors'
import type { Clock } from '#base/clock'
import { microTimestamp } from '#base/clock'
import type { ApiReply, ApiRequest, Stage, User } from '../request.ts'
import { isLongRunning } from './request-info.ts'

/** Where audit events go, a line of JSON each. Must not throw. */
export interface AuditSink {
  write(line: string): void
}

/** Without a sink the stage does nothing. */
export function audit(sink: AuditSink | undefined, clock: Clock): Stage {
  if (sink === undefined) return { name: 'audit', run: (request, next) => next(request) }
  const log = (request: ApiRequest, stage: string, code: number): void =>
    sink.write(`${JSON.stringify(eventOf(request, stage, code, clock))}\n`)
  return {
    name: 'audit',
    async run(request, next) {
      let reply: ApiReply
      try {
        reply = await next(request)
      } catch (error) {
        log(request, 'ResponseComplete', error instanceof ApiError ? error.code : 500)
        throw error
      }
      const { body, status } = reply
      if (typeof body !== 'function') {
        log(request, 'ResponseComplete', status)
        return reply
      }
      if (isLongRunning(request.info)) log(request, 'ResponseStarted', status)
      return {
        ...reply,
        body: async (to, signal) => {
          try {
            await body(to, signal)
          } finally {
            log(request, 'ResponseComplete', status)
          }
        },
      }
    },
  }
}

function eventOf(request: ApiRequest, stage: string, code: number, clock: Clock): Record<string, unknown> {
  const { info, originalUser, user } = request
  const search = request.query.size === 0 ? '' : `?${request.query}`
  return {
    kind: 'Event',
    apiVersion: 'audit.k8s.io/v1',
    level: 'Metadata',
    auditID: request.id,
    stage,
    requestURI: `${request.rawPath}${search}`,
    verb: info.verb,
    user: userOf(originalUser ?? user),
    ...(originalUser === undefined ? {} : { impersonatedUser: userOf(user) }),
    sourceIPs: [request.remoteAddress],
    userAgent: request.headers['user-agent']?.slice(0, 1024),
    ...(info.isResource ? { objectRef: objectOf(request) } : {}),
    responseStatus: { metadata: {}, code },
    requestReceivedTimestamp: microTimestamp(request.receivedAtMs),
    stageTimestamp: microTimestamp(clock.now()),
    ...(Object.keys(request.auditAnnotations).length === 0 ? {} : { annotations: request.auditAnnotations }),
  }
}

function userOf({ name, uid, groups, extra }: User): Record<string, unknown> {
  return { username: name, uid, groups, extra }
}

function objectOf({ info }: ApiRequest): Record<string, unknown> {
  const given = (text: string): string | undefined => (text === '' ? undefined : text)
  return {
    resource: info.resource,
    namespace: given(info.namespace),
    name: given(info.name),
    apiGroup: given(info.group),
    apiVersion: info.version,
    subresource: given(info.subresource),
  }
}
