// Equality and order of values.
import {
  CelError,
  CelList,
  type CelMap,
  Duration,
  isMap,
  isOpaque,
  JsonMap,
  Optional,
  Timestamp,
  TypeValue,
  Uint,
  type Value,
} from './values.ts'

/** Numbers of all types compare by their value; lists and maps element by element; values of different types are unequal. */
export function equals(a: Value, b: Value): boolean {
  if (a === b) return true
  if (a === null || b === null) return false
  if (isNumber(a)) return isNumber(b) && compareNumbers(a, b) === 0
  if (typeof a !== 'object' || typeof b !== 'object') return false
  if (a instanceof Uint8Array) return b instanceof Uint8Array && Buffer.compare(a, b) === 0
  if (a instanceof Timestamp) return b instanceof Timestamp && a.ns === b.ns
  if (a instanceof Duration) return b instanceof Duration && a.ns === b.ns
  if (a instanceof TypeValue) return b instanceof TypeValue && a.type === b.type
  if (a instanceof Optional) {
    if (!(b instanceof Optional)) return false
    return a.value === undefined || b.value === undefined ? a.value === b.value : equals(a.value, b.value)
  }
  if (a instanceof CelList) return b instanceof CelList && listsEqual(a, b)
  if (isMap(a)) return isMap(b) && mapsEqual(a, b)
  return isOpaque(a) && isOpaque(b) && a.opaque === b.opaque && (a.equals?.(b) ?? false)
}

function listsEqual(a: CelList, b: CelList): boolean {
  if (a.size !== b.size) return false
  const kind = a.type?.listType ?? b.type?.listType
  if (kind === undefined) {
    for (let i = 0; i < a.size; i++) if (!equals(a.at(i), b.at(i))) return false
    return true
  }
  // Order says nothing about sets, nor about lists that are maps.
  const left = [...b]
  return [...a].every((item) => {
    const i = left.findIndex((other) => equals(item, other))
    if (i < 0) return false
    left.splice(i, 1)
    return true
  })
}

function mapsEqual(a: CelMap, b: CelMap): boolean {
  if (a.size !== b.size) return false
  if (a instanceof JsonMap && b instanceof JsonMap) {
    // Fields that expressions cannot name count as well.
    for (const name of a.keys() as Generator<string>) {
      const other = b.under(name)
      if (other === undefined || !equals(a.under(name)!, other)) return false
    }
    return true
  }
  for (const key of a.keys()) {
    const other = b.get(key)
    if (other === undefined || !equals(a.get(key)!, other)) return false
  }
  return true
}

export type AnyNumber = bigint | number | Uint

export function isNumber(value: Value): value is AnyNumber {
  return typeof value === 'bigint' || typeof value === 'number' || value instanceof Uint
}

function plain(value: AnyNumber): bigint | number {
  return value instanceof Uint ? value.value : value
}

/** NaN when one of them is. */
function compareNumbers(a: AnyNumber, b: AnyNumber): number {
  const left = plain(a)
  const right = plain(b)
  if (Number.isNaN(left) || Number.isNaN(right)) return Number.NaN
  return left < right ? -1 : left > right ? 1 : 0
}

/** Negative, zero or positive; NaN when a number is none. Throws CelError when the values have no order. */
export function compare(a: Value, b: Value): number {
  if (isNumber(a) && isNumber(b)) return compareNumbers(a, b)
  if (typeof a === 'string' && typeof b === 'string') return compareText(a, b)
  if (typeof a === 'boolean' && typeof b === 'boolean') return Number(a) - Number(b)
  if (a instanceof Uint8Array && b instanceof Uint8Array) return Buffer.compare(a, b)
  if ((a instanceof Timestamp && b instanceof Timestamp) || (a instanceof Duration && b instanceof Duration)) {
    return a.ns < b.ns ? -1 : a.ns > b.ns ? 1 : 0
  }
  throw new CelError('no such overload')
}

// By code points, as Go compares bytes of UTF-8; surrogates would be out of order.
function compareText(a: string, b: string): number {
  if (a === b) return 0
  const length = Math.min(a.length, b.length)
  for (let i = 0; i < length; i++) {
    const left = a.charCodeAt(i)
    const right = b.charCodeAt(i)
    if (left === right) continue
    const high = (unit: number): boolean => unit >= 0xd800 && unit <= 0xdfff
    if (high(left) !== high(right)) return high(left) ? 1 : -1
    return left - right
  }
  return a.length - b.length
}
