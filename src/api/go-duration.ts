// Go's notation of durations (`1h30m`, `1.5s`, `100ms`), which queries, flags and configuration files of Kubernetes use.
import { goQuote } from './validation/text.ts'

const unitMs: Readonly<Record<string, number>> = {
  ns: 1e-6,
  us: 1e-3,
  µs: 1e-3,
  μs: 1e-3,
  ms: 1,
  s: 1_000,
  m: 60_000,
  h: 3_600_000,
}

// Go's own bound: 2^63 - 1 nanoseconds.
const durationMsMax = 9_223_372_036_854.775

/** Milliseconds. Throws a RangeError in the words of Go's time.ParseDuration. */
export function parseGoDuration(text: string): number {
  const wrong = (what: string): RangeError => new RangeError(`time: ${what} duration ${goQuote(text)}`)
  const negative = text.startsWith('-')
  let rest = text.replace(/^[+-]/, '')
  if (rest === '0') return 0
  if (rest === '') throw wrong('invalid')
  let ms = 0
  while (rest !== '') {
    const number = /^(?:\d+(?:\.\d*)?|\.\d+)/.exec(rest)?.[0]
    if (number === undefined) throw wrong('invalid')
    rest = rest.slice(number.length)
    const unit = /^[^\d.]*/.exec(rest)![0]
    if (unit === '') throw wrong('missing unit in')
    if (!Object.hasOwn(unitMs, unit)) throw wrong(`unknown unit ${goQuote(unit)} in`)
    ms += Number(number) * unitMs[unit]!
    rest = rest.slice(unit.length)
  }
  if (ms > durationMsMax) throw wrong('invalid')
  return negative ? -ms : ms
}
