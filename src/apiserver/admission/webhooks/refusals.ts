// What clients hear of webhooks that refuse, fail, or cannot be asked: Kubernetes' words.
import { ApiError, badRequest, internalError, type StatusBody } from '#api/errors'
import type { Status } from '#api/generated/meta-v1'

/** A webhook did not allow the write; `status` is what it said about that. */
export function deniedBy(webhook: string, status: Status | undefined): ApiError {
  const by = `admission webhook ${JSON.stringify(webhook)} denied the request`
  const said = status?.message || status?.reason
  const body: StatusBody = {
    kind: 'Status',
    apiVersion: 'v1',
    metadata: {},
    status: 'Failure',
    message: said ? `${by}: ${said}` : `${by} without explanation`,
    ...(status?.reason ? { reason: status.reason } : {}),
    ...(status?.details === undefined ? {} : { details: status.details }),
    code: status?.code !== undefined && status.code >= 400 && status.code <= 599 ? status.code : 400,
  }
  return new ApiError(body)
}

/** A webhook could not be asked, or answered nonsense. */
export class WebhookFailure extends Error {
  override readonly name = 'WebhookFailure'
  /** The HTTP status that it answered with; 0 when it did not answer, or not so that anybody could read it. */
  readonly code: number
  constructor(webhook: string, why: string, cause?: unknown, code = 0) {
    super(`failed calling webhook ${JSON.stringify(webhook)}: ${why}`, { cause })
    this.code = code
  }
}

/** What a client is told when the failed webhook's policy is Fail. */
export function failedClosed(failure: WebhookFailure): ApiError {
  return internalError(failure.message, failure)
}

export function dryRunUnsupported(webhook: string): ApiError {
  return badRequest(`admission webhook ${JSON.stringify(webhook)} does not support dry run`)
}
