// The standard functions and operators of the language (cel.dev, "List of Standard Definitions"), those that decide about
// evaluation (`&&`, `||`, `? :`) aside.
import { compare, equals, isNumber } from '../compare.ts'
import {
  CelError,
  type CelList,
  Duration,
  type EntryMap,
  formatDuration,
  formatTimestamp,
  isMap,
  isOpaque,
  listFrom,
  parseDuration,
  parseTimestamp,
  Timestamp,
  TypeValue,
  typeName,
  Uint,
  type Value,
} from '../values.ts'
import { fn, type Overload, perChar } from './overload.ts'

function int(value: bigint): bigint {
  if (BigInt.asIntN(64, value) !== value) throw new CelError('integer overflow')
  return value
}

function uint(value: bigint): Uint {
  if (BigInt.asUintN(64, value) !== value) throw new CelError('unsigned integer overflow')
  return new Uint(value)
}

function nonZero(value: bigint, what: string): bigint {
  if (value === 0n) throw new CelError(what)
  return value
}

const textSum = (a: number, b: number): number => perChar(a + b)
const comparing = (a: number, b: number): number => perChar(Math.min(a, b))

const arithmetic: readonly Overload[] = [
  fn('_+_(int, int): int', (a: bigint, b: bigint) => int(a + b)),
  fn('_+_(uint, uint): uint', (a: Uint, b: Uint) => uint(a.value + b.value)),
  fn('_+_(double, double): double', (a: number, b: number) => a + b),
  fn('_+_(string, string): string', (a: string, b: string) => a + b, textSum),
  fn('_+_(bytes, bytes): bytes', (a: Uint8Array, b: Uint8Array) => Buffer.concat([a, b]), textSum),
  fn('_+_(list<A>, list<A>): list<A>', joinLists, (a, b) => a + b),
  fn('_+_(timestamp, duration): timestamp', (a: Timestamp, b: Duration) => new Timestamp(a.ns + b.ns)),
  fn('_+_(duration, timestamp): timestamp', (a: Duration, b: Timestamp) => new Timestamp(a.ns + b.ns)),
  fn('_+_(duration, duration): duration', (a: Duration, b: Duration) => new Duration(int(a.ns + b.ns))),
  fn('_-_(int, int): int', (a: bigint, b: bigint) => int(a - b)),
  fn('_-_(uint, uint): uint', (a: Uint, b: Uint) => uint(a.value - b.value)),
  fn('_-_(double, double): double', (a: number, b: number) => a - b),
  fn('_-_(timestamp, timestamp): duration', (a: Timestamp, b: Timestamp) => new Duration(int(a.ns - b.ns))),
  fn('_-_(timestamp, duration): timestamp', (a: Timestamp, b: Duration) => new Timestamp(a.ns - b.ns)),
  fn('_-_(duration, duration): duration', (a: Duration, b: Duration) => new Duration(int(a.ns - b.ns))),
  fn('_*_(int, int): int', (a: bigint, b: bigint) => int(a * b)),
  fn('_*_(uint, uint): uint', (a: Uint, b: Uint) => uint(a.value * b.value)),
  fn('_*_(double, double): double', (a: number, b: number) => a * b),
  fn('_/_(int, int): int', (a: bigint, b: bigint) => int(a / nonZero(b, 'division by zero'))),
  fn('_/_(uint, uint): uint', (a: Uint, b: Uint) => uint(a.value / nonZero(b.value, 'division by zero'))),
  fn('_/_(double, double): double', (a: number, b: number) => a / b),
  fn('_%_(int, int): int', (a: bigint, b: bigint) => a % nonZero(b, 'modulus by zero')),
  fn('_%_(uint, uint): uint', (a: Uint, b: Uint) => uint(a.value % nonZero(b.value, 'modulus by zero'))),
  fn('-_(int): int', (a: bigint) => int(-a)),
  fn('-_(double): double', (a: number) => -a),
  fn('-_(duration): duration', (a: Duration) => new Duration(-a.ns)),
  fn('!_(bool): bool', (a: boolean) => !a),
]

