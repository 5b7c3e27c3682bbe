// The values of expressions. Numbers of the language are bigint (int), Uint and number (double); JSON is not converted but read
// through, by its declared type where there is one.
import { dyn, type ListType, type MapType, type ObjectType, type Type } from './types.ts'

/** An error of evaluation: what `||`, `&&`, and `? :` may absorb. */
export class CelError extends Error {
  override readonly name = 'CelError'
}

export class Uint {
  readonly value: bigint
  constructor(value: bigint) {
    this.value = value
  }
}

/** An instant, in nanoseconds since 1970. */
export class Timestamp {
  readonly ns: bigint
  constructor(ns: bigint) {
    this.ns = ns
  }
}

export class Duration {
  readonly ns: bigint
  constructor(ns: bigint) {
    this.ns = ns
  }
}

export class Optional {
  readonly value: Value | undefined
  constructor(value: Value | undefined) {
    this.value = value
  }
}

export const optionalNone = new Optional(undefined)

export class TypeValue {
  readonly type: string
  constructor(type: string) {
    this.type = type
  }
}

/** A value of one of Kubernetes' libraries. */
export interface Opaque {
  readonly opaque: string
  /** As text, for `string(x)` and for what is shown. */
  text?(): string
  equals?(other: Opaque): boolean
}

/** A list: JSON read through by its elements' type, or values put together by an expression. */
export class CelList {
  readonly raw: readonly unknown[]
  readonly type: ListType | undefined
  private readonly values: boolean

  constructor(raw: readonly unknown[], type: ListType | undefined, values = false) {
    this.raw = raw
    this.type = type
    this.values = values
  }

  get size(): number {
    return this.raw.length
  }

  at(index: number): Value {
    return this.values ? (this.raw[index] as Value) : adapt(this.raw[index], this.type?.element ?? dyn)
  }

  *[Symbol.iterator](): Generator<Value> {
    for (let i = 0; i < this.raw.length; i++) yield this.at(i)
  }
}

export function listFrom(values: readonly Value[], type?: ListType): CelList {
  return new CelList(values, type, true)
}

/** Maps and objects. */
export interface CelMap {
  readonly isMap: true
  readonly size: number
  /** Undefined: there is no such key. */
  get(key: Value): Value | undefined
  has(key: Value): boolean
  keys(): Iterable<Value>
}

/** A JSON object, as a map or, by an ObjectType, with fields. */
export class JsonMap implements CelMap {
  readonly isMap = true
  readonly raw: Readonly<Record<string, unknown>>
  readonly type: MapType | ObjectType | undefined

  constructor(raw: Readonly<Record<string, unknown>>, type: MapType | ObjectType | undefined) {
    this.raw = raw
    this.type = type
  }

  get size(): number {
    const names = Object.keys(this.raw)
    return this.type?.kind === 'object' ? names.filter((name) => this.raw[name] !== null).length : names.length
  }

  // Fields that are null are not there; null in maps and lists is.
  private holds(name: string): boolean {
    if (!Object.hasOwn(this.raw, name)) return false
    const value = this.raw[name]
    return value !== undefined && (value !== null || this.type?.kind !== 'object')
  }

  private find(key: Value): readonly [string, Type] | undefined {
    if (typeof key !== 'string') return undefined
    if (this.type?.kind !== 'object') return [key, this.type?.value ?? dyn]
    const field = this.type.fields.get(key)
    return field === undefined ? undefined : [field.name, field.type]
  }

  get(key: Value): Value | undefined {
    const found = this.find(key)
    return found === undefined || !this.holds(found[0]) ? undefined : adapt(this.raw[found[0]], found[1])
  }

  has(key: Value): boolean {
    const found = this.find(key)
    return found !== undefined && this.holds(found[0])
  }

  *keys(): Generator<Value> {
    for (const key of Object.keys(this.raw)) if (this.holds(key)) yield key
  }

  /** What stands under a name of the JSON, whether or not expressions can name it. */
  under(name: string): Value | undefined {
    if (!this.holds(name)) return undefined
    if (this.type?.kind !== 'object') return adapt(this.raw[name], this.type?.value ?? dyn)
    return adapt(this.raw[name], typesByName(this.type).get(name) ?? dyn)
  }
}

const typesOf = new WeakMap<ObjectType, ReadonlyMap<string, Type>>()

function typesByName(type: ObjectType): ReadonlyMap<string, Type> {
  let types = typesOf.get(type)
  if (types === undefined) {
    types = new Map([...type.fields.values()].map((field) => [field.name, field.type]))
    typesOf.set(type, types)
  }
  return types
}

/** A map that an expression put together. */
export class EntryMap implements CelMap {
  readonly isMap = true
  private readonly entries = new Map<string, readonly [Value, Value]>()

