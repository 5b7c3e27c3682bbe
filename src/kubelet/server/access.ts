// Who asks, and whether they may: client certificates of the cluster's authority or bearer tokens (asked by TokenReview), then
// SubjectAccessReview for the action. Every path of the agent's server goes through here; there is no anonymous access
// (documentation: "Kubelet authentication/authorization"; KEP-2862 for the finer subresources).
import { createHash } from 'node:crypto'
import type { IncomingMessage } from 'node:http'
import type { TLSSocket } from 'node:tls'
import type { SubjectAccessReview as ReviewV1 } from '#api/generated/authorization-v1'
import { TokenReview } from '#api/kinds/authentication/token-review'
import { SubjectAccessReview } from '#api/kinds/authorization/subject-access-review'
import type { Clock } from '#base/clock'
import type { Client } from '#client/client'
import { createBoundedCache } from './bounded-cache.ts'

export interface User {
  readonly name: string
  readonly uid?: string
  readonly groups: readonly string[]
  readonly extra?: Readonly<Record<string, string[]>>
}

/** What somebody wants of this node: a verb on `nodes/<subresource>`. */
export interface Action {
  readonly verb: string
  /** Most specific first; one of them must be allowed. */
  readonly subresources: readonly string[]
}

export type Access = { readonly user: User } | { readonly refused: 401 | 403 | 500; readonly message: string }

export interface AccessControl {
  check(request: IncomingMessage, action: Action): Promise<Access>
}

const cacheEntriesMax = 4_096
const tokenMs = 120_000
const allowedMs = 300_000
const deniedMs = 30_000
const callTimeoutMs = 10_000
const tokenCharsMax = 16_384

export function createAccessControl({ client, clock, nodeName }: { client: Client; clock: Clock; nodeName: string }): AccessControl {
  const users = createBoundedCache<User | undefined>(clock, cacheEntriesMax)
  const verdicts = createBoundedCache<boolean>(clock, cacheEntriesMax)

  async function withDeadline<T>(work: (signal: AbortSignal) => Promise<T>): Promise<T> {
    const timeout = new AbortController()
    const timer = clock.after(callTimeoutMs, () => timeout.abort(new Error('timed out')), { background: true })
    try {
      return await work(timeout.signal)
    } finally {
      timer.cancel()
    }
  }

  async function authenticate(request: IncomingMessage): Promise<User | undefined> {
    const byCertificate = certificateUser(request.socket as TLSSocket)
    if (byCertificate !== undefined) return byCertificate
    const token = bearerToken(request)
    if (token === undefined) return undefined
    const key = createHash('sha256').update(token).digest('base64')
    return await users.get(key, async () => {
      const review = await withDeadline((signal) => client.create(TokenReview, { metadata: {}, spec: { token } }, { signal }))
      const { authenticated, user } = review.status ?? {}
      if (!authenticated || !user?.username) return { value: undefined, forMs: 0 }
      const value = {
        name: user.username,
        groups: user.groups ?? [],
        ...(user.uid ? { uid: user.uid } : {}),
        ...(user.extra ? { extra: user.extra } : {}),
      }
      return { value, forMs: tokenMs }
    })
  }

  async function isAllowed(user: User, verb: string, subresource: string): Promise<boolean> {
    const spec: ReviewV1['spec'] = {
      user: user.name,
      groups: [...user.groups],
      ...(user.uid ? { uid: user.uid } : {}),
      ...(user.extra ? { extra: { ...user.extra } } : {}),
      resourceAttributes: { verb, group: '', version: 'v1', resource: 'nodes', subresource, name: nodeName },
    }
    return await verdicts.get(JSON.stringify(spec), async () => {
      const review = await withDeadline((signal) => client.create(SubjectAccessReview, { metadata: {}, spec }, { signal }))
      const value = review.status?.allowed === true
      return { value, forMs: value ? allowedMs : deniedMs }
    })
  }

  return {
    async check(request, { verb, subresources }) {
      let user: User | undefined
      try {
        user = await authenticate(request)
      } catch {
        // Who cannot be asked about is not known.
        user = undefined
      }
      if (user === undefined) return { refused: 401, message: 'Unauthorized' }
      try {
        for (const subresource of subresources) if (await isAllowed(user, verb, subresource)) return { user }
      } catch {
        const text = `Authorization error (user=${user.name}, verb=${verb}, resource=nodes, subresource(s)=[${subresources.join(' ')}])`
        return { refused: 500, message: text }
      }
      return {
        refused: 403,
        message: `Forbidden (user=${user.name}, verb=${verb}, resource=nodes, subresource(s)=[${subresources.join(' ')}])`,
      }
    },
  }
}

/** The user of a certificate that the TLS layer has verified against the cluster's authority: CN and O. */
function certificateUser(socket: TLSSocket): User | undefined {
  if (!socket.authorized) return undefined
  const subject = socket.getPeerCertificate()?.subject as { CN?: string | string[]; O?: string | string[] } | undefined
  const name = [subject?.CN ?? []].flat()[0]
  if (name === undefined || name === '') return undefined
  return { name, groups: [...[subject?.O ?? []].flat(), 'system:authenticated'] }
}

function bearerToken(request: IncomingMessage): string | undefined {
  const match = /^Bearer ([A-Za-z0-9._~+/=-]+)$/i.exec(request.headers.authorization ?? '')
  return match === null || match[1]!.length > tokenCharsMax ? undefined : match[1]
}
