// Who is who: certificates, front proxies, tokens of every kind, and nobody.
import { createPrivateKey } from 'node:crypto'
import { describe, expect, test } from 'vitest'
import { Node } from '#api/kinds/core/node'
import { Pod } from '#api/kinds/core/pod'
import { Secret } from '#api/kinds/core/secret'
import { ServiceAccount } from '#api/kinds/core/service-account'
import { FakeClock } from '#base/fake-clock'
import { signingKey, signJwt } from '#platform/jwt'
import { createCa, createPrivateKeyPem, issueCertificate, parseCertificate } from '#platform/x509'
import { fakeReader } from '../fake-reader.testing.ts'
import { fakeRequest } from '../fake-request.testing.ts'
import { InvalidCredentials, type LocalAuthenticator, unionAuthenticator } from './authenticator.ts'
import { bootstrapTokenAuthenticator } from './bootstrap-tokens.ts'
import { clientCertificateAuthenticator } from './client-certificate.ts'
import { frontProxyAuthenticator } from './front-proxy.ts'
import { issueToken, serviceAccountTokenAuthenticator } from './service-account-tokens.ts'
import { staticTokenAuthenticator } from './static-tokens.ts'
import { bearerTokenAuthenticator, withoutTokenProtocol } from './tokens.ts'

const clock = new FakeClock()
const ca = createCa({ commonName: 'ca', days: 10, nowMs: clock.now() })
const certificate = (commonName: string, organizations: string[] = [], usages: ('client' | 'server')[] = ['client']): Buffer =>
  parseCertificate(issueCertificate({ ca, commonName, organizations, usages, days: 1, nowMs: clock.now() }).certificatePem).der

describe('client certificates', () => {
  test('the common name is the user, organizations are groups', () => {
    const user = clientCertificateAuthenticator(clock).authenticate(fakeRequest('/', { peerCertificate: certificate('jane', ['dev']) }))
    expect(user).toMatchObject({ name: 'jane', groups: ['dev', 'system:authenticated'] })
    expect(user?.extra?.['authentication.kubernetes.io/credential-id']?.[0]).toMatch(/^X509SHA256=[0-9a-f]{64}$/)
  })

  test('a certificate that expires on a living connection ceases to count', async () => {
    const late = new FakeClock(clock.now())
    const authenticator = clientCertificateAuthenticator(late)
    const peerCertificate = certificate('jane')
    expect(authenticator.authenticate(fakeRequest('/', { peerCertificate }))?.name).toBe('jane')
    await late.advance(86_400_000 + 1_000)
    expect(() => authenticator.authenticate(fakeRequest('/', { peerCertificate }))).toThrow(InvalidCredentials)
  })

  test('a certificate that nobody vouches for is worse than none', () => {
    const union = unionAuthenticator([clientCertificateAuthenticator(clock)], { anonymous: true })
    expect(union.authenticate(fakeRequest('/'))?.name).toBe('system:anonymous')
    expect(union.authenticate(fakeRequest('/', { certificateRefused: true }))).toBeUndefined()
  })

  test('a certificate without a name, or for servers only, is nobody', () => {
    const authenticator = clientCertificateAuthenticator(clock)
    expect(authenticator.authenticate(fakeRequest('/', { peerCertificate: certificate('', ['x']) }))).toBeUndefined()
    expect(authenticator.authenticate(fakeRequest('/', { peerCertificate: certificate('api', [], ['server']) }))).toBeUndefined()
  })
})

describe('front proxies', () => {
  const authenticator = frontProxyAuthenticator({ allowedNames: ['aggregator'], clock })
  const headers = { 'x-remote-user': 'jane', 'x-remote-group': 'a\nb', 'x-remote-extra-scopes%2fx': '1', 'x-remote-uid': 'u1' }

  test('headers from a front proxy name the user', () => {
    expect(authenticator.authenticate(fakeRequest('/', { headers, proxyCertificate: certificate('aggregator') }))).toEqual({
      name: 'jane',
      uid: 'u1',
      groups: ['a', 'b', 'system:authenticated'],
      extra: { 'scopes/x': ['1'] },
    })
  })

  test('MUSTHOLD 6: from anybody else, certified client or not, the same headers mean nothing', () => {
    const all = unionAuthenticator([authenticator, clientCertificateAuthenticator(clock)], { anonymous: true })
    expect(all.authenticate(fakeRequest('/', { headers }))?.name).toBe('system:anonymous')
    expect(all.authenticate(fakeRequest('/', { headers, peerCertificate: certificate('aggregator') }))?.name).toBe('aggregator')
  })

  test('MUSTHOLD 6: a proxy that is not on the list is refused', () => {
    expect(() => authenticator.authenticate(fakeRequest('/', { headers, proxyCertificate: certificate('other') }))).toThrow(
      'is not allowed',
    )
  })
})

