// The strings extension, in the version that Kubernetes offers (2): positions count code points.
import { CelError, CelList, type EntryMap, isMap, listFrom, typeName, Uint, type Value } from '../values.ts'
import { fn, type Overload, perChar } from './overload.ts'
import { shown } from './standard.ts'

const whole = (size: number): number => perChar(size)
// Going through the text, and making one of it.
const twice = (size: number): number => Math.ceil(size * 0.2)
const searched = (text: number, part: number): number => perChar(text) * Math.max(1, perChar(part))

function chars(text: string): string[] {
  return [...text]
}

function inside(index: bigint, length: number): number {
  if (index < 0n || index > BigInt(length)) throw new CelError(`index out of range: ${index}`)
  return Number(index)
}

function indexOf(text: string, part: string, from = 0n): bigint {
  const all = chars(text)
  const start = inside(from, all.length)
  const offset = all.slice(0, start).join('').length
  const found = text.indexOf(part, offset)
  return found < 0 ? -1n : BigInt(chars(text.slice(0, found)).length)
}

function lastIndexOf(text: string, part: string, from?: bigint): bigint {
  const all = chars(text)
  if (from !== undefined) inside(from, all.length)
  const offset = from === undefined ? Number.POSITIVE_INFINITY : all.slice(0, Number(from)).join('').length
  const found = text.lastIndexOf(part, offset)
  return found < 0 ? -1n : BigInt(chars(text.slice(0, found)).length)
}

function substring(text: string, from: bigint, to?: bigint): string {
  const all = chars(text)
  const start = inside(from, all.length)
  const end = to === undefined ? all.length : inside(to, all.length)
  if (start > end) throw new CelError(`invalid substring range. start: ${start}, end: ${end}`)
  return all.slice(start, end).join('')
}

function replace(text: string, part: string, by: string, limit = -1n): string {
  if (limit < 0n && part !== '') return bounded(text.split(part), by)
  const pieces = part === '' ? chars(text) : text.split(part)
  if (part === '') pieces.unshift('')
  if (part === '') pieces.push('')
  const count = limit < 0n ? pieces.length : Math.min(pieces.length - 1, Number(limit)) + 1
  return bounded([...pieces.slice(0, count - 1), pieces.slice(count - 1).join(part)], by)
}

/** Longest text that an expression may put together. */
const textLengthMax = 10_000_000

function bounded(pieces: readonly string[], by: string): string {
  if (by.length * pieces.length > textLengthMax) throw new CelError('result is too large')
  return pieces.join(by)
}

function split(text: string, by: string, limit = -1n): CelList {
  if (limit === 0n) return listFrom([])
  const pieces = by === '' ? chars(text) : text.split(by)
  if (limit < 0n || pieces.length <= limit) return listFrom(pieces)
  const count = Number(limit)
  return listFrom([...pieces.slice(0, count - 1), pieces.slice(count - 1).join(by)])
}

function join(list: CelList, by = ''): string {
  const pieces = [...list].map((piece) => {
    if (typeof piece !== 'string') throw new CelError('no such overload')
    return piece
  })
  return bounded(pieces, by)
}

function charAt(text: string, index: bigint): string {
  const all = chars(text)
  return all[inside(index, all.length)] ?? ''
}

// Letters of ASCII only.
const lower = (text: string): string => text.replace(/[A-Z]/g, (letter) => letter.toLowerCase())
const upper = (text: string): string => text.replace(/[a-z]/g, (letter) => letter.toUpperCase())

