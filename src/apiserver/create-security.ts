// Who is known to the API server and what they may, put together from its options: authenticators, authorizers, keys of tokens.
import { createPrivateKey, createPublicKey } from 'node:crypto'
import { publicJwk, type SigningKey, signingKey, type VerificationKey, verificationKey } from '#platform/jwt'
import type { MetricsRegistry } from '#platform/metrics'
import type { ApiCore } from './api-server.ts'
import { type Authenticator, unionAuthenticator } from './authn/authenticator.ts'
import { bootstrapTokenAuthenticator } from './authn/bootstrap-tokens.ts'
import { clientCertificateAuthenticator } from './authn/client-certificate.ts'
import { frontProxyAuthenticator } from './authn/front-proxy.ts'
import { inProcessAuthenticator } from './authn/in-process.ts'
import { jwtAuthenticators } from './authn/jwt-authenticators.ts'
import { compileAuthentication, type ReadAuthentication, readAuthentication } from './authn/jwt-configuration.ts'
import { oidcConfiguration } from './authn/oidc.ts'
import { serviceAccountTokenAuthenticator } from './authn/service-account-tokens.ts'
import { staticTokenAuthenticator } from './authn/static-tokens.ts'
import { rememberTokens } from './authn/token-cache.ts'
import { tokenWebhook } from './authn/token-webhook.ts'
import { bearerTokenAuthenticator, type TokenAuthenticator, unionTokenAuthenticator } from './authn/tokens.ts'
import { type CheckedAuthorizer, readAuthorization } from './authz/authorization-configuration.ts'
import { type Authorizers, createAuthorizers } from './authz/authorizers.ts'
import { authorizerMetrics } from './authz/metrics.ts'
import { createNodeAuthorizer } from './authz/node.ts'
import { createRbacAuthorizer, type RbacAuthorizer } from './authz/rbac.ts'
import { reloadMetrics } from './configuration/reload-metrics.ts'
import { reviewWebhook } from './configuration/review-webhook.ts'
import type { ApiServerDeps } from './create-api-server.ts'
import type { PathsDeps } from './discovery/paths.ts'
import type { ApiRequest } from './request.ts'

export interface ServiceAccountKeys {
  /** Signs new tokens; PEM. */
  readonly signingKeyPem: string
  /** Verify older ones as well, so that a new key logs nobody out; PEM, public or private. */
  readonly verificationKeysPem?: readonly string[]
}

/** The keys of service-account tokens. */
export interface Keys {
  readonly signing: SigningKey
  readonly verifying: readonly VerificationKey[]
}

export function readKeys({ signingKeyPem, verificationKeysPem = [] }: ServiceAccountKeys): Keys {
  const signing = signingKey(createPrivateKey(signingKeyPem))
  const others = verificationKeysPem.map((pem) => verificationKey(createPublicKey(pem))).filter((key) => key.id !== signing.id)
  return { signing, verifying: [signing, ...others] }
}

/** Who decides whom the server knows and what they may. */
export interface Security {
  readonly authenticator: Authenticator
  readonly tokens: TokenAuthenticator
  readonly authorizer: Authorizers
  readonly rbac: RbacAuthorizer
}

/** What of the configuration takes time to read. */
export interface SecurityConfiguration {
  readonly authentication: ReadAuthentication
  readonly authorizers: readonly CheckedAuthorizer[]
}

const authorizersDefault: readonly CheckedAuthorizer[] = [
  { type: 'Node', name: 'node' },
  { type: 'RBAC', name: 'rbac' },
]

/** Reads and compiles the configuration. Throws an Error that says what is wrong with it. */
export async function readSecurity(deps: ApiServerDeps): Promise<SecurityConfiguration> {
  const { oidc, authenticationConfig, authorizationConfig } = deps
  const taken = issuersOf(deps)
  const authentication =
    authenticationConfig === undefined
      ? await compileAuthentication(oidc === undefined ? {} : { jwt: [oidcConfiguration(oidc)] }, taken)
      : await readAuthentication(authenticationConfig.text, taken)
  const authorizers =
    authorizationConfig === undefined ? (deps.authorizers ?? authorizersDefault) : await readAuthorization(authorizationConfig.text)
  return { authentication, authorizers }
}

function issuersOf({ serviceAccounts: { issuer, otherIssuers = [] } }: ApiServerDeps): readonly string[] {
  return [issuer, ...otherIssuers]
}

