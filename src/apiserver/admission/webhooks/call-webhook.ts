// One POST to a webhook: by URL, or to a service through its endpoints. The other side must prove who it is by the configuration's
// CA bundle. What goes wrong is said in the words of Go's HTTP client, which is what people search for.

import { type ClientRequest, STATUS_CODES } from 'node:http'
import { Agent, request as httpsRequest, type RequestOptions } from 'node:https'
import { ApiError } from '#api/errors'
import type { WebhookClientConfig } from '#api/generated/admissionregistration-v1'
import { Service } from '#api/kinds/core/service'
import { parseJson } from '#api/schema/json'
import { stringifyJson } from '#api/schema/stringify'
import type { Clock } from '#base/clock'
import type { Random } from '#base/random'
import type { LocalReader } from '../../request.ts'
import type { AddressGuard } from '../../streaming/address-guard.ts'
import { type Address, endpointAddress } from '../../streaming/targets.ts'
import type { WebhookCredentials } from './credentials.ts'

export interface WebhookCallDeps {
  readonly reader: LocalReader
  readonly clock: Clock
  readonly random: Random
  /** Looked at for services: their endpoints are written by their namespaces' users. */
  readonly guard: AddressGuard
  /** What the server shows of itself; absent: nothing. */
  readonly credentials?: WebhookCredentials
}

export interface WebhookClient {
  /** The parsed JSON answer. Throws errors whose message goes behind `failed to call webhook: `. */
  post(config: WebhookClientConfig, body: unknown, timeoutMs: number): Promise<unknown>
  close(): void
}

/** Longest answer that is read. */
export const responseBytesMax = 8 * 1024 * 1024

const socketsMax = 64
const freeSocketsMax = 8
const idleMs = 30_000

export function createWebhookClient(deps: WebhookCallDeps): WebhookClient {
  const agent = new Agent({ keepAlive: true, maxSockets: socketsMax, maxFreeSockets: freeSocketsMax, timeout: idleMs })
  return {
    async post(config, body, timeoutMs) {
      const target = resolveTarget(deps, config)
      const url = `${target.url}${target.url.includes('?') ? '&' : '?'}timeout=${Math.ceil(timeoutMs / 1_000)}s`
      const bytes = Buffer.from(stringifyJson(body))
      try {
        const address = target.address?.()
        return await answerOf(deps, agent, { url, address, ca: caOf(config), bytes, timeoutMs, guarded: target.address !== undefined })
      } catch (error) {
        if (error instanceof AnswerError) throw error
        throw new Error(`Post ${JSON.stringify(url)}: ${wordsOf(error)}`, { cause: error })
      }
    },
    close: () => agent.destroy(),
  }
}

interface Target {
  readonly url: string
  /** Where to connect, when that is not what the URL says. */
  readonly address?: () => Address
}

function resolveTarget({ reader, random, guard }: WebhookCallDeps, { url, service }: WebhookClientConfig): Target {
  if (service === undefined) return { url: url ?? '' }
  const { name, namespace, port = 443, path = '' } = service
  const absolute = path === '' || path.startsWith('/') ? path : `/${path}`
  return {
    url: `https://${name}.${namespace}.svc:${port}${absolute}`,
    address() {
      const found = reader.get(Service, namespace, name)
      if (found?.spec.type === 'ExternalName') return { host: found.spec.externalName ?? '', port }
      const address = endpointAddress(reader, namespace, { scheme: 'https', name, port: String(port) }, random)
      guard.check(address.host, address.port)
      return address
    },
  }
}

function caOf({ caBundle }: WebhookClientConfig): string | undefined {
  return caBundle ? Buffer.from(caBundle, 'base64').toString() : undefined
}

interface Exchange {
  readonly url: string
  readonly address: Address | undefined
  readonly ca: string | undefined
  readonly bytes: Buffer
  readonly timeoutMs: number
  readonly guarded: boolean
}

function optionsOf({ guard, credentials }: WebhookCallDeps, agent: Agent, { url, address, ca, bytes, guarded }: Exchange): RequestOptions {
  const { hostname, host, port, pathname, search } = new URL(url)
  const name = hostname.replace(/^\[|\]$/g, '')
  const number = Number(port || 443)
  const shown = credentials?.(`${hostname}:${number}`)
  return {
    agent,
    method: 'POST',
    host: address?.host ?? name,
    port: address?.port ?? number,
    path: pathname + search,
    ...(ca === undefined ? {} : { ca }),
    ...(address === undefined ? {} : { servername: name }),
    ...(shown?.clientCert === undefined ? {} : { cert: shown.clientCert, key: shown.clientKey }),
    ...(guarded ? { lookup: guard.lookup(address?.port ?? number) } : {}),
    headers: {
      host,
      accept: 'application/json, */*',
      'content-type': 'application/json',
      'content-length': bytes.length,
      'user-agent': 'kube-apiserver-admission',
      ...authorizationOf(shown),
    },
  }
}

function authorizationOf(shown: ReturnType<WebhookCredentials>): { authorization?: string } {
  if (shown?.token !== undefined) return { authorization: `Bearer ${shown.token}` }
  if (shown?.username === undefined) return {}
  return { authorization: `Basic ${Buffer.from(`${shown.username}:${shown.password ?? ''}`).toString('base64')}` }
}