export const textFunctions: readonly Overload[] = [
  fn('string->charAt(int): string', charAt, whole),
  fn('string->indexOf(string): int', indexOf, searched),
  fn('string->indexOf(string, int): int', indexOf, searched),
  fn('string->lastIndexOf(string): int', lastIndexOf, searched),
  fn('string->lastIndexOf(string, int): int', lastIndexOf, searched),
  fn('string->lowerAscii(): string', lower, whole),
  fn('string->upperAscii(): string', upper, whole),
  fn('string->replace(string, string): string', replace, twice),
  fn('string->replace(string, string, int): string', replace, twice),
  fn('string->split(string): list<string>', split, twice),
  fn('string->split(string, int): list<string>', split, twice),
  fn('string->substring(int): string', substring, whole),
  fn('string->substring(int, int): string', substring, whole),
  fn('string->trim(): string', (text: string) => text.trim(), whole),
  joining(fn('list<string>->join(): string', join, (size) => size)),
  joining(fn('list<string>->join(string): string', join, (size) => size)),
  fn('strings.quote(string): string', (text: string) => JSON.stringify(text), whole),
  fn('string->format(list<dyn>): string', format, (text, args) => perChar(text) + args),
]

// It costs by what comes of it.
function joining(overload: Overload): Overload {
  return {
    ...overload,
    cost([list, between = '']) {
      const { size } = list as CelList
      let length = Math.max(0, size - 1) * (between as string).length
      for (let i = 0; i < size; i++) {
        const item = (list as CelList).at(i)
        if (typeof item === 'string') length += item.length
      }
      return twice(length)
    },
  }
}

const clause = /%(?:%|(?:\.(\d+))?([a-zA-Z]))/g

function format(text: string, args: CelList): string {
  let next = 0
  const result = text.replace(clause, (whole, precision: string | undefined, verb: string | undefined) => {
    if (verb === undefined) return '%'
    if (next >= args.size) throw new CelError(`index ${next} out of range`)
    return clauseOf(args.at(next++), verb, precision === undefined ? 6 : Math.min(Number(precision), 100), whole)
  })
  if (result.length > textLengthMax) throw new CelError('result is too large')
  return result
}

function clauseOf(value: Value, verb: string, precision: number, whole: string): string {
  switch (verb) {
    case 's':
      return anyText(value)
    case 'd':
      if (typeof value === 'bigint' || typeof value === 'number') return String(value)
      if (value instanceof Uint) return String(value.value)
      break
    case 'f':
      if (typeof value === 'number') return value.toFixed(precision)
      break
    case 'e':
      if (typeof value === 'number') return scientific(value, precision)
      break
    case 'b':
      if (typeof value === 'boolean') return value ? '1' : '0'
      return inBase(value, 2)
    case 'o':
      return inBase(value, 8)
    case 'x':
      return hex(value)
    case 'X':
      return hex(value).toUpperCase()
    default:
      throw new CelError(`could not parse formatting clause: unrecognized formatting clause "${whole.slice(1)}"`)
  }
  throw new CelError(`error during formatting: ${verb} clause cannot be used on ${typeName(value)}`)
}

// As Kubernetes prints them: 3.14×10⁰⁰.
function scientific(value: number, precision: number): string {
  const [digits = '', exponent = ''] = value.toExponential(precision).split('e')
  const raised = exponent
    .slice(1)
    .padStart(2, '0')
    .replace(/\d/g, (digit) => '⁰¹²³⁴⁵⁶⁷⁸⁹'[Number(digit)]!)
  return Number.isFinite(value) ? `${digits}×10${exponent.startsWith('-') ? '⁻' : ''}${raised}` : digits
}

function inBase(value: Value, base: number): string {
  if (typeof value === 'bigint') return value.toString(base)
  if (value instanceof Uint) return value.value.toString(base)
  throw new CelError(`error during formatting: only integers can be formatted in another base, was given ${typeName(value)}`)
}

function hex(value: Value): string {
  if (typeof value === 'string') return Buffer.from(value).toString('hex')
  if (value instanceof Uint8Array) return Buffer.from(value).toString('hex')
  return inBase(value, 16)
}

function anyText(value: Value): string {
  if (value instanceof CelList) return `[${[...value].map(anyText).join(', ')}]`
  if (typeof value === 'object' && value !== null && isMap(value)) {
    const entries = [...(value as EntryMap).keys()].map((key) => `${anyText(key)}: ${anyText(value.get(key)!)}`)
    return `{${entries.sort().join(', ')}}`
  }
  return value === null ? 'null' : shown(value)
}
