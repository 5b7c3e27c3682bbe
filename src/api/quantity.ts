// Quantities: exact decimal numbers with a suffix (`100m`, `1.5Gi`, `2e3`), in the canonical form that Kubernetes writes.
// See the API convention on quantities: no fractional digits, the largest exponent, sizes rounded up beyond nano.

export type QuantityFormat = 'DecimalSI' | 'BinarySI' | 'DecimalExponent'

/** Exactly `unscaled * 10 ** exponent`. Immutable. */
export interface Quantity {
  readonly unscaled: bigint
  readonly exponent: number
  readonly format: QuantityFormat
  /** The text as it was written, when it may stay so. */
  readonly text?: string
}

/** A text that is no quantity. The message is Kubernetes'. */
export class QuantityError extends Error {
  override readonly name = 'QuantityError'
}

const formatWrong = "quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'"
const numericWrong = 'unable to parse numeric part of quantity'
const suffixWrong = "unable to parse quantity's suffix"

// Ours: beyond these a number costs more to compute than any real one could be worth.
const charsMax = 512
const exponentMax = 1_000

const nano = -9
const int64Max = 2n ** 63n - 1n
// Kubernetes keeps the text of numbers up to this many digits, when it is canonical enough.
const fastDigitsMax = 18

const decimalSuffixes: Readonly<Record<string, number>> = { n: -9, u: -6, m: -3, '': 0, k: 3, M: 6, G: 9, T: 12, P: 15, E: 18 }
const decimalSuffixOf = new Map(Object.entries(decimalSuffixes).map(([suffix, exponent]) => [exponent, suffix]))
const binarySuffixes = ['', 'Ki', 'Mi', 'Gi', 'Ti', 'Pi', 'Ei']

const zero: Quantity = { unscaled: 0n, exponent: 0, format: 'DecimalSI', text: '0' }

const parsedMax = 4_096
const parsed = new Map<string, Quantity>()
const canonicals = new Map<string, string>()

/** Parses a quantity. Throws `QuantityError`. Parsing the same text again is cheap. */
export function parseQuantity(text: string): Quantity {
  const known = parsed.get(text)
  if (known !== undefined) return known
  const quantity = parse(text)
  if (parsed.size >= parsedMax) parsed.clear()
  parsed.set(text, quantity)
  return quantity
}

/** Whether the text is a quantity. */
export function isQuantity(text: string): boolean {
  try {
    parseQuantity(text)
    return true
  } catch (error) {
    if (error instanceof QuantityError) return false
    throw error
  }
}

/** The text that Kubernetes would write for what it read as `text`: `1000m` becomes `1`, `1024Mi` becomes `1Gi`. Throws `QuantityError`. */
export function canonicalQuantity(text: string): string {
  let canonical = canonicals.get(text)
  if (canonical === undefined) {
    canonical = formatQuantity(parseQuantity(text))
    if (canonicals.size >= parsedMax) canonicals.clear()
    canonicals.set(text, canonical)
  }
  return canonical
}

const pattern = /^([+-]?)([0-9]*)(?:\.([0-9]*))?([eEinumkKMGTP]*[-+]?[0-9]*)$/

function parse(text: string): Quantity {
  if (text === '0') return zero
  const match = text === '' || text.length > charsMax ? null : pattern.exec(text)
  if (match === null) throw new QuantityError(formatWrong)
  const [, sign, whole, fraction = '', suffix] = match as unknown as [string, string, string, string | undefined, string]
  const digits = whole.replace(/^0+/, '') || '0'
  const { base, exponent, format } = interpretSuffix(suffix)
  const kept = keptText(text, digits, fraction, base, exponent)
  const magnitude = BigInt(digits + fraction)
  const scaled =
    base === 2
      ? { unscaled: magnitude << BigInt(exponent), exponent: -fraction.length }
      : { unscaled: magnitude, exponent: exponent - fraction.length }
  const bounded = kept === undefined ? withinBounds(scaled.unscaled, scaled.exponent, format) : { ...scaled, format }
  return { ...bounded, unscaled: sign === '-' ? -bounded.unscaled : bounded.unscaled, ...(kept !== undefined && { text: kept }) }
}

