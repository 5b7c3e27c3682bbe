// Service-account tokens: issued bound to audience, time and object, verified by signature once and by what they are bound to
// each time (KEP-1205, KEP-4193). A token dies with its pod, node, secret or account.
import { randomUUID } from 'node:crypto'
import type { Kind } from '#api/kind'
import { Node } from '#api/kinds/core/node'
import { Pod } from '#api/kinds/core/pod'
import { Secret } from '#api/kinds/core/secret'
import { ServiceAccount } from '#api/kinds/core/service-account'
import type { KubeObject } from '#api/object'
import type { Clock } from '#base/clock'
import { JwtError, peekJwt, type SigningKey, signJwt, type VerificationKey, verifyJwt } from '#platform/jwt'
import type { LocalReader, User } from '../request.ts'
import { authenticated, InvalidCredentials } from './authenticator.ts'
import type { TokenAuthenticator } from './tokens.ts'

/** An object that a token is bound to. */
export interface BoundObject {
  readonly name: string
  /** Absent for a node that was not there when the token was made. */
  readonly uid?: string
}

export interface TokenClaims {
  readonly namespace: string
  readonly serviceAccount: BoundObject
  readonly pod?: BoundObject
  readonly node?: BoundObject
  readonly secret?: BoundObject
  readonly audiences: readonly string[]
  /** Milliseconds since the epoch. */
  readonly expiresAtMs: number
}

/** Signs a token. */
export function issueToken(claims: TokenClaims, { issuer, key, nowMs }: { issuer: string; key: SigningKey; nowMs: number }): string {
  const seconds = Math.floor(nowMs / 1000)
  const { namespace, serviceAccount, pod, node, secret } = claims
  return signJwt(
    {
      aud: claims.audiences,
      exp: Math.floor(claims.expiresAtMs / 1000),
      iat: seconds,
      iss: issuer,
      jti: randomUUID(),
      'kubernetes.io': { namespace, node, pod, secret, serviceaccount: serviceAccount },
      nbf: seconds,
      sub: serviceAccountUser(namespace, serviceAccount.name),
    },
    key,
  )
}

/** The user name of a service account. */
export function serviceAccountUser(namespace: string, name: string): string {
  return `system:serviceaccount:${namespace}:${name}`
}

export interface ServiceAccountTokenOptions {
  readonly reader: LocalReader
  readonly clock: Clock
  /** The first issues tokens, all are accepted (so that the issuer can change). */
  readonly issuers: readonly string[]
  /** The API server's own audiences. */
  readonly audiences: readonly string[]
  /** Asked each time, so that keys can be added and retired. */
  readonly keys: () => readonly VerificationKey[]
}

// What a verified signature says; everything that can change is looked at anew with each use.
interface VerifiedToken {
  readonly keys: readonly VerificationKey[]
  readonly audiences: readonly string[]
  readonly notBeforeMs: number
  readonly expiresAtMs: number
  readonly namespace: string
  readonly account: BoundObject
  readonly pod: BoundObject | undefined
  readonly node: BoundObject | undefined
  readonly secret: BoundObject | undefined
  /** Of a token kept in a secret: it must still be the one that stands there. */
  readonly legacy: boolean
  readonly user: User
}

const legacyIssuer = 'kubernetes/serviceaccount'
const verifiedMax = 1_000
/** Objects may be deleted a little before their tokens are noticed to be dead; clocks may be apart by as much. */
const leewayMs = 60_000

export function serviceAccountTokenAuthenticator(options: ServiceAccountTokenOptions): TokenAuthenticator {
  // Verified tokens, oldest first.
  const verified = new Map<string, VerifiedToken>()
  const verify = (token: string, keys: readonly VerificationKey[]): VerifiedToken => {
    let found = verified.get(token)
    if (found?.keys === keys) return found
    try {
      found = readClaims(verifyJwt(token, keys), keys)
    } catch (error) {
      if (error instanceof JwtError) throw new InvalidCredentials(error.message, { cause: error })
      throw error
    }
    if (verified.size >= verifiedMax) verified.delete(verified.keys().next().value!)
    verified.set(token, found)
    return found
  }
  return {
    name: 'service-account',
    authenticateToken(token, audiences) {
      const keys = options.keys()
      if (!verified.has(token)) {
        const issuer = peekJwt(token)?.['iss']
        if (issuer !== legacyIssuer && !options.issuers.includes(issuer as string)) return undefined
      }
      const claims = verify(token, keys)
      const wanted = audiences.length === 0 ? options.audiences : audiences
      const matching = claims.legacy ? wanted : wanted.filter((audience) => claims.audiences.includes(audience))
      if (matching.length === 0)
        throw new InvalidCredentials(`token audiences ${JSON.stringify(claims.audiences)} is invalid for the target audiences`)
      checkTimes(claims, options.clock.now())
      checkBindings(claims, token, options.reader, options.clock.now())
      return { user: claims.user, audiences: matching }
    },
  }
}

