// The tokens of an expression.
import { CelCompileError, type Position } from './syntax.ts'

export interface Token {
  readonly type: 'ident' | 'quoted' | 'int' | 'uint' | 'double' | 'string' | 'bytes' | 'symbol' | 'end'
  /** As written, for identifiers and symbols; the digits of numbers; empty for others. */
  readonly text: string
  readonly value?: string | Uint8Array
  readonly at: Position
}

const symbols = [
  '&&',
  '||',
  '==',
  '!=',
  '<=',
  '>=',
  '<',
  '>',
  '+',
  '-',
  '*',
  '/',
  '%',
  '!',
  '?',
  ':',
  '.',
  ',',
  '(',
  ')',
  '[',
  ']',
  '{',
  '}',
]
const space = /[\s]+|\/\/[^\n]*/y
const identifier = /[_a-zA-Z][_a-zA-Z0-9]*/y
const quotedIdentifier = /`([_a-zA-Z0-9./ -]+)`/y
const number = /(?:0[xX][0-9a-fA-F]+[uU]?|\d+\.\d+(?:[eE][+-]?\d+)?|\.\d+(?:[eE][+-]?\d+)?|\d+[eE][+-]?\d+|\d+[uU]?)/y
const stringStart = /(?:[rR][bB]?|[bB][rR]?)?(?:'''|"""|'|")/y

export function tokenize(source: string): Token[] {
  const tokens: Token[] = []
  let at = 0
  const take = (pattern: RegExp): RegExpExecArray | null => {
    pattern.lastIndex = at
    return pattern.exec(source)
  }
  while (at < source.length) {
    const blank = take(space)
    if (blank !== null) {
      at += blank[0].length
      continue
    }
    const token = stringToken(source, at, take(stringStart)) ?? otherToken(source, at, take)
    tokens.push(token.token)
    at = token.end
  }
  tokens.push({ type: 'end', text: '<EOF>', at: source.length })
  return tokens
}

interface Taken {
  readonly token: Token
  readonly end: number
}

function otherToken(source: string, at: number, take: (pattern: RegExp) => RegExpExecArray | null): Taken {
  const name = take(identifier)
  if (name !== null) return { token: { type: 'ident', text: name[0], at }, end: at + name[0].length }
  const quoted = take(quotedIdentifier)
  if (quoted !== null) return { token: { type: 'quoted', text: quoted[1]!, at }, end: at + quoted[0].length }
  const digits = take(number)
  if (digits !== null) return { token: numberToken(digits[0], at), end: at + digits[0].length }
  const symbol = symbols.find((one) => source.startsWith(one, at))
  if (symbol !== undefined) return { token: { type: 'symbol', text: symbol, at }, end: at + symbol.length }
  const char = String.fromCodePoint(source.codePointAt(at)!)
  throw syntaxError(source, at, `token recognition error at: '${char}'`)
}

function numberToken(text: string, at: Position): Token {
  if (/^0[xX]/.test(text) ? /[uU]$/.test(text) : /[uU]$/.test(text)) return { type: 'uint', text: text.slice(0, -1), at }
  if (!/^0[xX]/.test(text) && /[.eE]/.test(text)) return { type: 'double', text, at }
  return { type: 'int', text, at }
}

export function syntaxError(source: string, at: Position, message: string): CelCompileError {
  return new CelCompileError(source, [{ at, message: `Syntax error: ${message}` }])
}

function stringToken(source: string, at: number, start: RegExpExecArray | null): Taken | undefined {
  if (start === null) return undefined
  const opening = start[0]
  const quote = opening.replace(/^[rRbB]+/, '')
  const prefix = opening.slice(0, opening.length - quote.length).toLowerCase()
  const raw = prefix.includes('r')
  let end = at + opening.length
  for (;;) {
    if (end >= source.length || (quote.length === 1 && source[end] === '\n')) {
      throw syntaxError(source, at, `token recognition error at: '${source.slice(at, end)}'`)
    }
    if (source.startsWith(quote, end)) break
    end += source[end] === '\\' && !raw ? 2 : 1
  }
  const body = source.slice(at + opening.length, end)
  const bytes = prefix.includes('b')
  const value = bytes ? unescapeBytes(source, at, body, raw) : raw ? body : unescapeText(source, at, body)
  return { token: { type: bytes ? 'bytes' : 'string', text: '', value, at }, end: end + quote.length }
}

const escapePattern =
  /\\(?:([abfnrtv\\?"'`])|x([0-9a-fA-F]{2})|X([0-9a-fA-F]{2})|u([0-9a-fA-F]{4})|U([0-9a-fA-F]{8})|([0-3][0-7]{2})|([\s\S]?))/g
const simple: Readonly<Record<string, string>> = { a: '\x07', b: '\b', f: '\f', n: '\n', r: '\r', t: '\t', v: '\v' }

function unescapeText(source: string, at: Position, body: string): string {
  return body.replace(escapePattern, (_, plain, x, X, u, U, octal) => {
    if (plain !== undefined) return simple[plain] ?? plain
    const code = Number.parseInt(x ?? X ?? u ?? U ?? octal ?? '', octal === undefined ? 16 : 8)
    if (Number.isNaN(code) || code > 0x10ffff || (code >= 0xd800 && code <= 0xdfff))
      throw syntaxError(source, at, 'invalid escape sequence')
    return String.fromCodePoint(code)
  })
}

function unescapeBytes(source: string, at: Position, body: string, raw: boolean): Uint8Array {
  if (raw) return Buffer.from(body)
  const parts: Buffer[] = []
  let last = 0
  for (const match of body.matchAll(escapePattern)) {
    parts.push(Buffer.from(body.slice(last, match.index)))
    const [whole, plain, x, X, , , octal] = match
    if (plain !== undefined) parts.push(Buffer.from(simple[plain] ?? plain))
    else {
      const code = Number.parseInt(x ?? X ?? octal ?? '', octal === undefined ? 16 : 8)
      if (Number.isNaN(code)) throw syntaxError(source, at, 'invalid escape sequence')
      parts.push(Buffer.from([code]))
    }
    last = match.index + whole.length
  }
  parts.push(Buffer.from(body.slice(last)))
  return Buffer.concat(parts)
}
