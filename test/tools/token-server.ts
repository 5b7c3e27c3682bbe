// A token server for a registry (CNCF Distribution, "Token Authentication Specification"): gives short-lived tokens to one account, for
// every repository, over GET with basic authentication and over POST as OAuth 2 does.
import { randomUUID, sign } from 'node:crypto'
import { createServer, type IncomingMessage } from 'node:http'
import type { AddressInfo } from 'node:net'
import { text } from 'node:stream/consumers'
import type { Clock } from '#base/clock'
import { type CertifiedKey, derOfPem, issueCertificate } from '#platform/x509'

export interface TokenServer {
  /** What the registry's configuration says under auth.token, without the root certificates. */
  readonly registryConfig: { readonly realm: string; readonly service: string; readonly issuer: string }
  stop(): Promise<void>
}

export interface TokenServerOptions {
  /** Signs the key that signs tokens; the registry trusts it. */
  readonly ca: CertifiedKey
  readonly account: { readonly username: string; readonly password: string }
  readonly service: string
  readonly clock: Clock
}

const issuer = 'test token server'
const validSeconds = 300

/** Starts the server on a free port of 127.0.0.1. */
export async function startTokenServer(options: TokenServerOptions): Promise<TokenServer> {
  const { ca, account, service, clock } = options
  const key = issueCertificate({ ca, commonName: issuer, usages: ['client'], days: 1, nowMs: clock.now() })
  const server = createServer(async (request, response) => {
    const url = new URL(request.url ?? '/', 'http://localhost')
    const asked = request.method === 'POST' ? new URLSearchParams(await text(request)) : url.searchParams
    const answer = (status: number, body: unknown): void => {
      response.writeHead(status, { 'content-type': 'application/json' })
      response.end(JSON.stringify(body))
    }
    if (!isAccount(request, asked, account)) return answer(401, { details: 'incorrect username or password' })
    const access = asked.getAll('scope').flatMap((scopes) => scopes.split(' ').map(readScope))
    const token = signToken({ access, service, subject: account.username }, key, clock)
    answer(200, { token, access_token: token, expires_in: validSeconds })
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as AddressInfo
  return {
    registryConfig: { realm: `http://127.0.0.1:${port}/token`, service, issuer },
    stop: () =>
      new Promise((resolve) => {
        server.close(() => resolve())
        server.closeAllConnections()
      }),
  }
}

function isAccount(request: IncomingMessage, asked: URLSearchParams, account: TokenServerOptions['account']): boolean {
  const expected = `Basic ${Buffer.from(`${account.username}:${account.password}`).toString('base64')}`
  if (request.headers.authorization === expected) return true
  return asked.get('username') === account.username && asked.get('password') === account.password
}

// repository:team/web:pull,push
function readScope(scope: string): { type: string; name: string; actions: string[] } {
  const [type = '', ...rest] = scope.split(':')
  const actions = rest.pop() ?? ''
  return { type, name: rest.join(':'), actions: actions.split(',') }
}

function signToken(claims: { access: unknown; service: string; subject: string }, key: CertifiedKey, clock: Clock): string {
  const now = Math.floor(clock.now() / 1000)
  const encode = (value: unknown): string => Buffer.from(JSON.stringify(value)).toString('base64url')
  const header = { typ: 'JWT', alg: 'ES256', x5c: [derOfPem(key.certificatePem).toString('base64')] }
  const body = {
    iss: issuer,
    sub: claims.subject,
    aud: claims.service,
    iat: now,
    nbf: now - 10,
    exp: now + validSeconds,
    jti: randomUUID(),
    access: claims.access,
  }
  const signed = `${encode(header)}.${encode(body)}`
  const signature = sign('sha256', Buffer.from(signed), { key: key.privateKeyPem, dsaEncoding: 'ieee-p1363' })
  return `${signed}.${signature.toString('base64url')}`
}