  get size(): number {
    return this.entries.size
  }

  /** False: the key is there already. */
  add(key: Value, value: Value): boolean {
    const id = keyId(key)
    if (this.entries.has(id)) return false
    this.entries.set(id, [key, value])
    return true
  }

  get(key: Value): Value | undefined {
    return this.entries.get(keyId(key))?.[1]
  }

  has(key: Value): boolean {
    return this.entries.has(keyId(key))
  }

  *keys(): Generator<Value> {
    for (const [key] of this.entries.values()) yield key
  }
}

/** Fields that are computed when they are first asked for: `variables`. */
export class LazyMap implements CelMap {
  readonly isMap = true
  private readonly compute: ReadonlyMap<string, () => Value>
  private readonly known = new Map<string, { readonly value?: Value; readonly error?: unknown }>()

  constructor(compute: ReadonlyMap<string, () => Value>) {
    this.compute = compute
  }

  get size(): number {
    return this.compute.size
  }

  get(key: Value): Value | undefined {
    if (typeof key !== 'string') return undefined
    let known = this.known.get(key)
    if (known === undefined) {
      const compute = this.compute.get(key)
      if (compute === undefined) return undefined
      try {
        known = { value: compute() }
      } catch (error) {
        if (!(error instanceof CelError)) throw error
        known = { error }
      }
      this.known.set(key, known)
    }
    if (known.error !== undefined) throw known.error
    return known.value
  }

  has(key: Value): boolean {
    return typeof key === 'string' && this.compute.has(key)
  }

  keys(): Iterable<Value> {
    return this.compute.keys()
  }
}

/** `Object.spec{…}`: an object that an expression makes, of a named type. */
export class StructValue implements CelMap {
  readonly isMap = true
  readonly name: string
  readonly fields: ReadonlyMap<string, Value>

  constructor(name: string, fields: ReadonlyMap<string, Value>) {
    this.name = name
    this.fields = fields
  }

  get size(): number {
    return this.fields.size
  }

  get(key: Value): Value | undefined {
    return typeof key === 'string' ? this.fields.get(key) : undefined
  }

  has(key: Value): boolean {
    return typeof key === 'string' && this.fields.has(key)
  }

  keys(): Iterable<Value> {
    return this.fields.keys()
  }
}

export type Value =
  | null
  | boolean
  | bigint
  | number
  | string
  | Uint8Array
  | Uint
  | Timestamp
  | Duration
  | Optional
  | TypeValue
  | CelList
  | CelMap
  | Opaque

export function isMap(value: Value): value is CelMap {
  return typeof value === 'object' && value !== null && 'isMap' in value
}

export function isOpaque(value: Value): value is Opaque {
  return typeof value === 'object' && value !== null && 'opaque' in value
}

// Doubles that are whole numbers are the same key as the integer.
function keyId(key: Value): string {
  if (typeof key === 'string') return `s${key}`
  if (typeof key === 'bigint') return `n${key}`
  if (key instanceof Uint) return `n${key.value}`
  if (typeof key === 'number') return Number.isInteger(key) ? `n${BigInt(key)}` : `d${key}`
  return `b${String(key)}`
}

/** JSON, or a value already, as a value of the declared type. */
export function adapt(raw: unknown, type: Type): Value {
  switch (typeof raw) {
    case 'string':
      return type.kind === 'string' || type.kind === 'dyn' ? raw : adaptString(raw, type)
    case 'number':
      if (type.kind === 'double') return raw
      return Number.isInteger(raw) ? BigInt(raw) : raw
    case 'boolean':
      return raw
    case 'bigint':
      return type.kind === 'double' ? Number(raw) : raw
    case 'object':
      if (raw === null) return null
      if (Array.isArray(raw)) return new CelList(raw, type.kind === 'list' ? type : undefined)
      if (isValueObject(raw)) return raw
      return new JsonMap(raw as Record<string, unknown>, type.kind === 'map' || type.kind === 'object' ? type : undefined)
    default:
      return null
  }
}

function isValueObject(raw: object): raw is Exclude<Value, null | string | number | boolean | bigint> {
  const prototype = Object.getPrototypeOf(raw) as unknown
  if (prototype === Object.prototype || prototype === null) return 'opaque' in raw && typeof (raw as Opaque).text === 'function'
  return true
}

function adaptString(raw: string, type: Type): Value {
  if (type.kind === 'timestamp') return parseTimestamp(raw) ?? raw
  if (type.kind === 'duration') return parseDuration(raw) ?? raw
  if (type.kind === 'bytes') return Buffer.from(raw, 'base64')
  return raw
}

const timestampPattern = /^(\d{4}-\d\d-\d\d)[Tt](\d\d:\d\d:\d\d)(?:\.(\d{1,9})\d*)?([Zz]|[+-]\d\d:\d\d)$/

