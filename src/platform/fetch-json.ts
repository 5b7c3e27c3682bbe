// Documents over HTTPS, within bounds of size and time; redirects are not followed.
import { get } from 'node:https'

const bytesMax = 1_048_576
const timeoutMs = 10_000

/** Rejects for anything but a 200 with JSON. `caPem`: who vouches for the server; absent: the machine's authorities. */
export async function fetchJson(url: string, caPem?: string): Promise<unknown> {
  const text = await fetchText(url, { accept: 'application/json', ...(caPem === undefined ? {} : { caPem }) })
  try {
    return JSON.parse(text)
  } catch (error) {
    throw new Error(`${url}: it is no JSON`, { cause: error })
  }
}

/** Likewise for text of any kind; `token` is sent as a bearer token. */
export function fetchText(
  url: string,
  { accept, caPem, token }: { readonly accept: string; readonly caPem?: string; readonly token?: string },
): Promise<string> {
  return new Promise((resolve, reject) => {
    const headers = { accept, ...(token === undefined ? {} : { authorization: `Bearer ${token}` }) }
    const request = get(url, { timeout: timeoutMs, headers, ...(caPem === undefined ? {} : { ca: caPem }) })
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
      response.on('end', () => resolve(Buffer.concat(chunks).toString()))
    })
  })
}