// Lists that are sets or maps merge, as apply does; all others are put one behind the other.
function joinLists(a: CelList, b: CelList): CelList {
  const { type } = a
  const kind = type?.listType
  if (kind === undefined) return listFrom([...a, ...b], type)
  const items = [...a]
  for (const item of b) {
    const at = items.findIndex((one) => (kind === 'set' ? equals(one, item) : sameKeys(one, item, type?.mapKeys ?? [])))
    if (at < 0) items.push(item)
    else items[at] = item
  }
  return listFrom(items, type)
}

function sameKeys(a: Value, b: Value, keys: readonly string[]): boolean {
  return isMap(a) && isMap(b) && keys.every((key) => equals(a.get(key) ?? null, b.get(key) ?? null))
}

const ordered = ['bool', 'int', 'uint', 'double', 'string', 'bytes', 'timestamp', 'duration']
const numbers = ['int', 'uint', 'double']
const orders: readonly (readonly [string, (order: number) => boolean])[] = [
  ['_<_', (order) => order < 0],
  ['_<=_', (order) => order <= 0],
  ['_>_', (order) => order > 0],
  ['_>=_', (order) => order >= 0],
]

const comparisons: readonly Overload[] = [
  fn('_==_(A, A): bool', (a: Value, b: Value) => equals(a, b), comparing),
  fn('_!=_(A, A): bool', (a: Value, b: Value) => !equals(a, b), comparing),
  ...orders.flatMap(([name, holds]) => {
    const pairs = [
      ...ordered.map((type) => [type, type] as const),
      ...numbers.flatMap((a) => numbers.filter((b) => b !== a).map((b) => [a, b] as const)),
    ]
    return pairs.map(([a, b]) => fn(`${name}(${a}, ${b}): bool`, (x: Value, y: Value) => holds(compare(x, y)), comparing))
  }),
]

function at(list: CelList, index: Value): Value {
  const number = typeof index === 'bigint' ? Number(index) : index instanceof Uint ? Number(index.value) : (index as number)
  if (!Number.isInteger(number)) throw new CelError(`unsupported index value: ${String(index)}`)
  if (number < 0 || number >= list.size) throw new CelError(`index out of bounds: ${number}`)
  return list.at(number)
}

const containers: readonly Overload[] = [
  fn('_[_](list<A>, int): A', at),
  fn('_[_](list<A>, uint): A', at),
  fn('_[_](list<A>, double): A', at),
  fn('_[_](map<A,B>, A): B', (map: EntryMap, key: Value) => {
    const value = map.get(key)
    if (value === undefined) throw new CelError(`no such key: ${showKey(key)}`)
    return value
  }),
  fn(
    '@in(A, list<A>): bool',
    (item: Value, list: CelList) => [...list].some((one) => equals(one, item)),
    (_, size) => size,
  ),
  fn('@in(A, map<A,B>): bool', (key: Value, map: EntryMap) => map.has(key)),
  fn('size(string): int', (text: string) => BigInt(length(text)), perChar),
  fn('size(bytes): int', (bytes: Uint8Array) => BigInt(bytes.length)),
  fn('size(list<A>): int', (list: CelList) => BigInt(list.size)),
  fn('size(map<A,B>): int', (map: EntryMap) => BigInt(map.size)),
  fn('string->size(): int', (text: string) => BigInt(length(text)), perChar),
  fn('bytes->size(): int', (bytes: Uint8Array) => BigInt(bytes.length)),
  fn('list<A>->size(): int', (list: CelList) => BigInt(list.size)),
  fn('map<A,B>->size(): int', (map: EntryMap) => BigInt(map.size)),
]

function showKey(key: Value): string {
  return isNumber(key) ? String(key instanceof Uint ? key.value : key) : String(key)
}

function length(text: string): number {
  let count = 0
  for (let i = 0; i < text.length; i++) {
    if (text.codePointAt(i)! > 0xffff) i++
    count++
  }
  return count
}

const texts: readonly Overload[] = [
  fn(
    'string->contains(string): bool',
    (text: string, part: string) => text.includes(part),
    (a, b) => perChar(a) * Math.max(1, perChar(b)),
  ),
  fn(
    'string->startsWith(string): bool',
    (text: string, part: string) => text.startsWith(part),
    (_, b) => perChar(b),
  ),
  fn(
    'string->endsWith(string): bool',
    (text: string, part: string) => text.endsWith(part),
    (_, b) => perChar(b),
  ),
]

