// Tokens: what is signed verifies, what is changed does not, and the key decides the algorithm.
import { createHmac, createPrivateKey, generateKeyPairSync } from 'node:crypto'
import { describe, expect, test } from 'vitest'
import { JwtError, peekJwt, publicJwk, signingKey, signJwt, verificationKey, verifyJwt } from './jwt.ts'

const ec = signingKey(generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey)
const rsa = signingKey(generateKeyPairSync('rsa', { modulusLength: 2048 }).privateKey)
const base64url = (value: unknown): string => Buffer.from(JSON.stringify(value)).toString('base64url')

describe('JSON Web Tokens', () => {
  test.each([
    ['ES256', ec],
    ['RS256', rsa],
  ] as const)('%s: what is signed verifies', (algorithm, key) => {
    const token = signJwt({ sub: 'jané', n: 1 }, key)
    expect(JSON.parse(Buffer.from(token.split('.')[0]!, 'base64url').toString())).toEqual({ alg: algorithm, kid: key.id })
    expect(verifyJwt(token, [ec, rsa])).toEqual({ sub: 'jané', n: 1 })
    expect(peekJwt(token)).toEqual({ sub: 'jané', n: 1 })
  })

  test('another key, another payload, no signature: refused', () => {
    const token = signJwt({ sub: 'a' }, ec)
    const [head, , signature] = token.split('.')
    const refused = [
      () => verifyJwt(token, [rsa]),
      () => verifyJwt(`${head}.${base64url({ sub: 'b' })}.${signature}`, [ec]),
      () => verifyJwt(`${head}.${base64url({ sub: 'a' })}.`, [ec]),
      () => verifyJwt('abc', [ec]),
      () => verifyJwt('a.b.c', [ec]),
      () => verifyJwt(`${base64url([1])}.${base64url({})}.x`, [ec]),
      () => verifyJwt('x'.repeat(20_000), [ec]),
    ]
    for (const attempt of refused) expect(attempt).toThrow(JwtError)
  })

  test('the token does not choose the algorithm', () => {
    const payload = base64url({ sub: 'root' })
    const none = base64url({ alg: 'none' })
    expect(() => verifyJwt(`${none}.${payload}.`, [ec])).toThrow(JwtError)
    // A public key taken for a shared secret.
    const hs = base64url({ alg: 'HS256', kid: rsa.id })
    const pem = rsa.publicKey.export({ type: 'spki', format: 'pem' })
    const mac = createHmac('sha256', pem).update(`${hs}.${payload}`).digest('base64url')
    expect(() => verifyJwt(`${hs}.${payload}.${mac}`, [rsa])).toThrow(JwtError)
    const critical = base64url({ alg: 'ES256', crit: ['b64'] })
    expect(() => verifyJwt(`${critical}.${payload}.x`, [ec])).toThrow('critical extensions')
  })

  test('a key is known by its public part, and shown as such alone', () => {
    const again = verificationKey(createPrivateKey(ec.privateKey.export({ type: 'pkcs8', format: 'pem' })))
    expect(again.id).toBe(ec.id)
    const jwk = publicJwk(ec)
    expect(jwk).toMatchObject({ kty: 'EC', crv: 'P-256', kid: ec.id, use: 'sig', alg: 'ES256' })
    expect(jwk).not.toHaveProperty('d')
  })

  test('keys that cannot sign tokens are refused', () => {
    expect(() => signingKey(generateKeyPairSync('ed25519').privateKey)).toThrow('use RSA or EC P-256')
    expect(() => signingKey(generateKeyPairSync('ec', { namedCurve: 'P-384' }).privateKey)).toThrow('use RSA or EC P-256')
  })
})
