// AuthenticationConfiguration: what is refused and in which words, and whom tokens stand for by its rules.
import { generateKeyPairSync } from 'node:crypto'
import { describe, expect, test } from 'vitest'
import { FakeClock } from '#base/fake-clock'
import { publicJwk, type SigningKey, signingKey, signJwt } from '#platform/jwt'
import { jwtAuthenticator } from './jwt-authenticator.ts'
import {
  type AuthenticationConfiguration,
  compileAuthentication,
  type JwtAuthenticatorConfiguration,
  readAuthentication,
} from './jwt-configuration.ts'
import type { TokenUser } from './tokens.ts'

const issuer = { url: 'https://a.example', audiences: ['x'] }
const claimMappings = { username: { claim: 'sub', prefix: '' } }
type Part = Partial<Record<keyof JwtAuthenticatorConfiguration, unknown>>
const one = (part: Part = {}): AuthenticationConfiguration => ({
  jwt: [{ issuer, claimMappings, ...part } as JwtAuthenticatorConfiguration],
})
const mapped = (part: object): Part => ({ claimMappings: { ...claimMappings, ...part } })
const from = (part: object): Part => ({ issuer: { ...issuer, ...part } })
const named = (expression: string): Part => mapped({ username: { expression } })

describe('what is refused', () => {
  test.each<[string, Part | AuthenticationConfiguration]>([
    ['jwt[0].issuer.url: Required value', from({ url: '' })],
    ['jwt[0].issuer.url: Invalid value: "invalid": URL scheme must be https', from({ url: 'invalid' })],
    ['jwt[0].issuer.url: Invalid value: "http://a": URL scheme must be https', from({ url: 'http://a' })],
    ['jwt[0].issuer.url: Invalid value: "https://u:p@a": URL must not contain a username or password', from({ url: 'https://u:p@a' })],
    ['jwt[0].issuer.url: Invalid value: "https://a?q": URL must not contain a query', from({ url: 'https://a?q' })],
    ['jwt[0].issuer.url: Invalid value: "https://a#f": URL must not contain a fragment', from({ url: 'https://a#f' })],
    [
      'jwt[0].issuer.url: Invalid value: "https://a:bad": parse "https://a:bad": invalid port ":bad" after host',
      from({ url: 'https://a:bad' }),
    ],
    [
      'jwt[0].issuer.url: Invalid value: "https://own": URL must not overlap with disallowed issuers: [https://older https://own]',
      from({ url: 'https://own' }),
    ],
    [
      'jwt[0].issuer.discoveryURL: Invalid value: "https://a.example///": discoveryURL must be different from URL',
      from({ discoveryURL: 'https://a.example///' }),
    ],
    ['jwt[0].issuer.audiences: Required value: at least one jwt[0].issuer.audiences is required', from({ audiences: [] })],
    ['jwt[0].issuer.audiences[0]: Required value', from({ audiences: [''] })],
    ['jwt[0].issuer.audiences[1]: Duplicate value: "x"', from({ audiences: ['x', 'x'], audienceMatchPolicy: 'MatchAny' })],
    [
      'jwt[0].issuer.audienceMatchPolicy: Invalid value: "": audienceMatchPolicy must be MatchAny for multiple audiences',
      from({ audiences: ['x', 'y'] }),
    ],
    [
      'jwt[0].issuer.audienceMatchPolicy: Invalid value: "All": audienceMatchPolicy must be empty or MatchAny for single audience',
      from({ audienceMatchPolicy: 'All' }),
    ],
    [
      'jwt[0].issuer.certificateAuthority: Invalid value: "<omitted>": data does not contain any valid RSA or ECDSA certificates',
      from({ certificateAuthority: 'none' }),
    ],
    [
      'jwt[0].issuer.egressSelectorType: Invalid value: "panda": egress selector must be either controlplane or cluster',
      from({ egressSelectorType: 'panda' }),
    ],
    ['oidc: egress lookup required with egress selector type "cluster"', from({ egressSelectorType: 'cluster' })],
    ['jwt[0].claimMappings.username: Required value: claim or expression is required', mapped({ username: {} })],
    [
      'jwt[0].claimMappings.username.prefix: Required value: prefix is required when claim is set. It can be set to an empty string to disable prefixing',
      mapped({ username: { claim: 'sub' } }),
    ],
    [
      'jwt[0].claimMappings.username.prefix: Invalid value: "p": may not be specified when expression is set',
      mapped({ username: { expression: 'claims.sub', prefix: 'p' } }),
    ],
    [
      `jwt[0].claimMappings.groups: Invalid value: "": claim and expression can't both be set`,
      mapped({ groups: { claim: 'a', expression: 'claims.a' } }),
    ],
    [
      `jwt[0].claimMappings.uid: Invalid value: "": claim and expression can't both be set`,
      mapped({ uid: { claim: 'a', expression: 'b' } }),
    ],
    ['jwt[0].claimMappings.extra[0].key: Required value', mapped({ extra: [{ valueExpression: 'claims.a' }] })],
    [
      'jwt[0].claimMappings.extra[0].key: Invalid value: "a.b/C": must be lowercase',
      mapped({ extra: [{ key: 'a.b/C', valueExpression: 'claims.a' }] }),
    ],
    [
      'jwt[0].claimMappings.extra[0].key: Invalid value: "x.k8s.io/a": k8s.io, kubernetes.io and their subdomains are reserved for Kubernetes use',
      mapped({ extra: [{ key: 'x.k8s.io/a', valueExpression: 'claims.a' }] }),
    ],
    ['jwt[0].claimMappings.extra[0].valueExpression: Required value', mapped({ extra: [{ key: 'a.b/c', valueExpression: '' }] })],
    ['jwt[0].claimValidationRules[0]: Required value: claim or expression is required', { claimValidationRules: [{}] }],
    [
      `jwt[0].claimValidationRules[0]: Invalid value: "a": claim and expression can't both be set`,
      { claimValidationRules: [{ claim: 'a', expression: 'true' }] },
    ],
    [
      'jwt[0].claimValidationRules[0].message: Invalid value: "m": may not be specified when claim is set',
      { claimValidationRules: [{ claim: 'a', message: 'm' }] },
    ],
    [
      'jwt[0].claimValidationRules[0].requiredValue: Invalid value: "v": may not be specified when expression is set',
      { claimValidationRules: [{ expression: 'true', requiredValue: 'v' }] },
    ],
    ['jwt[0].claimValidationRules[1].claim: Duplicate value: "a"', { claimValidationRules: [{ claim: 'a' }, { claim: 'a' }] }],
    [
      'jwt[0].claimValidationRules[0].expression: Invalid value: "claims.foo": must evaluate to bool',
      { claimValidationRules: [{ expression: 'claims.foo' }] },
    ],
    [
      `jwt[0].claimValidationRules[0].expression: Invalid value: "foo.bar": compilation failed: ERROR: <input>:1:1: undeclared reference to 'foo' (in container '')\n | foo.bar\n | ^`,
      { claimValidationRules: [{ expression: 'foo.bar' }] },
    ],
    ['jwt[0].userValidationRules[0].expression: Required value', { userValidationRules: [{ expression: '' }] }],
    [
      'jwt[0].userValidationRules[1].expression: Duplicate value: "user.uid == \'1\'"',
      { userValidationRules: [{ expression: "user.uid == '1'" }, { expression: "user.uid == '1'" }] },
    ],
    [
      'jwt[0].claimMappings.username.expression: Invalid value: "claims.?email": claims.email_verified must be used in claimMappings.username.expression or claimMappings.extra[*].valueExpression or claimValidationRules[*].expression when claims.email is used in claimMappings.username.expression',
      named('claims.?email'),
    ],
    ['jwt[1].issuer.url: Duplicate value: "https://a.example"', { jwt: [...one().jwt!, ...one().jwt!] }],
    [
      'anonymous.conditions: Invalid value: [{"Path":"/livez"}]: enabled should be set to true when conditions are defined',
      { anonymous: { enabled: false, conditions: [{ path: '/livez' }] } },
    ],
    ['jwt: Too many: 65: must have at most 64 items', { jwt: Array.from({ length: 65 }, () => one().jwt![0]!) }],
  ])('%s', async (words, part) => {
    const configuration = 'jwt' in part || 'anonymous' in part ? (part as AuthenticationConfiguration) : one(part as Part)
    const error = (await compileAuthentication(configuration, ['https://own', 'https://older']).catch((caught: unknown) => caught)) as Error
    expect(error.message).toBe(words)
  })

  test('several problems are told together', async () => {
    await expect(compileAuthentication(one({ issuer: { url: '', audiences: [] } }), [])).rejects.toThrow(
      '[jwt[0].issuer.url: Required value, jwt[0].issuer.audiences: Required value: at least one jwt[0].issuer.audiences is required]',
    )
  })

  test.each([
    ['empty config data', ''],
    ['strict decoding error: unknown field "jwt[0].issuer.uri"', header('jwt:\n- issuer: {uri: a}')],
    ['expected AuthenticationConfiguration, got AuthorizationConfiguration', header('').replace('Authentication', 'Authorization')],
    ['no kind "AuthenticationConfiguration" is registered for version "a/v1"', header('').replace('apiserver.config.k8s.io', 'a')],
    ['jwt: must be a list', header('jwt: {}')],
  ])('of a file: %s', async (words, text) => {
    await expect(readAuthentication(text, [])).rejects.toThrow(words)
  })
})

