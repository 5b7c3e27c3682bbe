// The whole API server over a memory store, pipeline included, without sockets: requests with headers, tokens and certificates as
// they would come over the wire.
import { allKinds } from '#api/kinds/all'
import { orFailed } from '#base/eventual'
import { FakeClock } from '#base/fake-clock'
import { seededRandom } from '#base/random'
import { silentLogger } from '#platform/log'
import { createCa, createPrivateKeyPem, issueCertificate } from '#platform/x509'
import { openMemoryStore } from '#storage/memory/memory-store'
import { type ApiServer, type ApiServerDeps, createApiServer } from './create-api-server.ts'
import type { ApiReply, BodySink, User } from './request.ts'
import { noBody } from './server/body.ts'
import { inProcessTransport } from './server/in-process.ts'
import { statusReply } from './server/reply.ts'
import { RequestHead, RequestHeads } from './server/request-head.ts'
import { ServedRequest } from './server/served-request.ts'

export interface WireAnswer {
  readonly status: number
  readonly headers: Readonly<Record<string, string>>
  readonly text: string
  /** The body, parsed; undefined when it is no JSON. */
  // biome-ignore lint/suspicious/noExplicitAny: tests look into bodies of every kind
  readonly json: any
}

export interface WholeServer {
  readonly api: ApiServer
  readonly clock: FakeClock
  readonly issuer: string
  /** A request over the wire: who asks is what the headers say. */
  wire(method: string, target: string, options?: { body?: unknown; headers?: Readonly<Record<string, string>> }): Promise<WireAnswer>
  /** A request of a known user. */
  as(user: User): (method: string, target: string, body?: unknown, headers?: Readonly<Record<string, string>>) => Promise<WireAnswer>
  close(): Promise<void>
}

export const root: User = { name: 'admin', groups: ['system:masters', 'system:authenticated'] }

/** A user who is known, without rights of its own. */
export function person(name: string, ...groups: string[]): User {
  return { name, groups: [...groups, 'system:authenticated'] }
}

export async function openWholeServer(options: Partial<ApiServerDeps> = {}): Promise<WholeServer> {
  const clock = (options.clock as FakeClock | undefined) ?? new FakeClock()
  const ca = createCa({ commonName: 'test', days: 1, nowMs: clock.now() })
  const pair = issueCertificate({ ca, commonName: 'api', usages: ['server'], days: 1, nowMs: clock.now() })
  const issuer = 'https://kubernetes.default.svc.cluster.local'
  const store = options.store ?? openMemoryStore()
  const api = await createApiServer({
    store,
    kinds: allKinds,
    clock,
    random: seededRandom(1),
    log: silentLogger,
    version: { major: '1', minor: '36', gitVersion: 'v1.36.0-navarch', gitCommit: 'abc', buildDate: '2026-01-01T00:00:00Z' },
    serviceCidrs: ['10.96.0.0/16'],
    nodePortRange: { from: 30_000, to: 32_767 },
    advertise: { address: '192.0.2.1', port: 6443 },
    serviceAccounts: { signingKeyPem: createPrivateKeyPem(), issuer },
    kubeletTls: { ca: ca.certificatePem, cert: pair.certificatePem, key: pair.privateKeyPem },
    ...options,
  })
  await api.untilReady()
  const live = { stopping: new AbortController().signal, controllers: new Set<AbortController>() }
  const connection = {
    remoteAddress: '192.0.2.7',
    peerCertificate: undefined,
    proxyCertificate: undefined,
    certificateRefused: false,
  }
  const heads = new RequestHeads()
  return {
    api,
    clock,
    issuer,
    async wire(method, target, { body, headers = {} } = {}) {
      const bytes = body === undefined ? undefined : Buffer.from(typeof body === 'string' ? body : JSON.stringify(body))
      const all = { ...(bytes === undefined ? {} : { 'content-type': 'application/json' }), ...headers }
      const raw = Object.entries(all).flat()
      const known = bytes === undefined ? heads.find(method, target, raw) : undefined
      const head = (): RequestHead => (bytes === undefined ? heads.meet(method, target, raw, all) : new RequestHead(method, target, all))
      const request = new ServedRequest({
        connection: { ...connection },
        carrier: { destroyed: false, once: () => undefined },
        live,
        head: known ?? head(),
        body: bytes === undefined ? noBody : { ...noBody, read: async () => bytes },
        upgrade: undefined,
        receivedAtMs: clock.now(),
      })
      const reply = await orFailed(() => api.handle(request), statusReply)
      return answerOf(reply, (await bytesOf(reply)).toString())
    },
    as(user) {
      const transport = inProcessTransport(api.handle, user, { clock })
      return async (method, target, body, headers = {}) => {
        const bytes = body === undefined ? undefined : Buffer.from(typeof body === 'string' ? body : JSON.stringify(body))
        const response = await transport.send({
          method: method as 'GET',
          path: target,
          headers: { ...(bytes === undefined ? {} : { 'content-type': 'application/json' }), ...headers },
          ...(bytes === undefined ? {} : { body: bytes }),
        })
        const chunks: Uint8Array[] = []
        for await (const chunk of response.body) chunks.push(chunk)
        return answerOf(response as { status: number; headers: Record<string, string> }, Buffer.concat(chunks).toString())
      }
    },
    async close() {
      await api.close()
      await store.close()
    },
  }
}

function answerOf({ status, headers }: { status: number; headers: Readonly<Record<string, string>> }, text: string): WireAnswer {
  let json: unknown
  try {
    json = JSON.parse(text)
  } catch {
    json = undefined
  }
  return { status, headers, text, json }
}

async function bytesOf({ body }: ApiReply): Promise<Buffer> {
  if (body === undefined) return Buffer.alloc(0)
  if (typeof body !== 'function') return body instanceof Uint8Array ? Buffer.from(body) : Buffer.concat(body)
  const chunks: Buffer[] = []
  const sink: BodySink = {
    write(chunk) {
      chunks.push(Buffer.from(chunk))
      return true
    },
    drained: () => Promise.resolve(),
    flush: () => undefined,
  }
  await body(sink, new AbortController().signal)
  return Buffer.concat(chunks)
}
