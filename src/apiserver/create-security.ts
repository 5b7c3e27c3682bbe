// Who is known to the API server and what they may, put together from its options: authenticators, authorizers, keys of tokens.
import { createPrivateKey, createPublicKey } from 'node:crypto'
import { fetchJson } from '#platform/fetch-json'
import { publicJwk, type SigningKey, signingKey, type VerificationKey, verificationKey } from '#platform/jwt'
import type { ApiCore } from './api-server.ts'
import { type Authenticator, unionAuthenticator } from './authn/authenticator.ts'
import { bootstrapTokenAuthenticator } from './authn/bootstrap-tokens.ts'
import { clientCertificateAuthenticator } from './authn/client-certificate.ts'
import { frontProxyAuthenticator } from './authn/front-proxy.ts'
import { inProcessAuthenticator } from './authn/in-process.ts'
import { type OidcSettings, oidcAuthenticator } from './authn/oidc.ts'
import { serviceAccountTokenAuthenticator } from './authn/service-account-tokens.ts'
import { staticTokenAuthenticator } from './authn/static-tokens.ts'
import { bearerTokenAuthenticator, type TokenAuthenticator, unionTokenAuthenticator } from './authn/tokens.ts'
import { type Authorizer, mastersAuthorizer, unionAuthorizer } from './authz/authorizer.ts'
import { createNodeAuthorizer } from './authz/node.ts'
import { createRbacAuthorizer, type RbacAuthorizer } from './authz/rbac.ts'
import type { ApiServerDeps } from './create-api-server.ts'
import type { PathsDeps } from './discovery/paths.ts'

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
  readonly authorizer: Authorizer
  readonly rbac: RbacAuthorizer
}

/** Everything that knows and allows users, as the server's options say. */
export function createSecurity(deps: ApiServerDeps, { reader }: ApiCore, keys: Keys, signal: AbortSignal): Security {
  const { clock, log } = deps
  const { issuer, otherIssuers = [], audiences = [issuer] } = deps.serviceAccounts
  const tokens = unionTokenAuthenticator([
    ...(deps.tokenFile === undefined ? [] : [staticTokenAuthenticator(deps.tokenFile)]),
    serviceAccountTokenAuthenticator({ reader, clock, issuers: [issuer, ...otherIssuers], audiences, keys: () => keys.verifying }),
    bootstrapTokenAuthenticator({ reader, clock }),
    ...(deps.oidc === undefined ? [] : [openIdConnect(deps.oidc, deps, signal)]),
  ])
  const authenticator = unionAuthenticator(
    [
      inProcessAuthenticator,
      frontProxyAuthenticator({ allowedNames: deps.frontProxyNames ?? [], clock }),
      clientCertificateAuthenticator(clock),
      bearerTokenAuthenticator(tokens),
    ],
    {
      anonymous: deps.anonymousAuth ?? true,
      onInvalid: (request, error) => log.debug('unable to authenticate the request', { path: request.path, error: error.message }),
    },
  )
  const rbac = createRbacAuthorizer(reader)
  return { authenticator, tokens, rbac, authorizer: unionAuthorizer([mastersAuthorizer, createNodeAuthorizer(reader), rbac]) }
}

function openIdConnect(settings: OidcSettings, { clock, log }: ApiServerDeps, signal: AbortSignal): TokenAuthenticator {
  return oidcAuthenticator({
    settings,
    clock,
    signal,
    fetchJson: (url) => fetchJson(url, settings.caPem),
    onError: (error) => log.error('cannot fetch the keys of the OpenID Connect issuer', { issuer: settings.issuerUrl, error }),
  })
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
