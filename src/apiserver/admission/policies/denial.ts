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
