// When a cron schedule falls due: five fields or a name such as @daily, in any time zone. Pure. Times are found by walking real
// time, so a local time that summer time leaves out is skipped and one that it repeats comes twice, as Kubernetes' cron does it.

interface Fields {
  readonly minutes: ReadonlySet<number>
  readonly hours: ReadonlySet<number>
  readonly days: ReadonlySet<number>
  readonly months: ReadonlySet<number>
  readonly weekdays: ReadonlySet<number>
  /** Neither days nor weekdays are `*`: then one of them is enough. */
  readonly eitherDay: boolean
}

export interface Schedule {
  /** The first time after `afterMs`; undefined when there is none within five years. */
  next(afterMs: number): number | undefined
}

const named: Readonly<Record<string, string>> = {
  '@yearly': '0 0 1 1 *',
  '@annually': '0 0 1 1 *',
  '@monthly': '0 0 1 * *',
  '@weekly': '0 0 * * 0',
  '@daily': '0 0 * * *',
  '@midnight': '0 0 * * *',
  '@hourly': '0 * * * *',
}
const monthNames = ['jan', 'feb', 'mar', 'apr', 'may', 'jun', 'jul', 'aug', 'sep', 'oct', 'nov', 'dec']
const weekdayNames = ['sun', 'mon', 'tue', 'wed', 'thu', 'fri', 'sat']
const minuteMs = 60_000
const hourMs = 3_600_000
const searchMs = 5 * 366 * 24 * hourMs

/** Reads a schedule that the API has accepted. Throws RangeError for a time zone that is not known here. */
export function parseSchedule(text: string, timeZone = 'UTC'): Schedule {
  const every = /^@every (.+)$/.exec(text)?.[1]
  if (every !== undefined) {
    const periodMs = Math.max(1_000, goDurationMs(every))
    return { next: (afterMs) => Math.floor((afterMs + periodMs) / 1_000) * 1_000 }
  }
  const [minutes = '*', hours = '*', days = '*', months = '*', weekdays = '*'] = (named[text] ?? text).trim().split(/\s+/)
  const isAny = (field: string): boolean => /^[*?]/.test(field)
  const fields: Fields = {
    minutes: valuesOf(minutes, 0, 59),
    hours: valuesOf(hours, 0, 23),
    days: valuesOf(days, 1, 31),
    months: valuesOf(months, 1, 12, ['', ...monthNames]),
    weekdays: valuesOf(weekdays, 0, 6, weekdayNames),
    eitherDay: !isAny(days) && !isAny(weekdays),
  }
  const local = localTime(timeZone)
  return { next: (afterMs) => findNext(fields, local, afterMs) }
}

function goDurationMs(text: string): number {
  const units: Readonly<Record<string, number>> = { h: hourMs, m: minuteMs, s: 1_000, ms: 1, us: 0.001, µs: 0.001, ns: 0.000_001 }
  let sum = 0
  for (const [, amount, unit = ''] of text.matchAll(/([\d.]+)(h|ms|m|s|us|µs|ns)/g)) sum += Number(amount) * (units[unit] ?? 0)
  return sum
}

function valuesOf(field: string, min: number, max: number, names: readonly string[] = []): Set<number> {
  const values = new Set<number>()
  const number = (text: string): number => {
    const place = names.indexOf(text.toLowerCase())
    return place >= 0 && text !== '' ? place : Number(text)
  }
  for (const part of field.split(',')) {
    const [span = '', step] = part.split('/')
    const [low = '', high] = span.split('-')
    const any = low === '*' || low === '?'
    const first = any ? min : number(low)
    const last = any ? max : high !== undefined ? number(high) : step !== undefined ? max : first
    for (let value = first; value <= last; value += Number(step ?? 1)) values.add(value)
  }
  return values
}

interface LocalTime {
  readonly month: number
  readonly day: number
  readonly weekday: number
  readonly hour: number
  readonly minute: number
}

function localTime(timeZone: string): (ms: number) => LocalTime {
  const utc = (ms: number): LocalTime => {
    const date = new Date(ms)
    return {
      month: date.getUTCMonth() + 1,
      day: date.getUTCDate(),
      weekday: date.getUTCDay(),
      hour: date.getUTCHours(),
      minute: date.getUTCMinutes(),
    }
  }
  if (timeZone === 'UTC') return utc
  const offset = zoneOffset(timeZone)
  return (ms) => utc(ms + offset(ms))
}

/** How far the zone's clocks are ahead of UTC at a time, in ms. */
export function zoneOffset(timeZone: string): (ms: number) => number {
  const format = new Intl.DateTimeFormat('en-US', {
    timeZone,
    hourCycle: 'h23',
    year: 'numeric',
    month: 'numeric',
    day: 'numeric',
    hour: 'numeric',
    minute: 'numeric',
    second: 'numeric',
  })
  return (ms) => {
    const parts: Record<string, number> = {}
    for (const { type, value } of format.formatToParts(ms)) parts[type] = Number(value)
    const { year = 0, month = 1, day = 1, hour = 0, minute = 0, second = 0 } = parts
    return Date.UTC(year, month - 1, day, hour, minute, second) - Math.floor(ms / 1_000) * 1_000
  }
}

function findNext(fields: Fields, local: (ms: number) => LocalTime, afterMs: number): number | undefined {
  let ms = (Math.floor(afterMs / minuteMs) + 1) * minuteMs
  const end = afterMs + searchMs
  while (ms < end) {
    const at = local(ms)
    if (!fields.months.has(at.month) || !dayMatches(fields, at)) {
      // Near midnight in small steps: a day may have 23 or 25 hours.
      ms += at.hour < 21 ? (21 - at.hour) * hourMs - at.minute * minuteMs : hourMs - at.minute * minuteMs
    } else if (!fields.hours.has(at.hour)) ms += hourMs - at.minute * minuteMs
    else if (!fields.minutes.has(at.minute)) ms += minuteMs
    else return ms
  }
  return undefined
}

function dayMatches({ days, weekdays, eitherDay }: Fields, { day, weekday }: LocalTime): boolean {
  return eitherDay ? days.has(day) || weekdays.has(weekday) : days.has(day) && weekdays.has(weekday)
}