function header(more: string): string {
  return `apiVersion: apiserver.config.k8s.io/v1\nkind: AuthenticationConfiguration\n${more}\n`
}

const key = signingKey(generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey)
const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve))

async function open(part: Part, documents: Readonly<Record<string, unknown>> = {}, texts: Readonly<Record<string, string>> = {}) {
  const clock = new FakeClock()
  const { jwt } = await compileAuthentication(one(part), [])
  const authenticator = jwtAuthenticator({
    compiled: jwt[0]!,
    clock,
    fetchJson: async (url) => {
      if (url in documents) return documents[url]
      return url.endsWith('configuration') ? { issuer: issuer.url, jwks_uri: 'https://a.example/keys' } : { keys: [publicJwk(key)] }
    },
    fetchText: async (url, token) => texts[`${url} ${token}`] ?? Promise.reject(new Error('not found')),
    onError: () => {},
    signal: new AbortController().signal,
  })
  await turn()
  const token = (claims: object, signer: SigningKey = key): string =>
    signJwt({ iss: issuer.url, aud: 'x', sub: 'jane', exp: clock.now() / 1000 + 600, ...claims }, signer)
  return { token, ask: async (claims: object): Promise<TokenUser | undefined> => authenticator.authenticateToken(token(claims), []) }
}

