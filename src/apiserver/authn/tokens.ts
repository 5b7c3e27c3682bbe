// Bearer tokens: where they stand in a request, and who is asked about them. The token's bytes go nowhere else.

import { type Eventual, whenThere } from '#base/eventual'
import type { ApiRequest, User } from '../request.ts'
import { type Authenticator, firstKnown, InvalidCredentials, type LocalAuthenticator } from './authenticator.ts'

/** Whom a token stands for, and for whose ears: no audiences means it is good for any. */
export interface TokenUser {
  readonly user: User
  readonly audiences: readonly string[]
}

/** One way to know tokens. */
export interface TokenAuthenticator {
  readonly name: string
  /**
   * The user, for a token meant for one of `audiences` (empty: the API server's own). Undefined: not this authenticator's kind
   * of token. Throws InvalidCredentials: it is, and does not hold.
   */
  authenticateToken(token: string, audiences: readonly string[]): Eventual<TokenUser | undefined>
}

/** One that never has to wait. */
export interface LocalTokenAuthenticator extends TokenAuthenticator {
  authenticateToken(token: string, audiences: readonly string[]): TokenUser | undefined
}

export function unionTokenAuthenticator(authenticators: readonly LocalTokenAuthenticator[]): LocalTokenAuthenticator
export function unionTokenAuthenticator(authenticators: readonly TokenAuthenticator[]): TokenAuthenticator
export function unionTokenAuthenticator(authenticators: readonly TokenAuthenticator[]): TokenAuthenticator {
  return {
    name: 'tokens',
    authenticateToken: (token, audiences) =>
      firstKnown(
        authenticators,
        (authenticator) => authenticator.authenticateToken(token, audiences),
        (invalid) => {
          if (invalid !== undefined) throw invalid
          return undefined
        },
      ),
  }
}

const webSocketPrefix = 'base64url.bearer.authorization.k8s.io.'

/** Tokens in the Authorization header, or (browsers cannot set one on a WebSocket) in its subprotocol. */
export function bearerTokenAuthenticator(tokens: LocalTokenAuthenticator): LocalAuthenticator
export function bearerTokenAuthenticator(tokens: TokenAuthenticator): Authenticator
export function bearerTokenAuthenticator(tokens: TokenAuthenticator): Authenticator {
  // A client sends the same header over and over: what was read of it last is kept with its connection. The token itself, not its
  // user: whether it still holds is asked each time.
  const seen = new WeakMap<object, { readonly header: string; readonly token: string }>()
  const tokenFrom = (request: ApiRequest): string | undefined => {
    const { connection } = request
    const header = request.headers['authorization']
    if (connection === undefined || header === undefined) return tokenOf(request)
    const last = seen.get(connection)
    if (last?.header === header) return last.token
    const token = tokenOf(request)
    if (token !== undefined) seen.set(connection, { header, token })
    return token
  }
  return {
    name: 'bearer-token',
    authenticate(request) {
      const token = tokenFrom(request)
      if (token === undefined) return undefined
      return whenThere(tokens.authenticateToken(token, []), (found) => {
        if (found === undefined) throw new InvalidCredentials('invalid bearer token')
        return found.user
      })
    },
  }
}

function tokenOf({ headers, upgrade }: ApiRequest): string | undefined {
  const authorization = headers['authorization']
  if (authorization !== undefined) {
    const match = /^bearer +(\S+) *$/i.exec(authorization)
    if (match !== null) return match[1]
  }
  if (upgrade === undefined || headers['upgrade']?.toLowerCase() !== 'websocket') return undefined
  const protocols = (headers['sec-websocket-protocol'] ?? '').split(',').map((text) => text.trim())
  const carrying = protocols.filter((protocol) => protocol.startsWith(webSocketPrefix))
  if (carrying.length === 0) return undefined
  if (carrying.length > 1) throw new InvalidCredentials('multiple base64.bearer.authorization tokens specified')
  if (protocols.length === 1) throw new InvalidCredentials('missing additional subprotocol')
  const encoded = carrying[0]!.slice(webSocketPrefix.length)
  if (!/^[A-Za-z0-9_-]+$/.test(encoded)) throw new InvalidCredentials('invalid base64.bearer.authorization token encoding')
  return Buffer.from(encoded, 'base64url').toString('utf8')
}

/** The subprotocols without the one that carries a token, for passing the request on. */
export function withoutTokenProtocol(protocols: string): string {
  return protocols
    .split(',')
    .map((text) => text.trim())
    .filter((protocol) => !protocol.startsWith(webSocketPrefix))
    .join(', ')
}
