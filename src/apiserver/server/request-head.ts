// The head of a request (method, target, headers), and what was read of it. Clients say the same thing again and again: one lease,
// one health check, one list, with one token. Such a head is read once. What is remembered follows from its text alone; who that is
// and what he may is asked each time.
import { badRequest } from '#api/errors'
import type { HeadFacts } from '../request.ts'

export class RequestHead {
  readonly method: string
  /** As it came: path and query. */
  readonly target: string
  /** Lower-case names. Nobody changes them. */
  readonly headers: Readonly<Record<string, string | undefined>>
  readonly path: string
  readonly rawPath: string
  readonly rawQuery: string
  readonly facts: HeadFacts = {}
  #query: URLSearchParams | undefined

  /** Throws BadRequest when the path is no valid percent-encoding. */
  constructor(method: string, target: string, headers: Readonly<Record<string, string | undefined>>) {
    const form = target.startsWith('/') ? target : originForm(target)
    const mark = form.indexOf('?')
    this.method = method
    this.target = target
    this.rawPath = mark < 0 ? form : form.slice(0, mark)
    this.path = decodePath(this.rawPath)
    this.rawQuery = mark < 0 ? '' : form.slice(mark + 1)
    this.headers = headers
  }

  /** Nobody changes it. */
  get query(): URLSearchParams {
    this.#query ??= new URLSearchParams(this.rawQuery)
    return this.#query
  }
}

interface Remembered {
  readonly head: RequestHead
  readonly raw: readonly string[]
}

const headsMax = 256
const headsOfTargetMax = 8
const charsMax = 8_192
const seenMax = 256

/**
 * Heads that came more than once, within bounds, for all connections together: what a head says does not hang on who sent it. Only
 * reads; they are told apart by every header, as it came, so two that differ in a token or in its case are two.
 */
export class RequestHeads {
  // Targets in the order in which they were first remembered; heads of one, the newest first.
  readonly #byTarget = new Map<string, Remembered[]>()
  readonly #seen = new Set<string>()
  #size = 0

  /** How many are remembered. */
  get size(): number {
    return this.#size
  }

  /** The head that says just this; `raw`: names and values by turns, as they came. */
  find(method: string, target: string, raw: readonly string[]): RequestHead | undefined {
    const known = this.#byTarget.get(target)
    if (known === undefined) return undefined
    for (const { head, raw: said } of known) if (head.method === method && sameTexts(said, raw)) return head
    return undefined
  }

  /** A head that is new, of a request without a body; it is remembered when its target was asked for before. Throws as RequestHead. */
  meet(method: string, target: string, raw: readonly string[], headers: Readonly<Record<string, string | undefined>>): RequestHead {
    const head = new RequestHead(method, target, headers)
    if (method !== 'GET') return head
    const known = this.#byTarget.get(target)
    if (known === undefined && !this.#seen.delete(target)) {
      if (this.#seen.size >= seenMax) this.#seen.clear()
      if (target.length <= charsMax) this.#seen.add(target)
    } else if (charsOf(raw) <= charsMax) this.#remember({ head, raw })
    return head
  }

  #remember(one: Remembered): void {
    if (this.#size >= headsMax) this.#forgetOldest()
    const known = this.#byTarget.get(one.head.target)
    if (known === undefined) this.#byTarget.set(one.head.target, [one])
    else {
      known.unshift(one)
      if (known.length > headsOfTargetMax) {
        known.pop()
        return
      }
    }
    this.#size++
  }

  #forgetOldest(): void {
    const [target, heads] = this.#byTarget.entries().next().value!
    this.#byTarget.delete(target)
    this.#size -= heads.length
  }
}

function sameTexts(a: readonly string[], b: readonly string[]): boolean {
  if (a.length !== b.length) return false
  for (let i = 0; i < a.length; i++) if (a[i] !== b[i]) return false
  return true
}

function charsOf(texts: readonly string[]): number {
  let chars = 0
  for (const text of texts) chars += text.length
  return chars
}

// RFC 9112 section 3.2.2: a server accepts the absolute form as well.
function originForm(target: string): string {
  const path = /^https?:\/\/[^/?#]*/i.exec(target)
  if (path === null) throw badRequest('the request target is not a path')
  const rest = target.slice(path[0].length)
  return rest.startsWith('/') ? rest : `/${rest}`
}

/** The path, percent-decoded once. Throws BadRequest for a malformed encoding or a NUL. */
export function decodePath(rawPath: string): string {
  if (!rawPath.includes('%')) return rawPath
  try {
    const path = decodeURIComponent(rawPath)
    if (!path.includes('\u0000')) return path
  } catch {
    // Said below, in the same words for both.
  }
  throw badRequest('the path of the request is not validly encoded')
}