export function parseTimestamp(text: string): Timestamp | undefined {
  const match = timestampPattern.exec(text)
  if (match === null) {
    const date = /^\d{4}-\d\d-\d\d$/.test(text) ? Date.parse(text) : Number.NaN
    return Number.isNaN(date) ? undefined : new Timestamp(BigInt(date) * 1_000_000n)
  }
  const [, date, time, fraction = '', zone = 'Z'] = match
  const ms = Date.parse(`${date}T${time}${zone.toUpperCase()}`)
  if (Number.isNaN(ms)) return undefined
  return new Timestamp(BigInt(ms) * 1_000_000n + BigInt(fraction.padEnd(9, '0')))
}

const unitNs: Readonly<Record<string, bigint>> = {
  ns: 1n,
  us: 1_000n,
  µs: 1_000n,
  μs: 1_000n,
  ms: 1_000_000n,
  s: 1_000_000_000n,
  m: 60_000_000_000n,
  h: 3_600_000_000_000n,
}

export function parseDuration(text: string): Duration | undefined {
  if (text === '0' || text === '+0' || text === '-0') return new Duration(0n)
  const match = /^([+-]?)((?:\d+(?:\.\d*)?|\.\d+)(?:ns|us|µs|μs|ms|s|m|h))+$/.exec(text)
  if (match === null) return undefined
  let ns = 0n
  for (const [, whole = '', fraction = '', unit = ''] of text.matchAll(/(\d*)(?:\.(\d*))?(ns|us|µs|μs|ms|s|m|h)/g)) {
    const scale = unitNs[unit]!
    ns += BigInt(whole || '0') * scale
    if (fraction !== '') ns += (BigInt(fraction) * scale) / 10n ** BigInt(fraction.length)
  }
  return new Duration(match[1] === '-' ? -ns : ns)
}

/** As Go prints durations in this language: seconds, with what fraction there is. */
export function formatDuration({ ns }: Duration): string {
  const size = ns < 0n ? -ns : ns
  const fraction = (size % 1_000_000_000n).toString().padStart(9, '0').replace(/0+$/, '')
  return `${ns < 0n ? '-' : ''}${size / 1_000_000_000n}${fraction === '' ? '' : `.${fraction}`}s`
}

export function formatTimestamp({ ns }: Timestamp): string {
  const seconds = ns >= 0n ? ns / 1_000_000_000n : (ns - 999_999_999n) / 1_000_000_000n
  const fraction = (ns - seconds * 1_000_000_000n).toString().padStart(9, '0').replace(/0+$/, '')
  const base = new Date(Number(seconds) * 1_000).toISOString().slice(0, 19)
  return `${base}${fraction === '' ? '' : `.${fraction}`}Z`
}

/** The name of a value's type, as `type(x)` and messages say it. */
export function typeName(value: Value): string {
  if (value === null) return 'null_type'
  switch (typeof value) {
    case 'boolean':
      return 'bool'
    case 'bigint':
      return 'int'
    case 'number':
      return 'double'
    case 'string':
      return 'string'
  }
  if (value instanceof Uint8Array) return 'bytes'
  if (value instanceof Uint) return 'uint'
  if (value instanceof Timestamp) return 'google.protobuf.Timestamp'
  if (value instanceof Duration) return 'google.protobuf.Duration'
  if (value instanceof Optional) return 'optional_type'
  if (value instanceof TypeValue) return 'type'
  if (value instanceof CelList) return 'list'
  if (value instanceof StructValue) return value.name
  return isOpaque(value) ? value.opaque : 'map'
}

/** A value as plain JSON: what a message, an annotation or a patch is made of. Throws CelError for values that JSON cannot say. */
export function toJson(value: Value): unknown {
  if (value === null || typeof value === 'boolean' || typeof value === 'string' || typeof value === 'number') return value
  if (typeof value === 'bigint') return value >= Number.MIN_SAFE_INTEGER && value <= Number.MAX_SAFE_INTEGER ? Number(value) : value
  if (value instanceof Uint) return Number(value.value)
  if (value instanceof Uint8Array) return Buffer.from(value).toString('base64')
  if (value instanceof Timestamp) return formatTimestamp(value)
  if (value instanceof Duration) return formatDuration(value)
  if (value instanceof CelList) return [...value].map(toJson)
  if (value instanceof Optional && value.value !== undefined) return toJson(value.value)
  if (!isMap(value)) throw new CelError(`type conversion error from '${typeName(value)}' to 'google.protobuf.Value'`)
  const out: Record<string, unknown> = {}
  for (const key of value.keys()) {
    const entry = toJson(value.get(key)!)
    Object.defineProperty(out, String(toJson(key)), { value: entry, enumerable: true, writable: true, configurable: true })
  }
  return out
}
