// Service account tokens for projected volumes: asked for by TokenRequest, bound to the pod, and renewed before they end
// (KEP-1205: at 80 % of their life, or after 24 hours).
import type { TokenRequest } from '#api/generated/authentication-v1'
import type { Pod } from '#api/generated/core-v1'
import { ServiceAccount } from '#api/kinds/core/service-account'
import type { Clock } from '#base/clock'
import type { Random } from '#base/random'
import type { Client } from '#client/client'

const renewAfterMsMax = 24 * 3_600_000
const requestTimeoutMs = 20_000

interface CachedToken {
  readonly token: string
  readonly renewAt: number
  readonly expiresAt: number
}

export interface Tokens {
  /** A valid token of the pod's service account; asked for anew when it is time. */
  get(pod: Pod, audience: string, expirationSeconds: number): Promise<string>
  /** When the pod's next token is to be renewed; undefined when it has none. */
  renewAt(podUid: string): number | undefined
  forget(podUid: string): void
}

export function createTokens({ client, clock, random }: { client: Client; clock: Clock; random: Random }): Tokens {
  const byPod = new Map<string, Map<string, CachedToken>>()

  async function request(pod: Pod, audience: string, expirationSeconds: number): Promise<CachedToken> {
    const body = {
      apiVersion: 'authentication.k8s.io/v1',
      kind: 'TokenRequest',
      spec: {
        audiences: audience === '' ? [] : [audience],
        expirationSeconds,
        boundObjectRef: { apiVersion: 'v1', kind: 'Pod', name: pod.metadata.name, uid: pod.metadata.uid },
      },
    }
    const key = { namespace: pod.metadata.namespace ?? '', name: pod.spec.serviceAccountName || 'default' }
    const timeout = new AbortController()
    const timer = clock.after(requestTimeoutMs, () => timeout.abort(), { background: true })
    try {
      const answer = (await client.createSubresource(ServiceAccount, key, 'token', body, { signal: timeout.signal })) as TokenRequest
      const { token, expirationTimestamp } = answer.status ?? {}
      if (token === undefined) throw new Error('the token request was answered without a token')
      const now = clock.now()
      const expiresAt = expirationTimestamp === undefined ? now + expirationSeconds * 1000 : Date.parse(expirationTimestamp)
      const life = expiresAt - now
      // Spread, so that pods started together do not all ask together for ever.
      const renewAt = now + Math.min(life * 0.8, renewAfterMsMax) - Math.min(10_000 * random(), life * 0.1)
      return { token, renewAt, expiresAt }
    } finally {
      timer.cancel()
    }
  }

  return {
    async get(pod, audience, expirationSeconds) {
      const id = `${audience}\n${expirationSeconds}\n${pod.spec.serviceAccountName ?? ''}`
      const own = byPod.get(pod.metadata.uid) ?? new Map<string, CachedToken>()
      byPod.set(pod.metadata.uid, own)
      const cached = own.get(id)
      const now = clock.now()
      if (cached !== undefined && now < cached.renewAt) return cached.token
      try {
        const fresh = await request(pod, audience, expirationSeconds)
        own.set(id, fresh)
        return fresh.token
      } catch (error) {
        // The old one still serves while the API is away.
        if (cached === undefined || now >= cached.expiresAt) {
          throw new Error(`failed to fetch token: ${error instanceof Error ? error.message : String(error)}`, { cause: error })
        }
        own.set(id, { ...cached, renewAt: now + 30_000 })
        return cached.token
      }
    },
    renewAt(podUid) {
      const own = byPod.get(podUid)
      if (own === undefined || own.size === 0) return undefined
      return Math.min(...[...own.values()].map((t) => t.renewAt))
    },
    forget: (podUid) => void byPod.delete(podUid),
  }
}
