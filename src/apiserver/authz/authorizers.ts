// The authorizers that are asked at the moment, in their order: those of the configuration, which may be read anew while the server
// runs. Members of system:masters may do everything before anybody is asked.
import type { Clock } from '#base/clock'
import type { Random } from '#base/random'
import type { Logger } from '#platform/log'
import type { ConfigFile } from '../configuration/config-file.ts'
import type { ReloadMetrics } from '../configuration/reload-metrics.ts'
import { type ReviewWebhook, reviewWebhook } from '../configuration/review-webhook.ts'
import type { User } from '../request.ts'
import { abacAuthorizer } from './abac.ts'
import { type CheckedAuthorizer, readAuthorization } from './authorization-configuration.ts'
import { type Authorizer, everybodyMay, type LocalAuthorizer, mastersAuthorizer, nobodyMay, unionAuthorizer } from './authorizer.ts'
import type { AuthorizerMetrics } from './metrics.ts'
import { nodeOf } from './node.ts'
import type { RbacAuthorizer, UserRules } from './rbac.ts'
import { webhookAuthorizer } from './webhook.ts'

export interface AuthorizersDeps {
  readonly configured: readonly CheckedAuthorizer[]
  /** Where `configured` came from, when that may change. */
  readonly file?: ConfigFile
  readonly node: LocalAuthorizer
  readonly rbac: RbacAuthorizer
  /** Lines of JSON, for the type ABAC. */
  readonly abacPolicy?: string
  readonly clock: Clock
  readonly random: Random
  readonly log: Logger
  readonly metrics: ReloadMetrics
  readonly counts: AuthorizerMetrics
  readonly signal: AbortSignal
}

/** What somebody may in a namespace, as far as the authorizers can tell. */
export interface ResolvedRules extends UserRules {
  /** Whether there may be more. */
  readonly incomplete: boolean
}

export interface Authorizers extends Authorizer {
  rulesFor(user: User, namespace: string): ResolvedRules
}

/** Throws an Error when what is configured cannot be had. */
export function createAuthorizers(deps: AuthorizersDeps): Authorizers {
  const { file, log, metrics, signal } = deps
  let current = open(deps.configured, deps)
  const initial = new Set(deps.configured.map(({ type }) => type))
  if (file !== undefined) {
    metrics.began(file.text)
    file.follow((text) => {
      readAuthorization(text)
        .then((configured) => {
          for (const { type } of configured) if (startsOnly.has(type) && !initial.has(type)) throw new Error(notAtStart(type))
          const next = open(configured, deps)
          current.close()
          current = next
          metrics.succeeded(text)
          log.info('reloaded authz config')
        })
        .catch((error: unknown) => {
          metrics.failed()
          log.error('reloading authorization config', { error })
        })
    }, signal)
  }
  signal.addEventListener('abort', () => current.close(), { once: true })
  return {
    name: 'configured',
    authorize: (attributes) => current.authorizer.authorize(attributes),
    rulesFor: (user, namespace) => resolve(current.types, deps, user, namespace),
  }
}

// What watches the cluster's objects is set up at the start or not at all.
const startsOnly: ReadonlySet<string> = new Set(['Node', 'RBAC', 'ABAC'])

function notAtStart(type: string): string {
  return `authorizer type ${type} is not allowed if it was not enabled at initial server startup`
}

interface Opened {
  readonly authorizer: Authorizer
  readonly types: readonly CheckedAuthorizer['type'][]
  close(): void
}

function open(configured: readonly CheckedAuthorizer[], deps: AuthorizersDeps): Opened {
  const webhooks: ReviewWebhook[] = []
  const authorizers = configured.map((each) => deps.counts.counted(authorizerOf(each, deps, webhooks), each.type, each.name))
  return {
    authorizer: unionAuthorizer([mastersAuthorizer, ...authorizers]),
    types: configured.map(({ type }) => type),
    close: () => {
      for (const webhook of webhooks) webhook.close()
    },
  }
}

function authorizerOf(configured: CheckedAuthorizer, deps: AuthorizersDeps, webhooks: ReviewWebhook[]): Authorizer {
  const { clock, random, log } = deps
  switch (configured.type) {
    case 'Node':
      return deps.node
    case 'RBAC':
      return deps.rbac
    case 'AlwaysAllow':
      return everybodyMay
    case 'AlwaysDeny':
      return nobodyMay
    case 'ABAC':
      return abacAuthorizer(deps.abacPolicy ?? '')
    case 'Webhook': {
      const webhook = reviewWebhook(configured.kubeconfigFile, configured.timeoutMs, { clock, random })
      webhooks.push(webhook)
      const onError = (error: unknown): void => log.error('Failed to make webhook authorizer request', { webhook: configured.name, error })
      return webhookAuthorizer({ ...configured, webhook, clock, onError, metrics: deps.counts })
    }
  }
}

const everything: UserRules = {
  rules: [
    { verbs: ['*'], apiGroups: ['*'], resources: ['*'] },
    { verbs: ['*'], nonResourceURLs: ['*'] },
  ],
  errors: [],
}

function resolve(types: Opened['types'], { rbac }: AuthorizersDeps, user: User, namespace: string): ResolvedRules {
  const found = types.map((type) => rulesBy(type, rbac, user, namespace))
  return {
    rules: found.flatMap(({ rules }) => rules),
    errors: found.flatMap(({ errors }) => errors),
    incomplete: found.some(({ incomplete }) => incomplete),
  }
}

function rulesBy(type: CheckedAuthorizer['type'], rbac: RbacAuthorizer, user: User, namespace: string): ResolvedRules {
  const unknown = (who: string): ResolvedRules => ({
    rules: [],
    errors: [`${who} authorizer does not support user rule resolution`],
    incomplete: true,
  })
  switch (type) {
    case 'RBAC':
      return { ...rbac.rulesFor(user, namespace), incomplete: false }
    case 'AlwaysAllow':
      return { ...everything, incomplete: false }
    case 'AlwaysDeny':
      return { rules: [], errors: [], incomplete: false }
    case 'Node':
      // What nodes may follows from their pods, and not from rules.
      return nodeOf(user) === undefined ? { rules: [], errors: [], incomplete: false } : unknown('node')
    case 'ABAC':
      return unknown('abac')
    case 'Webhook':
      return unknown('webhook')
  }
}