function interpretSuffix(suffix: string): { base: 2 | 10; exponent: number; format: QuantityFormat } {
  const decimal = decimalSuffixes[suffix]
  if (decimal !== undefined) return { base: 10, exponent: decimal, format: 'DecimalSI' }
  const binary = binarySuffixes.indexOf(suffix)
  if (binary > 0) return { base: 2, exponent: binary * 10, format: 'BinarySI' }
  if (!/^[eE][-+]?[0-9]+$/.test(suffix)) throw new QuantityError(suffixWrong)
  const exponent = Number(suffix.slice(1))
  if (Math.abs(exponent) > exponentMax) throw new QuantityError(numericWrong)
  return { base: 10, exponent, format: 'DecimalExponent' }
}

// Kubernetes keeps what was written when it is short and about canonical: no trailing thousands, the exponent a multiple of three.
function keptText(text: string, digits: string, fraction: string, base: 2 | 10, exponent: number): string | undefined {
  const shifted = digits + fraction
  if (base === 2) {
    const precision = 15 - digits.length - Math.trunc((exponent * 3) / 10) - 1
    if (fraction !== '' || precision < 0) return undefined
    const value = BigInt(digits)
    return (value & 7n) !== 0n && value << BigInt(exponent) <= int64Max ? text : undefined
  }
  const scale = exponent - fraction.length
  if (shifted.length > fastDigitsMax || scale < nano || scale % 3 !== 0) return undefined
  return shifted.endsWith('000') || shifted.startsWith('0') ? undefined : text
}

// Rounds what is below nano up, and caps binary sizes at the largest int64.
function withinBounds(unscaled: bigint, exponent: number, format: QuantityFormat): Pick<Quantity, 'unscaled' | 'exponent' | 'format'> {
  const rounded =
    exponent < nano ? { unscaled: divideUp(unscaled, 10n ** BigInt(nano - exponent)), exponent: nano } : { unscaled, exponent }
  if (format !== 'BinarySI') return { ...rounded, format }
  if (compareScaled(rounded, { unscaled: int64Max, exponent: 0 }) > 0) return { unscaled: int64Max, exponent: 0, format }
  const belowOne = rounded.unscaled > 0n && compareScaled(rounded, { unscaled: 1n, exponent: 0 }) < 0
  return { ...rounded, format: belowOne ? 'DecimalSI' : format }
}

function divideUp(value: bigint, by: bigint): bigint {
  const quotient = value / by
  return value % by === 0n ? quotient : quotient + (value < 0n ? -1n : 1n)
}

type Scaled = Pick<Quantity, 'unscaled' | 'exponent'>

function atExponent(quantity: Scaled, exponent: number): bigint {
  return quantity.exponent === exponent ? quantity.unscaled : quantity.unscaled * 10n ** BigInt(quantity.exponent - exponent)
}

function compareScaled(a: Scaled, b: Scaled): number {
  const exponent = Math.min(a.exponent, b.exponent)
  const left = atExponent(a, exponent)
  const right = atExponent(b, exponent)
  return left < right ? -1 : left > right ? 1 : 0
}

/** Negative, zero or positive, as `a` is less than, equal to or greater than `b`. */
export function compareQuantities(a: Quantity, b: Quantity): number {
  return compareScaled(a, b)
}

/** `a + b`, in the format of `a` unless `a` is zero. */
export function addQuantities(a: Quantity, b: Quantity): Quantity {
  const exponent = Math.min(a.exponent, b.exponent)
  return { unscaled: atExponent(a, exponent) + atExponent(b, exponent), exponent, format: a.unscaled === 0n ? b.format : a.format }
}

