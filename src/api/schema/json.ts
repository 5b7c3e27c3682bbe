// JSON texts and values. The engine's parser and encoder do the work; ours take over only for what they cannot do: numbers that
// JavaScript would change, fields that stand in one object twice, and errors in the words that Kubernetes' clients know.
import { entityTooLarge } from '../errors.ts'
import { JsonReader, JsonSyntaxError, type NumberForm } from './json-reader.ts'
import type { Schema } from './schema.ts'

export { JsonSyntaxError }

/** Parses a JSON text; whole numbers of 64 bits stay exact. Throws `JsonSyntaxError`, and an ApiError for more than `jsonValuesMax` fields and items. */
export function parseJson(text: string, numbers: NumberForm = 'values'): unknown {
  return parseDocument(text, numbers).value
}

/** A parsed text, and whether some object in it has a field twice. */
export interface ParsedDocument {
  readonly value: unknown
  readonly doubled: boolean
}

/**
 * Fields and items of a text that a client sent. Each of them costs decoding, validation and tracking, in which nobody else is
 * served. Kubernetes bounds the bytes alone.
 */
export const jsonValuesMax = 50_000

/** Parses a JSON text after one look at its characters. Throws `JsonSyntaxError`, and an ApiError for more than `jsonValuesMax` fields and items. */
export function parseDocument(text: string, numbers: NumberForm): ParsedDocument {
  const look = lookAt(text)
  if (look.values > jsonValuesMax) throw entityTooLarge(`limit is ${jsonValuesMax} fields and items`)
  let value: unknown
  if (look.odd) value = readAll(text, numbers)
  else {
    try {
      value = JSON.parse(text)
    } catch (error) {
      if (!(error instanceof SyntaxError)) throw error
      readAll(text, numbers)
      throw new JsonSyntaxError('invalid JSON')
    }
  }
  // A field whose name stands twice is one key of the parsed value only.
  return { value, doubled: look.colons !== keysOf(value) }
}

function readAll(text: string, numbers: NumberForm): unknown {
  const reader = new JsonReader(text, { numbers, report: false })
  reader.run()
  return reader.value
}

/**
 * What strict decoding says of a text's fields, in document order and at most 100: `duplicate field "spec.replicas"`, and, where
 * the schema of a built-in type is given, `unknown field "spec.foo"`. Fields below an unknown one are not looked at.
 */
export function strictProblems(text: string, schema?: Schema): string[] {
  const reader = new JsonReader(text, { numbers: 'values', report: true, ...(schema === undefined ? {} : { schema }) })
  reader.run()
  return reader.problems
}

/**
 * Fields that stand in one object twice, as strict decoding names them: `duplicate field "spec.replicas"`, at most 100.
 * `value` is what `parseJson` made of `text`. Costs one look at each character, unless there are some.
 */
export function duplicateFields(text: string, value: unknown): string[] {
  return lookAt(text).colons === keysOf(value) ? [] : strictProblems(text)
}

interface Look {
  /** Outside of strings. */
  readonly colons: number
  /** Fields and items, at the least. */
  readonly values: number
  /** Some number is written so that JavaScript would make another one of it, or forget how it was written. */
  readonly odd: boolean
}

// Go's own limit.
const depthMax = 10_000
// Whole numbers of fewer digits are exact in JavaScript.
const exactDigits = 15

function lookAt(text: string): Look {
  let colons = 0
  let commas = 0
  let odd = false
  let depth = 0
  const end = text.length
  for (let at = 0; at < end; at++) {
    const code = text.charCodeAt(at)
    if (code === 0x22) {
      for (at++; at < end; at++) {
        const inner = text.charCodeAt(at)
        if (inner === 0x22) break
        if (inner === 0x5c) at++
      }
    } else if (code === 0x3a) colons++
    else if (code === 0x2c) commas++
    else if (code === 0x7b || code === 0x5b) {
      if (++depth > depthMax) throw new JsonSyntaxError('exceeded max depth')
    } else if (code === 0x7d || code === 0x5d) depth--
    else if (code >= 0x30 && code <= 0x39) {
      const start = at
      let plain = true
      for (; at + 1 < end; at++) {
        const next = text.charCodeAt(at + 1)
        if (next >= 0x30 && next <= 0x39) continue
        if (next === 0x2e || next === 0x65 || next === 0x45 || next === 0x2b || next === 0x2d) plain = false
        else break
      }
      if (!plain) odd ||= changes(text.slice(start, at + 1))
      else if (at + 1 - start > exactDigits) odd = true
    }
  }
  return { colons, values: Math.max(colons, commas), odd }
}

function changes(text: string): boolean {
  const value = Number(text)
  return Number.isInteger(value) || String(value) !== text
}

// With a stack of its own: the text may be nested deeper than calls can be.
function keysOf(value: unknown): number {
  let keys = 0
  const open: object[] = typeof value === 'object' && value !== null ? [value] : []
  for (let object = open.pop(); object !== undefined; object = open.pop()) {
    if (Array.isArray(object)) {
      for (const item of object) if (typeof item === 'object' && item !== null) open.push(item)
    } else {
      for (const key in object) {
        keys++
        const child = (object as Record<string, unknown>)[key]
        if (typeof child === 'object' && child !== null) open.push(child)
      }
    }
  }
  return keys
}

/**
 * Whether a text or bytes may hold a number of more digits than JavaScript has. Looks at every sixteenth character; digits in
 * strings count too.
 */
export function mayHoldLongNumber(text: string): boolean {
  for (let at = exactDigits; at < text.length; at += exactDigits + 1) {
    const code = text.charCodeAt(at)
    if (code >= 0x30 && code <= 0x39 && digitsAround(text, at) > exactDigits) return true
  }
  return false
}

function digitsAround(text: string, at: number): number {
  const isDigit = (place: number): boolean => {
    const code = text.charCodeAt(place)
    return code >= 0x30 && code <= 0x39
  }
  let first = at
  while (isDigit(first - 1)) first--
  let last = at
  while (isDigit(last + 1)) last++
  return last - first + 1
}

/** Parses JSON that an encoder of ours wrote: as `JSON.parse`, but whole numbers of 64 bits stay exact. */
export function parseStored(text: string): unknown {
  return mayHoldLongNumber(text) ? readAll(text, 'values') : JSON.parse(text)
}
