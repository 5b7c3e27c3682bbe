// Remembers whom tokens stand for, for a short time: verifying some takes a signature, a program or a question to another server.
import { createHash } from 'node:crypto'
import type { Clock } from '#base/clock'
import { whenThere } from '#base/eventual'
import type { TokenAuthenticator, TokenUser } from './tokens.ts'

const rememberedMax = 4_096

export interface TokenCacheOptions {
  readonly clock: Clock
  /** How long it is remembered whom a token stands for. */
  readonly knownMs: number
  /** How long it is remembered that nobody knows a token; failures to find out are not remembered. */
  readonly unknownMs: number
}

/** The authenticator, asked about a token once in a while. */
export function rememberTokens(authenticator: TokenAuthenticator, { clock, knownMs, unknownMs }: TokenCacheOptions): TokenAuthenticator {
  const remembered = new Map<string, { readonly found: TokenUser | undefined; readonly untilMs: number }>()
  const remember = (key: string, found: TokenUser | undefined): TokenUser | undefined => {
    const ms = found === undefined ? unknownMs : knownMs
    if (ms <= 0) return found
    // The oldest go first.
    remembered.delete(key)
    if (remembered.size >= rememberedMax) remembered.delete(remembered.keys().next().value!)
    remembered.set(key, { found, untilMs: clock.monotonic() + ms })
    return found
  }
  return {
    name: authenticator.name,
    authenticateToken(token, audiences) {
      const key = keyOf(token, audiences)
      const before = remembered.get(key)
      if (before !== undefined && before.untilMs > clock.monotonic()) return before.found
      return whenThere(authenticator.authenticateToken(token, audiences), (found) => remember(key, found))
    },
  }
}

// The token itself is not kept.
function keyOf(token: string, audiences: readonly string[]): string {
  return createHash('sha256')
    .update(JSON.stringify([token, audiences]))
    .digest('base64')
}
