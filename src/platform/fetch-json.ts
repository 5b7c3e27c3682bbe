// A JSON document over HTTPS, within bounds of size and time; redirects are not followed.
import { get } from 'node:https'

const bytesMax = 1_048_576
const timeoutMs = 10_000

/** Rejects for anything but a 200 with JSON. `caPem`: who vouches for the server; absent: the machine's authorities. */
export function fetchJson(url: string, caPem?: string): Promise<unknown> {
  return new Promise((resolve, reject) => {
    const request = get(url, { timeout: timeoutMs, headers: { accept: 'application/json' }, ...(caPem === undefined ? {} : { ca: caPem }) })
    const fail = (why: string, cause?: unknown): void => {
      request.destroy()
      reject(new Error(`${url}: ${why}`, { cause }))
    }
    request.on('timeout', () => fail(`no answer within ${timeoutMs / 1000} s`))
    request.on('error', (error) => fail(error.message, error))
    request.on('response', (response) => {
      if (response.statusCode !== 200) return fail(`it answered ${response.statusCode}`)
      const chunks: Buffer[] = []
      let bytes = 0
      response.on('data', (chunk: Buffer) => {
        bytes += chunk.length
        if (bytes > bytesMax) return fail(`it is longer than ${bytesMax} bytes`)
        chunks.push(chunk)
      })
      response.on('error', (error) => fail(error.message, error))
      response.on('end', () => {
        try {
          resolve(JSON.parse(Buffer.concat(chunks).toString()))
        } catch (error) {
          fail('it is no JSON', error)
        }
      })
    })
  })
}
