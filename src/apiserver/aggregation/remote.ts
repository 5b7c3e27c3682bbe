// The server behind an APIService: where it is, how both sides prove themselves, and questions of our own to it.
import { request as httpsRequest } from 'node:https'
import { serviceUnavailable } from '#api/errors'
import type { APIService } from '#api/kinds/apiregistration/api-service'
import { Service } from '#api/kinds/core/service'
import type { Clock } from '#base/clock'
import type { Random } from '#base/random'
import type { LocalReader, User } from '../request.ts'
import type { AddressGuard } from '../streaming/address-guard.ts'
import type { ProxyTls } from '../streaming/proxy-request.ts'
import { type Address, endpointAddress } from '../streaming/targets.ts'

export interface RemoteDeps {
  readonly reader: LocalReader
  readonly clock: Clock
  readonly random: Random
  readonly guard: AddressGuard
  /** Proves that it is us who name the user; PEM. Absent: no certificate is shown. */
  readonly proxyClient?: { readonly cert: string; readonly key: string }
}

/** `<service>.<namespace>.svc`, which the server's certificate must be for. */
export function serverNameOf({ spec: { service } }: APIService): string {
  return `${service?.name ?? ''}.${service?.namespace ?? ''}.svc`
}

/** An endpoint of the service; throws ServiceUnavailable when there is none, BadRequest when it is a place where nothing is sent. */
export function remoteAddress({ reader, random, guard }: RemoteDeps, { spec }: APIService): Address {
  const { name = '', namespace = '', port = 443 } = spec.service ?? {}
  const service = reader.get(Service, namespace, name)
  if (service === undefined) throw serviceUnavailable(`service ${JSON.stringify(name)} not found`)
  if (service.spec.type === 'ExternalName') return { host: service.spec.externalName ?? '', port }
  const address = endpointAddress(reader, namespace, { scheme: 'https', name, port: String(port) }, random)
  guard.check(address.host, address.port)
  return address
}

export function remoteTls({ proxyClient }: RemoteDeps, apiService: APIService): ProxyTls {
  const { caBundle, insecureSkipTLSVerify = false } = apiService.spec
  return {
    ...(caBundle ? { ca: Buffer.from(caBundle, 'base64').toString() } : {}),
    ...(proxyClient ?? {}),
    serverName: serverNameOf(apiService),
    unverified: insecureSkipTLSVerify,
  }
}

/** Says who asks, to a server that takes our word: Kubernetes' request-header authentication. Names go as the bytes of their UTF-8. */
export function userHeaders({ name, uid, groups, extra = {} }: User): Record<string, string | string[]> {
  const headers: Record<string, string | string[]> = { 'x-remote-user': bytesOf(name), 'x-remote-group': groups.map(bytesOf) }
  if (uid) headers['x-remote-uid'] = bytesOf(uid)
  for (const [key, values] of Object.entries(extra)) {
    headers[`x-remote-extra-${encodeURIComponent(key).toLowerCase()}`] = values.map(bytesOf)
  }
  return headers
}

// A header is a text of bytes to Node.
function bytesOf(text: string): string {
  return Buffer.from(text).toString('latin1')
}

export interface RemoteAnswer {
  readonly status: number
  readonly contentType: string
  /** Empty when there is none. */
  readonly etag: string
  readonly body: Buffer
}

const askMs = 5_000
const answerBytesMax = 16 * 1024 * 1024
const ourselves: User = { name: 'system:kube-aggregator', groups: ['system:masters'] }

export interface AskOptions {
  readonly accept?: string
  readonly verify?: boolean
  readonly headers?: Readonly<Record<string, string>>
  readonly timeoutMs?: number
  /** Who asks; absent: the aggregator, which may everything. */
  readonly user?: User
}

/**
 * GETs a path as the aggregator. Rejects when there is no answer within five seconds, unless another time is given. `verify: false` for what decides nothing but
 * whether somebody answers.
 */
export async function ask(
  deps: RemoteDeps,
  apiService: APIService,
  path: string,
  { accept = 'application/json', verify = true, headers = {}, timeoutMs = askMs, user = ourselves }: AskOptions = {},
): Promise<RemoteAnswer> {
  const { host, port } = remoteAddress(deps, apiService)
  const { ca, cert, key, serverName, unverified } = remoteTls(deps, apiService)
  return new Promise((resolve, reject) => {
    const outgoing = httpsRequest({
      host,
      port,
      path,
      ca,
      cert,
      key,
      servername: serverName,
      rejectUnauthorized: verify && unverified !== true,
      agent: false,
      lookup: deps.guard.lookup(port),
      headers: { ...userHeaders(user), host: serverName, accept, ...headers },
    })
    const timer = deps.clock.after(timeoutMs, () => outgoing.destroy(new Error('context deadline exceeded')), { background: true })
    outgoing.once('close', () => timer.cancel())
    outgoing.once('error', reject)
    outgoing.once('response', (response) => {
      const chunks: Buffer[] = []
      let bytes = 0
      response.on('data', (chunk: Buffer) => {
        bytes += chunk.length
        if (bytes > answerBytesMax) outgoing.destroy(new Error(`the answer is longer than ${answerBytesMax} bytes`))
        else chunks.push(chunk)
      })
      response.once('error', reject)
      response.once('end', () =>
        resolve({
          status: response.statusCode ?? 0,
          contentType: response.headers['content-type'] ?? '',
          etag: response.headers.etag ?? '',
          body: Buffer.concat(chunks),
        }),
      )
    })
    outgoing.end()
  })
}
