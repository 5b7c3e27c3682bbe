// Keys: their rules and their order. Order is that of UTF-8 bytes, which is not the order of JavaScript strings once a key holds
// characters beyond the basic plane: those are surrogates (0xD800 to 0xDFFF) in a string, yet above U+FFFF in bytes.
import { keyBytesMax, type Write, writeAllMax } from './store.ts'

/** Less than, equal to or greater than zero, as `sort` wants it. */
export type CompareKeys = (a: string, b: string) => number

/** Right for keys of which none is wide (`isWideKey`); several times faster than `compareKeys`. */
export const compareNarrowKeys: CompareKeys = (a, b) => (a < b ? -1 : a > b ? 1 : 0)

// From here on, string order and byte order part ways.
const wide = /[\ud800-\uffff]/

/** Whether string order and byte order could differ for this key. */
export function isWideKey(key: string): boolean {
  return wide.test(key)
}

/** The order of the keys' UTF-8 bytes, whatever they hold. */
export const compareKeys: CompareKeys = (a, b) => {
  const length = Math.min(a.length, b.length)
  for (let i = 0; i < length; i++) {
    const x = a.charCodeAt(i)
    const y = b.charCodeAt(i)
    if (x !== y) return rank(x) - rank(y)
  }
  return a.length - b.length
}

// Surrogates go above everything else in the basic plane.
function rank(unit: number): number {
  if (unit < 0xd800) return unit
  return unit < 0xe000 ? unit + 0x10000 : unit
}

/** Throws RangeError for a key that no store accepts. */
export function checkKey(key: string): void {
  if (key.length === 0) throw new RangeError('a key must not be empty')
  if (key.includes('\0')) throw new RangeError('a key must not hold NUL')
  // A UTF-16 unit takes at most three bytes, so most keys need no counting.
  if (key.length * 3 > keyBytesMax && Buffer.byteLength(key) > keyBytesMax) {
    throw new RangeError(`a key must have at most ${keyBytesMax} bytes, this one has ${Buffer.byteLength(key)}`)
  }
}

/** Throws RangeError for writes that no store accepts. */
export function checkWrites(writes: readonly Write[]): void {
  if (writes.length === 0) throw new RangeError('at least one write is needed')
  if (writes.length > writeAllMax) throw new RangeError(`at most ${writeAllMax} writes go together, these are ${writes.length}`)
  for (const write of writes) checkKey(write.key)
  if (writes.length > 1 && new Set(writes.map((write) => write.key)).size < writes.length) {
    throw new RangeError('the keys written together must be distinct')
  }
}