function readClaims(claims: Record<string, unknown>, keys: readonly VerificationKey[]): VerifiedToken {
  const legacy = claims['iss'] === legacyIssuer
  const detail = legacy ? legacyDetail(claims) : asRecord(claims['kubernetes.io'])
  const namespace = textOf(detail['namespace'])
  const account = boundOf(detail['serviceaccount'])
  if (namespace === '' || account === undefined || claims['sub'] !== serviceAccountUser(namespace, account.name)) {
    throw new InvalidCredentials('the token does not name its service account')
  }
  if (!legacy && typeof claims['exp'] !== 'number') throw new InvalidCredentials('the token does not expire')
  const { aud } = claims
  const pod = boundOf(detail['pod'])
  const node = boundOf(detail['node'])
  return {
    keys,
    legacy,
    namespace,
    account,
    pod,
    node,
    secret: boundOf(detail['secret']),
    audiences: Array.isArray(aud) ? aud.map(textOf) : typeof aud === 'string' ? [aud] : [],
    notBeforeMs: typeof claims['nbf'] === 'number' ? claims['nbf'] * 1000 : 0,
    expiresAtMs: typeof claims['exp'] === 'number' ? claims['exp'] * 1000 : Number.POSITIVE_INFINITY,
    user: userOf(namespace, account, pod, node, textOf(claims['jti'])),
  }
}

// Tokens that Kubernetes before 1.24 kept in secrets, flat claims.
function legacyDetail(claims: Record<string, unknown>): Record<string, unknown> {
  const read = (name: string): string => textOf(claims[`kubernetes.io/serviceaccount/${name}`])
  return {
    namespace: read('namespace'),
    serviceaccount: { name: read('service-account.name'), uid: read('service-account.uid') },
    secret: { name: read('secret.name'), uid: '' },
  }
}

function userOf(
  namespace: string,
  account: BoundObject,
  pod: BoundObject | undefined,
  node: BoundObject | undefined,
  tokenId: string,
): User {
  const extra: Record<string, string[]> = {}
  if (tokenId !== '') extra['authentication.kubernetes.io/credential-id'] = [`JTI=${tokenId}`]
  if (node !== undefined) {
    extra['authentication.kubernetes.io/node-name'] = [node.name]
    if (node.uid) extra['authentication.kubernetes.io/node-uid'] = [node.uid]
  }
  if (pod !== undefined) {
    extra['authentication.kubernetes.io/pod-name'] = [pod.name]
    extra['authentication.kubernetes.io/pod-uid'] = [pod.uid ?? '']
  }
  return authenticated({
    name: serviceAccountUser(namespace, account.name),
    uid: account.uid ?? '',
    groups: ['system:serviceaccounts', `system:serviceaccounts:${namespace}`],
    ...(Object.keys(extra).length === 0 ? {} : { extra }),
  })
}

function checkTimes({ notBeforeMs, expiresAtMs }: VerifiedToken, nowMs: number): void {
  if (nowMs > expiresAtMs + leewayMs) throw new InvalidCredentials('service account token has expired')
  if (nowMs < notBeforeMs - leewayMs) throw new InvalidCredentials('service account token is not valid yet')
}

function checkBindings(claims: VerifiedToken, token: string, reader: LocalReader, nowMs: number): void {
  const { namespace, account, pod, node, secret, legacy } = claims
  const alive = <T extends KubeObject>(kind: Kind<T>, objectNamespace: string, bound: BoundObject, checkUid = true): T => {
    const object = reader.get(kind, objectNamespace, bound.name)
    const deletedAt = object?.metadata.deletionTimestamp
    if (object === undefined || (deletedAt !== undefined && Date.parse(deletedAt) < nowMs - leewayMs)) {
      throw new InvalidCredentials(`service account token has been invalidated: its ${kind.singular} is gone`)
    }
    if (checkUid && object.metadata.uid !== bound.uid) {
      throw new InvalidCredentials(`service account token has been invalidated: the UID of its ${kind.singular} does not match`)
    }
    return object
  }
  alive(ServiceAccount, namespace, account)
  if (secret !== undefined) {
    const held = alive(Secret, namespace, secret, !legacy)
    if (legacy && Buffer.from(held.data?.['token'] ?? '', 'base64').toString('utf8') !== token) {
      throw new InvalidCredentials('service account token has been invalidated: its secret holds another')
    }
  } else if (legacy) throw new InvalidCredentials('a token without a time to live must be kept in a secret')
  if (pod !== undefined) alive(Pod, namespace, pod)
  if (node !== undefined && pod === undefined) alive(Node, '', node)
}

function asRecord(value: unknown): Record<string, unknown> {
  return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : {}
}

function textOf(value: unknown): string {
  return typeof value === 'string' ? value : ''
}

function boundOf(value: unknown): BoundObject | undefined {
  const { name, uid } = asRecord(value)
  return typeof name === 'string' && name !== '' ? { name, uid: textOf(uid) } : undefined
}
