// A JSON parser of our own, for what the engine's cannot do: say what is wrong in the words of Go's parser, name fields that stand
// in one object twice, keep numbers exactly, and stop in the middle of a large text so that others get their turn.
// It takes several times as long as the engine's, which does the usual work (json.ts). Values may be nested deeper than calls can be.
import { goQuote } from '../validation/text.ts'
import { DecodeError, NumberLiteral } from './scalars.ts'
import { resolved, type Schema } from './schema.ts'

/** A JSON text that cannot be parsed. The message is Go's. */
export class JsonSyntaxError extends DecodeError {}

/** What the numbers become that JavaScript would change. */
export type NumberForm =
  /**
   * What Go's untyped decoding makes of them: whole numbers of 64 bits stay exact (as bigint, beyond 2^53), all others are floats.
   */
  | 'values'
  /** The same, but whole numbers that are not written as such, and those beyond 64 bits, are `NumberLiteral`s. */
  | 'literals'

export interface ReaderOptions {
  readonly numbers: NumberForm
  /** Collect problems: fields that stand twice and, where the schema is given, fields that it does not know. */
  readonly report: boolean
  /** Kinds whose decoder in Kubernetes is typed. Without it every key of every object is looked at. */
  readonly schema?: Schema
}

// Go's own limits.
const problemsMax = 100
const depthMax = 10_000

type Container = Record<string, unknown> | unknown[]

interface Frame {
  readonly container: Container
  /** Keys seen so far; undefined where nobody wants to know. */
  readonly keys: Set<string> | undefined
  /** Of the container itself; undefined: nothing is known of it. */
  readonly schema: Schema | undefined
  /** The key, or the index, that is being read. */
  step: string | number
  /** Of the value that is being read. */
  inner: Schema | undefined
  /** Problems in the value that is being read are nobody's business: its field is unknown, or reads itself. */
  quiet: boolean
}

const quote = 0x22
const backslash = 0x5c
const comma = 0x2c
const colon = 0x3a
const openBrace = 0x7b
const closeBrace = 0x7d
const openBracket = 0x5b
const closeBracket = 0x5d
const minus = 0x2d
const plus = 0x2b
const zero = 0x30
const nine = 0x39
const point = 0x2e

export class JsonReader {
  /** `unknown field "spec.foo"`, `duplicate field "spec.bar"`, in document order, each once, at most 100. */
  readonly problems: string[] = []
  /** What was read; set when `run` says that it is done. */
  value: unknown
  readonly #text: string
  readonly #numbers: NumberForm
  readonly #report: boolean
  readonly #frames: Frame[] = []
  readonly #root: Schema | undefined
  readonly #seen = new Set<string>()
  #at = 0
  #begun = false

  constructor(text: string, { numbers, report, schema }: ReaderOptions) {
    this.#text = text
    this.#numbers = numbers
    this.#report = report
    this.#root = schema
  }