describe('bearer tokens', () => {
  const tokens = staticTokenAuthenticator('# first\nabc,jane,u1,"dev,ops"\n\nxyz,joe,\n')
  const authenticator = bearerTokenAuthenticator(tokens)
  const bearer = (token: string) => fakeRequest('/', { headers: { authorization: `Bearer ${token}` } })

  test('the token file names user, uid and groups', () => {
    expect(authenticator.authenticate(bearer('abc'))).toEqual({ name: 'jane', uid: 'u1', groups: ['dev', 'ops', 'system:authenticated'] })
    expect(authenticator.authenticate(bearer('xyz'))).toEqual({ name: 'joe', groups: ['system:authenticated'] })
  })

  test('an unknown token is an error, not anonymous', () => {
    expect(unionAuthenticator([authenticator], { anonymous: true }).authenticate(bearer('nope'))).toBeUndefined()
  })

  test('another scheme is no token', () => {
    expect(authenticator.authenticate(fakeRequest('/', { headers: { authorization: 'Basic abc' } }))).toBeUndefined()
  })

  test('a WebSocket may carry the token as a subprotocol, beside another one', () => {
    const upgrade = { accept: () => undefined as never }
    const protocol = `base64url.bearer.authorization.k8s.io.${Buffer.from('abc').toString('base64url')}`
    const ask = (protocols: string) =>
      authenticator.authenticate(fakeRequest('/', { upgrade, headers: { upgrade: 'websocket', 'sec-websocket-protocol': protocols } }))
    expect(ask(`${protocol}, v5.channel.k8s.io`)?.name).toBe('jane')
    expect(() => ask(protocol)).toThrow('missing additional subprotocol')
    expect(() => ask(`${protocol},${protocol},x`)).toThrow('multiple')
    expect(withoutTokenProtocol(`${protocol}, v5.channel.k8s.io`)).toBe('v5.channel.k8s.io')
  })
})

describe('bootstrap tokens', () => {
  const reader = fakeReader()
  const base64 = (data: Record<string, string>) =>
    Object.fromEntries(Object.entries(data).map(([k, v]) => [k, Buffer.from(v).toString('base64')]))
  const good = {
    'token-id': 'abcdef',
    'token-secret': '0123456789abcdef',
    'usage-bootstrap-authentication': 'true',
    'auth-extra-groups': 'system:bootstrappers:kubeadm:default-node-token',
    expiration: '2026-01-02T00:00:00Z',
  }
  const put = (data: Record<string, string>) =>
    reader.put(Secret, {
      metadata: { name: 'bootstrap-token-abcdef', namespace: 'kube-system' },
      type: 'bootstrap.kubernetes.io/token',
      data: base64(data),
    })
  const ask = (token = 'abcdef.0123456789abcdef') => bootstrapTokenAuthenticator({ reader, clock }).authenticateToken(token, [])

  test('a token in a secret is a bootstrapper with the secret’s groups', () => {
    put(good)
    expect(ask()?.user).toEqual({
      name: 'system:bootstrap:abcdef',
      groups: ['system:bootstrappers', 'system:bootstrappers:kubeadm:default-node-token', 'system:authenticated'],
    })
  })

  test.each([
    ['a wrong secret', good, 'abcdef.0000000000000000'],
    ['no token of this form', good, 'abcdef'],
    ['one that has expired', { ...good, expiration: '2025-12-31T00:00:00Z' }, undefined],
    ['one whose expiration cannot be read', { ...good, expiration: 'soon' }, undefined],
    ['one that is not for authentication', { ...good, 'usage-bootstrap-authentication': 'false' }, undefined],
    ['one with groups of others', { ...good, 'auth-extra-groups': 'system:masters' }, undefined],
  ])('%s is not known', (_, data, token) => {
    put(data)
    expect(ask(token)).toBeUndefined()
  })
})

