// A provider of JSON Web Tokens: its keys, fetched in the background, and whether a token is one of its own. Keys are fetched again
// when a token is signed by one that is not known.
import { createPublicKey, type JsonWebKey } from 'node:crypto'
import { goQuote } from '#api/validation/text'
import type { Clock } from '#base/clock'
import type { Eventual } from '#base/eventual'
import { algorithmsOf, type JwtAlgorithm, JwtError, type VerificationKey, verifyJwt } from '#platform/jwt'
import { InvalidCredentials } from './authenticator.ts'

export type Claims = Readonly<Record<string, unknown>>

export interface ProviderSettings {
  /** As it stands in the tokens; its documents are below it. */
  readonly issuer: string
  /** Where its configuration is instead. */
  readonly discoveryUrl?: string
  /** Whom its tokens must be for: one of these. */
  readonly audiences: readonly string[]
  readonly algorithms: readonly JwtAlgorithm[]
}

export interface ProviderDeps {
  readonly clock: Clock
  /** A document of the provider's, parsed; rejects when it cannot be had. */
  readonly fetchJson: (url: string) => Promise<unknown>
  readonly onError: (error: unknown) => void
  readonly signal: AbortSignal
}

export interface JwtProvider {
  readonly issuer: string
  readonly ready: boolean
  /** The claims of a token of this provider's for this server. Throws, or rejects with, InvalidCredentials. */
  verify(token: string): Eventual<Claims>
  /** Fetches the keys, if that was not just done. Resolves when they are there or cannot be had. */
  refresh(): Promise<void>
}

// Keys are fetched again at most this often.
const refreshMsMin = 10_000
const leewayMs = 5 * 60_000
const keysMax = 100

/** A provider, whose keys begin to be fetched. */
export function jwtProvider(settings: ProviderSettings, { clock, fetchJson, onError, signal }: ProviderDeps): JwtProvider {
  let keys: readonly VerificationKey[] | undefined
  let fetching: Promise<void> | undefined
  let fetchedAtMs = Number.NEGATIVE_INFINITY
  const rested = (): boolean => clock.monotonic() - fetchedAtMs >= refreshMsMin
  const refresh = (): Promise<void> => {
    if (fetching !== undefined) return fetching
    if (signal.aborted || !rested()) return Promise.resolve()
    fetchedAtMs = clock.monotonic()
    fetching = fetchKeys(settings, fetchJson)
      .then(
        (fetched) => {
          keys = fetched
        },
        (error: unknown) => {
          onError(error)
          // Until there are keys nobody can log in: worth trying again before somebody asks.
          if (keys === undefined && !signal.aborted) clock.after(refreshMsMin, () => void refresh(), { background: true })
        },
      )
      .finally(() => {
        fetching = undefined
      })
    return fetching
  }
  const check = (token: string): Claims => {
    let claims: Record<string, unknown>
    try {
      claims = verifyJwt(token, keys ?? [])
    } catch (error) {
      if (!(error instanceof JwtError)) throw error
      throw new BadSignature(error)
    }
    checkClaims(claims, settings, clock.now())
    return claims
  }
  void refresh()
  return {
    issuer: settings.issuer,
    get ready() {
      return keys !== undefined
    },
    refresh,
    verify(token) {
      if (keys === undefined) {
        void refresh()
        throw new InvalidCredentials('oidc: authenticator not initialized')
      }
      try {
        return check(token)
      } catch (error) {
        // It may be signed by a key that is newer than ours.
        if (!(error instanceof BadSignature) || (fetching === undefined && !rested())) throw error
        return refresh().then(() => check(token))
      }
    },
  }
}

class BadSignature extends InvalidCredentials {
  constructor(cause: JwtError) {
    super(`oidc: verify token: ${cause.message}`, { cause })
  }
}

async function fetchKeys(
  { issuer, discoveryUrl, algorithms }: ProviderSettings,
  fetchJson: ProviderDeps['fetchJson'],
): Promise<VerificationKey[]> {
  const url = discoveryUrl ?? `${issuer.replace(/\/$/, '')}/.well-known/openid-configuration`
  const configuration = (await fetchJson(url)) as Record<string, unknown>
  if (configuration['issuer'] !== issuer) {
    throw new Error(
      `oidc: issuer did not match the issuer returned by provider, expected ${goQuote(issuer)} got ${goQuote(String(configuration['issuer'] ?? ''))}`,
    )
  }
  const jwksUri = configuration['jwks_uri']
  if (typeof jwksUri !== 'string' || !jwksUri.startsWith('https://')) throw new Error('oidc: the provider names no https jwks_uri')
  const { keys } = (await fetchJson(jwksUri)) as { keys?: unknown }
  if (!Array.isArray(keys)) throw new Error('oidc: the provider has no keys')
  return keys.slice(0, keysMax).flatMap((jwk: JsonWebKey & { kid?: string; alg?: string; use?: string }) => {
    if (jwk.use !== undefined && jwk.use !== 'sig') return []
    try {
      const publicKey = createPublicKey({ key: jwk, format: 'jwk' })
      const usable = algorithmsOf(publicKey).filter((name) => algorithms.includes(name) && (jwk.alg === undefined || jwk.alg === name))
      const [algorithm, ...otherAlgorithms] = usable
      return algorithm === undefined ? [] : [{ id: jwk.kid ?? '', algorithm, otherAlgorithms, publicKey }]
    } catch {
      return []
    }
  })
}

function checkClaims({ iss, aud, exp, nbf }: Claims, { issuer, audiences }: ProviderSettings, nowMs: number): void {
  const refuse = (why: string): never => {
    throw new InvalidCredentials(`oidc: verify token: oidc: ${why}`)
  }
  if (iss !== issuer) refuse(`id token issued by a different provider, expected ${goQuote(issuer)} got ${goQuote(String(iss))}`)
  const named = Array.isArray(aud) ? aud : aud === undefined ? [] : [aud]
  if (!named.some((one) => audiences.includes(one as string))) {
    const wanted = audiences.length === 1 ? goQuote(audiences[0]!) : `[${[...audiences].sort().map(goQuote).join(' ')}]`
    refuse(`expected audience ${audiences.length === 1 ? '' : 'in '}${wanted} got [${named.map((one) => goQuote(String(one))).join(' ')}]`)
  }
  if (typeof exp !== 'number' || exp * 1000 < nowMs) refuse(`token is expired (Token Expiry: ${expiryOf(exp)})`)
  if (typeof nbf === 'number' && nbf * 1000 > nowMs + leewayMs) refuse('current time is before the nbf (not before) time')
}

function expiryOf(exp: unknown): string {
  const date = new Date(typeof exp === 'number' ? exp * 1000 : 0)
  return Number.isNaN(date.getTime()) ? String(exp) : `${date.toISOString().slice(0, 19).replace('T', ' ')} +0000 UTC`
}
