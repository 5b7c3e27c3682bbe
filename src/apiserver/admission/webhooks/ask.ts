// Asking one webhook about one write: whether it is concerned at all, and what it says.
import { ApiError, internalError } from '#api/errors'
import type { AdmissionResponse } from '#api/generated/admission-v1'
import type { Kind } from '#api/kind'
import { checkLabelKey } from '#api/validation/names'
import type { Clock } from '#base/clock'
import type { KindCatalog, LocalReader } from '../../request.ts'
import { late } from '../late.ts'
import { selectorsMatch } from '../matching/selectors.ts'
import { prepareVersion } from '../matching/versions.ts'
import type { AdmissionMetrics, WebhookCall } from '../metrics.ts'
import type { AdmissionRequest } from '../plugin.ts'
import { InvalidReviewError, readResponse, reviewOf, reviewVersionOf } from './admission-review.ts'
import { AnswerError, type WebhookClient } from './call-webhook.ts'
import { deniedBy, dryRunUnsupported, failedClosed, WebhookFailure } from './refusals.ts'
import type { Match, Webhook } from './webhook-index.ts'

export interface AskDeps {
  readonly reader: LocalReader
  readonly catalog: KindCatalog
  readonly client: WebhookClient
  readonly newUid: () => string
  /** Whether the webhook's match conditions hold. Throws when that cannot be said and the failure policy is Fail. */
  readonly conditionsHold: (webhook: Webhook, request: AdmissionRequest, kind: Kind, mutating: boolean) => Promise<boolean>
  readonly clock: Clock
  readonly metrics: AdmissionMetrics
  readonly log?: (message: string, error?: unknown) => void
}

const timeoutSecondsDefault = 10
// Values of audit annotations are cut by the log anyway.
const annotationBytesMax = 256 * 1024

/** Whether the write must be shown to the webhook. */
export async function concerned(deps: AskDeps, { webhook, kind }: Match, request: AdmissionRequest, mutating: boolean): Promise<boolean> {
  if (!selectorsMatch(webhook.selectors, request, deps.reader)) return false
  await prepareVersion(request, kind)
  if ((webhook.spec.matchConditions ?? []).length === 0) return true
  return deps.conditionsHold(webhook, request, kind, mutating)
}

/**
 * What `use` makes of the webhook's response, which allows the write. Undefined: it failed, or `use` did with a WebhookFailure, and
 * its policy is to go on without it. Throws the refusal otherwise.
 */
export async function ask<T>(
  deps: AskDeps,
  { webhook, kind }: Match,
  request: AdmissionRequest,
  mutating: boolean,
  use: (response: AdmissionResponse) => T | Promise<T>,
): Promise<T | undefined> {
  const { spec } = webhook
  const startedMs = deps.clock.monotonic()
  const note = (code: number, rejected: boolean): WebhookCall => {
    const seconds = (deps.clock.monotonic() - startedMs) / 1_000
    const call = {
      name: spec.name,
      phase: mutating ? 'admit' : 'validating',
      operation: request.operation,
      seconds,
      code,
      rejected,
    } as const
    deps.metrics.webhook(call)
    return call
  }
  let denied = false
  try {
    const response = await responseOf(deps, webhook, kind, request, mutating)
    for (const warning of response.warnings ?? []) request.warn(warning)
    annotate(request, spec.name, response)
    if (response.allowed !== true) {
      denied = true
      throw deniedBy(spec.name, response.status)
    }
    const used = await use(response)
    note(200, false)
    return used
  } catch (error) {
    if (!(error instanceof WebhookFailure)) {
      const code = denied && error instanceof ApiError ? error.code : 0
      deps.metrics.webhookRejected(note(code, true), denied ? 'no_error' : 'apiserver_internal_error')
      throw error
    }
    const open = spec.failurePolicy === 'Ignore'
    const call = note(error.code, !open)
    if (!open) {
      deps.metrics.webhookRejected(call, 'calling_webhook_error')
      throw failedClosed(error)
    }
    if (leftMs(deps, request) <= 0) throw late()
    deps.metrics.webhookFailedOpen(spec.name, call.phase)
    deps.log?.(`Failed calling webhook, failing open ${spec.name}`, error)
    return undefined
  }
}

async function responseOf(
  deps: AskDeps,
  { spec }: Webhook,
  kind: Kind,
  request: AdmissionRequest,
  mutating: boolean,
): Promise<AdmissionResponse> {
  const { catalog, client, newUid } = deps
  if (request.dryRun && spec.sideEffects !== 'None' && spec.sideEffects !== 'NoneOnDryRun') throw dryRunUnsupported(spec.name)
  const version = reviewVersionOf(spec.admissionReviewVersions)
  if (version === undefined) {
    const why = 'webhook does not accept known AdmissionReview versions (v1, v1beta1)'
    throw new WebhookFailure(spec.name, `could not get webhook client: ${why}`)
  }
  const question = reviewOf(request, kind, { catalog, uid: newUid(), version })
  const timeoutMs = Math.min((spec.timeoutSeconds ?? timeoutSecondsDefault) * 1_000, leftMs(deps, request))
  const answer = await client.post(spec.clientConfig, question, timeoutMs).catch((error: unknown) => {
    const why = `failed to call webhook: ${error instanceof Error ? error.message : String(error)}`
    throw new WebhookFailure(spec.name, why, error, error instanceof AnswerError ? error.code : 0)
  })
  try {
    return readResponse(answer, question, mutating)
  } catch (error) {
    if (!(error instanceof InvalidReviewError)) throw error
    throw new WebhookFailure(spec.name, `received invalid webhook response: ${error.message}`, error)
  }
}

/** How long the client still waits. */
function leftMs({ clock }: AskDeps, { origin }: AdmissionRequest): number {
  return origin?.dueMs === undefined ? Number.POSITIVE_INFINITY : origin.dueMs - clock.monotonic()
}

function annotate(request: AdmissionRequest, webhook: string, { auditAnnotations }: AdmissionResponse): void {
  for (const [key, value] of Object.entries(auditAnnotations ?? {})) {
    const full = `${webhook}/${key}`
    if (!key.includes('/') && checkLabelKey(full).length === 0) request.annotate(full, String(value).slice(0, annotationBytesMax))
  }
}

/** A webhook's patch that cannot be carried out. */
export function patchFailed(error: unknown): ApiError {
  return error instanceof ApiError ? error : internalError(error instanceof Error ? error.message : String(error), error)
}
