// The metrics of admission, under Kubernetes' names and labels. Names of webhooks and policies are labels: how many there can be
// is bounded by the registry, what comes beyond is counted as `other`.
import type { MetricsRegistry } from '#platform/metrics'
import type { Operation } from './plugin.ts'

/** As labels say it: plugins, steps and mutating webhooks `admit`; validating webhooks are `validating`. */
export type PluginPhase = 'admit' | 'validate'
export type WebhookPhase = 'admit' | 'validating'

/** Times one thing that may refuse; the series are found once. */
export interface Timed {
  observe(seconds: number, rejected: boolean): void
}

export interface WebhookCall {
  readonly name: string
  readonly phase: WebhookPhase
  readonly operation: Operation
  readonly seconds: number
  /** The HTTP code: of the refusal, 200 when it is allowed, 0 when the webhook could not be asked. */
  readonly code: number
  readonly rejected: boolean
}

/** Why a webhook refused: of its own, or because it could not be asked. */
export type RejectionCause = 'no_error' | 'calling_webhook_error' | 'apiserver_internal_error'

export type PolicyError = 'no_error' | 'invalid_error' | 'out_of_budget' | 'compile_error'

export interface AdmissionMetrics {
  /** All plugins of one phase together. */
  step(phase: PluginPhase, operation: Operation): Timed
  plugin(name: string, phase: PluginPhase, operation: Operation): Timed
  webhook(call: WebhookCall): void
  webhookRejected(call: WebhookCall, cause: RejectionCause): void
  webhookFailedOpen(name: string, phase: WebhookPhase): void
  /** Match conditions of a webhook or policy were evaluated. */
  conditions(of: ConditionsOf, seconds: number, outcome: 'holds' | 'excludes' | 'fails'): void
  /** A validating policy said something about a write; `action` is what came of it. */
  policyCheck(policy: string, binding: string, error: PolicyError, action: 'allow' | 'deny' | 'audit' | 'warn', seconds: number): void
  /** A pod, or a template, was held against a Pod Security Standard. */
  podSecurity(evaluation: PodSecurityEvaluation): void
  /** A mutation was evaluated. */
  mutationCheck(policy: string, binding: string, error: PolicyError, seconds: number): void
}

export interface PodSecurityEvaluation {
  readonly decision: 'allow' | 'deny'
  readonly level: string
  readonly version: string
  readonly mode: string
  readonly operation: string
  readonly resource: 'pod' | 'controller'
  readonly subresource: string
}

export interface ConditionsOf {
  readonly name: string
  readonly kind: 'webhook' | 'policy'
  readonly type: 'admit' | 'validate' | 'mutate'
  readonly operation: Operation
}

const buckets = [0.005, 0.025, 0.1, 0.5, 1, 2.5]
const policyBuckets = [0.0000005, 0.001, 0.01, 0.1, 1]

export function createAdmissionMetrics(metrics: MetricsRegistry): AdmissionMetrics {
  const timed = (histogram: ReturnType<MetricsRegistry['histogram']>, labels: readonly string[]): Timed => {
    const allowed = histogram.series([...labels, 'false'])
    // Most never refuse anything: no series for that.
    let refused: { observe(value: number): void } | undefined
    return {
      observe(seconds, rejected) {
        if (rejected) refused ??= histogram.series([...labels, 'true'])
        ;(rejected ? refused! : allowed).observe(seconds)
      },
    }
  }
  const step = metrics.histogram({
    name: 'apiserver_admission_step_admission_duration_seconds',
    help: 'Admission sub-step latency histogram in seconds, broken out for each operation and API resource and step type (validate or admit).',
    labels: ['type', 'operation', 'rejected'],
    buckets,
  })
  const plugin = metrics.histogram({
    name: 'apiserver_admission_controller_admission_duration_seconds',
    help: 'Admission controller latency histogram in seconds, identified by name and broken out for each operation and API resource and type (validate or admit).',
    labels: ['name', 'type', 'operation', 'rejected'],
    buckets,
  })
  return {
    step: (phase, operation) => timed(step, [phase, operation]),
    plugin: (name, phase, operation) => timed(plugin, [name, phase, operation]),
    ...webhookMetrics(metrics),
    ...policyMetrics(metrics),
    ...podSecurityMetrics(metrics),
  }
}

