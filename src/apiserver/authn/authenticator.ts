// The contract of an authenticator, and how several stand together (Kubernetes' order: front proxy, certificate, token,
// anonymous).
import type { ApiRequest, User } from '../request.ts'

export interface Authenticator {
  readonly name: string
  /** The user; undefined when the request carries nothing for this authenticator. Throws InvalidCredentials when it does and it does not hold. */
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
export function unionAuthenticator(
  authenticators: readonly Authenticator[],
  { anonymous, onInvalid }: { anonymous: boolean; onInvalid?: (request: ApiRequest, error: InvalidCredentials) => void },
): Authenticator {
  return {
    name: 'union',
    authenticate(request) {
      let invalid: InvalidCredentials | undefined
      for (const authenticator of authenticators) {
        try {
          const user = authenticator.authenticate(request)
          if (user !== undefined) return user
        } catch (error) {
          if (!(error instanceof InvalidCredentials)) throw error
          invalid ??= error
        }
      }
      if (invalid !== undefined) {
        onInvalid?.(request, invalid)
        return undefined
      }
      return anonymous ? anonymousUser : undefined
    },
  }
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
