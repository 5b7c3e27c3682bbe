// Tokens of another issuer by options: whose they are, which hold, and how its keys come.
import { generateKeyPairSync } from 'node:crypto'
import { describe, expect, test } from 'vitest'
import { FakeClock } from '#base/fake-clock'
import { publicJwk, type SigningKey, signingKey, signJwt } from '#platform/jwt'
import { jwtAuthenticator } from './jwt-authenticator.ts'
import { compileAuthentication } from './jwt-configuration.ts'
import { type OidcSettings, oidcConfiguration } from './oidc.ts'
import type { TokenUser } from './tokens.ts'

const issuerUrl = 'https://login.example'
const newKey = (): SigningKey => signingKey(generateKeyPairSync('rsa', { modulusLength: 2048 }).privateKey)
const key = newKey()
const base: OidcSettings = {
  issuerUrl,
  clientId: 'cluster',
  usernameClaim: 'sub',
  usernamePrefix: 'oidc:',
  groupsClaim: 'groups',
  groupsPrefix: 'oidc:',
  requiredClaims: new Map(),
  algorithms: ['RS256'],
}
const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve))

async function open(settings: Partial<OidcSettings> = {}) {
  const clock = new FakeClock()
  const state = { keys: [key] as SigningKey[], up: true, fetched: 0, errors: [] as string[] }
  const all = { ...base, ...settings }
  const { jwt } = await compileAuthentication({ jwt: [oidcConfiguration(all)] }, [])
  const authenticator = jwtAuthenticator({
    compiled: jwt[0]!,
    algorithms: all.algorithms,
    clock,
    fetchJson: async (url) => {
      if (!state.up) throw new Error('down')
      if (url === `${issuerUrl}/.well-known/openid-configuration`) return { issuer: issuerUrl, jwks_uri: `${issuerUrl}/keys` }
      state.fetched++
      return { keys: state.keys.map(publicJwk) }
    },
    fetchText: () => Promise.reject(new Error('no text is asked for')),
    onError: (error) => void state.errors.push(String(error)),
    signal: new AbortController().signal,
  })
  await turn()
  const token = (claims: object = {}, signer = key): string =>
    signJwt({ iss: issuerUrl, aud: 'cluster', sub: 'jane', exp: clock.now() / 1000 + 600, ...claims }, signer)
  return { clock, state, token, ask: async (text: string): Promise<TokenUser | undefined> => authenticator.authenticateToken(text, []) }
}

describe('whose a token is', () => {
  test('its user and groups, each behind its prefix', async () => {
    const { ask, token } = await open()
    expect((await ask(token({ groups: ['dev', 'ops'], jti: 'x' })))?.user).toEqual({
      name: 'oidc:jane',
      groups: ['oidc:dev', 'oidc:ops', 'system:authenticated'],
      extra: { 'authentication.kubernetes.io/credential-id': ['JTI=x'] },
    })
    expect((await ask(token({ groups: 'dev' })))?.user.groups).toEqual(['oidc:dev', 'system:authenticated'])
    expect((await ask(token({ groups: null })))?.user.groups).toEqual(['system:authenticated'])
  })

  test('another issuer’s is left to others', async () => {
    const { ask, token } = await open()
    expect(await ask(token({ iss: 'https://other.example' }))).toBeUndefined()
    expect(await ask('no token')).toBeUndefined()
  })

  test.each<[string, object, Partial<OidcSettings>, string]>([
    ['for another client', { aud: ['other'] }, {}, 'oidc: expected audience "cluster" got ["other"]'],
    ['that has expired', { exp: 1 }, {}, 'oidc: token is expired (Token Expiry: 1970-01-01 00:00:01 +0000 UTC)'],
    ['that never expires', { exp: undefined }, {}, 'oidc: token is expired'],
    ['that begins later', { nbf: 2 ** 33 }, {}, 'oidc: current time is before the nbf (not before) time'],
    ['without a user', { sub: '' }, {}, 'oidc: parse username claims "sub": claim not present'],
    ['whose user is a number', { sub: 5 }, {}, 'json: cannot unmarshal number into Go value of type string'],
    ['with an address nobody verified', { email: 'a@b', email_verified: false }, { usernameClaim: 'email' }, 'oidc: email not verified'],
    ['with groups that are none', { groups: { a: 1 } }, {}, 'oidc: parse groups claim "groups"'],
    [
      'without a claim that must be there',
      {},
      { requiredClaims: new Map([['team', 'a']]) },
      'oidc: required claim team not present in ID token',
    ],
    [
      'with a claim of another value',
      { team: 'b' },
      { requiredClaims: new Map([['team', 'a']]) },
      'oidc: required claim team value does not match. Got = b, want = a',
    ],
  ])('one %s does not hold', async (_what, claims, settings, words) => {
    const { ask, token } = await open(settings)
    await expect(ask(token(claims))).rejects.toThrow(words)
  })

  test('nor one that is not signed by the issuer, or by an algorithm that is not wanted', async () => {
    const { ask, token } = await open()
    await expect(ask(token({}, newKey()))).rejects.toThrow('oidc: verify token')
    const ec = signingKey(generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey)
    const other = await open()
    other.state.keys = [ec]
    await expect(other.ask(other.token({}, ec))).rejects.toThrow('oidc: verify token')
  })
})

describe('the issuer’s keys', () => {
  test('are fetched again when a token names one that is not known, and not too often', async () => {
    const { ask, clock, state, token } = await open()
    const next = newKey()
    state.keys = [key, next]
    await expect(ask(token({}, next))).rejects.toThrow('oidc: verify token')
    expect(state.fetched).toBe(1)
    await clock.advance(10_000)
    expect((await ask(token({}, next)))?.user.name).toBe('oidc:jane')
    expect(state.fetched).toBe(2)
    expect((await ask(token()))?.user.name).toBe('oidc:jane')
  })

  test('an issuer that cannot be reached is asked again, and its tokens do not hold until then', async () => {
    const { ask, clock, state, token } = await open({ issuerUrl })
    state.up = false
    const away = await open({ issuerUrl: 'https://away.example' })
    await expect(away.ask(away.token({ iss: 'https://away.example' }))).rejects.toThrow('oidc: authenticator not initialized')
    expect(away.state.errors).toHaveLength(1)
    await clock.advance(10_000)
    await turn()
    expect((await ask(token()))?.user.name).toBe('oidc:jane')
  })
})