/** `a - b`, in the format of `a` unless `a` is zero. */
export function subQuantities(a: Quantity, b: Quantity): Quantity {
  return addQuantities(a, { ...b, unscaled: -b.unscaled })
}

/** `quantity * by`, for a whole number. */
export function multiplyQuantity(quantity: Quantity, by: number): Quantity {
  return { unscaled: quantity.unscaled * BigInt(by), exponent: quantity.exponent, format: quantity.format }
}

/** A quantity of `value * 10 ** exponent`, for a whole number: `newQuantity(250, 'DecimalSI', -3)` is `250m`. */
export function newQuantity(value: number | bigint, format: QuantityFormat = 'DecimalSI', exponent = 0): Quantity {
  return { unscaled: BigInt(value), exponent, format }
}

/** -1, 0 or 1. */
export function quantitySign(quantity: Quantity): number {
  return quantity.unscaled === 0n ? 0 : quantity.unscaled < 0n ? -1 : 1
}

/**
 * The quantity in units of `10 ** exponent`, rounded away from zero: `quantityAt('1500m', 0)` is 2n.
 * A text is parsed first, and may throw `QuantityError`.
 */
export function quantityAt(quantity: Quantity | string, exponent: number): bigint {
  const { unscaled, exponent: own } = typeof quantity === 'string' ? parseQuantity(quantity) : quantity
  return own >= exponent ? unscaled * 10n ** BigInt(own - exponent) : divideUp(unscaled, 10n ** BigInt(exponent - own))
}

/** Whole units, rounded up, as a number (exact below 2^53): bytes of memory, counts. */
export function quantityValue(quantity: Quantity | string): number {
  return Number(quantityAt(quantity, 0))
}

/** Thousandths, rounded up, as a number: millicores. */
export function quantityMilliValue(quantity: Quantity | string): number {
  return Number(quantityAt(quantity, -3))
}

/** The nearest floating-point number. */
export function quantityAsNumber(quantity: Quantity | string): number {
  const { unscaled, exponent } = typeof quantity === 'string' ? parseQuantity(quantity) : quantity
  return Number(`${unscaled}e${exponent}`)
}

/** The canonical text. */
export function formatQuantity(quantity: Quantity): string {
  if (quantity.text !== undefined) return quantity.text
  if (quantity.unscaled === 0n) return '0'
  if (quantity.format !== 'BinarySI') return formatDecimal(quantity)
  const small =
    compareScaled(quantity, { unscaled: 1024n, exponent: 0 }) < 0 && compareScaled(quantity, { unscaled: -1024n, exponent: 0 }) > 0
  const whole = quantityAt(quantity, 0)
  // Below 1024 and for fractions the decimal form loses nothing.
  if (small || compareScaled(quantity, { unscaled: whole, exponent: 0 }) !== 0) return formatDecimal({ ...quantity, format: 'DecimalSI' })
  let value = whole
  let step = 0
  while (value % 1024n === 0n && step < binarySuffixes.length - 1) {
    value /= 1024n
    step++
  }
  return `${value}${binarySuffixes[step]}`
}

function formatDecimal(quantity: Quantity): string {
  const bounded = withinBounds(quantity.unscaled < 0n ? -quantity.unscaled : quantity.unscaled, quantity.exponent, 'DecimalSI')
  let { unscaled, exponent } = bounded
  while (unscaled % 10n === 0n) {
    unscaled /= 10n
    exponent++
  }
  while (exponent % 3 !== 0 || (quantity.format === 'DecimalSI' && exponent > 18)) {
    unscaled *= 10n
    exponent--
  }
  const sign = quantity.unscaled < 0n ? '-' : ''
  if (quantity.format === 'DecimalSI') return `${sign}${unscaled}${decimalSuffixOf.get(exponent)}`
  return `${sign}${unscaled}${exponent === 0 ? '' : `e${exponent}`}`
}
