// JSON Web Tokens (RFC 7519): signed in the two forms that service accounts use, ES256 and RS256; verified in all asymmetric forms of
// RFC 7518. Strict: the algorithm is one of the key's own, never the token's choice. With node:crypto, because a library costs more
// start-up time and memory than all of authentication.
import { constants, createHash, createPublicKey, type KeyObject, sign, verify } from 'node:crypto'

export const jwtAlgorithms = ['ES256', 'ES384', 'ES512', 'PS256', 'PS384', 'PS512', 'RS256', 'RS384', 'RS512'] as const
export type JwtAlgorithm = (typeof jwtAlgorithms)[number]

/** A key that verifies tokens. */
export interface VerificationKey {
  readonly id: string
  readonly algorithm: JwtAlgorithm
  /** Others that it may be used with; absent: none. */
  readonly otherAlgorithms?: readonly JwtAlgorithm[]
  readonly publicKey: KeyObject
}

/** A key that signs them as well. */
export interface SigningKey extends VerificationKey {
  readonly privateKey: KeyObject
}

/** The token is none, or its signature does not hold. */
export class JwtError extends Error {
  override readonly name = 'JwtError'
}

const tokenCharsMax = 16_384

/** A verification key from a public (or private) key; its id is the hash of its public part, as Kubernetes names keys. */
export function verificationKey(key: KeyObject): VerificationKey {
  const publicKey = key.type === 'private' ? createPublicKey(key.export({ type: 'pkcs8', format: 'pem' })) : key
  const der = publicKey.export({ type: 'spki', format: 'der' })
  return { id: createHash('sha256').update(der).digest('base64url'), algorithm: algorithmOf(publicKey), publicKey }
}

export function signingKey(privateKey: KeyObject): SigningKey {
  return { ...verificationKey(privateKey), privateKey }
}

function algorithmOf(key: KeyObject): JwtAlgorithm {
  if (key.asymmetricKeyType === 'rsa') return 'RS256'
  if (key.asymmetricKeyType === 'ec' && key.asymmetricKeyDetails?.namedCurve === 'prime256v1') return 'ES256'
  throw new Error(`a key of type ${key.asymmetricKeyType} cannot sign tokens: use RSA or EC P-256`)
}

export function signJwt(claims: Readonly<Record<string, unknown>>, key: SigningKey): string {
  const head = base64url(JSON.stringify({ alg: key.algorithm, kid: key.id }))
  const content = `${head}.${base64url(JSON.stringify(claims))}`
  const signature = sign('sha256', Buffer.from(content), { key: key.privateKey, dsaEncoding: 'ieee-p1363' })
  return `${content}.${signature.toString('base64url')}`
}

/**
 * The claims of a token that one of `keys` signed. Checks the signature alone: times, audience and issuer are the caller's.
 * Throws JwtError.
 */
export function verifyJwt(token: string, keys: readonly VerificationKey[]): Record<string, unknown> {
  const parts = token.split('.')
  if (parts.length !== 3 || token.length > tokenCharsMax) throw new JwtError('not a JSON Web Token')
  const [head = '', payload = '', signatureText = ''] = parts
  const { alg, kid, crit } = jsonObject(head)
  if (crit !== undefined) throw new JwtError('the token has critical extensions')
  const content = Buffer.from(`${head}.${payload}`)
  const signature = Buffer.from(signatureText, 'base64url')
  for (const key of keys) {
    if (typeof kid === 'string' && kid !== '' && kid !== key.id) continue
    const algorithm = key.algorithm === alg ? key.algorithm : key.otherAlgorithms?.find((other) => other === alg)
    if (algorithm !== undefined && signatureHolds(algorithm, key.publicKey, content, signature)) return jsonObject(payload)
  }
  throw new JwtError('the signature of the token does not hold')
}

function signatureHolds(algorithm: JwtAlgorithm, key: KeyObject, content: Buffer, signature: Buffer): boolean {
  const hash = `sha${algorithm.slice(2)}`
  if (!algorithm.startsWith('PS')) return verify(hash, content, { key, dsaEncoding: 'ieee-p1363' }, signature)
  const { RSA_PKCS1_PSS_PADDING: padding, RSA_PSS_SALTLEN_DIGEST: saltLength } = constants
  return verify(hash, content, { key, padding, saltLength }, signature)
}

const curves: Readonly<Record<string, JwtAlgorithm>> = { prime256v1: 'ES256', secp384r1: 'ES384', secp521r1: 'ES512' }

/** The algorithms that a public key can be used with; empty: it can verify no token. */
export function algorithmsOf(key: KeyObject): readonly JwtAlgorithm[] {
  if (key.asymmetricKeyType === 'rsa') return jwtAlgorithms.filter((algorithm) => !algorithm.startsWith('E'))
  const curve = key.asymmetricKeyType === 'ec' ? curves[key.asymmetricKeyDetails?.namedCurve ?? ''] : undefined
  return curve === undefined ? [] : [curve]
}

/** The claims as they stand, unverified: only to decide who might verify them. Undefined when the token is none. */
export function peekJwt(token: string): Record<string, unknown> | undefined {
  if (token.length > tokenCharsMax) return undefined
  const [, payload, , more] = token.split('.')
  if (payload === undefined || more !== undefined) return undefined
  try {
    return jsonObject(payload)
  } catch {
    return undefined
  }
}

/** The public part as a JSON Web Key (RFC 7517), for a JWKS document. */
export function publicJwk({ publicKey, id, algorithm }: VerificationKey): Record<string, unknown> {
  return { use: 'sig', kid: id, alg: algorithm, ...publicKey.export({ format: 'jwk' }) }
}

function base64url(text: string): string {
  return Buffer.from(text).toString('base64url')
}

function jsonObject(encoded: string): Record<string, unknown> {
  let value: unknown
  try {
    value = JSON.parse(Buffer.from(encoded, 'base64url').toString('utf8'))
  } catch {
    throw new JwtError('a part of the token is not JSON')
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value)) throw new JwtError('a part of the token is not a JSON object')
  return value as Record<string, unknown>
}
