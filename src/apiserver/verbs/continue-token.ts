// The token that names the next page of a list: the revision that the list shows, and the key after which to go on.
// The same form as Kubernetes': base64url of {"v":"meta.k8s.io/v1","rv":…,"start":…}, and the time at which it was handed out.
import { badRequest } from '#api/errors'
import { parseJson } from '#api/schema/json'

export interface ContinueToken {
  /** -1: the consistent list is gone; go on with the present. */
  readonly revision: number
  /** The last key that was sent. */
  readonly after: string
  /** When it was handed out; undefined in tokens of others. */
  readonly atMs: number | undefined
}

/**
 * How long a token names the state it was made for; afterwards its holder is told so and may go on with the present. Kubernetes
 * forgets the past of its store every five minutes, and clients rely on both: that they have so long, and that it ends.
 */
export const continueMsMax = 5 * 60_000

/** `key` begins with `prefix`, which ends in a slash. */
export function encodeContinue(prefix: string, key: string, revision: number, nowMs: number): string {
  const token = { v: 'meta.k8s.io/v1', rv: revision, start: `${key.slice(prefix.length)}\u0000`, at: nowMs }
  return Buffer.from(JSON.stringify(token)).toString('base64url')
}

/** Throws BadRequest for a token that nobody here made: it can name no key outside of `prefix`. */
export function decodeContinue(prefix: string, token: string): ContinueToken {
  const fail = (why: string): never => {
    throw badRequest(`invalid continue token: ${why}`)
  }
  const strange = token.search(/[^A-Za-z0-9_-]/)
  const wrongAt = strange >= 0 ? strange : token.length % 4 === 1 ? token.length - 1 : -1
  if (wrongAt >= 0) return fail(`continue key is not valid: illegal base64 data at input byte ${wrongAt}`)
  let data: unknown
  try {
    data = parseJson(Buffer.from(token, 'base64url').toString())
  } catch (error) {
    return fail(`continue key is not valid: ${(error as Error).message}`)
  }
  if (typeof data !== 'object' || data === null) return fail('continue key is not valid')
  const { v, rv, start, at } = data as { v?: unknown; rv?: unknown; start?: unknown; at?: unknown }
  if (v !== 'meta.k8s.io/v1') {
    return fail(`continue key is not valid: server does not recognize this encoded version ${typeof v === 'string' ? v : ''}`)
  }
  if (typeof rv !== 'number' || !Number.isSafeInteger(rv) || rv === 0 || rv < -1) {
    return fail('continue key is not valid: incorrect encoded start resourceVersion (version meta.k8s.io/v1)')
  }
  if (typeof start !== 'string' || start === '') {
    return fail('continue key is not valid: encoded start key empty (version meta.k8s.io/v1)')
  }
  const clean = start.split('/').every((part, i) => (part !== '' || i === 0) && part !== '.' && part !== '..')
  if (!clean) return fail(`continue key is not valid: ${start}`)
  const key = prefix + (start.startsWith('/') ? start.slice(1) : start)
  // Kubernetes names the first key to send, which is the last one sent and a NUL.
  const after = key.endsWith('\u0000') ? key.slice(0, -1) : beforeKey(key)
  return { revision: rv, after, atMs: typeof at === 'number' ? at : undefined }
}

// The greatest key that is less than `key`, as far as keys go that end in printable characters.
function beforeKey(key: string): string {
  const last = key.charCodeAt(key.length - 1)
  return key.slice(0, -1) + (last > 0 ? `${String.fromCharCode(last - 1)}\uffff` : '')
}
