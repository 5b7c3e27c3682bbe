// The one error that crosses the wire, and the catalogue it is built from. Reasons, codes and messages are
// Kubernetes' (API conventions, "Response Status Kind"), word for word: tools parse them. Pinned by errors.test.ts.
import type { StatusCause, StatusDetails } from './generated/meta-v1.ts'

/** The Status object as it stands on the wire. */
export interface StatusBody {
  kind: 'Status'
  apiVersion: 'v1'
  metadata: Record<string, never>
  status: 'Failure' | 'Success'
  message?: string
  reason?: string
  details?: StatusDetails
  code?: number
}

export class ApiError extends Error {
  override readonly name = 'ApiError'
  readonly status: StatusBody

  constructor(status: StatusBody, options?: { cause?: unknown }) {
    super(status.message ?? status.reason ?? 'unknown error', options)
    this.status = status
  }

  get code(): number {
    return this.status.code ?? 500
  }

  get reason(): string {
    return this.status.reason ?? ''
  }

  /** Seconds after which the client should try again, if the server says so. */
  get retryAfterSeconds(): number | undefined {
    return this.status.details?.retryAfterSeconds
  }
}

/** Whether `error` is an ApiError of this reason, e.g. `isApiError(e, 'NotFound')`. */
export function isApiError(error: unknown, reason?: string): error is ApiError {
  return error instanceof ApiError && (reason === undefined || error.reason === reason)
}

/** One cause of an invalid object: where, what, in Kubernetes' words (apimachinery's field errors). */
export interface FieldError {
  readonly type:
    | 'FieldValueNotFound'
    | 'FieldValueRequired'
    | 'FieldValueDuplicate'
    | 'FieldValueInvalid'
    | 'FieldValueNotSupported'
    | 'FieldValueForbidden'
    | 'FieldValueTooLong'
    | 'FieldValueTooMany'
    | 'FieldValueTooFew'
    | 'FieldValueTooShort'
    | 'InternalError'
    | 'FieldValueTypeInvalid'
  /** e.g. `spec.template.spec.containers[0].image`. */
  readonly field: string
  /** The whole text after the field, e.g. `Invalid value: "x": must be …` or `Required value`. */
  readonly detail: string
}

/** Group and plural, as messages name a resource: `pods`, `deployments.apps`. */
export interface QualifiedResource {
  readonly group: string
  readonly resource: string
}

export function qualified({ group, resource }: QualifiedResource): string {
  return group === '' ? resource : `${resource}.${group}`
}

function failure(code: number, reason: string, message: string, details?: StatusDetails): ApiError {
  const status: StatusBody = { kind: 'Status', apiVersion: 'v1', metadata: {}, status: 'Failure', message, reason }
  if (details !== undefined) status.details = details
  status.code = code
  return new ApiError(status)
}

function named(resource: QualifiedResource, name: string): StatusDetails {
  const details: StatusDetails = { name }
  if (resource.group !== '') details.group = resource.group
  details.kind = resource.resource
  return details
}

export function notFound(resource: QualifiedResource, name: string): ApiError {
  return failure(404, 'NotFound', `${qualified(resource)} "${name}" not found`, named(resource, name))
}

export function alreadyExists(resource: QualifiedResource, name: string): ApiError {
  return failure(409, 'AlreadyExists', `${qualified(resource)} "${name}" already exists`, named(resource, name))
}

/** A generated name that was taken: the client may simply try again. */
export function generateNameConflict(resource: QualifiedResource, name: string): ApiError {
  const message = `${qualified(resource)} "${name}" already exists, the server was not able to generate a unique name for the object`
  return failure(409, 'AlreadyExists', message, named(resource, name))
}

export function conflict(resource: QualifiedResource, name: string, why: string): ApiError {
  return failure(409, 'Conflict', `Operation cannot be fulfilled on ${qualified(resource)} "${name}": ${why}`, named(resource, name))
}

/** The update's resourceVersion is not the stored one. */
export function staleResourceVersion(resource: QualifiedResource, name: string): ApiError {
  return conflict(resource, name, 'the object has been modified; please apply your changes to the latest version and try again')
}

/** Server-side apply met fields that other managers own. */
export function applyConflict(message: string, causes: StatusCause[]): ApiError {
  return failure(409, 'Conflict', message, { causes })
}

export function invalid(kind: { group: string; kind: string }, name: string, errors: readonly FieldError[]): ApiError {
  const lines = [...new Set(errors.map((e) => `${e.field}: ${e.detail}`))]
  const text = lines.length === 1 ? lines[0] : `[${lines.join(', ')}]`
  const qualifiedKind = kind.group === '' ? kind.kind : `${kind.kind}.${kind.group}`
  const details: StatusDetails = { name }
  if (kind.group !== '') details.group = kind.group
  details.kind = kind.kind
  details.causes = errors.map((e) => ({ reason: e.type, message: e.detail, field: e.field }))
  return failure(422, 'Invalid', `${qualifiedKind} "${name}" is invalid: ${text}`, details)
}