  /** Reads on, at most about so many values; true when all is read. Throws `JsonSyntaxError`. */
  run(valuesMax = Number.POSITIVE_INFINITY): boolean {
    let values = 0
    if (!this.#begun) {
      this.#begun = true
      this.#value(this.#root, false)
    }
    while (this.#frames.length > 0) {
      if (values++ >= valuesMax) return false
      const frame = this.#frames[this.#frames.length - 1]!
      if (Array.isArray(frame.container)) this.#item(frame, frame.container)
      else this.#member(frame)
    }
    if (this.#peek() >= 0) this.#fail('after top-level value')
    return true
  }

  #item(frame: Frame, list: unknown[]): void {
    const next = this.#peek()
    if (next === closeBracket) {
      this.#at++
      this.#frames.pop()
      return
    }
    if (list.length > 0) {
      if (next !== comma) this.#fail('after array element')
      this.#at++
      if (this.#peek() === closeBracket) this.#fail('looking for beginning of value')
    }
    frame.step = list.length
    this.#value(frame.inner, frame.quiet)
  }

  #member(frame: Frame): void {
    let next = this.#peek()
    if (next === closeBrace) {
      this.#at++
      this.#frames.pop()
      return
    }
    if (frame.step !== '') {
      if (next !== comma) this.#fail('after object key:value pair')
      this.#at++
      next = this.#peek()
    }
    if (next !== quote) this.#fail('looking for beginning of object key string')
    const key = this.#string()
    if (this.#peek() !== colon) this.#fail('after object key')
    this.#at++
    // An empty key is a key like others; what counts is that there was one.
    frame.step = key === '' ? emptyKey : key
    if (this.#report) this.#lookAtKey(frame, key)
    this.#value(frame.inner, frame.quiet)
  }

  #lookAtKey(frame: Frame, key: string): void {
    const { keys, schema } = frame
    if (keys === undefined) return
    const field = schema?.type === 'struct' ? schema.fields.get(key) : undefined
    frame.inner = field?.schema
    if (schema !== undefined) {
      const unknown = schema.type === 'struct' && field === undefined && !schema.preserveUnknown
      frame.quiet = unknown || readsItself(field?.schema)
      if (schema.type === 'map') frame.inner = schema.values
      else if (schema.type === 'any') frame.inner = schema
      if (unknown) {
        this.#problem('unknown', key)
        return
      }
    }
    if (keys.has(key)) this.#problem('duplicate', key)
    else keys.add(key)
  }

  #problem(what: 'unknown' | 'duplicate', key: string): void {
    if (this.problems.length >= problemsMax) return
    let path = ''
    for (let i = 0; i < this.#frames.length - 1; i++) {
      const { step } = this.#frames[i]!
      path += typeof step === 'number' ? `[${step}]` : `${path === '' ? '' : '.'}${step === emptyKey ? '' : step}`
    }
    const text = `${what} field ${goQuote(path === '' ? key : `${path}.${key}`)}`
    if (this.#seen.has(text)) return
    this.#seen.add(text)
    this.problems.push(text)
  }

  // Reads a scalar, or enters an object or list.
  #value(schema: Schema | undefined, quiet: boolean): void {
    const next = this.#peek()
    if (next === openBrace || next === openBracket) {
      if (this.#frames.length >= depthMax) throw new JsonSyntaxError('exceeded max depth')
      this.#at++
      const known = schema === undefined ? undefined : resolved(schema)
      const isObject = next === openBrace
      const container: Container = isObject ? {} : []
      this.#put(container)
      const inner = isObject ? undefined : itemsOf(known)
      const silent = quiet || (this.#root !== undefined && (known === undefined || readsItself(known)))
      const keys = isObject && this.#report && !silent ? new Set<string>() : undefined
      this.#frames.push({ container, keys, schema: isObject ? known : undefined, step: isObject ? '' : 0, inner, quiet: silent })
      return
    }
    if (next === quote) this.#put(this.#string())
    else if (next === minus || (next >= zero && next <= nine)) this.#put(this.#number())
    else if (next === 0x74) this.#put(this.#literal('true', true))
    else if (next === 0x66) this.#put(this.#literal('false', false))
    else if (next === 0x6e) this.#put(this.#literal('null', null))
    else this.#fail('looking for beginning of value')
  }

  #put(value: unknown): void {
    const frame = this.#frames[this.#frames.length - 1]
    if (frame === undefined) this.value = value
    else if (Array.isArray(frame.container)) frame.container.push(value)
    else {
      const key = frame.step === emptyKey ? '' : (frame.step as string)
      if (key === '__proto__') {
        Object.defineProperty(frame.container, key, { value, writable: true, enumerable: true, configurable: true })
      } else frame.container[key] = value
    }
  }

  #string(): string {
    const text = this.#text
    const start = ++this.#at
    let escaped = false
    for (; ; this.#at++) {
      const code = text.charCodeAt(this.#at)
      if (code === quote) break
      if (code === backslash) {
        escaped = true
        this.#escape()
      } else if (!(code >= 0x20)) this.#fail('in string literal')
    }
    const end = this.#at++
    return escaped ? (JSON.parse(text.slice(start - 1, end + 1)) as string) : text.slice(start, end)
  }

  #escape(): void {
    this.#at++
    const char = this.#text[this.#at]
    if (char === 'u') {
      for (let i = 0; i < 4; i++) {
        this.#at++
        if (!/^[0-9a-fA-F]$/.test(this.#text[this.#at] ?? '')) this.#fail('in \\u hexadecimal character escape')
      }
    } else if (char === undefined || !'"\\/bfnrt'.includes(char)) this.#fail('in string escape code')
  }

  #number(): unknown {
    const text = this.#text
    const start = this.#at
    if (text.charCodeAt(this.#at) === minus) this.#at++
    if (text.charCodeAt(this.#at) === zero) this.#at++
    else this.#digits('in numeric literal')
    let whole = true
    if (text.charCodeAt(this.#at) === point) {
      whole = false
      this.#at++
      this.#digits('after decimal point in numeric literal')
    }
    const exponent = text.charCodeAt(this.#at)
    if (exponent === 0x65 || exponent === 0x45) {
      whole = false
      this.#at++
      const sign = text.charCodeAt(this.#at)
      if (sign === plus || sign === minus) this.#at++
      this.#digits('in exponent of numeric literal')
    }
    return numberOf(text.slice(start, this.#at), whole, this.#numbers)
  }

  #digits(where: string): void {
    const start = this.#at
    for (let code = this.#text.charCodeAt(start); code >= zero && code <= nine; code = this.#text.charCodeAt(this.#at)) this.#at++
    if (this.#at === start) this.#fail(where)
  }

  #literal<V>(name: string, value: V): V {
    for (const char of name) {
      if (this.#text[this.#at] !== char) this.#fail(`in literal ${name} (expecting ${goQuoteChar(char)})`)
      this.#at++
    }
    return value
  }

  /** The next character that is no white space; -1 at the end. */
  #peek(): number {
    for (;;) {
      const code = this.#text.charCodeAt(this.#at)
      if (code === 0x20 || code === 0x0a || code === 0x0d || code === 0x09) this.#at++
      else return code >= 0 ? code : -1
    }
  }

  #fail(where: string): never {
    const code = this.#text.codePointAt(this.#at)
    if (code === undefined) throw new JsonSyntaxError('unexpected end of JSON input')
    throw new JsonSyntaxError(`invalid character ${goQuoteChar(String.fromCodePoint(code))} ${where}`)
  }
}

// Stands for the empty key, which as a step would say that there was none yet.
const emptyKey = '\u0000empty'

function itemsOf(schema: Schema | undefined): Schema | undefined {
  if (schema?.type === 'list') return schema.items
  return schema?.type === 'any' ? schema : undefined
}

// Types that decode themselves in Kubernetes, without a word about fields.
function readsItself(schema: Schema | undefined): boolean {
  return schema !== undefined && (schema.type === 'union' || (schema.type === 'any' && schema.special !== undefined))
}

const int64Max = 2n ** 63n - 1n
const int64Min = -(2n ** 63n)

/** The value of a number's text. `whole`: it is written without a point or an exponent. */
export function numberOf(text: string, whole: boolean, form: NumberForm): number | bigint | NumberLiteral {
  const value = Number(text)
  if (whole) {
    if (Number.isSafeInteger(value)) return value
    // Digits beyond those of 64 bits are no whole number to Go, and reading a million of them would take minutes.
    if (text.length <= 20) {
      const exact = BigInt(text)
      if (exact >= int64Min && exact <= int64Max) return exact
    }
    return form === 'literals' ? new NumberLiteral(text) : value
  }
  return form === 'literals' && (Number.isInteger(value) || String(value) !== text) ? new NumberLiteral(text) : value
}

function goQuoteChar(char: string): string {
  if (char === "'") return "'\\''"
  if (char === '"') return `'"'`
  return `'${goQuote(char).slice(1, -1)}'`
}