describe('service-account tokens', () => {
  const issuer = 'https://kubernetes.default.svc'
  const key = signingKey(createPrivateKey(createPrivateKeyPem()))
  const account = { name: 'web', uid: 'sa-1' }
  const pod = { name: 'p', uid: 'pod-1' }

  function setUp(audiences: readonly string[] = [issuer]) {
    const reader = fakeReader()
    const time = new FakeClock()
    let keys = [key]
    reader.put(ServiceAccount, { metadata: { namespace: 'a', name: 'web', uid: 'sa-1' } })
    reader.put(Pod, { metadata: { namespace: 'a', name: 'p', uid: 'pod-1' } })
    reader.put(Node, { metadata: { name: 'n', uid: 'node-1' } })
    const claims = { namespace: 'a', serviceAccount: account, pod, audiences, expiresAtMs: time.now() + 3_600_000 }
    const options = { reader, clock: time, issuers: [issuer], audiences: [issuer], keys: () => keys }
    return {
      reader,
      time,
      authenticator: serviceAccountTokenAuthenticator(options),
      issue: (more: object = {}, signer = key) => issueToken({ ...claims, ...more }, { issuer, key: signer, nowMs: time.now() }),
      setKeys: (next: (typeof key)[]) => {
        keys = next
      },
    }
  }

  test('a token names account, groups, uid and what it is bound to', () => {
    const { authenticator, issue } = setUp()
    const token = issue({ node: { name: 'n', uid: 'node-1' } })
    const found = authenticator.authenticateToken(token, [])
    expect(found?.audiences).toEqual([issuer])
    expect(found?.user).toMatchObject({
      name: 'system:serviceaccount:a:web',
      uid: 'sa-1',
      groups: ['system:serviceaccounts', 'system:serviceaccounts:a', 'system:authenticated'],
      extra: {
        'authentication.kubernetes.io/pod-name': ['p'],
        'authentication.kubernetes.io/pod-uid': ['pod-1'],
        'authentication.kubernetes.io/node-name': ['n'],
        'authentication.kubernetes.io/node-uid': ['node-1'],
        'authentication.kubernetes.io/credential-id': [expect.stringMatching(/^JTI=/)],
      },
    })
  })

  test('MUSTHOLD 14: a bound token dies with its pod, at once, even when it was used before', () => {
    const { authenticator, issue, reader } = setUp()
    const token = issue()
    expect(authenticator.authenticateToken(token, [])).toBeDefined()
    reader.remove(Pod, 'a', 'p')
    expect(() => authenticator.authenticateToken(token, [])).toThrow('service account token has been invalidated')
    reader.put(Pod, { metadata: { namespace: 'a', name: 'p', uid: 'pod-2' } })
    expect(() => authenticator.authenticateToken(token, [])).toThrow('does not match service account pod ref claim (')
  })

  test('MUSTHOLD 14: a token dies with its account, and with an account of the same name made anew', () => {
    const { authenticator, issue, reader } = setUp()
    const token = issue()
    reader.put(ServiceAccount, { metadata: { namespace: 'a', name: 'web', uid: 'sa-2' } })
    expect(() => authenticator.authenticateToken(token, [])).toThrow('service account UID (sa-2) does not match claim (sa-1)')
    reader.remove(ServiceAccount, 'a', 'web')
    expect(() => authenticator.authenticateToken(token, [])).toThrow('serviceaccounts "web" not found')
  })

  test('MUSTHOLD 14: a token bound to a node dies with the node', () => {
    const { authenticator, issue, reader } = setUp()
    const token = issue({ pod: undefined, node: { name: 'n', uid: 'node-1' } })
    expect(authenticator.authenticateToken(token, [])).toBeDefined()
    reader.remove(Node, '', 'n')
    expect(() => authenticator.authenticateToken(token, [])).toThrow('service account token has been invalidated')
  })

  test('MUSTHOLD 14: a token for other ears is refused here, and accepted where it belongs', () => {
    const { authenticator, issue } = setUp(['vault'])
    expect(() => authenticator.authenticateToken(issue(), [])).toThrow('is invalid for the target audiences')
    expect(authenticator.authenticateToken(issue(), ['vault', 'x'])?.audiences).toEqual(['vault'])
  })

  test('MUSTHOLD 14: an expired token is refused', async () => {
    const { authenticator, issue, time } = setUp()
    const token = issue()
    expect(authenticator.authenticateToken(token, [])).toBeDefined()
    await time.advance(3_600_000 + 61_000)
    expect(() => authenticator.authenticateToken(token, [])).toThrow('has expired')
  })

  test('MUSTHOLD 14: a new key logs nobody out, a retired one does', () => {
    const { authenticator, issue, setKeys } = setUp()
    const next = signingKey(createPrivateKey(createPrivateKeyPem()))
    const token = issue()
    setKeys([next, key])
    expect(authenticator.authenticateToken(token, [])).toBeDefined()
    expect(authenticator.authenticateToken(issue({}, next), [])).toBeDefined()
    setKeys([next])
    expect(() => authenticator.authenticateToken(token, [])).toThrow('signature')
  })

  test('tokens of other issuers are left to others; forged ones are refused', () => {
    const { authenticator, issue } = setUp()
    expect(authenticator.authenticateToken(signJwt({ iss: 'https://elsewhere' }, key), [])).toBeUndefined()
    expect(authenticator.authenticateToken('abc', [])).toBeUndefined()
    const stranger = signingKey(createPrivateKey(createPrivateKeyPem()))
    expect(() => authenticator.authenticateToken(issue({}, stranger), [])).toThrow(InvalidCredentials)
    const [head, payload] = issue().split('.')
    const none = Buffer.from('{"alg":"none"}').toString('base64url')
    expect(() => authenticator.authenticateToken(`${none}.${payload}.`, [])).toThrow(InvalidCredentials)
    expect(() => authenticator.authenticateToken(`${head}.${payload}.AAAA`, [])).toThrow(InvalidCredentials)
  })

  test('a token kept in a secret holds as long as it stands there', () => {
    const { authenticator, reader } = setUp()
    const claims = {
      iss: 'kubernetes/serviceaccount',
      sub: 'system:serviceaccount:a:web',
      'kubernetes.io/serviceaccount/namespace': 'a',
      'kubernetes.io/serviceaccount/secret.name': 's',
      'kubernetes.io/serviceaccount/service-account.name': 'web',
      'kubernetes.io/serviceaccount/service-account.uid': 'sa-1',
    }
    const token = signJwt(claims, key)
    expect(() => authenticator.authenticateToken(token, [])).toThrow('Token has been invalidated')
    reader.put(Secret, { metadata: { namespace: 'a', name: 's', uid: 'x' }, data: { token: Buffer.from(token).toString('base64') } })
    expect(authenticator.authenticateToken(token, [])?.user.name).toBe('system:serviceaccount:a:web')
    // It is for the API server and nobody else.
    expect(() => authenticator.authenticateToken(token, ['vault'])).toThrow('is invalid for the target audiences ["vault"]')
    const marked = { namespace: 'a', name: 's', uid: 'x', labels: { 'kubernetes.io/legacy-token-invalid-since': '2026-01-01' } }
    reader.put(Secret, { metadata: marked, data: { token: Buffer.from(token).toString('base64') } })
    expect(() => authenticator.authenticateToken(token, [])).toThrow(
      'the token in secret a/s for service account a/web has been marked invalid.',
    )
    reader.put(Secret, { metadata: { namespace: 'a', name: 's', uid: 'x' }, data: { token: Buffer.from('other').toString('base64') } })
    expect(() => authenticator.authenticateToken(token, [])).toThrow("Token does not match server's copy")
  })
})

describe('several authenticators', () => {
  test('one that fails does not hide one that knows the user', () => {
    const failing: LocalAuthenticator = {
      name: 'failing',
      authenticate: () => {
        throw new InvalidCredentials('bad')
      },
    }
    const tokens = staticTokenAuthenticator('abc,jane,')
    const union = unionAuthenticator([failing, bearerTokenAuthenticator(tokens)], { anonymous: true })
    expect(union.authenticate(fakeRequest('/', { headers: { authorization: 'bearer abc' } }))?.name).toBe('jane')
  })
})
