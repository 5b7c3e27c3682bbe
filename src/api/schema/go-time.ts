// Times as Kubernetes reads and writes them: RFC 3339, written in UTC. Error texts are those of Go's time package,
// which clients see in BadRequest answers.

const timeLayout = '2006-01-02T15:04:05Z07:00'
const microLayout = '2006-01-02T15:04:05.000000Z07:00'

const canonicalTime = /^\d{4}-(?:0[1-9]|1[0-2])-(?:0[1-9]|1\d|2[0-8])T(?:[01]\d|2[0-3]):[0-5]\d:[0-5]\dZ$/
const canonicalMicroTime = /^\d{4}-(?:0[1-9]|1[0-2])-(?:0[1-9]|1\d|2[0-8])T(?:[01]\d|2[0-3]):[0-5]\d:[0-5]\d\.\d{6}Z$/

/** A text that is no time. */
export class TimeError extends Error {
  override readonly name = 'TimeError'
}

/** The canonical `Time` (UTC, whole seconds) of an RFC 3339 text. Throws `TimeError`. */
export function canonicalTimestamp(text: string): string {
  if (canonicalTime.test(text)) return text
  const { ms } = parseRfc3339(text, timeLayout)
  return `${isoSeconds(ms)}Z`
}

/** The canonical `MicroTime` (UTC, six decimals) of an RFC 3339 text with six decimals. Throws `TimeError`. */
export function canonicalMicroTimestamp(text: string): string {
  if (canonicalMicroTime.test(text)) return text
  const { ms, fraction } = parseRfc3339(text, microLayout)
  return `${isoSeconds(ms)}.${fraction.padEnd(6, '0').slice(0, 6)}Z`
}

function isoSeconds(ms: number): string {
  const text = new Date(ms).toISOString()
  // Beyond years 0 to 9999 the form has a sign and six digits; Go refuses to write those.
  return text.slice(0, -5)
}

interface ParsedTime {
  /** Whole seconds since the epoch, in milliseconds. */
  readonly ms: number
  readonly fraction: string
}

// The pieces of the layout in order: what Go calls them, and what they match.
const pieces: readonly (readonly [name: string, pattern: RegExp])[] = [
  ['2006', /\d{4}/y],
  ['-', /-/y],
  ['01', /\d{2}/y],
  ['-', /-/y],
  ['02', /\d{2}/y],
  ['T', /T/y],
  ['15', /\d{2}/y],
  [':', /:/y],
  ['04', /\d{2}/y],
  [':', /:/y],
  ['05', /\d{2}/y],
]

function parseRfc3339(text: string, layout: string): ParsedTime {
  const numbers: number[] = []
  let at = 0
  for (const [name, pattern] of pieces) {
    pattern.lastIndex = at
    const found = pattern.exec(text)
    if (found === null) throw cannotParse(text, layout, text.slice(at), name)
    if (name.length > 1) numbers.push(Number(found[0]))
    at = pattern.lastIndex
  }
  const fractionPattern = layout === microLayout ? /[.,]\d{6}(?!\d)/y : /(?:[.,]\d+)?/y
  fractionPattern.lastIndex = at
  const fraction = fractionPattern.exec(text)
  if (fraction === null) throw cannotParse(text, layout, text.slice(at), '.000000')
  at += fraction[0].length
  const zone = /Z|([+-])(\d{2}):(\d{2})/y
  zone.lastIndex = at
  const offset = zone.exec(text)
  if (offset === null) throw cannotParse(text, layout, text.slice(at), 'Z07:00')
  if (zone.lastIndex < text.length) throw new TimeError(`parsing time ${quote(text)}: extra text: ${quote(text.slice(zone.lastIndex))}`)
  const [year, month, day, hour, minute, second] = numbers as [number, number, number, number, number, number]
  const daysInMonth = month >= 1 && month <= 12 ? new Date(Date.UTC(2000 + (year % 400), month, 0)).getUTCDate() : 0
  const wrong = rangeProblem(month, day, daysInMonth, hour, minute, second)
  if (wrong !== undefined) throw new TimeError(`parsing time ${quote(text)}: ${wrong} out of range`)
  const date = new Date(Date.UTC(2000, month - 1, day, hour, minute, second))
  date.setUTCFullYear(year, month - 1, day)
  const sign = offset[1] === '-' ? 1 : -1
  const offsetMinutes = offset[1] === undefined ? 0 : Number(offset[2]) * 60 + Number(offset[3])
  return { ms: date.getTime() + sign * offsetMinutes * 60_000, fraction: fraction[0].slice(1) }
}

