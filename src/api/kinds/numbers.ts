// Small checks of numbers that many kinds share: counts, percentages, and how a percentage is reckoned.
import type { FieldError } from '../errors.ts'
import { invalid, invalidEach } from '../validation/field-errors.ts'
import { checkPercent } from '../validation/names.ts'

export function nonNegative(value: number | undefined, path: string): FieldError[] {
  return (value ?? 0) < 0 ? [invalid(path, value, 'must be greater than or equal to 0')] : []
}

/** `nonNegative` for several fields of one object. */
export function nonNegativeFields<T extends object>(object: T, path: string, ...fields: (keyof T & string)[]): FieldError[] {
  return fields.flatMap((field) => nonNegative(object[field] as number | undefined, `${path}.${field}`))
}

export function validateIntOrPercent(value: number | string, path: string): FieldError[] {
  return typeof value === 'string' ? invalidEach(path, value, checkPercent(value)) : nonNegative(value, path)
}

/** The number in `50%`; undefined for anything else. */
export function percentOf(value: number | string | undefined): number | undefined {
  return typeof value === 'string' && checkPercent(value).length === 0 ? Number.parseInt(value, 10) : undefined
}

export function notOver100Percent(value: number | string | undefined, path: string): FieldError[] {
  return (percentOf(value) ?? 0) > 100 ? [invalid(path, value, 'must not be greater than 100%')] : []
}

/** The bare number of an int or a percentage, or of an int written as text; 0 for what is neither. */
export function intOrPercentNumber(value: number | string | undefined): number {
  if (typeof value === 'number') return value
  return percentOf(value) ?? (value !== undefined && /^[+-]?\d{1,18}$/.test(value) ? Number(value) : 0)
}

/** `value` of `total`: a percentage is rounded up or down, a number taken as it is. */
export function scaledIntOrPercent(value: number | string | undefined, total: number, round: 'up' | 'down'): number {
  if (typeof value === 'number') return value
  const share = ((percentOf(value) ?? 0) * total) / 100
  return round === 'up' ? Math.ceil(share) : Math.floor(share)
}
