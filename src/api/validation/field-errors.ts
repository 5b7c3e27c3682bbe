// Builds the causes of an invalid object in Kubernetes' words (apimachinery's field errors): one function for each kind of complaint.
import type { FieldError } from '../errors.ts'
import { goJson, goQuote } from './text.ts'

/** The list that validators append to. */
export type FieldErrors = FieldError[]

function build(type: FieldError['type'], field: string, head: string, detail: string): FieldError {
  return { type, field, detail: detail === '' ? head : `${head}: ${detail}` }
}

/** How a rejected value is shown: strings quoted, structures as JSON, absent as null. */
export function shownValue(value: unknown): string {
  if (typeof value === 'string') return goQuote(value)
  if (value === undefined || value === null) return 'null'
  return typeof value === 'object' ? goJson(value) : String(value)
}

export function required(field: string, detail = ''): FieldError {
  return build('FieldValueRequired', field, 'Required value', detail)
}

export function invalid(field: string, value: unknown, detail: string): FieldError {
  return build('FieldValueInvalid', field, `Invalid value: ${shownValue(value)}`, detail)
}

/** `invalid` that does not show the value. */
export function invalidOmitted(field: string, detail: string): FieldError {
  return build('FieldValueInvalid', field, 'Invalid value', detail)
}

export function typeInvalid(field: string, value: unknown, detail: string): FieldError {
  return build('FieldValueTypeInvalid', field, `Invalid value: ${shownValue(value)}`, detail)
}

/** `supported` is shown in the order given; Kubernetes usually sorts it. */
export function notSupported(field: string, value: unknown, supported: readonly string[]): FieldError {
  const detail = supported.length === 0 ? '' : `supported values: ${supported.map(goQuote).join(', ')}`
  return build('FieldValueNotSupported', field, `Unsupported value: ${shownValue(value)}`, detail)
}

export function forbidden(field: string, detail: string): FieldError {
  return build('FieldValueForbidden', field, 'Forbidden', detail)
}

export function duplicate(field: string, value: unknown): FieldError {
  return build('FieldValueDuplicate', field, `Duplicate value: ${shownValue(value)}`, '')
}

export function notFound(field: string, value: unknown): FieldError {
  return build('FieldValueNotFound', field, `Not found: ${shownValue(value)}`, '')
}

export function tooLong(field: string, maxBytes: number): FieldError {
  return build('FieldValueTooLong', field, 'Too long', `may not be more than ${maxBytes} ${maxBytes === 1 ? 'byte' : 'bytes'}`)
}

export function tooLongCharacters(field: string, max: number): FieldError {
  return build('FieldValueTooLong', field, 'Too long', `may not be more than ${max} ${max === 1 ? 'character' : 'characters'}`)
}

export function tooMany(field: string, actual: number, max: number): FieldError {
  const detail = `must have at most ${max} ${max === 1 ? 'item' : 'items'}`
  return build('FieldValueTooMany', field, actual < 0 ? 'Too many' : `Too many: ${actual}`, detail)
}

export function tooFew(field: string, actual: number, min: number): FieldError {
  return build('FieldValueTooFew', field, `Too few: ${actual}`, `must have at least ${min} ${min === 1 ? 'item' : 'items'}`)
}

export function internalFieldError(field: string, detail: string): FieldError {
  return build('InternalError', field, 'Internal error', detail)
}

/** One `invalid` for each complaint about the same value. */
export function invalidEach(field: string, value: unknown, details: readonly string[]): FieldErrors {
  return details.map((detail) => invalid(field, value, detail))
}

/** The refusal of a change to a field that may not change; empty when it did not. */
export function immutable(field: string, value: unknown, old: unknown, detail = 'field is immutable'): FieldErrors {
  return semanticEqual(value, old) ? [] : [invalid(field, value, detail)]
}

/** Deep equality in which absent and empty lists and maps are the same, as the API machinery compares. */
export function semanticEqual(a: unknown, b: unknown): boolean {
  if (a === b) return true
  if (isEmptyCollection(a) && isEmptyCollection(b)) return true
  if (typeof a !== 'object' || typeof b !== 'object' || a === null || b === null) return false
  if (Array.isArray(a) || Array.isArray(b)) {
    if (!Array.isArray(a) || !Array.isArray(b) || a.length !== b.length) return false
    return a.every((item, i) => semanticEqual(item, b[i]))
  }
  const left = a as Record<string, unknown>
  const right = b as Record<string, unknown>
  for (const key of Object.keys(left)) if (!semanticEqual(left[key], right[key])) return false
  for (const key of Object.keys(right)) if (!Object.hasOwn(left, key) && !semanticEqual(undefined, right[key])) return false
  return true
}

function isEmptyCollection(value: unknown): boolean {
  if (value === undefined || value === null) return true
  if (Array.isArray(value)) return value.length === 0
  return typeof value === 'object' && Object.keys(value).length === 0
}
