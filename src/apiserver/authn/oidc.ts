// Tokens of an OpenID Connect provider (kube-apiserver's --oidc-* options): who it says somebody is, under names that cannot be taken
// for others'. The provider's keys are fetched in the background, at the start and when a token names one that is not known.
import { createPublicKey, type JsonWebKey } from 'node:crypto'
import { goQuote } from '#api/validation/text'
import type { Clock } from '#base/clock'
import { type JwtAlgorithm, JwtError, peekJwt, type VerificationKey, verifyJwt } from '#platform/jwt'
import type { User } from '../request.ts'
import { authenticated, InvalidCredentials } from './authenticator.ts'
import type { LocalTokenAuthenticator } from './tokens.ts'

export interface OidcSettings {
  /** As it stands in the tokens; its documents are below it. */
  readonly issuerUrl: string
  /** Whom the tokens must be for. */
  readonly clientId: string
  readonly usernameClaim: string
  /** Empty: none. */
  readonly usernamePrefix: string
  /** Absent: nobody has groups. */
  readonly groupsClaim?: string
  readonly groupsPrefix: string
  readonly requiredClaims: ReadonlyMap<string, string>
  readonly algorithms: readonly JwtAlgorithm[]
  /** Authorities of the provider's certificate, PEM; absent: the machine's. */
  readonly caPem?: string
}

export interface OidcDeps {
  readonly settings: OidcSettings
  readonly clock: Clock
  /** A document of the provider's, parsed; rejects when it cannot be had. */
  readonly fetchJson: (url: string) => Promise<unknown>
  readonly onError: (error: unknown) => void
  readonly signal: AbortSignal
}

// Keys are fetched again at most this often.
const refreshMsMin = 10_000
const leewayMs = 60_000
const keysMax = 100

export function oidcAuthenticator({ settings, clock, fetchJson, onError, signal }: OidcDeps): LocalTokenAuthenticator {
  let keys: readonly VerificationKey[] | undefined
  let fetching = false
  let fetchedAtMs = Number.NEGATIVE_INFINITY
  const refresh = (): void => {
    if (fetching || signal.aborted || clock.monotonic() - fetchedAtMs < refreshMsMin) return
    fetching = true
    fetchedAtMs = clock.monotonic()
    fetchKeys(settings, fetchJson)
      .then(
        (fetched) => {
          keys = fetched
        },
        (error: unknown) => {
          onError(error)
          // Until there are keys nobody can log in: worth trying again before somebody asks.
          if (keys === undefined && !signal.aborted) clock.after(refreshMsMin, refresh, { background: true })
        },
      )
      .finally(() => {
        fetching = false
      })
  }
  refresh()
  return {
    name: 'oidc',
    authenticateToken(token) {
      if (peekJwt(token)?.['iss'] !== settings.issuerUrl) return undefined
      if (keys === undefined) {
        refresh()
        throw new InvalidCredentials('oidc: authenticator not initialized')
      }
      let claims: Record<string, unknown>
      try {
        claims = verifyJwt(token, keys)
      } catch (error) {
        if (!(error instanceof JwtError)) throw error
        // It may be signed by a key that is newer than ours.
        refresh()
        throw new InvalidCredentials(`oidc: verify token: ${error.message}`, { cause: error })
      }
      checkClaims(claims, settings, clock.now())
      // For whom it is was checked: it is for this server and nobody else.
      return { user: userOf(claims, settings), audiences: [] }
    },
  }
}

async function fetchKeys({ issuerUrl, algorithms }: OidcSettings, fetchJson: OidcDeps['fetchJson']): Promise<VerificationKey[]> {
  const configuration = (await fetchJson(`${issuerUrl.replace(/\/$/, '')}/.well-known/openid-configuration`)) as Record<string, unknown>
  if (configuration['issuer'] !== issuerUrl) {
    throw new Error(`oidc: issuer did not match the issuer returned by provider, expected ${goQuote(issuerUrl)}`)
  }
  const jwksUri = configuration['jwks_uri']
  if (typeof jwksUri !== 'string' || !jwksUri.startsWith('https://')) throw new Error('oidc: the provider names no https jwks_uri')
  const { keys } = (await fetchJson(jwksUri)) as { keys?: unknown }
  if (!Array.isArray(keys)) throw new Error('oidc: the provider has no keys')
  return keys.slice(0, keysMax).flatMap((jwk: JsonWebKey & { kid?: string; alg?: string; use?: string }) => {
    if (jwk.use !== undefined && jwk.use !== 'sig') return []
    const algorithm = jwk.kty === 'RSA' ? 'RS256' : jwk.kty === 'EC' && jwk.crv === 'P-256' ? 'ES256' : undefined
    if (algorithm === undefined || (jwk.alg !== undefined && jwk.alg !== algorithm) || !algorithms.includes(algorithm)) return []
    try {
      return [{ id: jwk.kid ?? '', algorithm, publicKey: createPublicKey({ key: jwk, format: 'jwk' }) } satisfies VerificationKey]
    } catch {
      return []
    }
  })
}

function checkClaims(claims: Record<string, unknown>, { clientId, requiredClaims }: OidcSettings, nowMs: number): void {
  const { aud, exp, nbf } = claims
  const audiences = Array.isArray(aud) ? aud : [aud]
  if (!audiences.includes(clientId)) {
    throw new InvalidCredentials(`oidc: verify token: oidc: expected audience in [${goQuote(clientId)}] got ${JSON.stringify(audiences)}`)
  }
  if (typeof exp !== 'number' || exp * 1000 < nowMs) throw new InvalidCredentials('oidc: verify token: oidc: token is expired')
  if (typeof nbf === 'number' && nbf * 1000 > nowMs + leewayMs)
    throw new InvalidCredentials('oidc: verify token: oidc: token is not yet valid')
  for (const [claim, want] of requiredClaims) {
    const got = claims[claim]
    if (got === undefined) throw new InvalidCredentials(`oidc: required claim ${claim} not present in ID token`)
    if (got !== want)
      throw new InvalidCredentials(`oidc: required claim ${claim} value does not match. Got = ${String(got)}, want = ${want}`)
  }
}

function userOf(claims: Record<string, unknown>, settings: OidcSettings): User {
  const { usernameClaim, usernamePrefix, groupsClaim, groupsPrefix } = settings
  const name = claims[usernameClaim]
  if (typeof name !== 'string' || name === '')
    throw new InvalidCredentials(`oidc: parse username claims ${goQuote(usernameClaim)}: claim not present`)
  if (usernameClaim === 'email' && 'email_verified' in claims && claims['email_verified'] !== true) {
    throw new InvalidCredentials('oidc: email not verified')
  }
  const said = groupsClaim === undefined ? undefined : claims[groupsClaim]
  const groups = said === undefined || said === null ? [] : typeof said === 'string' ? [said] : said
  if (!Array.isArray(groups) || groups.some((group) => typeof group !== 'string')) {
    throw new InvalidCredentials(`oidc: parse groups claim ${goQuote(groupsClaim ?? '')}: it is no text and no list of texts`)
  }
  const { jti } = claims
  return authenticated({
    name: `${usernamePrefix}${name}`,
    groups: groups.map((group: string) => `${groupsPrefix}${group}`),
    ...(typeof jti === 'string' && jti !== '' ? { extra: { 'authentication.kubernetes.io/credential-id': [`JTI=${jti}`] } } : {}),
  })
}
