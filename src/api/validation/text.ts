// Text as Go prints it: error messages quote values the way Kubernetes' `%q` and JSON encoder do, and limits count UTF-8 bytes.
import { stringifyJson } from '../schema/stringify.ts'

/** Length in UTF-8 bytes, which is what the API's limits count. */
export function byteLength(text: string): number {
  let bytes = text.length
  for (let i = 0; i < text.length; i++) {
    const code = text.charCodeAt(i)
    if (code < 0x80) continue
    bytes += code < 0x800 ? 1 : 2
    // A surrogate pair is four bytes in all; its second half was counted with the first.
    if (code >= 0xd800 && code <= 0xdbff) i++
  }
  return bytes
}

const escapes: Readonly<Record<string, string>> = {
  '\x07': '\\a',
  '\b': '\\b',
  '\f': '\\f',
  '\n': '\\n',
  '\r': '\\r',
  '\t': '\\t',
  '\v': '\\v',
  '\\': '\\\\',
  '"': '\\"',
}

/** A string as Go's `%q` writes it. */
export function goQuote(text: string): string {
  if (/^[ !#-[\]-~]*$/.test(text)) return `"${text}"`
  let out = '"'
  for (const char of text) {
    const escaped = escapes[char]
    const code = char.codePointAt(0)!
    if (escaped !== undefined) out += escaped
    else if (code < 0x20 || code === 0x7f) out += `\\x${code.toString(16).padStart(2, '0')}`
    else if (code < 0x7f || isPrintable(char)) out += char
    else if (code < 0x10000) out += `\\u${code.toString(16).padStart(4, '0')}`
    else out += `\\U${code.toString(16).padStart(8, '0')}`
  }
  return `${out}"`
}

/** Letters, marks, numbers, punctuation, symbols and the plain space, as Go's unicode.IsPrint. */
export function isPrintable(char: string): boolean {
  return char === ' ' || /^[\p{L}\p{M}\p{N}\p{P}\p{S}]$/u.test(char)
}

/** A list of strings as Go's `%q` writes it: `["a" "b"]`. */
export function goQuoteList(texts: readonly string[]): string {
  return `[${texts.map(goQuote).join(' ')}]`
}

/** A list of strings as Go's `%v` writes it: `[a b]`. */
export function goList(texts: readonly unknown[]): string {
  return `[${texts.join(' ')}]`
}

/** A string map as Go's `%v` writes it: `map[a:b c:d]`, keys sorted. */
export function goMap(map: Readonly<Record<string, unknown>>): string {
  const keys = Object.keys(map).sort()
  return `map[${keys.map((key) => `${key}:${map[key]}`).join(' ')}]`
}

// Fields whose values are maps: Go sorts their keys, and leaves those of structs in declaration order.
const mapFields = new Set(['annotations', 'labels', 'limits', 'matchLabels', 'nodeSelector', 'requests'])

/** JSON as Go's encoder writes it: no spaces, `<`, `>` and `&` escaped, maps sorted. */
export function goJson(value: unknown): string {
  const text = stringifyJson(value, (key, inner) => (mapFields.has(key) ? withSortedKeys(inner) : inner)) ?? 'null'
  return text.replace(/[<>&\u2028\u2029]/g, (char) => `\\u${char.charCodeAt(0).toString(16).padStart(4, '0')}`)
}

/** A map as Go prints it. */
export function withSortedKeys<T>(map: T): T {
  if (typeof map !== 'object' || map === null || Array.isArray(map)) return map
  return Object.fromEntries(Object.entries(map).sort(([a], [b]) => (a < b ? -1 : 1))) as T
}