async function answerOf(deps: WebhookCallDeps, agent: Agent, exchange: Exchange): Promise<unknown> {
  try {
    return await exchangeOnce(deps, agent, exchange)
  } catch (error) {
    // The other side may close a kept connection in the moment in which we use it.
    if (error instanceof StaleConnectionError) return exchangeOnce(deps, agent, exchange)
    throw error
  }
}

class StaleConnectionError extends Error {
  override readonly name = 'StaleConnectionError'
}

/** An answer came, but not one to go on with. */
export class AnswerError extends Error {
  override readonly name = 'AnswerError'
  /** Its HTTP status; 0 when that was fine. */
  readonly code: number

  constructor(message: string, code = 0) {
    super(message)
    this.code = code
  }
}

function exchangeOnce(deps: WebhookCallDeps, agent: Agent, exchange: Exchange): Promise<unknown> {
  return new Promise((resolve, reject) => {
    const outgoing: ClientRequest = httpsRequest(optionsOf(deps, agent, exchange))
    let answered = false
    const timer = deps.clock.after(exchange.timeoutMs, () => outgoing.destroy(new Error('context deadline exceeded')), { background: true })
    const fail = (error: Error): void => {
      timer.cancel()
      const stale = !answered && outgoing.reusedSocket && (error as NodeJS.ErrnoException).code === 'ECONNRESET'
      reject(stale ? new StaleConnectionError(error.message, { cause: error }) : error)
    }
    outgoing.on('error', fail)
    outgoing.on('response', (response) => {
      answered = true
      const chunks: Buffer[] = []
      let size = 0
      response.on('error', fail)
      response.on('data', (chunk: Buffer) => {
        size += chunk.length
        if (size > responseBytesMax) outgoing.destroy(new Error(`the answer is longer than ${responseBytesMax} bytes`))
        else chunks.push(chunk)
      })
      response.on('end', () => {
        timer.cancel()
        try {
          resolve(parseAnswer(response.statusCode ?? 0, Buffer.concat(chunks).toString()))
        } catch (error) {
          reject(error)
        }
      })
    })
    outgoing.end(exchange.bytes)
  })
}

function parseAnswer(status: number, text: string): unknown {
  if (status < 200 || status > 299) throw new AnswerError(refusal(status, text), status)
  let value: unknown
  try {
    value = parseJson(text)
  } catch {
    throw new AnswerError(`couldn't get version/kind; json parse error: ${text.slice(0, 200)}`)
  }
  if (typeof value !== 'object' || value === null) throw new AnswerError("couldn't get version/kind; json parse error: not an object")
  return value
}

// As Kubernetes' REST client words statuses that come without a Status.
function refusal(status: number, text: string): string {
  const shown = JSON.stringify(text.trim().slice(0, 2_048))
  switch (status) {
    case 400:
      return 'the server rejected our request for an unknown reason'
    case 401:
      return 'the server has asked for the client to provide credentials'
    case 403:
      return `forbidden: ${text.trim().slice(0, 2_048)}`
    case 404:
      return 'the server could not find the requested resource'
    case 405:
      return 'the server does not allow this method on the requested resource'
    case 415:
      return `the body of the request was in an unknown format - accepted media types include: `
    case 429:
      return 'the server has received too many requests and has asked us to try again later'
    case 503:
      return 'the server is currently unable to handle the request'
    case 504:
      return 'the server was unable to return a response in the time allotted, but may still be processing the request'
    default:
      if (status >= 500) return `an error on the server (${shown}) has prevented the request from succeeding`
      return `the server responded with the status code ${status} (${STATUS_CODES[status] ?? ''}) but did not return more information`
  }
}

const unknownAuthority = 'tls: failed to verify certificate: x509: certificate signed by unknown authority'

function wordsOf(error: unknown): string {
  if (error instanceof ApiError) return error.message
  const { code, message, address, port, hostname, reason } = error as NodeJS.ErrnoException & {
    address?: string
    port?: number
    hostname?: string
    reason?: string
  }
  switch (code) {
    case 'ECONNREFUSED':
      return `dial tcp ${address ?? ''}:${port ?? ''}: connect: connection refused`
    case 'ENOTFOUND':
      return `dial tcp: lookup ${hostname ?? ''}: no such host`
    case 'ECONNRESET':
      return 'EOF'
    case 'ETIMEDOUT':
      return `dial tcp ${address ?? ''}:${port ?? ''}: connect: connection timed out`
    case 'EHOSTUNREACH':
      return `dial tcp ${address ?? ''}:${port ?? ''}: connect: no route to host`
    case 'UNABLE_TO_VERIFY_LEAF_SIGNATURE':
    case 'UNABLE_TO_GET_ISSUER_CERT':
    case 'UNABLE_TO_GET_ISSUER_CERT_LOCALLY':
    case 'SELF_SIGNED_CERT_IN_CHAIN':
    case 'DEPTH_ZERO_SELF_SIGNED_CERT':
    case 'CERT_SIGNATURE_FAILURE':
      return unknownAuthority
    case 'CERT_HAS_EXPIRED':
    case 'CERT_NOT_YET_VALID':
      return 'tls: failed to verify certificate: x509: certificate has expired or is not yet valid'
    case 'ERR_TLS_CERT_ALTNAME_INVALID':
      return `tls: failed to verify certificate: x509: ${reason ?? message}`
    default:
      return message
  }
}