describe('whom a token stands for', () => {
  test('claims by expressions make the user', async () => {
    const { ask } = await open(
      mapped({
        username: { expression: "'company:' + claims.sub" },
        groups: { expression: "claims.roles.split(',').map(role, 'r:' + role)" },
        uid: { expression: 'claims.id' },
        extra: [
          { key: 'example.org/admin', valueExpression: "has(claims.admin) && claims.admin ? 'true' : ''" },
          { key: 'example.org/teams', valueExpression: "claims.teams.filter(t, t != '')" },
          { key: 'example.org/deep', valueExpression: 'claims.deep.er' },
        ],
      }),
    )
    expect((await ask({ roles: 'a,b', id: '7', admin: true, teams: ['x', ''], deep: { er: 'v' } }))?.user).toEqual({
      name: 'company:jane',
      groups: ['r:a', 'r:b', 'system:authenticated'],
      uid: '7',
      extra: { 'example.org/admin': ['true'], 'example.org/teams': ['x'], 'example.org/deep': ['v'] },
    })
    expect((await ask({ roles: '', id: '7', admin: false, teams: [], deep: { er: '' } }))?.user.extra).toBeUndefined()
  })

  test('rules over claims and over the user that comes of them', async () => {
    const { ask } = await open({
      claimValidationRules: [
        { claim: 'tenant', requiredValue: 't' },
        { expression: 'claims.exp - claims.iat <= 86400', message: 'lives too long' },
      ],
      userValidationRules: [{ expression: "!user.username.startsWith('system:')", message: 'reserved' }],
    })
    expect((await ask({ tenant: 't', iat: 0 }).catch((error: Error) => error)) as unknown).toMatchObject({
      message:
        "oidc: error evaluating claim validation expression: validation expression 'claims.exp - claims.iat <= 86400' failed: lives too long",
    })
    const soon = { tenant: 't', iat: new FakeClock().now() / 1000 }
    expect((await ask(soon))?.user.name).toBe('jane')
    await expect(ask({ ...soon, sub: 'system:admin' })).rejects.toThrow(
      "oidc: error evaluating user info validation rule: validation expression '!user.username.startsWith('system:')' failed: reserved",
    )
    await expect(ask({ iat: 0 })).rejects.toThrow('oidc: required claim tenant not present in ID token')
    await expect(ask({ tenant: 't' })).rejects.toThrow("expression 'claims.exp - claims.iat <= 86400' resulted in error: no such key: iat")
  })

  test.each<[string, Part, string]>([
    ['a name that is no text', named('claims.number'), 'username claim expression must return a string'],
    ['a name that is empty', named("''"), 'oidc: empty username via CEL expression is not allowed'],
    [
      'groups that are no texts',
      mapped({ groups: { expression: '[1]' } }),
      'error evaluating group claim expression: expression must return',
    ],
    ['an id that is no text', mapped({ uid: { expression: 'claims.number' } }), 'uid claim expression must return a string'],
    ['an id that is not there', mapped({ uid: { claim: 'uid' } }), 'oidc: parse uid claim "uid": claim not present'],
  ])('%s does not hold', async (_what, part, words) => {
    const { ask } = await open(part)
    await expect(ask({ number: 5 })).rejects.toThrow(words)
  })

  test('any of several audiences is enough; the configuration may be elsewhere; any algorithm of the key holds', async () => {
    const ec = signingKey(generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey)
    const discoveryURL = 'https://inside.example/discovery'
    const part = from({ audiences: ['y', 'z'], audienceMatchPolicy: 'MatchAny', discoveryURL })
    const { ask } = await open(part, {
      [discoveryURL]: { issuer: issuer.url, jwks_uri: 'https://inside.example/keys' },
      'https://inside.example/keys': { keys: [publicJwk(key), publicJwk(ec)] },
    })
    expect((await ask({ aud: ['a', 'z'] }))?.user.name).toBe('jane')
    await expect(ask({ aud: 'a' })).rejects.toThrow('oidc: expected audience in ["y" "z"] got ["a"]')
  })

  test('groups that another server keeps are fetched there', async () => {
    const { ask, token } = await open(mapped({ groups: { claim: 'groups', prefix: '' } }), {}, {})
    const signed = token({ groups: ['far'] })
    const far = await open(mapped({ groups: { claim: 'groups', prefix: '' } }), {}, { 'https://groups.example secret': signed })
    const sources = { _claim_names: { groups: 'g' }, _claim_sources: { g: { endpoint: 'https://groups.example', access_token: 'secret' } } }
    expect((await far.ask(sources))?.user.groups).toEqual(['far', 'system:authenticated'])
    await expect(ask(sources)).rejects.toThrow(
      'oidc: could not expand distributed claims: while getting distributed claim "groups": not found',
    )
    await expect(ask({ ...sources, _claim_sources: {} })).rejects.toThrow('_claim_names contained a source g missing in _claims_sources')
    expect((await ask({ ...sources, groups: ['near'] }))?.user.groups).toEqual(['near', 'system:authenticated'])
  })
})
