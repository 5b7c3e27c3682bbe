// One request to a Docker Engine, over its unix socket or TCP. No API version in the path means the engine's own newest one.
import { createReadStream } from 'node:fs'
import { request } from 'node:http'
import { pipeline } from 'node:stream/promises'
import type { Clock } from '#base/clock'

/** An answer, read whole. */
export interface DockerAnswer {
  readonly status: number
  readonly body: Buffer
}

const answerBytesMax = 64 << 20

/** Sends a request, with the file at `bodyFile` as its body if given, and reads the answer. */
export async function dockerRequest(
  endpoint: string,
  call: { readonly method: 'GET' | 'POST' | 'DELETE'; readonly path: string; readonly bodyFile?: string },
  limits: { readonly clock: Clock; readonly timeoutMs: number },
): Promise<DockerAnswer> {
  const url = new URL(endpoint)
  if (url.protocol !== 'unix:' && url.protocol !== 'tcp:' && url.protocol !== 'http:') {
    throw new Error(`a Docker address begins with unix:// or tcp://, which ${endpoint} does not`)
  }
  const target = url.protocol === 'unix:' ? { socketPath: url.pathname } : { host: url.hostname, port: Number(url.port || 2375) }
  const sent = request({
    ...target,
    method: call.method,
    path: call.path,
    headers: { host: 'docker', ...(call.bodyFile === undefined ? {} : { 'content-type': 'application/x-tar' }) },
  })
  const timer = limits.clock.after(limits.timeoutMs, () => sent.destroy(new Error(`${call.path}: no answer after ${limits.timeoutMs} ms`)))
  try {
    const answer = new Promise<DockerAnswer>((resolve, reject) => {
      sent.on('error', reject)
      sent.on('response', async (response) => {
        try {
          const chunks: Buffer[] = []
          let bytes = 0
          for await (const chunk of response as AsyncIterable<Buffer>) {
            bytes += chunk.length
            if (bytes > answerBytesMax) throw new Error(`${call.path}: an answer of more than ${answerBytesMax} bytes`)
            chunks.push(chunk)
          }
          resolve({ status: response.statusCode ?? 0, body: Buffer.concat(chunks) })
        } catch (error) {
          reject(error)
        }
      })
    })
    if (call.bodyFile === undefined) sent.end()
    // An engine that refuses early closes the connection while the body is being sent; its answer says why.
    else await Promise.race([pipeline(createReadStream(call.bodyFile), sent).catch(() => {}), answer.catch(() => {})])
    return await answer
  } finally {
    timer.cancel()
  }
}
