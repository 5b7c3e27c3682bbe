// The refusal of a policy: worded as forbidden, with the reason and code that the policy gives.
import { ApiError } from '#api/errors'
import { type AdmissionRequest, admissionForbidden } from '../plugin.ts'

const codes: Readonly<Record<string, number>> = { Unauthorized: 401, Forbidden: 403, RequestEntityTooLarge: 413, Invalid: 422 }

/** `reason`: empty means Invalid. */
export function deniedByPolicy(request: AdmissionRequest, message: string, reason: string): ApiError {
  const { status } = admissionForbidden(request, message)
  const named = reason || 'Invalid'
  return new ApiError({ ...status, reason: named, code: codes[named] ?? 422, details: { ...status.details, causes: [{ message }] } })
}

/** Something that mutating policies could not do with the write. */
export interface MutationFailure {
  readonly policy: string
  /** Undefined: the policy itself is at fault. */
  readonly binding: string | undefined
  readonly message: string
  /** Empty: it is a matter of configuration. */
  readonly reason: 'Invalid' | ''
}

/** The refusal for the failures of mutating policies: worded by the first, with all of them as its causes. */
export function deniedByMutatingPolicies(request: AdmissionRequest, failures: readonly [MutationFailure, ...MutationFailure[]]): ApiError {
  const { status } = admissionForbidden(request, '')
  const causes = failures.map(({ policy, binding, message }) => ({
    message:
      binding === undefined
        ? `policy ${JSON.stringify(policy)} denied request: ${message}`
        : `policy '${policy}' with binding '${binding}' denied request: ${message}`,
  }))
  return new ApiError({
    ...status,
    message: causes[0]!.message,
    reason: failures[0].reason || status.reason!,
    details: { ...status.details, causes },
  })
}
