// Checks of cron schedules: five fields, or a name such as @daily, as the cron of Kubernetes' controllers reads them.
import { goList, goQuote } from '../../validation/text.ts'

interface Bounds {
  readonly min: number
  readonly max: number
  readonly names?: readonly string[]
}

const months = ['jan', 'feb', 'mar', 'apr', 'may', 'jun', 'jul', 'aug', 'sep', 'oct', 'nov', 'dec']
const weekdays = ['sun', 'mon', 'tue', 'wed', 'thu', 'fri', 'sat']
const fields: readonly Bounds[] = [
  { min: 0, max: 59 },
  { min: 0, max: 23 },
  { min: 1, max: 31 },
  { min: 1, max: 12, names: ['', ...months] },
  { min: 0, max: 6, names: weekdays },
]
const descriptors = ['@yearly', '@annually', '@monthly', '@weekly', '@daily', '@midnight', '@hourly']

/** Why the schedule is not understood; undefined when it is. */
export function cronScheduleError(schedule: string): string | undefined {
  if (schedule === '') return 'empty spec string'
  const zoned = /^(?:CRON_)?TZ=(\S*)(\s.*)?$/s.exec(schedule)
  if (zoned !== null) return zonedError(zoned[1] ?? '', zoned[2])
  if (schedule.startsWith('@')) return descriptorError(schedule)
  const parts = schedule.trim().split(/\s+/)
  if (parts.length !== fields.length) return `expected exactly 5 fields, found ${parts.length}: ${goList(parts)}`
  for (const [i, bounds] of fields.entries()) {
    const error = fieldError(parts[i]!, bounds)
    if (error !== undefined) return error
  }
  return undefined
}

function zonedError(zone: string, rest: string | undefined): string | undefined {
  if (rest === undefined) return 'invalid schedule format: runtime error: slice bounds out of range [:-1]'
  if (zone !== '' && zone !== 'Local' && !isTimeZone(zone)) return `provided bad location ${zone}: unknown time zone ${zone}`
  const schedule = rest.trim()
  return schedule.startsWith('@') ? descriptorError(schedule) : cronScheduleError(schedule === '' ? ' ' : schedule)
}

/** Names of zones are told apart by case, as files are. */
export function isTimeZone(name: string): boolean {
  try {
    const { timeZone } = new Intl.DateTimeFormat('en', { timeZone: name }).resolvedOptions()
    return !/^[+-]/.test(name) && (timeZone === name || timeZone.toLowerCase() !== name.toLowerCase())
  } catch {
    return false
  }
}

function descriptorError(schedule: string): string | undefined {
  if (descriptors.includes(schedule)) return undefined
  if (!schedule.startsWith('@every ')) return `unrecognized descriptor: ${schedule}`
  const duration = schedule.slice('@every '.length)
  if (/^[-+]?((\d+(\.\d*)?|\.\d+)(ns|us|µs|ms|s|m|h))+$/.test(duration)) return undefined
  return `failed to parse duration ${schedule}: time: invalid duration ${goQuote(duration)}`
}

function fieldError(field: string, bounds: Bounds): string | undefined {
  for (const range of field.split(',').filter(Boolean)) {
    const error = rangeError(range, bounds)
    if (error !== undefined) return error
  }
  return undefined
}

function rangeError(range: string, bounds: Bounds): string | undefined {
  const [span = '', step, ...tooManySteps] = range.split('/')
  const [low = '', high, ...tooManyDashes] = span.split('-')
  if (tooManyDashes.length > 0) return `too many hyphens: ${range}`
  if (tooManySteps.length > 0) return `too many slashes: ${range}`
  const any = low === '*' || low === '?'
  const start = any ? bounds.min : parseNumber(low, bounds)
  if (typeof start === 'string') return start
  let end = any || (step !== undefined && high === undefined) ? bounds.max : start
  if (high !== undefined && !any) {
    const parsed = parseNumber(high, bounds)
    if (typeof parsed === 'string') return parsed
    end = parsed
  }
  const size = step === undefined ? 1 : parseNumber(step, { min: 0, max: 0 })
  if (typeof size === 'string') return size
  if (start < bounds.min) return `beginning of range (${start}) below minimum (${bounds.min}): ${range}`
  if (end > bounds.max) return `end of range (${end}) above maximum (${bounds.max}): ${range}`
  if (start > end) return `beginning of range (${start}) beyond end of range (${end}): ${range}`
  return size === 0 ? `step of range should be a positive number: ${range}` : undefined
}

function parseNumber(text: string, { names }: Bounds): number | string {
  const named = names?.indexOf(text.toLowerCase()) ?? -1
  if (named >= 0 && text !== '') return named
  if (/^-\d+$/.test(text)) return `negative number (${text}) not allowed: ${text}`
  if (/^\+?\d+$/.test(text)) return Number(text)
  return `failed to parse int from ${text}: strconv.Atoi: parsing ${goQuote(text)}: invalid syntax`
}