/** Everything that knows and allows users, as the server's options say. */
export function createSecurity(
  deps: ApiServerDeps,
  { authentication, authorizers }: SecurityConfiguration,
  { reader }: ApiCore,
  keys: Keys,
  metrics: MetricsRegistry,
  signal: AbortSignal,
): Security {
  const { clock, log, random, authenticationConfig, authorizationConfig } = deps
  const { issuer, audiences = [issuer] } = deps.serviceAccounts
  const issuers = issuersOf(deps)
  const tokens = unionTokenAuthenticator([
    ...(deps.tokenFile === undefined ? [] : [staticTokenAuthenticator(deps.tokenFile)]),
    serviceAccountTokenAuthenticator({ reader, clock, issuers, audiences, keys: () => keys.verifying }),
    bootstrapTokenAuthenticator({ reader, clock }),
    jwtAuthenticators({
      read: authentication,
      taken: issuers,
      clock,
      log,
      signal,
      metrics: reloadMetrics(metrics, 'authentication', clock),
      ...(authenticationConfig === undefined ? {} : { file: authenticationConfig }),
      ...(deps.oidc === undefined || authenticationConfig !== undefined ? {} : { algorithms: deps.oidc.algorithms }),
    }),
    ...(deps.tokenWebhook === undefined ? [] : [rememberedWebhook(deps.tokenWebhook, audiences, deps, signal)]),
  ])
  const authenticator = unionAuthenticator(
    [
      inProcessAuthenticator,
      frontProxyAuthenticator({ allowedNames: deps.frontProxyNames ?? [], clock }),
      clientCertificateAuthenticator(clock),
      bearerTokenAuthenticator(tokens),
    ],
    {
      anonymous: anonymousBy(authentication, deps.anonymousAuth ?? true),
      onInvalid: (request, error) => log.debug('unable to authenticate the request', { path: request.path, error: error.message }),
    },
  )
  const rbac = createRbacAuthorizer(reader)
  const authorizer = createAuthorizers({
    configured: authorizers,
    node: createNodeAuthorizer(reader),
    rbac,
    clock,
    random,
    log,
    signal,
    metrics: reloadMetrics(metrics, 'authorization', clock),
    counts: authorizerMetrics(metrics),
    ...(authorizationConfig === undefined ? {} : { file: authorizationConfig }),
    ...(deps.abacPolicy === undefined ? {} : { abacPolicy: deps.abacPolicy }),
  })
  return { authenticator, tokens, rbac, authorizer }
}

function anonymousBy({ anonymous }: ReadAuthentication, otherwise: boolean): boolean | ((request: ApiRequest) => boolean) {
  if (anonymous === undefined) return otherwise
  const { enabled, conditions = [] } = anonymous
  if (!enabled || conditions.length === 0) return enabled
  const paths = new Set(conditions.map(({ path }) => path))
  return ({ path }) => paths.has(path)
}

/** A server that knows tokens (--authentication-token-webhook-*). */
export interface TokenWebhookOptions {
  readonly kubeconfigFile: string
  readonly version: 'v1' | 'v1beta1'
  /** How long its answers are remembered; 0: not at all. */
  readonly rememberedMs: number
}

const tokenWebhookTimeoutMs = 30_000

function rememberedWebhook(
  { kubeconfigFile, version, rememberedMs }: TokenWebhookOptions,
  audiences: readonly string[],
  { clock, random }: ApiServerDeps,
  signal: AbortSignal,
): TokenAuthenticator {
  const webhook = reviewWebhook(kubeconfigFile, tokenWebhookTimeoutMs, { clock, random })
  signal.addEventListener('abort', () => webhook.close(), { once: true })
  const authenticator = tokenWebhook({ version, audiences, webhook })
  return rememberTokens(authenticator, { clock, knownMs: rememberedMs, unknownMs: rememberedMs })
}

/** What verifiers of service-account tokens look for: the issuer's configuration and its keys. */
export function openIdDocuments({ serviceAccounts: { issuer }, advertise }: ApiServerDeps, keys: Keys): PathsDeps['fixed'] {
  const jwksUri = `https://${advertise.address.includes(':') ? `[${advertise.address}]` : advertise.address}:${advertise.port}/openid/v1/jwks`
  const algorithms = [...new Set(keys.verifying.map((key) => key.algorithm))]
  const configuration = {
    issuer,
    jwks_uri: jwksUri,
    response_types_supported: ['id_token'],
    subject_types_supported: ['public'],
    id_token_signing_alg_values_supported: algorithms,
  }
  return new Map([
    ['/.well-known/openid-configuration', () => ({ contentType: 'application/json', body: JSON.stringify(configuration) })],
    ['/openid/v1/jwks', () => ({ contentType: 'application/jwk-set+json', body: JSON.stringify({ keys: keys.verifying.map(publicJwk) }) })],
  ])
}
