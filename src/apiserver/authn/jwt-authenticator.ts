// Whom a JSON Web Token of another issuer stands for: its claims, mapped to a user and checked as the configuration says, by claims'
// names or by expressions. Groups may be claims that another server keeps (OpenID Connect Core 1.0, section 5.6.2).
import { goQuote } from '#api/validation/text'
import { type Eventual, whenThere } from '#base/eventual'
import { type JwtAlgorithm, jwtAlgorithms, peekJwt } from '#platform/jwt'
import type { Program } from '../cel/cel.ts'
import type { User } from '../request.ts'
import { authenticated, InvalidCredentials } from './authenticator.ts'
import type { CompiledJwtAuthenticator, Mapping } from './jwt-configuration.ts'
import { type Claims, type JwtProvider, jwtProvider, type ProviderDeps } from './jwt-provider.ts'
import type { TokenAuthenticator, TokenUser } from './tokens.ts'

export interface JwtAuthenticatorDeps extends ProviderDeps {
  readonly compiled: CompiledJwtAuthenticator
  /** Default: all that there are. */
  readonly algorithms?: readonly JwtAlgorithm[]
  /** A document as text, asked for with the token (empty: none). */
  readonly fetchText: (url: string, accessToken: string) => Promise<string>
}

const otherProvidersMax = 32

export interface JwtAuthenticator extends TokenAuthenticator {
  /** Whether the issuer's keys are there, once it was asked for them. */
  settled(): Promise<boolean>
}

export function jwtAuthenticator(deps: JwtAuthenticatorDeps): JwtAuthenticator {
  const { compiled, algorithms = jwtAlgorithms } = deps
  const { issuer, claimMappings } = compiled.configuration
  const { url, discoveryURL, audiences } = issuer
  const settings = { issuer: url, audiences, algorithms, ...(discoveryURL ? { discoveryUrl: discoveryURL } : {}) }
  const provider = jwtProvider(settings, deps)
  const others = new Map<string, JwtProvider>()
  const providerOf = (iss: string): JwtProvider => {
    let found = others.get(iss)
    if (found === undefined) {
      if (others.size >= otherProvidersMax) throw new Error(`verifier not initialized for issuer: ${goQuote(iss)}`)
      found = jwtProvider({ issuer: iss, audiences, algorithms }, deps)
      others.set(iss, found)
    }
    return found
  }
  const groupsClaim = claimMappings.groups?.claim ?? ''
  return {
    name: 'jwt',
    settled: () => provider.refresh().then(() => provider.ready),
    authenticateToken(token) {
      if (peekJwt(token)?.['iss'] !== url) return undefined
      const found = (claims: Claims): TokenUser => {
        const user = userOf(claims, compiled)
        checkRules(claims, user, compiled)
        // For whom it is was checked: it is for this server and nobody else.
        return { user: authenticated(user), audiences: [] }
      }
      return whenThere(provider.verify(token), (claims) =>
        whenThere(groupsClaim === '' ? claims : withDistributed(claims, groupsClaim, deps, providerOf), found),
      )
    },
  }
}

// The claim as it stands, or as the server says that the token names for it.
function withDistributed(
  claims: Claims,
  claim: string,
  { fetchText }: JwtAuthenticatorDeps,
  providerOf: (issuer: string) => JwtProvider,
): Eventual<Claims> {
  if (Object.hasOwn(claims, claim) || claims['_claim_names'] === undefined) return claims
  const refuse = (why: string, cause?: unknown): InvalidCredentials =>
    new InvalidCredentials(`oidc: could not expand distributed claims: ${why}`, { cause })
  const names = claims['_claim_names'] as Readonly<Record<string, unknown>>
  const sources = claims['_claim_sources'] as Readonly<Record<string, { endpoint?: unknown; access_token?: unknown }>> | undefined
  if (typeof sources !== 'object' || sources === null) throw refuse('oidc: no claim sources')
  const source = typeof names === 'object' && names !== null && Object.hasOwn(names, claim) ? names[claim] : undefined
  if (typeof source !== 'string') return claims
  if (!Object.hasOwn(sources, source)) throw refuse(`id token _claim_names contained a source ${source} missing in _claims_sources`)
  const { endpoint, access_token: accessToken } = sources[source]!
  if (typeof endpoint !== 'string' || endpoint === '') return claims
  const resolve = async (): Promise<Claims> => {
    const token = await fetchText(endpoint, typeof accessToken === 'string' ? accessToken : '').catch((error: unknown) => {
      throw new Error(`while getting distributed claim ${goQuote(claim)}: ${(error as Error).message}`)
    })
    const other = providerOf(String(peekJwt(token)?.['iss'] ?? ''))
    if (!other.ready) await other.refresh()
    const said = await other.verify(token)
    if (!Object.hasOwn(said, claim)) {
      throw new Error(`jwt returned by distributed claim endpoint ${goQuote(endpoint)} did not contain claim: ${claim}`)
    }
    return { ...claims, [claim]: said[claim] }
  }
  return resolve().catch((error: unknown) => {
    throw refuse((error as Error).message, error)
  })
}

function userOf(claims: Claims, compiled: CompiledJwtAuthenticator): User {
  const name = nameOf(claims, compiled)
  const groups = groupsOf(claims, compiled)
  const uid = uidOf(claims, compiled)
  const extra: Record<string, string[]> = {}
  const { jti } = claims
  if (typeof jti === 'string' && jti !== '') extra['authentication.kubernetes.io/credential-id'] = [`JTI=${jti}`]
  for (const { key, program } of compiled.extra) {
    const values = evaluated(program, { claims }, 'extra')
    const texts = textsOf(values, compiled)
    if (texts === undefined) throw failed('extra', `${program.source}: expression must return a string or a list of strings`)
    if (texts.length > 0) extra[key] = texts
  }
  checkRequired(claims, compiled.configuration.claimValidationRules ?? [])
  return {
    name,
    groups,
    ...(uid === '' ? {} : { uid }),
    ...(Object.keys(extra).length === 0 ? {} : { extra }),
  }
}