export function badRequest(message: string): ApiError {
  return failure(400, 'BadRequest', message)
}

export function unauthorized(): ApiError {
  return failure(401, 'Unauthorized', 'Unauthorized')
}

/** `message` is everything after `<resource> "<name>" is forbidden: `. */
export function forbidden(resource: QualifiedResource, name: string, message: string): ApiError {
  const subject = name === '' ? `${qualified(resource)} is forbidden` : `${qualified(resource)} "${name}" is forbidden`
  const details = named(resource, name)
  if (name === '') delete details.name
  return failure(403, 'Forbidden', `${subject}: ${message}`, details)
}

/** A non-resource path that the user may not use. */
export function forbiddenPath(message: string): ApiError {
  return failure(403, 'Forbidden', `forbidden: ${message}`, {})
}

export function methodNotAllowed(resource: QualifiedResource, verb: string): ApiError {
  const details: StatusDetails = { kind: resource.resource }
  if (resource.group !== '') details.group = resource.group
  return failure(405, 'MethodNotAllowed', `${verb} is not supported on resources of kind "${qualified(resource)}"`, details)
}

/** The path names nothing that is served. */
export function pathNotFound(): ApiError {
  return failure(404, 'NotFound', 'the server could not find the requested resource', {})
}

/** The path is served, but not by this method. */
export function pathMethodNotAllowed(): ApiError {
  return failure(405, 'MethodNotAllowed', 'the server does not allow this method on the requested resource', {})
}

export function notAcceptable(supported: readonly string[]): ApiError {
  return failure(406, 'NotAcceptable', `only the following media types are accepted: ${supported.join(', ')}`)
}

export function unsupportedMediaType(supported: readonly string[]): ApiError {
  const message = `the body of the request was in an unknown format - accepted media types include: ${supported.join(', ')}`
  return failure(415, 'UnsupportedMediaType', message)
}

export function gone(message: string): ApiError {
  return failure(410, 'Gone', message)
}

/** A list token or resource version older than history. Kubernetes' two wordings: for lists and for watches. */
export function expired(message: string): ApiError {
  return failure(410, 'Expired', message)
}

export function requestEntityTooLarge(limitBytes: number): ApiError {
  return entityTooLarge(`limit is ${limitBytes}`)
}

/** `message` is everything after `Request entity too large: `. */
export function entityTooLarge(message: string): ApiError {
  return failure(413, 'RequestEntityTooLarge', `Request entity too large: ${message}`)
}

export function tooManyRequests(message: string, retryAfterSeconds: number): ApiError {
  return failure(429, 'TooManyRequests', message, { retryAfterSeconds })
}

/** A resource version ahead of the store: the client read it elsewhere; it should wait. */
export function tooLargeResourceVersion(asked: number, current: number): ApiError {
  const message = `Too large resource version: ${asked}, current: ${current}`
  const causes = [{ reason: 'ResourceVersionTooLarge', message: 'Too large resource version' }]
  return failure(504, 'Timeout', `Timeout: ${message}`, { causes, retryAfterSeconds: 1 })
}

export function serverTimeout(resource: QualifiedResource, operation: string, retryAfterSeconds: number): ApiError {
  const message = `The ${operation} operation against ${qualified(resource)} could not be completed at this time, please try again.`
  const details: StatusDetails = { name: operation, kind: resource.resource, retryAfterSeconds }
  if (resource.group !== '') details.group = resource.group
  return failure(500, 'ServerTimeout', message, details)
}

export function timeout(message: string, retryAfterSeconds = 0): ApiError {
  return failure(504, 'Timeout', `Timeout: ${message}`, retryAfterSeconds > 0 ? { retryAfterSeconds } : {})
}

export function serviceUnavailable(message: string): ApiError {
  return failure(503, 'ServiceUnavailable', message)
}

/** For what should not happen; the cause is logged, the client sees the message. */
export function internalError(message: string, cause?: unknown): ApiError {
  const causes: StatusCause[] = [{ message }]
  const error = failure(500, 'InternalError', `Internal error occurred: ${message}`, { causes })
  return cause === undefined ? error : new ApiError(error.status, { cause })
}

/** What Kubernetes makes of an error that its API machinery does not know: a code of 500, the words, and no reason. */
export function unknownError(message: string): ApiError {
  return new ApiError({ kind: 'Status', apiVersion: 'v1', metadata: {}, status: 'Failure', message, code: 500 })
}

/** An ApiError from a Status that a server sent, or undefined when `body` is none. */
export function fromStatus(body: unknown): ApiError | undefined {
  if (typeof body !== 'object' || body === null || (body as StatusBody).kind !== 'Status') return undefined
  return new ApiError(body as StatusBody)
}
