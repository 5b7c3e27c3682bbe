// Parsing of JSON bodies. The engine's own parser does the work; ours looks again only when something is wrong: to say it in the
// words of Go's parser, which Kubernetes' clients know, or to name fields that stand in one object twice.

import { goQuote } from '../validation/text.ts'
import { DecodeError } from './scalars.ts'

/** A JSON text that cannot be parsed. The message is Go's. */
export class JsonSyntaxError extends DecodeError {}

/** Parses a JSON text. Throws `JsonSyntaxError`. */
export function parseJson(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch (error) {
    if (error instanceof SyntaxError) throw new JsonSyntaxError(describeSyntaxError(text))
    throw error
  }
}

/**
 * Fields that stand in one object twice, as strict decoding names them: `duplicate field "spec.replicas"`, at most 100.
 * `value` is what `parseJson` made of `text`. Costs one look at each character, unless there are some.
 */
export function duplicateFields(text: string, value: unknown): string[] {
  // A field whose name stands twice is one key of the parsed value only.
  if (colonsOutsideStrings(text) === keysOf(value)) return []
  const scanner = new Scanner(text)
  scanner.scanAll()
  return scanner.duplicates
}

function colonsOutsideStrings(text: string): number {
  let colons = 0
  const end = text.length
  for (let at = 0; at < end; at++) {
    const code = text.charCodeAt(at)
    if (code === 0x3a) colons++
    else if (code === 0x22) {
      for (at++; at < end; at++) {
        const inner = text.charCodeAt(at)
        if (inner === 0x22) break
        if (inner === 0x5c) at++
      }
    }
  }
  return colons
}

// With a stack of its own: the text may be nested deeper than calls can be.
function keysOf(value: unknown): number {
  let keys = 0
  const open: object[] = typeof value === 'object' && value !== null ? [value] : []
  for (let object = open.pop(); object !== undefined; object = open.pop()) {
    if (Array.isArray(object)) {
      for (const item of object) if (typeof item === 'object' && item !== null) open.push(item)
    } else {
      for (const key in object) {
        keys++
        const child = (object as Record<string, unknown>)[key]
        if (typeof child === 'object' && child !== null) open.push(child)
      }
    }
  }
  return keys
}

function describeSyntaxError(text: string): string {
  const scanner = new Scanner(text)
  try {
    scanner.scanAll()
  } catch (error) {
    if (error instanceof JsonSyntaxError) return error.message
    throw error
  }
  return 'invalid JSON'
}

const duplicatesMax = 100
// Go's own limit.
const depthMax = 10_000

type Frame = { kind: 'object'; keys: Set<string>; key: string } | { kind: 'array'; index: number }

/** Reads a JSON text token by token, as Go's scanner would, and remembers the keys of the objects it is in. */
class Scanner {
  readonly duplicates: string[] = []
  private readonly text: string
  private at = 0
  private readonly frames: Frame[] = []

  constructor(text: string) {
    this.text = text
  }

  /** Throws `JsonSyntaxError`. */
  scanAll(): void {
    this.scanValue()
    while (this.frames.length > 0) {
      const frame = this.frames.at(-1)!
      const next = this.peek()
      if (frame.kind === 'object') this.continueObject(frame, next)
      else this.continueArray(frame, next)
    }
    if (this.peek() !== undefined) this.fail('after top-level value')
  }

  private continueObject(frame: Frame & { kind: 'object' }, next: string | undefined): void {
    if (next === '}') return this.close()
    if (next !== ',') this.fail('after object key:value pair')
    this.at++
    this.scanKey(frame)
    this.scanValue()
  }

  private continueArray(frame: Frame & { kind: 'array' }, next: string | undefined): void {
    if (next === ']') return this.close()
    if (next !== ',') this.fail('after array element')
    this.at++
    frame.index++
    this.scanValue()
  }

  private close(): void {
    this.at++
    this.frames.pop()
  }

  // A scalar whole; of an object or list only what comes before its second element. Does not call itself: values may be nested
  // deeper than calls.
  private scanValue(): void {
    while (this.entersNested());
  }

