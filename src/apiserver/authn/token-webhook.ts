// Tokens that another server knows: it is asked by a TokenReview, and its answers are remembered for a while.
import type { TokenReviewStatus } from '#api/generated/authentication-v1'
import type { ReviewWebhook } from '../configuration/review-webhook.ts'
import { authenticated, InvalidCredentials } from './authenticator.ts'
import type { TokenAuthenticator } from './tokens.ts'

export interface TokenWebhookSettings {
  /** Of authentication.k8s.io: what is sent and expected. */
  readonly version: 'v1' | 'v1beta1'
  /** What tokens for this server are for. */
  readonly audiences: readonly string[]
  readonly webhook: ReviewWebhook
}

export function tokenWebhook({ version, audiences: own, webhook }: TokenWebhookSettings): TokenAuthenticator {
  return {
    name: 'token-webhook',
    async authenticateToken(token, asked) {
      const wanted = asked.length === 0 ? own : asked
      const body = { apiVersion: `authentication.k8s.io/${version}`, kind: 'TokenReview', metadata: {}, spec: { token, audiences: wanted } }
      let answer: Record<string, unknown>
      try {
        answer = await webhook.review(body)
      } catch (error) {
        throw new InvalidCredentials((error as Error).message, { cause: error })
      }
      const { authenticated: known, user, audiences = [], error } = (answer['status'] ?? {}) as TokenReviewStatus
      // One that says nothing of audiences knows the API server's own.
      const meant = wanted.filter((audience) => (audiences.length > 0 ? audiences : own).includes(audience))
      if (known && wanted.length > 0 && meant.length === 0) return undefined
      if (!known) {
        if (error) throw new InvalidCredentials(error)
        return undefined
      }
      const { username = '', uid, groups = [], extra } = user ?? {}
      return {
        user: authenticated({ name: username, groups, ...(uid ? { uid } : {}), ...(extra === undefined ? {} : { extra }) }),
        audiences: meant,
      }
    },
  }
}
