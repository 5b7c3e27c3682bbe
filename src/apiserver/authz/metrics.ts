// What authorizers decide, and how their webhooks do, under Kubernetes' names.
import type { MetricsRegistry } from '#platform/metrics'
import type { Authorizer } from './authorizer.ts'

export interface AuthorizerMetrics {
  /** The authorizer, its yes and no counted. */
  counted(authorizer: Authorizer, type: string, name: string): Authorizer
  webhookAnswered(name: string, result: 'success' | 'timeout' | 'error', seconds: number): void
  /** A webhook could not be asked, and others were asked instead. */
  failedOpen(name: string, result: 'timeout' | 'error'): void
  conditionsEvaluated(name: string, result: 'holds' | 'excludes' | 'fails', seconds: number): void
}

const webhookBuckets = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10]
const conditionBuckets = [0.001, 0.005, 0.01, 0.025, 0.1, 0.2, 0.25]

export function authorizerMetrics(metrics: MetricsRegistry): AuthorizerMetrics {
  const prefix = 'apiserver_authorization'
  const decisions = metrics.counter({
    name: `${prefix}_decisions_total`,
    help: 'Total number of terminal decisions made by an authorizer split by authorizer type, name, and decision.',
    labels: ['type', 'name', 'decision'],
  })
  const evaluations = metrics.counter({
    name: `${prefix}_webhook_evaluations_total`,
    help: 'Round-trips to authorization webhooks.',
    labels: ['name', 'result'],
  })
  const durations = metrics.histogram({
    name: `${prefix}_webhook_duration_seconds`,
    help: 'Request latency in seconds.',
    labels: ['name', 'result'],
    buckets: webhookBuckets,
  })
  const open = metrics.counter({
    name: `${prefix}_webhook_evaluations_fail_open_total`,
    help: 'NoOpinion results due to webhook timeout or error.',
    labels: ['name', 'result'],
  })
  const conditionErrors = metrics.counter({
    name: `${prefix}_match_condition_evaluation_errors_total`,
    help: 'Total number of errors when an authorization webhook encounters a match condition error split by authorizer type and name.',
    labels: ['type', 'name'],
  })
  const exclusions = metrics.counter({
    name: `${prefix}_match_condition_exclusions_total`,
    help: 'Total number of exclusions when an authorization webhook is skipped because match conditions exclude it.',
    labels: ['type', 'name'],
  })
  const conditionSeconds = metrics.histogram({
    name: `${prefix}_match_condition_evaluation_seconds`,
    help: 'Authorization match condition evaluation time in seconds, split by authorizer type and name.',
    labels: ['type', 'name'],
    buckets: conditionBuckets,
  })
  return {
    counted(authorizer, type, name) {
      const allowed = decisions.series([type, name, 'allowed'])
      const denied = decisions.series([type, name, 'denied'])
      return {
        name: authorizer.name,
        authorize(attributes) {
          const decision = authorizer.authorize(attributes)
          if (decision instanceof Promise) {
            return decision.then((known) => {
              if (known.verdict !== 'none') (known.verdict === 'allow' ? allowed : denied).inc()
              return known
            })
          }
          if (decision.verdict !== 'none') (decision.verdict === 'allow' ? allowed : denied).inc()
          return decision
        },
      }
    },
    webhookAnswered(name, result, seconds) {
      evaluations.inc([name, result])
      durations.observe(seconds, [name, result])
    },
    failedOpen: (name, result) => open.inc([name, result]),
    conditionsEvaluated(name, result, seconds) {
      conditionSeconds.observe(seconds, ['Webhook', name])
      if (result === 'excludes') exclusions.inc(['Webhook', name])
      if (result === 'fails') conditionErrors.inc(['Webhook', name])
    },
  }
}