  /** Reads a scalar or an empty object or list, or enters one whose first value comes next. */
  private entersNested(): boolean {
    const next = this.peek()
    if (next === '{') return this.openObject()
    if (next === '[') return this.openArray()
    if (next === '"') this.scanString()
    else if (next === '-' || (next !== undefined && next >= '0' && next <= '9')) this.scanNumber()
    else {
      const literal = ['true', 'false', 'null'].find((text) => next === text[0])
      if (literal === undefined) this.fail('looking for beginning of value')
      this.scanLiteral(literal)
    }
    return false
  }

  private open(frame: Frame): void {
    if (this.frames.length >= depthMax) throw new JsonSyntaxError('exceeded max depth')
    this.at++
    this.frames.push(frame)
  }

  private openObject(): boolean {
    const frame: Frame & { kind: 'object' } = { kind: 'object', keys: new Set(), key: '' }
    this.open(frame)
    const empty = this.peek() === '}'
    if (empty) this.close()
    else this.scanKey(frame)
    return !empty
  }

  private openArray(): boolean {
    this.open({ kind: 'array', index: 0 })
    const empty = this.peek() === ']'
    if (empty) this.close()
    return !empty
  }

  private scanKey(frame: Frame & { kind: 'object' }): void {
    if (this.peek() !== '"') this.fail('looking for beginning of object key string')
    frame.key = this.scanString()
    if (frame.keys.has(frame.key)) this.addDuplicate()
    frame.keys.add(frame.key)
    if (this.peek() !== ':') this.fail('after object key')
    this.at++
  }

  private addDuplicate(): void {
    const text = `duplicate field ${JSON.stringify(this.path())}`
    if (this.duplicates.length < duplicatesMax && !this.duplicates.includes(text)) this.duplicates.push(text)
  }

  private path(): string {
    let path = ''
    for (const frame of this.frames) {
      if (frame.kind === 'array') path += `[${frame.index}]`
      else path += `${path === '' ? '' : '.'}${frame.key}`
    }
    return path
  }

  private scanString(): string {
    const start = this.at++
    for (; ; this.at++) {
      const char = this.text[this.at]
      if (char === undefined) this.fail('')
      if (char === '"') break
      if (char < ' ') this.fail('in string literal')
      if (char === '\\') this.scanEscape()
    }
    this.at++
    return JSON.parse(this.text.slice(start, this.at)) as string
  }

  private scanEscape(): void {
    this.at++
    const char = this.text[this.at]
    if (char === 'u') {
      for (let i = 0; i < 4; i++) {
        this.at++
        if (!/^[0-9a-fA-F]$/.test(this.text[this.at] ?? '')) this.fail('in \\u hexadecimal character escape')
      }
    } else if (char === undefined || !'"\\/bfnrt'.includes(char)) this.fail('in string escape code')
  }

  private scanNumber(): void {
    if (this.text[this.at] === '-') this.at++
    if (this.text[this.at] === '0') this.at++
    else this.scanDigits('in numeric literal')
    if (this.text[this.at] === '.') {
      this.at++
      this.scanDigits('after decimal point in numeric literal')
    }
    if (this.text[this.at] === 'e' || this.text[this.at] === 'E') {
      this.at++
      if (this.text[this.at] === '+' || this.text[this.at] === '-') this.at++
      this.scanDigits('in exponent of numeric literal')
    }
  }

  private scanDigits(where: string): void {
    const start = this.at
    while (/^[0-9]$/.test(this.text[this.at] ?? '')) this.at++
    if (this.at === start) this.fail(where)
  }

  private scanLiteral(literal: string): void {
    for (const char of literal) {
      if (this.text[this.at] !== char) this.fail(`in literal ${literal} (expecting ${goQuoteChar(char)})`)
      this.at++
    }
  }

  /** The next character that is no white space. */
  private peek(): string | undefined {
    while (this.at < this.text.length && ' \t\r\n'.includes(this.text[this.at]!)) this.at++
    return this.text[this.at]
  }

  private fail(where: string): never {
    const char = this.text[this.at]
    if (char === undefined) throw new JsonSyntaxError('unexpected end of JSON input')
    const shown = String.fromCodePoint(this.text.codePointAt(this.at)!)
    throw new JsonSyntaxError(`invalid character ${goQuoteChar(shown)} ${where}`)
  }
}

function goQuoteChar(char: string): string {
  if (char === "'") return "'\\''"
  if (char === '"') return `'"'`
  return `'${goQuote(char).slice(1, -1)}'`
}