function toInt(value: number): bigint {
  const whole = Math.trunc(value)
  if (!(Math.abs(whole) < 2 ** 63)) throw new CelError('integer overflow')
  return BigInt(whole)
}

function parseNumber(text: string, pattern: RegExp, type: string): string {
  if (!pattern.test(text)) throw new CelError(`type conversion error from 'string' to '${type}'`)
  return text
}

function stringOf(value: Value): string {
  if (typeof value === 'string') return value
  if (typeof value === 'number') return formatDouble(value)
  if (value instanceof Uint) return String(value.value)
  if (value instanceof Timestamp) return formatTimestamp(value)
  if (value instanceof Duration) return formatDuration(value)
  if (value instanceof Uint8Array) return utf8(value)
  return String(value)
}

function utf8(bytes: Uint8Array): string {
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes)
  } catch {
    throw new CelError('invalid UTF-8 in bytes, cannot convert to string')
  }
}

function formatDouble(value: number): string {
  if (Number.isFinite(value)) return String(value).replace(/e\+?(-?)(\d)$/, 'e$10$2')
  return Number.isNaN(value) ? 'NaN' : value > 0 ? '+Inf' : '-Inf'
}

const conversions: readonly Overload[] = [
  ...['int', 'uint', 'double', 'bool', 'bytes', 'timestamp', 'duration', 'string'].map((type) =>
    fn(`string(${type}): string`, stringOf, type === 'string' || type === 'bytes' ? perChar : undefined),
  ),
  fn('int(int): int', (value: bigint) => value),
  fn('int(uint): int', (value: Uint) => int(value.value)),
  fn('int(double): int', toInt),
  fn('int(string): int', (text: string) => int(BigInt(parseNumber(text, /^[+-]?\d+$/, 'int'))), perChar),
  fn('int(timestamp): int', (value: Timestamp) => value.ns / 1_000_000_000n),
  fn('int(duration): int', (value: Duration) => value.ns),
  fn('uint(uint): uint', (value: Uint) => value),
  fn('uint(int): uint', (value: bigint) => uint(value)),
  fn('uint(double): uint', (value: number) => uint(BigInt(Math.trunc(Number.isFinite(value) ? value : -1)))),
  fn('uint(string): uint', (text: string) => uint(BigInt(parseNumber(text, /^\d+$/, 'uint'))), perChar),
  fn('double(double): double', (value: number) => value),
  fn('double(int): double', (value: bigint) => Number(value)),
  fn('double(uint): double', (value: Uint) => Number(value.value)),
  fn('double(string): double', (text: string) => Number(parseNumber(text, /^[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?$/, 'double')), perChar),
  fn('bool(bool): bool', (value: boolean) => value),
  fn('bool(string): bool', (text: string) => {
    if (['true', 'True', 'TRUE', 't', '1'].includes(text)) return true
    if (['false', 'False', 'FALSE', 'f', '0'].includes(text)) return false
    throw new CelError("type conversion error from 'string' to 'bool'")
  }),
  fn('bytes(bytes): bytes', (value: Uint8Array) => value),
  fn('bytes(string): bytes', (text: string) => Buffer.from(text), perChar),
  fn('timestamp(timestamp): timestamp', (value: Timestamp) => value),
  fn('timestamp(int): timestamp', (value: bigint) => new Timestamp(value * 1_000_000_000n)),
  fn('timestamp(string): timestamp', (text: string) => {
    const parsed = parseTimestamp(text)
    if (parsed === undefined) throw new CelError("type conversion error from 'string' to 'google.protobuf.Timestamp'")
    return parsed
  }),
  fn('duration(duration): duration', (value: Duration) => value),
  fn('duration(int): duration', (value: bigint) => new Duration(value)),
  fn('duration(string): duration', (text: string) => {
    const parsed = parseDuration(text)
    if (parsed === undefined) throw new CelError("type conversion error from 'string' to 'google.protobuf.Duration'")
    return parsed
  }),
  fn('dyn(A): dyn', (value: Value) => value),
  fn('type(A): type', (value: Value) => new TypeValue(typeName(value))),
]

// Parts of an instant at UTC or in a zone: `Europe/Paris`, `-02:00`.
const parts: Readonly<Record<string, (date: Date) => number>> = {
  getFullYear: (date) => date.getUTCFullYear(),
  getMonth: (date) => date.getUTCMonth(),
  getDayOfYear: (date) =>
    Math.floor((Date.UTC(date.getUTCFullYear(), date.getUTCMonth(), date.getUTCDate()) - Date.UTC(date.getUTCFullYear(), 0)) / 86_400_000),
  getDate: (date) => date.getUTCDate(),
  getDayOfMonth: (date) => date.getUTCDate() - 1,
  getDayOfWeek: (date) => date.getUTCDay(),
  getHours: (date) => date.getUTCHours(),
  getMinutes: (date) => date.getUTCMinutes(),
  getSeconds: (date) => date.getUTCSeconds(),
  getMilliseconds: (date) => date.getUTCMilliseconds(),
}

function dateIn({ ns }: Timestamp, zone: string): Date {
  const ms = Number(ns >= 0n ? ns / 1_000_000n : (ns - 999_999n) / 1_000_000n)
  if (zone === '' || zone === 'UTC') return new Date(ms)
  const offset = /^([+-]?)(\d\d):(\d\d)$/.exec(zone)
  if (offset !== null) {
    const minutes = Number(offset[2]) * 60 + Number(offset[3])
    return new Date(ms + (offset[1] === '-' ? -minutes : minutes) * 60_000)
  }
  const format = zoneFormat(zone)
  const found = Object.fromEntries(format.formatToParts(ms).map(({ type, value }) => [type, Number(value)]))
  const { year = 0, month = 1, day = 1, hour = 0, minute = 0, second = 0 } = found
  return new Date(Date.UTC(year, month - 1, day, hour, minute, second, ((ms % 1_000) + 1_000) % 1_000))
}

const zoneFormats = new Map<string, Intl.DateTimeFormat>()
const zoneFormatsMax = 600

function zoneFormat(zone: string): Intl.DateTimeFormat {
  const known = zoneFormats.get(zone)
  if (known !== undefined) return known
  const numeric = 'numeric' as const
  const parts = { year: numeric, month: numeric, day: numeric, hour: numeric, minute: numeric, second: numeric }
  let made: Intl.DateTimeFormat
  try {
    made = new Intl.DateTimeFormat('en-US', { timeZone: zone, hourCycle: 'h23', ...parts })
  } catch {
    throw new CelError(`unknown time zone ${zone}`)
  }
  if (zoneFormats.size >= zoneFormatsMax) zoneFormats.clear()
  zoneFormats.set(zone, made)
  return made
}

const durationParts: Readonly<Record<string, bigint>> = {
  getHours: 3_600_000_000_000n,
  getMinutes: 60_000_000_000n,
  getSeconds: 1_000_000_000n,
}

// Looking at a clock in another zone is far dearer than at one's own.
const zoneCost = 100

const times: readonly Overload[] = [
  ...Object.entries(parts).flatMap(([name, part]) => [
    fn(`timestamp->${name}(): int`, (value: Timestamp) => BigInt(part(dateIn(value, '')))),
    fn(
      `timestamp->${name}(string): int`,
      (value: Timestamp, zone: string) => BigInt(part(dateIn(value, zone))),
      () => zoneCost,
    ),
  ]),
  ...Object.entries(durationParts).map(([name, unit]) => fn(`duration->${name}(): int`, ({ ns }: Duration) => ns / unit)),
  fn('duration->getMilliseconds(): int', ({ ns }: Duration) => ns / 1_000_000n),
]

export const standardFunctions: readonly Overload[] = [...arithmetic, ...comparisons, ...containers, ...texts, ...conversions, ...times]

/** A value as text where a message wants one. */
export function shown(value: Value): string {
  if (value !== null && isOpaque(value)) return value.text?.() ?? value.opaque
  return stringOf(value)
}
