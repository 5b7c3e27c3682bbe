// Decoding of scalars: the type check and the canonical form of each, as Go's types read them from JSON.

import { canonicalQuantity, QuantityError } from '../quantity.ts'
import { canonicalMicroTimestamp, canonicalTimestamp, formatGoDuration, parseGoDuration, TimeError } from './go-time.ts'
import type { ScalarSchema, ScalarType } from './schema.ts'
import { stringifyJson } from './stringify.ts'

/** Says that a value is of the wrong type; the caller knows the field and words the error. */
export const wrongType: unique symbol = Symbol('wrong type')

/** Input that cannot be decoded into the kind. The message is Kubernetes' (Go's), without `… cannot be handled as a …` before it. */
export class DecodeError extends Error {
  override readonly name = 'DecodeError'
  /** Set when a value is of the wrong type. */
  readonly mismatch?: TypeMismatch

  constructor(message: string, mismatch?: TypeMismatch) {
    super(message)
    if (mismatch !== undefined) this.mismatch = mismatch
  }
}

/**
 * A number as it was written, where that says more than its value: `1.0` and `1e3`, which are no whole numbers to Go's decoder,
 * and whole numbers beyond 64 bits. Only a parsed text holds them, never a decoded object.
 */
export class NumberLiteral {
  readonly text: string

  constructor(text: string) {
    this.text = text
  }

  get value(): number {
    return Number(this.text)
  }

  toJSON(): number {
    return this.value
  }
}

export interface TypeMismatch {
  readonly value: unknown
  readonly wanted: 'struct' | 'map' | 'list' | ScalarType
  readonly goType: string
}

/** The decoded value, or `wrongType`; never sees null. Throws `DecodeError` for texts that a special type cannot read. */
export type ScalarDecoder = (value: unknown) => unknown

const int32Max = 2 ** 31 - 1
const int32Min = -(2 ** 31)

function decodeString(value: unknown): unknown {
  return typeof value === 'string' ? value : wrongType
}

function decodeBoolean(value: unknown): unknown {
  return typeof value === 'boolean' ? value : wrongType
}

function decodeInt32(value: unknown): unknown {
  return Number.isInteger(value) && (value as number) <= int32Max && (value as number) >= int32Min ? value : wrongType
}

// Beyond 2^53 JavaScript has no exact whole numbers: such a value is a bigint, whatever the type of the field says. Whoever counts
// with one converts it first; comparing does without.
function decodeInt64(value: unknown): unknown {
  if (typeof value === 'bigint') return value >= int64Min && value <= int64Max ? value : wrongType
  if (Number.isSafeInteger(value)) return value
  // Whole, and too large to be exact: it was counted (1e18 in YAML), not written.
  return Number.isInteger(value) && Math.abs(value as number) < 2 ** 63 ? BigInt(value as number) : wrongType
}

const int64Max = 2n ** 63n - 1n
const int64Min = -(2n ** 63n)

function decodeNumber(value: unknown): unknown {
  if (typeof value === 'bigint') return Number(value)
  if (value instanceof NumberLiteral) return value.value
  return typeof value === 'number' ? value : wrongType
}

function decodeBytes(value: unknown): unknown {
  return typeof value === 'string' ? canonicalBase64(value) : wrongType
}

function decodeTime(value: unknown): unknown {
  return canonical(value, canonicalTimestamp, 'string')
}

function decodeMicroTime(value: unknown): unknown {
  return canonical(value, canonicalMicroTimestamp, 'string')
}

function decodeDuration(value: unknown): unknown {
  return canonical(value, (text) => formatGoDuration(parseGoDuration(text)), 'string')
}

function decodeQuantity(value: unknown): unknown {
  if (typeof value === 'bigint') return canonical(String(value), canonicalQuantity, 'string')
  if (value instanceof NumberLiteral) return canonical(value.text, canonicalQuantity, 'string')
  if (typeof value !== 'string' && typeof value !== 'number') return canonical(stringifyJson(value), canonicalQuantity, 'string')
  return canonical(String(value).trim(), canonicalQuantity, 'string')
}

function decodeIntOrString(value: unknown): unknown {
  if (typeof value === 'string') return value
  return decodeInt32(value)
}

function canonical(value: unknown, convert: (text: string) => string, _type: string): unknown {
  if (typeof value !== 'string') return wrongType
  try {
    return convert(value)
  } catch (error) {
    if (error instanceof TimeError || error instanceof QuantityError) throw new DecodeError(error.message)
    throw error
  }
}

const decoders: Readonly<Record<ScalarType, ScalarDecoder>> = {
  string: decodeString,
  boolean: decodeBoolean,
  int32: decodeInt32,
  int64: decodeInt64,
  number: decodeNumber,
  bytes: decodeBytes,
  time: decodeTime,
  microTime: decodeMicroTime,
  duration: decodeDuration,
  quantity: decodeQuantity,
  intOrString: decodeIntOrString,
}

export function scalarDecoder(type: ScalarType): ScalarDecoder {
  return decoders[type]
}

/** Go's zero value in JSON; undefined for the times, whose zero is null. */
export function zeroScalar(type: ScalarType): unknown {
  switch (type) {
    case 'string':
    case 'bytes':
      return ''
    case 'boolean':
      return false
    case 'int32':
    case 'int64':
    case 'number':
    case 'intOrString':
      return 0
    case 'duration':
      return '0s'
    case 'quantity':
      return '0'
    case 'time':
    case 'microTime':
      return undefined
  }
}

/** Whether a value of this type is what `omitempty` leaves out. Structs in Go (times, quantities, durations) never are. */
export function isEmptyScalar(type: ScalarType, value: unknown): boolean {
  return value === '' ? type === 'string' || type === 'bytes' : value === false || (value === 0 && type !== 'intOrString')
}

// What Go's JSON decoder calls the type in its errors. The special types decode into a plain one first.
const goNames: Readonly<Record<ScalarType, string>> = {
  string: 'string',
  boolean: 'bool',
  int32: 'int32',
  int64: 'int64',
  number: 'float64',
  bytes: '[]uint8',
  time: 'string',
  microTime: 'string',
  duration: 'string',
  quantity: 'string',
  intOrString: 'int32',
}

export function goTypeOfScalar(schema: ScalarSchema): string {
  return schema.goType ?? goNames[schema.type]
}

const base64 = /^[A-Za-z0-9+/]*={0,2}$/
const base64Digits = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/'

/** Checks standard base64 and gives its canonical form (no line ends, no stray bits). Throws `DecodeError`. */
export function canonicalBase64(text: string): string {
  const joined = text.includes('\n') || text.includes('\r') ? text.replace(/[\r\n]/g, '') : text
  if (joined.length % 4 !== 0 || !base64.test(joined)) throw new DecodeError(`illegal base64 data at input byte ${wrongByte(text)}`)
  if (!joined.endsWith('=')) return joined
  const digits = joined.endsWith('==') ? joined.length - 2 : joined.length - 1
  const last = base64Digits.indexOf(joined[digits - 1]!)
  const clean = joined.endsWith('==') ? last & 0b110000 : last & 0b111100
  return clean === last ? joined : `${joined.slice(0, digits - 1)}${base64Digits[clean]}${joined.slice(digits)}`
}

// Go counts the byte at which it gave up: the first that is no digit, or the end.
function wrongByte(text: string): number {
  const stray = text.search(/[^A-Za-z0-9+/\r\n]/)
  return stray >= 0 ? stray : text.length - (text.length % 4 === 1 ? 1 : 0)
}
