// The contract of an authenticator, and how several stand together (Kubernetes' order: front proxy, certificate, token,
// anonymous).
import type { Eventual } from '#base/eventual'
import type { ApiRequest, User } from '../request.ts'

export interface Authenticator {
  readonly name: string
  /** The user; undefined when the request carries nothing for this authenticator. Throws InvalidCredentials when it does and it does not hold. */
  authenticate(request: ApiRequest): Eventual<User | undefined>
}

/** An authenticator that never has to wait. */
export interface LocalAuthenticator extends Authenticator {
  authenticate(request: ApiRequest): User | undefined
}

/** Credentials were shown that do not hold. The message is for the log; the client is told 401 and no more. */
export class InvalidCredentials extends Error {
  override readonly name = 'InvalidCredentials'
}

/**
 * The first that knows the user decides. When none does, but one was shown credentials that do not hold, nobody is
 * authenticated: not even as anonymous.
 */
export function unionAuthenticator(authenticators: readonly LocalAuthenticator[], options: UnionOptions): LocalAuthenticator
export function unionAuthenticator(authenticators: readonly Authenticator[], options: UnionOptions): Authenticator
export function unionAuthenticator(authenticators: readonly Authenticator[], { anonymous, onInvalid }: UnionOptions): Authenticator {
  const isAnonymous = typeof anonymous === 'function' ? anonymous : () => anonymous
  return {
    name: 'union',
    authenticate: (request) =>
      firstKnown(
        authenticators,
        (authenticator) => authenticator.authenticate(request),
        (invalid) => {
          if (invalid === undefined) return isAnonymous(request) ? anonymousUser : undefined
          refused.add(request)
          onInvalid?.(request, invalid)
          return undefined
        },
      ),
  }
}

const refused = new WeakSet<ApiRequest>()

/** Whether nobody was known because credentials did not hold, rather than because there were none. */
export function hadInvalidCredentials(request: ApiRequest): boolean {
  return refused.has(request)
}

interface UnionOptions {
  /** Whether who shows nothing is system:anonymous; for all requests, or asked for each. */
  readonly anonymous: boolean | ((request: ApiRequest) => boolean)
  readonly onInvalid?: (request: ApiRequest, error: InvalidCredentials) => void
}

/** Asks one after another until one knows; else what `otherwise` makes of the first credentials that did not hold, if there were such. */
export function firstKnown<A, T>(
  among: readonly A[],
  ask: (one: A) => Eventual<T | undefined>,
  otherwise: (invalid: InvalidCredentials | undefined) => T | undefined,
  from = 0,
  before?: InvalidCredentials,
): Eventual<T | undefined> {
  let invalid = before
  const failed = (error: unknown): undefined => {
    if (!(error instanceof InvalidCredentials)) throw error
    invalid ??= error
    return undefined
  }
  for (let i = from; i < among.length; i++) {
    try {
      const found = ask(among[i]!)
      if (found instanceof Promise) {
        return found.catch(failed).then((known) => known ?? firstKnown(among, ask, otherwise, i + 1, invalid))
      }
      if (found !== undefined) return found
    } catch (error) {
      failed(error)
    }
  }
  return otherwise(invalid)
}

export const anonymousUser: User = Object.freeze({
  name: 'system:anonymous',
  groups: Object.freeze(['system:unauthenticated']) as readonly string[],
})

/** The user with the group that all who are known have. */
export function authenticated(user: User): User {
  if (user.groups.includes('system:authenticated') || user.groups.includes('system:unauthenticated')) return user
  return { ...user, groups: [...user.groups, 'system:authenticated'] }
}