function webhookMetrics(
  metrics: MetricsRegistry,
): Pick<AdmissionMetrics, 'webhook' | 'webhookRejected' | 'webhookFailedOpen' | 'conditions'> {
  const duration = metrics.histogram({
    name: 'apiserver_admission_webhook_admission_duration_seconds',
    help: 'Admission webhook latency histogram in seconds, identified by name and broken out for each operation and API resource and type (validating or admit).',
    labels: ['name', 'type', 'operation', 'rejected'],
    buckets: [...buckets, 10, 25],
    seriesMax: 500,
  })
  const total = metrics.counter({
    name: 'apiserver_admission_webhook_request_total',
    help: 'Admission webhook request total, identified by name and broken out for each admission type (validating or mutating) and operation. Additional labels specify whether the request was rejected or not and an HTTP status code.',
    labels: ['name', 'type', 'operation', 'code', 'rejected'],
  })
  const rejections = metrics.counter({
    name: 'apiserver_admission_webhook_rejection_count',
    help: 'Admission webhook rejection count, identified by name and broken out for each admission type (validating or admit) and operation. Additional labels specify an error type and an optional rejection code.',
    labels: ['name', 'type', 'operation', 'error_type', 'rejection_code'],
  })
  const failedOpen = metrics.counter({
    name: 'apiserver_admission_webhook_fail_open_count',
    help: 'Admission webhook fail open count, identified by name and broken out for each admission type (validating or mutating).',
    labels: ['name', 'type'],
  })
  return {
    webhook({ name, phase, operation, seconds, code, rejected }) {
      duration.observe(seconds, [name, phase, operation, String(rejected)])
      total.inc([name, phase, operation, codeText(code), String(rejected)])
    },
    webhookRejected({ name, phase, operation, code }, cause) {
      rejections.inc([name, phase, operation, cause, cause === 'no_error' ? codeText(code) : '0'])
    },
    webhookFailedOpen: (name, phase) => failedOpen.inc([name, phase]),
    ...conditionMetrics(metrics),
  }
}

function conditionMetrics(metrics: MetricsRegistry): Pick<AdmissionMetrics, 'conditions'> {
  const labels = ['name', 'kind', 'type', 'operation']
  const seconds = metrics.histogram({
    name: 'apiserver_admission_match_condition_evaluation_seconds',
    help: 'Admission match condition evaluation time in seconds, identified by name and broken out for each kind containing matchConditions (webhook or policy), operation and type (validate or admit).',
    labels,
    buckets: [0.001, 0.005, 0.01, 0.025, 0.1, 0.2, 0.25],
    seriesMax: 500,
  })
  const exclusions = metrics.counter({
    name: 'apiserver_admission_match_condition_exclusions_total',
    help: 'Admission match condition evaluation exclusions count, identified by name of resource containing the match condition and broken out for each kind containing matchConditions (webhook or policy), operation and admission type (validate or admit).',
    labels,
  })
  const errors = metrics.counter({
    name: 'apiserver_admission_match_condition_evaluation_errors_total',
    help: 'Admission match condition evaluation errors count, identified by name of resource containing the match condition and broken out for each kind containing matchConditions (webhook or policy), operation and admission type (validate or admit).',
    labels,
  })
  return {
    conditions({ name, kind, type, operation }, elapsed, outcome) {
      const values = [name, kind, type, operation]
      seconds.observe(elapsed, values)
      if (outcome === 'excludes') exclusions.inc(values)
      else if (outcome === 'fails') errors.inc(values)
    },
  }
}

function policyMetrics(metrics: MetricsRegistry): Pick<AdmissionMetrics, 'policyCheck' | 'mutationCheck'> {
  const families = (subsystem: string, what: string, labels: readonly string[]) => ({
    total: metrics.counter({
      name: `apiserver_${subsystem}_check_total`,
      help: `${what} admission policy check total, labeled by policy and further identified by binding and ${labels.join(' and ')}.`,
      labels: ['policy', 'policy_binding', ...labels],
    }),
    duration: metrics.histogram({
      name: `apiserver_${subsystem}_check_duration_seconds`,
      help: `${what} admission latency for individual expressions in seconds, labeled by policy and further including binding and ${labels.join(' and ')}.`,
      labels: ['policy', 'policy_binding', ...labels],
      buckets: policyBuckets,
      seriesMax: 500,
    }),
  })
  const validating = families('validating_admission_policy', 'Validation', ['error_type', 'enforcement_action'])
  const mutating = families('mutating_admission_policy', 'Mutation', ['error_type'])
  const note = ({ total, duration }: ReturnType<typeof families>, labels: readonly string[], seconds: number): void => {
    total.inc(labels)
    duration.observe(seconds, labels)
  }
  return {
    policyCheck: (policy, binding, error, action, seconds) => note(validating, [policy, binding, error, action], seconds),
    mutationCheck: (policy, binding, error, seconds) => note(mutating, [policy, binding, error], seconds),
  }
}

function podSecurityMetrics(metrics: MetricsRegistry): Pick<AdmissionMetrics, 'podSecurity'> {
  const evaluations = metrics.counter({
    name: 'pod_security_evaluations_total',
    help: 'Number of policy evaluations that occurred, not counting ignored or exempt requests.',
    labels: ['decision', 'policy_level', 'policy_version', 'mode', 'request_operation', 'resource', 'subresource'],
    seriesMax: 500,
  })
  return {
    podSecurity: ({ decision, level, version, mode, operation, resource, subresource }) =>
      evaluations.inc([decision, level, version, mode, operation, resource, subresource]),
  }
}

// Webhooks may give any code; beyond the known ones they all count as one.
function codeText(code: number): string {
  return String(Math.min(code, 600))
}
