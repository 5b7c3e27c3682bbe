// An HTTP or HTTPS request as probes and hooks make it: certificates are not checked, redirects stay on the host, any status
// from 200 to 399 is good (documentation: "HTTP probes").
import { request as httpRequest, type IncomingMessage } from 'node:http'
import { request as httpsRequest } from 'node:https'
import type { HttpTarget } from './probe-target.ts'

const bodyBytesMax = 10 * 1024
const redirectsMax = 10

export interface HttpAnswer {
  readonly status: number
  readonly body: string
}

export interface HttpOptions {
  readonly userAgent: string
  readonly signal: AbortSignal
}

/** Resolves with the answer after redirects. Rejects when none came. */
export async function httpGet(target: HttpTarget, options: HttpOptions): Promise<HttpAnswer> {
  let url = target.url
  for (let hops = 0; ; hops++) {
    const answer = await once(url, target, options)
    const location = answer.status >= 300 && answer.status < 400 ? answer.location : undefined
    if (location === undefined) return answer
    const next = new URL(location, url)
    // A redirect elsewhere counts as success: whoever sends it is alive.
    if (next.hostname !== url.hostname || hops >= redirectsMax) return answer
    url = next
  }
}

interface Answer extends HttpAnswer {
  readonly location: string | undefined
}

function once(url: URL, target: HttpTarget, { userAgent, signal }: HttpOptions): Promise<Answer> {
  const headers: Record<string, string | string[]> = { 'user-agent': userAgent, accept: '*/*', connection: 'close' }
  for (const [name, value] of target.headers) {
    const key = name.toLowerCase()
    // An empty value takes a default header away.
    if (value === '' && (key === 'user-agent' || key === 'accept')) delete headers[key]
    else headers[key] = value
  }
  const send = url.protocol === 'https:' ? httpsRequest : httpRequest
  return new Promise((resolve, reject) => {
    const request = send(
      url,
      { method: 'GET', headers, agent: false, signal, rejectUnauthorized: false, maxHeaderSize: 65_536 },
      (response) => {
        readLimited(response).then(
          (body) => resolve({ status: response.statusCode ?? 0, body, location: response.headers.location }),
          reject,
        )
      },
    )
    request.on('error', reject)
    request.end()
  })
}

async function readLimited(response: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = []
  let bytes = 0
  for await (const chunk of response as AsyncIterable<Buffer>) {
    chunks.push(chunk.subarray(0, bodyBytesMax - bytes))
    bytes += chunk.length
    if (bytes >= bodyBytesMax) break
  }
  response.destroy()
  return Buffer.concat(chunks).toString('utf8')
}
