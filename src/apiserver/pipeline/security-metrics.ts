// How often who was let in, under Kubernetes' names: authentications, authorizations, audit events.
import type { Clock } from '#base/clock'
import type { MetricsRegistry } from '#platform/metrics'
import { type Authenticator, hadInvalidCredentials } from '../authn/authenticator.ts'
import type { Attributes, Authorizer, Decision } from '../authz/authorizer.ts'
import type { ApiRequest, User } from '../request.ts'

const buckets = [0.001, 0.002, 0.004, 0.008, 0.016, 0.032, 0.064, 0.128, 0.256, 0.512, 1.024, 2.048, 4.096, 8.192, 16.384]

// Users whose names say nothing of people: only these have series of their own.
const knownUsers: ReadonlySet<string> = new Set([
  'admin',
  'kubecfg',
  'kubelet',
  'kubernetes-admin',
  'system:anonymous',
  'system:apiserver',
  'system:kube-controller-manager',
  'system:kube-proxy',
  'system:kube-scheduler',
])

function compressed(name: string): string {
  if (knownUsers.has(name)) return name
  if (name.startsWith('system:serviceaccount:')) return 'system:serviceaccount'
  return name.startsWith('system:node:') ? 'system:node' : 'other'
}

/** The authenticator, counted: `success`, `error` for credentials that do not hold, `failure` for none where some are needed. */
export function measureAuthentication(authenticator: Authenticator, metrics: MetricsRegistry, clock: Clock): Authenticator {
  const attempts = metrics.counter({
    name: 'authentication_attempts',
    help: 'Counter of authenticated attempts.',
    labels: ['result'],
  })
  const users = metrics.counter({
    name: 'authenticated_user_requests',
    help: 'Counter of authenticated requests broken out by username.',
    labels: ['username'],
    seriesMax: 20,
  })
  const duration = metrics.histogram({
    name: 'authentication_duration_seconds',
    help: 'Authentication duration in seconds broken out by result.',
    labels: ['result'],
    buckets,
  })
  const success = { count: attempts.series(['success']), duration: duration.series(['success']) }
  const error = { count: attempts.series(['error']), duration: duration.series(['error']) }
  const failure = { count: attempts.series(['failure']), duration: duration.series(['failure']) }
  const byUser = new Map<string, { inc(): void }>()
  const seriesOf = (name: string): { inc(): void } => {
    const shown = compressed(name)
    let series = byUser.get(shown)
    if (series === undefined) {
      series = users.series([shown])
      byUser.set(shown, series)
    }
    return series
  }
  const note = (startedMs: number, request: ApiRequest, user: User | undefined): User | undefined => {
    const { count, duration: time } = user !== undefined ? success : hadInvalidCredentials(request) ? error : failure
    count.inc()
    time.observe((clock.monotonic() - startedMs) / 1000)
    if (user !== undefined) seriesOf(user.name).inc()
    return user
  }
  return {
    name: authenticator.name,
    authenticate(request) {
      const startedMs = clock.monotonic()
      const user = authenticator.authenticate(request)
      return user instanceof Promise ? user.then((known) => note(startedMs, request, known)) : note(startedMs, request, user)
    },
  }
}

/** The authorizer, counted: `allowed`, `denied`, or `no-opinion`. */
export function measureAuthorization(authorizer: Authorizer, metrics: MetricsRegistry, clock: Clock): Authorizer {
  const duration = metrics.histogram({
    name: 'authorization_duration_seconds',
    help: 'Authorization duration in seconds broken out by result.',
    labels: ['result'],
    buckets,
  })
  const attempts = metrics.counter({
    name: 'authorization_attempts_total',
    help: "Counter of authorization attempts broken down by result. It can be either 'allowed', 'denied', 'no-opinion' or 'error'.",
    labels: ['result'],
  })
  const of = (result: string) => ({ count: attempts.series([result]), time: duration.series([result]) })
  const series = { allow: of('allowed'), deny: of('denied'), none: of('no-opinion'), error: of('error') }
  const note = (startedMs: number, decision: Decision): Decision => {
    const { count, time } = series[decision.verdict === 'allow' || decision.error === undefined ? decision.verdict : 'error']
    count.inc()
    time.observe((clock.monotonic() - startedMs) / 1_000)
    return decision
  }
  return {
    name: authorizer.name,
    authorize(attributes: Attributes) {
      const startedMs = clock.monotonic()
      const decision = authorizer.authorize(attributes)
      return decision instanceof Promise ? decision.then((known) => note(startedMs, known)) : note(startedMs, decision)
    },
  }
}