function rangeProblem(month: number, day: number, daysInMonth: number, hour: number, minute: number, second: number): string | undefined {
  if (month < 1 || month > 12) return 'month'
  if (hour > 23) return 'hour'
  if (minute > 59) return 'minute'
  if (second > 59) return 'second'
  return day < 1 || day > daysInMonth ? 'day' : undefined
}

function cannotParse(text: string, layout: string, rest: string, piece: string): TimeError {
  return new TimeError(`parsing time ${quote(text)} as ${quote(layout)}: cannot parse ${quote(rest)} as ${quote(piece)}`)
}

function quote(text: string): string {
  return JSON.stringify(text)
}

const unitNanos: Readonly<Record<string, bigint>> = {
  ns: 1n,
  us: 1_000n,
  µs: 1_000n,
  μs: 1_000n,
  ms: 1_000_000n,
  s: 1_000_000_000n,
  m: 60_000_000_000n,
  h: 3_600_000_000_000n,
}

const int64Max = 2n ** 63n - 1n

/** Nanoseconds of a Go duration such as `1h2m3.5s`. Throws `TimeError`. */
export function parseGoDuration(text: string): bigint {
  const negative = text.startsWith('-')
  let rest = text.replace(/^[+-]/, '')
  if (rest === '0') return 0n
  if (rest === '' || text.length > 128) throw new TimeError(`time: invalid duration ${quote(text)}`)
  let total = 0n
  while (rest !== '') {
    const match = /^(\d*)(?:\.(\d*))?([^\d.]*)/.exec(rest) as RegExpExecArray
    const [all, whole = '', fraction = '', unit = ''] = match
    if (whole === '' && fraction === '') throw new TimeError(`time: invalid duration ${quote(text)}`)
    if (unit === '') throw new TimeError(`time: missing unit in duration ${quote(text)}`)
    const nanos = unitNanos[unit]
    if (nanos === undefined) throw new TimeError(`time: unknown unit ${quote(unit)} in duration ${quote(text)}`)
    total += BigInt(whole || '0') * nanos
    if (fraction !== '') total += (BigInt(fraction) * nanos) / 10n ** BigInt(fraction.length)
    rest = rest.slice(all.length)
  }
  if (total > int64Max) throw new TimeError(`time: invalid duration ${quote(text)}`)
  return negative ? -total : total
}

/** A Go duration's text, `1h2m3.5s`, of nanoseconds. */
export function formatGoDuration(nanos: bigint): string {
  if (nanos === 0n) return '0s'
  const sign = nanos < 0n ? '-' : ''
  const size = nanos < 0n ? -nanos : nanos
  if (size < 1_000n) return `${sign}${size}ns`
  if (size < 1_000_000n) return `${sign}${decimal(size, 3)}µs`
  if (size < 1_000_000_000n) return `${sign}${decimal(size, 6)}ms`
  const minutes = size / unitNanos['m']!
  const seconds = decimal(size % unitNanos['m']!, 9)
  if (minutes === 0n) return `${sign}${seconds}s`
  return minutes < 60n ? `${sign}${minutes}m${seconds}s` : `${sign}${minutes / 60n}h${minutes % 60n}m${seconds}s`
}

function decimal(value: bigint, places: number): string {
  const digits = value.toString().padStart(places + 1, '0')
  const fraction = digits.slice(-places).replace(/0+$/, '')
  return fraction === '' ? digits.slice(0, -places) : `${digits.slice(0, -places)}.${fraction}`
}
