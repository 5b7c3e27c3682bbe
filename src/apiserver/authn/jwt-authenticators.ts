// The issuers of JSON Web Tokens that the server knows at the moment: those of its configuration, which may be read anew while it runs.
import type { Clock } from '#base/clock'
import { fetchJson, fetchText } from '#platform/fetch-json'
import type { JwtAlgorithm } from '#platform/jwt'
import type { Logger } from '#platform/log'
import type { ConfigFile } from '../configuration/config-file.ts'
import type { ReloadMetrics } from '../configuration/reload-metrics.ts'
import { type JwtAuthenticator, jwtAuthenticator } from './jwt-authenticator.ts'
import {
  anonymousChanged,
  type CompiledJwtAuthenticator,
  type ReadAuthentication,
  readAuthentication,
  sameAnonymous,
} from './jwt-configuration.ts'
import { rememberTokens } from './token-cache.ts'
import { type TokenAuthenticator, unionTokenAuthenticator } from './tokens.ts'

export interface JwtAuthenticatorsDeps {
  readonly read: ReadAuthentication
  /** Where `read` came from, when that may change. */
  readonly file?: ConfigFile
  /** Default: all that there are. */
  readonly algorithms?: readonly JwtAlgorithm[]
  /** Issuers of service-account tokens, which no other may be. */
  readonly taken: readonly string[]
  readonly clock: Clock
  readonly log: Logger
  readonly metrics: ReloadMetrics
  readonly signal: AbortSignal
}

// As long as Kubernetes remembers whom a token stood for.
const knownMs = 10_000
// How long issuers that are new may take to show their keys, and how long those that are gone may still be in use.
const settleMsMax = 60_000
const settleStepMs = 1_000

export function jwtAuthenticators(deps: JwtAuthenticatorsDeps): TokenAuthenticator {
  const { read, file, clock, log, metrics, signal } = deps
  let current = open(read.jwt, deps)
  if (file !== undefined) {
    metrics.began(file.text)
    let newest = 0
    file.follow((text) => {
      newest += 1
      const mine = newest
      const opened = reload(text, read, deps)
      opened.then(
        (next) => {
          if (mine !== newest || signal.aborted) return next.stop()
          current.stop()
          current = next
          metrics.succeeded(text)
          log.info('reloaded authentication config')
        },
        (error: unknown) => {
          metrics.failed()
          log.error('failed to reload authentication config', { error })
        },
      )
    }, signal)
  }
  signal.addEventListener('abort', () => current.stop(), { once: true })
  return { name: 'jwt', authenticateToken: (token, audiences) => current.authenticator.authenticateToken(token, audiences) }

  async function reload(text: string, before: ReadAuthentication, all: JwtAuthenticatorsDeps): Promise<Opened> {
    const next = await readAuthentication(text, all.taken)
    if (!sameAnonymous(before.anonymous, next.anonymous)) throw new Error(anonymousChanged)
    const opened = open(next.jwt, all)
    for (let waitedMs = 0; ; waitedMs += settleStepMs) {
      const settled = await Promise.all(opened.all.map((each) => each.settled()))
      if (settled.every((ready) => ready)) return opened
      if (waitedMs >= settleMsMax || signal.aborted) {
        opened.stop()
        throw new Error('the keys of an issuer cannot be had')
      }
      await clock.sleep(settleStepMs, signal)
    }
  }
}

interface Opened {
  readonly authenticator: TokenAuthenticator
  readonly all: readonly JwtAuthenticator[]
  stop(): void
}

function open(jwt: readonly CompiledJwtAuthenticator[], { algorithms, clock, log }: JwtAuthenticatorsDeps): Opened {
  const end = new AbortController()
  const all = jwt.map((compiled) => {
    const { url, certificateAuthority } = compiled.configuration.issuer
    const ca = certificateAuthority ? { caPem: certificateAuthority } : {}
    return jwtAuthenticator({
      compiled,
      clock,
      signal: end.signal,
      ...(algorithms === undefined ? {} : { algorithms }),
      fetchJson: (from) => fetchJson(from, certificateAuthority || undefined),
      fetchText: (from, token) => fetchText(from, { accept: '*/*', ...ca, ...(token === '' ? {} : { token }) }),
      onError: (error) => log.error('cannot fetch the keys of the issuer', { issuer: url, error }),
    })
  })
  const authenticator = rememberTokens(unionTokenAuthenticator(all), { clock, knownMs, unknownMs: 0 })
  return { authenticator, all, stop: () => end.abort(new Error('the issuer is configured no more')) }
}
