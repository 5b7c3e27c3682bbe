// Service-account tokens: issued bound to audience, time and object, verified by signature once and by what they are bound to
// each time (KEP-1205, KEP-4193). A token dies with its pod, node, secret or account.
import { randomUUID } from 'node:crypto'
import type { Kind } from '#api/kind'
import { Node } from '#api/kinds/core/node'
import { Pod } from '#api/kinds/core/pod'
import { Secret } from '#api/kinds/core/secret'
import { ServiceAccount } from '#api/kinds/core/service-account'
import type { KubeObject } from '#api/object'
import { goQuote } from '#api/validation/text'
import type { Clock } from '#base/clock'
import { JwtError, peekJwt, type SigningKey, signJwt, type VerificationKey, verifyJwt } from '#platform/jwt'
import type { LocalReader, User } from '../request.ts'
import { authenticated, InvalidCredentials } from './authenticator.ts'
import type { LocalTokenAuthenticator } from './tokens.ts'

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
  /** From when on the token's use is noted: it should have been replaced by then. */
  readonly warnAfterMs?: number
}

/** Signs a token. */
export function issueToken(claims: TokenClaims, { issuer, key, nowMs }: { issuer: string; key: SigningKey; nowMs: number }): string {
  const seconds = Math.floor(nowMs / 1000)
  const { namespace, serviceAccount, pod, node, secret, warnAfterMs } = claims
  const warnafter = warnAfterMs === undefined ? undefined : Math.floor(warnAfterMs / 1000)
  return signJwt(
    {
      aud: claims.audiences,
      exp: Math.floor(claims.expiresAtMs / 1000),
      iat: seconds,
      iss: issuer,
      jti: randomUUID(),
      'kubernetes.io': { namespace, node, pod, secret, serviceaccount: serviceAccount, warnafter },
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
  readonly issuedAtMs: number
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

export function serviceAccountTokenAuthenticator(options: ServiceAccountTokenOptions): LocalTokenAuthenticator {
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
      const meant = claims.audiences.length === 0 ? options.audiences : claims.audiences
      const matching = wanted.filter((audience) => meant.includes(audience))
      if (matching.length === 0) {
        throw new InvalidCredentials(`token audiences ${goList(meant)} is invalid for the target audiences ${goList(wanted)}`)
      }
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
    issuedAtMs: typeof claims['iat'] === 'number' ? claims['iat'] * 1000 : 0,
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

function goList(values: readonly string[]): string {
  return `[${values.map(goQuote).join(' ')}]`
}

function checkTimes({ notBeforeMs, issuedAtMs, expiresAtMs }: VerifiedToken, nowMs: number): void {
  if (nowMs > expiresAtMs + leewayMs) throw new InvalidCredentials('service account token has expired')
  if (nowMs < notBeforeMs - leewayMs) throw new InvalidCredentials('service account token is not valid yet')
  if (nowMs < issuedAtMs - leewayMs) throw new InvalidCredentials('service account token is issued in the future')
}

function isGone(object: KubeObject | undefined, nowMs: number): boolean {
  const deletedAt = object?.metadata.deletionTimestamp
  return object === undefined || (deletedAt !== undefined && Date.parse(deletedAt) < nowMs - leewayMs)
}

function checkBindings(claims: VerifiedToken, token: string, reader: LocalReader, nowMs: number): void {
  if (claims.legacy) return checkKept(claims, token, reader)
  const { namespace, account, pod, node, secret } = claims
  const holder = reader.get(ServiceAccount, namespace, account.name)
  if (holder === undefined) throw new InvalidCredentials(`serviceaccounts ${goQuote(account.name)} not found`)
  if (holder.metadata.uid !== account.uid) {
    throw new InvalidCredentials(`service account UID (${holder.metadata.uid}) does not match claim (${account.uid})`)
  }
  if (isGone(holder, nowMs)) throw new InvalidCredentials(`service account ${namespace}/${account.name} has been deleted`)
  const alive = (kind: Kind, objectNamespace: string, bound: BoundObject, what: string): void => {
    const object = reader.get(kind, objectNamespace, bound.name)
    if (object === undefined) throw new InvalidCredentials(invalidated)
    if (object.metadata.uid !== bound.uid) {
      throw new InvalidCredentials(
        `${kind.kind === 'Pod' ? 'pod' : kind.kind} UID (${object.metadata.uid}) does not match service account ${what} ref claim (${bound.uid})`,
      )
    }
    if (isGone(object, nowMs)) throw new InvalidCredentials(invalidated)
  }
  if (secret !== undefined) alive(Secret as Kind, namespace, secret, 'secret')
  if (pod !== undefined) alive(Pod as Kind, namespace, pod, 'pod')
  if (node !== undefined && pod === undefined) alive(Node as Kind, '', node, 'node')
}

const invalidated = 'service account token has been invalidated'
const invalidSinceLabel = 'kubernetes.io/legacy-token-invalid-since'

// A token that is kept in a Secret: it holds as long as it stands there.
function checkKept({ namespace, account, secret }: VerifiedToken, token: string, reader: LocalReader): void {
  const kept = secret === undefined ? undefined : reader.get(Secret, namespace, secret.name)
  if (kept === undefined || kept.metadata.deletionTimestamp !== undefined) throw new InvalidCredentials('Token has been invalidated')
  if (Buffer.from(kept.data?.['token'] ?? '', 'base64').toString('utf8') !== token) {
    throw new InvalidCredentials("Token does not match server's copy")
  }
  const holder = reader.get(ServiceAccount, namespace, account.name)
  if (holder === undefined) throw new InvalidCredentials(`serviceaccounts ${goQuote(account.name)} not found`)
  if (holder.metadata.deletionTimestamp !== undefined) {
    throw new InvalidCredentials(`ServiceAccount ${namespace}/${account.name} has been deleted`)
  }
  if (holder.metadata.uid !== account.uid) {
    throw new InvalidCredentials(`ServiceAccount UID (${holder.metadata.uid}) does not match claim (${account.uid})`)
  }
  if (kept.metadata.labels?.[invalidSinceLabel]) {
    throw new InvalidCredentials(
      `the token in secret ${namespace}/${secret!.name} for service account ${namespace}/${account.name} has been marked invalid. Use tokens from the TokenRequest API or manually created secret-based tokens, or remove the '${invalidSinceLabel}' label from the secret to temporarily allow use of this token`,
    )
  }
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