function nameOf(claims: Claims, { username: program, configuration }: CompiledJwtAuthenticator): string {
  if (program !== undefined) {
    const name = evaluated(program, { claims }, 'username')
    if (typeof name !== 'string') throw failed('username', 'username claim expression must return a string')
    if (name === '') throw new InvalidCredentials('oidc: empty username via CEL expression is not allowed')
    return name
  }
  const { claim = '', prefix = '' } = configuration.claimMappings.username
  const name = textClaim(claims, claim, 'username claims')
  if (name === '') throw new InvalidCredentials(`oidc: parse username claims ${goQuote(claim)}: claim not present`)
  if (claim === 'email' && Object.hasOwn(claims, 'email_verified') && claims['email_verified'] !== true) {
    throw new InvalidCredentials('oidc: email not verified')
  }
  return prefix + name
}

function groupsOf(claims: Claims, compiled: CompiledJwtAuthenticator): readonly string[] {
  const { claim = '', prefix = '' } = compiled.configuration.claimMappings.groups ?? ({} as Mapping)
  if (claim !== '' && Object.hasOwn(claims, claim)) {
    const said = claims[claim] ?? []
    const groups = typeof said === 'string' ? [said] : said
    if (!Array.isArray(groups) || groups.some((group) => typeof group !== 'string')) {
      throw new InvalidCredentials(`oidc: parse groups claim ${goQuote(claim)}: it is no text and no list of texts`)
    }
    return groups.map((group: string) => prefix + group)
  }
  if (compiled.groups === undefined) return []
  const groups = textsOf(evaluated(compiled.groups, { claims }, 'group'), compiled)
  if (groups === undefined) throw failed('group', 'expression must return a string or a list of strings')
  return groups
}

function uidOf(claims: Claims, { uid: program, configuration }: CompiledJwtAuthenticator): string {
  const claim = configuration.claimMappings.uid?.claim ?? ''
  if (claim !== '') return textClaim(claims, claim, 'uid claim')
  if (program === undefined) return ''
  const uid = evaluated(program, { claims }, 'uid')
  if (typeof uid !== 'string') throw failed('uid', 'uid claim expression must return a string')
  return uid
}

function textClaim(claims: Claims, claim: string, what: string): string {
  const wrong = (why: string): InvalidCredentials => new InvalidCredentials(`oidc: parse ${what} ${goQuote(claim)}: ${why}`)
  if (!Object.hasOwn(claims, claim)) throw wrong('claim not present')
  const value = claims[claim]
  if (typeof value === 'string') return value
  throw wrong(`json: cannot unmarshal ${Array.isArray(value) ? 'array' : typeof value} into Go value of type string`)
}

function checkRequired(claims: Claims, rules: readonly { readonly claim?: string; readonly requiredValue?: string }[]): void {
  for (const { claim = '', requiredValue = '' } of rules) {
    if (claim === '') continue
    if (!Object.hasOwn(claims, claim)) throw new InvalidCredentials(`oidc: required claim ${claim} not present in ID token`)
    const got = claims[claim]
    if (got !== requiredValue) {
      const shown = typeof got === 'string' ? got : JSON.stringify(got)
      throw new InvalidCredentials(`oidc: required claim ${claim} value does not match. Got = ${shown}, want = ${requiredValue}`)
    }
  }
}

function checkRules(claims: Claims, user: User, { claimRules, userRules }: CompiledJwtAuthenticator): void {
  const check = (rules: CompiledJwtAuthenticator['claimRules'], variables: Record<string, unknown>, what: string): void => {
    for (const { program, message } of rules) {
      const holds = run(program, variables, what)
      if (typeof holds !== 'boolean') throw new InvalidCredentials(`${what}: validation expression must return a boolean`)
      if (!holds) throw new InvalidCredentials(`${what}: validation expression '${program.source}' failed: ${message}`)
    }
  }
  check(claimRules, { claims }, 'oidc: error evaluating claim validation expression')
  if (userRules.length === 0) return
  const info = { username: user.name, uid: user.uid ?? '', groups: user.groups, extra: user.extra ?? {} }
  check(userRules, { user: info }, 'oidc: error evaluating user info validation rule')
}

function evaluated(program: Program, variables: Record<string, unknown>, of: string): unknown {
  return run(program, variables, `oidc: error evaluating ${of} claim expression`)
}

function failed(of: string, why: string): InvalidCredentials {
  return new InvalidCredentials(`oidc: error evaluating ${of} claim expression: ${why}`)
}

function run(program: Program, variables: Record<string, unknown>, what: string): unknown {
  try {
    return program.evaluate(variables)
  } catch (error) {
    if (!(error instanceof Error)) throw error
    throw new InvalidCredentials(`${what}: expression '${program.source}' resulted in error: ${error.message}`, { cause: error })
  }
}

// Texts of an expression: one, or a list, those that say nothing left out. Undefined when it is something else.
function textsOf(value: unknown, { cel }: CompiledJwtAuthenticator): string[] | undefined {
  const plain = value === null || typeof value === 'string' ? value : cel.toJson(value as never)
  if (plain === null || plain === '') return []
  if (typeof plain === 'string') return [plain]
  if (!Array.isArray(plain) || plain.some((item) => typeof item !== 'string')) return undefined
  return (plain as string[]).filter((item) => item !== '')
}
