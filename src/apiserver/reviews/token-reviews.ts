// Who does this token belong to (TokenReview), and who am I (SelfSubjectReview). Kubelets and extension servers ask the first
// for their own clients.
import { badRequest } from '#api/errors'
import type { SelfSubjectReview, TokenReview, TokenReviewStatus, UserInfo } from '#api/generated/authentication-v1'
import { type Clock, timestamp } from '#base/clock'
import { InvalidCredentials } from '../authn/authenticator.ts'
import type { TokenAuthenticator } from '../authn/tokens.ts'
import type { User } from '../request.ts'
import type { CreateHandler } from '../subresources/subresource.ts'

const group = 'authentication.k8s.io'
const apiVersion = `${group}/v1`

export interface TokenReviewDeps {
  readonly tokens: TokenAuthenticator
  readonly clock: Clock
  /** The API server's own audiences. */
  readonly audiences: readonly string[]
}

export function tokenReviewHandlers(deps: TokenReviewDeps): readonly CreateHandler[] {
  return [
    {
      type: 'create',
      group,
      resource: 'tokenreviews',
      subresource: '',
      bodyKinds: [{ apiVersion, kind: 'TokenReview' }],
      async create(body) {
        const review = body as TokenReview
        if ((review.spec.token ?? '') === '') throw badRequest('token is required for TokenReview in authentication')
        return { ...review, status: await reviewToken(deps, review.spec.token, review.spec.audiences ?? []) }
      },
    },
    {
      type: 'create',
      group,
      resource: 'selfsubjectreviews',
      subresource: '',
      bodyKinds: [{ apiVersion, kind: 'SelfSubjectReview' }],
      create: async (body, _target, call) => {
        const { apiVersion: version, kind } = body
        const metadata = { creationTimestamp: timestamp(deps.clock.now()) }
        return { apiVersion: version, kind, metadata, status: { userInfo: userInfo(call.user) } } as unknown as SelfSubjectReview
      },
    },
  ]
}

async function reviewToken({ tokens, audiences }: TokenReviewDeps, token: string, asked: readonly string[]): Promise<TokenReviewStatus> {
  const wanted = asked.length === 0 ? audiences : asked
  const refused = (error?: string): TokenReviewStatus => ({ user: {}, ...(error === undefined ? {} : { error }) })
  try {
    const found = await tokens.authenticateToken(token, wanted)
    if (found === undefined) return refused('invalid bearer token')
    // A token without audiences is one for the API server.
    const meant = found.audiences.length > 0 ? found.audiences : wanted.filter((audience) => audiences.includes(audience))
    if (meant.length === 0) return refused()
    return { authenticated: true, user: userInfo(found.user), audiences: [...meant] }
  } catch (error) {
    if (error instanceof InvalidCredentials) return refused(`[invalid bearer token, ${error.message}]`)
    throw error
  }
}

function userInfo({ name, uid, groups, extra }: User): UserInfo {
  return {
    username: name,
    ...(uid === undefined ? {} : { uid }),
    groups: [...groups],
    ...(extra === undefined ? {} : { extra: { ...extra } }),
  }
}
