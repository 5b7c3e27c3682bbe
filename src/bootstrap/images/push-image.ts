// Sends an image of an archive to a registry (OCI Distribution Specification 1.1, "Pushing"), with basic or token authentication.
import { request as requestHttp } from 'node:http'
import { request as requestHttps } from 'node:https'
import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { rootCertificates } from 'node:tls'
import type { ArchiveBlob, ArchivedImage } from './image-archive.ts'

/** Where an image goes, and as whom. */
export interface PushOptions {
  /** The full name: host, repository and tag, such as `127.0.0.1:5000/team/web:v1`. */
  readonly reference: string
  readonly credentials?: { readonly username: string; readonly password: string }
  /** Speak plain HTTP. Hosts of this machine are spoken to so when left out, as engines do. */
  readonly plainHttp?: boolean
  /** Certificates, in PEM, of authorities to trust besides the usual ones. */
  readonly ca?: string
  readonly signal?: AbortSignal
}

interface Answer {
  readonly status: number
  readonly headers: Readonly<Record<string, string | string[] | undefined>>
  readonly body: string
}

interface Call {
  readonly method: 'GET' | 'HEAD' | 'POST' | 'PUT'
  readonly headers?: Readonly<Record<string, string>>
  readonly body?: { readonly size: number; read(): AsyncIterable<Uint8Array> }
}

const answerBytesMax = 4 << 20

/** The parts of a full image name. The tag is `latest` when there is none. */
export function splitReference(reference: string): { readonly host: string; readonly repository: string; readonly tag: string } {
  const match = /^([^/]+)\/([a-z0-9][a-z0-9._/-]*?)(?::([A-Za-z0-9_][A-Za-z0-9._-]{0,127}))?$/.exec(reference)
  const host = match?.[1] ?? ''
  if (match === null || !/[.:]|^localhost$/.test(host)) throw new Error(`${reference} does not name a registry, a repository and a tag`)
  return { host, repository: match[2]!, tag: match[3] ?? 'latest' }
}

/** Sends the blobs that the registry does not have, then the manifest under the reference's tag. */
export async function pushImage(image: ArchivedImage, options: PushOptions): Promise<void> {
  const { host, repository, tag } = splitReference(options.reference)
  const plain = options.plainHttp ?? /^(localhost|127\.[0-9.]+|\[::1\])(:|$)/.test(host)
  const base = new URL(`${plain ? 'http' : 'https'}://${host}/v2/${repository}/`)
  let authorization: string | undefined
  const send = async (url: URL, call: Call): Promise<Answer> => {
    const headers = { ...call.headers, ...(authorization === undefined ? {} : { authorization }) }
    const answer = await exchange(url, { ...call, headers }, options)
    if (answer.status !== 401 || authorization !== undefined) return answer
    authorization = await authorize(String(answer.headers['www-authenticate'] ?? ''), repository, options)
    return exchange(url, { ...call, headers: { ...call.headers, authorization } }, options)
  }
  const check = (answer: Answer, expected: number, what: string): void => {
    if (answer.status !== expected) throw new Error(`${options.reference}: ${what}: ${registryWords(answer)}`)
  }
  for (const blob of image.blobs) {
    const found = await send(new URL(`blobs/${blob.digest}`, base), { method: 'HEAD' })
    if (found.status === 200) continue
    const opened = await send(new URL('blobs/uploads/', base), { method: 'POST', headers: { 'content-length': '0' } })
    check(opened, 202, 'the registry takes no upload')
    const target = new URL(String(opened.headers['location']), base)
    target.searchParams.set('digest', blob.digest)
    check(await send(target, { method: 'PUT', headers: octets(blob), body: blob }), 201, `the registry refuses ${blob.digest}`)
  }
  const manifest = { size: image.manifest.length, read: () => Readable.from([image.manifest]) }
  const headers = { 'content-type': image.manifestMediaType, 'content-length': String(manifest.size) }
  check(await send(new URL(`manifests/${tag}`, base), { method: 'PUT', headers, body: manifest }), 201, 'the registry refuses the manifest')
}

function octets(blob: ArchiveBlob): Record<string, string> {
  return { 'content-type': 'application/octet-stream', 'content-length': String(blob.size) }
}

/** Answers a registry's challenge (RFC 9110 section 11.6.1) with an Authorization header. */
async function authorize(challenge: string, repository: string, options: PushOptions): Promise<string> {
  const { credentials } = options
  const basic = credentials && `Basic ${Buffer.from(`${credentials.username}:${credentials.password}`).toString('base64')}`
  const [scheme = ''] = challenge.split(' ', 1)
  if (scheme.toLowerCase() === 'basic') {
    if (basic === undefined) throw new Error(`${options.reference}: the registry asks for a user name and password`)
    return basic
  }
  const parameter = (name: string): string | undefined => new RegExp(`[ ,]${name}="([^"]*)"`, 'i').exec(challenge)?.[1]
  const realm = parameter('realm')
  if (scheme.toLowerCase() !== 'bearer' || realm === undefined)
    throw new Error(`${options.reference}: the registry asks for "${challenge}"`)
  const url = new URL(realm)
  const service = parameter('service')
  if (service !== undefined) url.searchParams.set('service', service)
  url.searchParams.set('scope', `repository:${repository}:pull,push`)
  const answer = await exchange(url, { method: 'GET', headers: basic === undefined ? {} : { authorization: basic } }, options)
  if (answer.status !== 200) throw new Error(`${options.reference}: no token: ${registryWords(answer)}`)
  const { token, access_token } = JSON.parse(answer.body) as { token?: string; access_token?: string }
  return `Bearer ${token ?? access_token}`
}

function registryWords({ status, body }: Answer): string {
  try {
    const { errors, details } = JSON.parse(body) as { errors?: { message?: string; code?: string }[]; details?: string }
    return errors?.map((error) => error.message ?? error.code).join(', ') ?? details ?? `status ${status}`
  } catch {
    return `status ${status}`
  }
}

async function exchange(url: URL, call: Call, options: PushOptions): Promise<Answer> {
  const request = url.protocol === 'http:' ? requestHttp : requestHttps
  const sent = request(url, {
    method: call.method,
    headers: call.headers,
    ca: options.ca && [...rootCertificates, options.ca],
    signal: options.signal,
  })
  const answer = new Promise<Answer>((resolve, reject) => {
    sent.on('error', (error) =>
      reject(new Error(`${options.reference}: ${url.host} cannot be reached: ${error.message}`, { cause: error })),
    )
    sent.on('response', async (response) => {
      try {
        const chunks: Buffer[] = []
        let bytes = 0
        for await (const chunk of response as AsyncIterable<Buffer>) {
          bytes += chunk.length
          if (bytes > answerBytesMax) throw new Error(`${url.host}: an answer of more than ${answerBytesMax} bytes`)
          chunks.push(chunk)
        }
        resolve({ status: response.statusCode ?? 0, headers: response.headers, body: Buffer.concat(chunks).toString() })
      } catch (error) {
        reject(error)
      }
    })
  })
  if (call.body === undefined) sent.end()
  // A registry that refuses early closes the connection while the body is sent; its answer says why.
  else await Promise.race([pipeline(call.body.read(), sent).catch(() => {}), answer.catch(() => {})])
  return answer
}
