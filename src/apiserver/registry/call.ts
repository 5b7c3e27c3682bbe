// Who asks the registry for what, and how: the part of a request that every verb needs, free of HTTP.
import type { User } from '../request.ts'

export type FieldValidation = 'Ignore' | 'Warn' | 'Strict'

/** What a client asked for, as far as admission tells others: the version it named, and its query. */
export interface CallOrigin {
  readonly group: string
  readonly version: string
  readonly resource: string
  /** What was authorized: `update` or `patch`, … Absent where nobody asks. */
  readonly verb?: string
  /** As it stood in the query; else empty. */
  readonly fieldManager: string
  readonly fieldValidation: string
  /** When the client's time is over, on the monotonic clock. */
  readonly dueMs?: number | undefined
}

/** One call of a registry verb. Internal callers (bootstrap objects, subresources) make their own with `internalCall`. */
export interface Call {
  readonly user: User
  /** Nothing is written; the answer is what it would be. */
  readonly dryRun: boolean
  /** Name in managedFields: the query's fieldManager, else what stands before the first `/` of the User-Agent. */
  readonly fieldManager: string
  readonly fieldValidation: FieldValidation
  /** Absent for the server's own calls. */
  readonly origin?: CallOrigin
  /** Adds a warning for the client (HTTP Warning header). */
  warn(text: string): void
  /** Annotations for the audit log, from admission. */
  annotate(key: string, value: string): void
  /** Aborts when nobody waits for the answer any more. */
  readonly signal: AbortSignal
  /** Part of the deletion of a collection, which names no object. */
  readonly ofCollection?: true
  /** Asked before a PUT or an apply creates what was not there: throws Forbidden when the user may not create. */
  readonly authorizeCreate?: () => Promise<void>
}

const never = new AbortController().signal

/** A call by the API server itself. */
export function internalCall(fieldManager: string, overrides: Partial<Call> = {}): Call {
  return {
    user: { name: 'system:apiserver', groups: ['system:masters', 'system:authenticated'] },
    dryRun: false,
    fieldManager,
    fieldValidation: 'Ignore',
    warn: () => {},
    annotate: () => {},
    signal: never,
    ...overrides,
  }
}
