// An authorizer elsewhere, asked by SubjectAccessReviews (KEP-3221). Its answers are remembered for a while; conditions say what it is
// asked about at all; what becomes of a question that it does not answer is its failure policy's.
import type { SubjectAccessReviewStatus } from '#api/generated/authorization-v1'
import type { Clock } from '#base/clock'
import type { Program } from '../cel/cel.ts'
import type { ReviewWebhook } from '../configuration/review-webhook.ts'
import type { Attributes, Authorizer, Decision } from './authorizer.ts'
import { noOpinion } from './authorizer.ts'
import type { AuthorizerMetrics } from './metrics.ts'
import { reviewSpecOf, reviewSpecValue } from './subject-review.ts'

export interface WebhookAuthorizerDeps {
  readonly name: string
  readonly webhook: ReviewWebhook
  readonly clock: Clock
  /** Of authorization.k8s.io: what is sent and expected. */
  readonly version: 'v1' | 'v1beta1'
  /** How long a yes is remembered; 0: not at all. */
  readonly authorizedMs: number
  /** Likewise for everything else. */
  readonly unauthorizedMs: number
  readonly failurePolicy: 'Deny' | 'NoOpinion'
  readonly conditions: readonly Program[]
  readonly onError: (error: unknown) => void
  readonly metrics: Pick<AuthorizerMetrics, 'webhookAnswered' | 'failedOpen' | 'conditionsEvaluated'>
}

const rememberedMax = 8_192
// What the client chooses of a question; longer ones are not remembered, so that nobody fills the memory with them.
const chosenCharsMax = 10_000

export function webhookAuthorizer(deps: WebhookAuthorizerDeps): Authorizer {
  const { clock, webhook, version, failurePolicy } = deps
  const remembered = new Map<string, { readonly decision: Decision; readonly untilMs: number }>()
  const { metrics, name } = deps
  const failed = (error: unknown): Decision => {
    deps.onError(error)
    return { verdict: failurePolicy === 'Deny' ? 'deny' : 'none', reason: '', error: (error as Error).message }
  }
  const ask = async (spec: object, key: string, attributes: Attributes): Promise<Decision> => {
    let answer: Record<string, unknown>
    const startedMs = clock.monotonic()
    const seconds = (): number => (clock.monotonic() - startedMs) / 1_000
    try {
      const kind = 'SubjectAccessReview'
      answer = await webhook.review({ apiVersion: `authorization.k8s.io/${version}`, kind, metadata: {}, spec } as never)
      metrics.webhookAnswered(name, 'success', seconds())
    } catch (error) {
      const result = (error as Error).message.includes('deadline exceeded') ? 'timeout' : 'error'
      metrics.webhookAnswered(name, result, seconds())
      if (failurePolicy === 'NoOpinion') metrics.failedOpen(name, result)
      return failed(error)
    }
    const decision = decisionOf((answer['status'] ?? {}) as SubjectAccessReviewStatus)
    const ms = decision.verdict === 'allow' ? deps.authorizedMs : deps.unauthorizedMs
    if (ms > 0 && isShort(attributes)) {
      remembered.delete(key)
      if (remembered.size >= rememberedMax) remembered.delete(remembered.keys().next().value!)
      remembered.set(key, { decision, untilMs: clock.monotonic() + ms })
    }
    return decision
  }
  return {
    name: deps.name,
    authorize(attributes) {
      const review = reviewSpecOf(attributes)
      const matches = measuredConditions(deps, review)
      if (matches instanceof Error) return failed(matches)
      if (!matches) return noOpinion
      // Older versions call the groups by another name, and know no selectors.
      const spec = version === 'v1' ? review : inBeta(review)
      const key = JSON.stringify(spec)
      const before = remembered.get(key)
      if (before !== undefined && before.untilMs > clock.monotonic()) return before.decision
      return ask(spec, key, attributes)
    },
  }
}

function measuredConditions(
  { conditions, clock, metrics, name }: WebhookAuthorizerDeps,
  review: ReturnType<typeof reviewSpecOf>,
): boolean | Error {
  if (conditions.length === 0) return true
  const startedMs = clock.monotonic()
  const matches = conditionsHold(conditions, review)
  const result = matches instanceof Error ? 'fails' : matches ? 'holds' : 'excludes'
  metrics.conditionsEvaluated(name, result, (clock.monotonic() - startedMs) / 1_000)
  return matches
}

function inBeta({ groups, ...spec }: ReturnType<typeof reviewSpecOf>): object {
  return groups === undefined ? spec : { ...spec, group: groups }
}

function decisionOf({ allowed, denied, reason = '' }: SubjectAccessReviewStatus): Decision {
  if (denied && allowed) {
    return { verdict: 'deny', reason, error: 'webhook subject access review returned both allow and deny response' }
  }
  if (denied) return { verdict: 'deny', reason }
  return { verdict: allowed ? 'allow' : 'none', reason }
}

// One condition that is false decides, whatever becomes of the others.
function conditionsHold(conditions: readonly Program[], review: ReturnType<typeof reviewSpecOf>): boolean | Error {
  const request = reviewSpecValue(review)
  const errors: string[] = []
  for (const program of conditions) {
    try {
      if (program.evaluate({ request }) !== true) return false
    } catch (error) {
      errors.push(`cel evaluation error: expression '${program.source}' resulted in error: ${(error as Error).message}`)
    }
  }
  if (errors.length === 0) return true
  return new Error(errors.length === 1 ? errors[0] : `[${errors.join(', ')}]`)
}

function isShort({
  namespace,
  verb,
  group,
  version,
  resource,
  subresource,
  name,
  path,
  fieldSelector,
  labelSelector,
}: Attributes): boolean {
  const texts = [namespace, verb, group, version, resource, subresource, name, path, fieldSelector ?? '', labelSelector ?? '']
  return texts.reduce((sum, text) => sum + text.length, 0) < chosenCharsMax
}
