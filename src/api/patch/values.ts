// What the patches share: questions asked of JSON values, and Go's way of printing them, which error messages quote.
import { badRequest } from '../errors.ts'
import { setOwn } from '../schema/decode.ts'
import { NumberLiteral } from '../schema/scalars.ts'

export type JsonObject = Record<string, unknown>

export function isObject(value: unknown): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value) && !(value instanceof NumberLiteral)
}

/** A copy of a JSON value that shares nothing with it that can be changed. */
export function cloneValue<V>(value: V): V {
  if (typeof value !== 'object' || value === null || value instanceof NumberLiteral) return value
  if (Array.isArray(value)) return value.map(cloneValue) as V
  const copy: JsonObject = {}
  for (const key in value) {
    const child: unknown = value[key]
    if (child !== undefined) setOwn(copy, key, cloneValue(child))
  }
  return copy as V
}

/** An own property, or undefined: keys may be called `constructor` or `__proto__`. */
export function own(object: JsonObject, key: string): unknown {
  return Object.hasOwn(object, key) ? object[key] : undefined
}

const depthMax = 500

/** Refuses values that are nested deeper than calls can be. Throws a BadRequest. */
export function checkDepth(value: unknown): void {
  let level: object[] = typeof value === 'object' && value !== null ? [value] : []
  for (let depth = 0; level.length > 0; depth++) {
    if (depth > depthMax) throw badRequest('error decoding patch: exceeded max depth')
    const next: object[] = []
    for (const object of level) {
      for (const inner of Object.values(object)) if (typeof inner === 'object' && inner !== null) next.push(inner)
    }
    level = next
  }
}

/** Whether two JSON values are equal. Fields in any order; numbers by value. */
export function jsonEqual(a: unknown, b: unknown): boolean {
  if (a === b) return true
  if (a instanceof NumberLiteral) return jsonEqual(a.value, b)
  if (b instanceof NumberLiteral) return jsonEqual(a, b.value)
  if (typeof a !== 'object' || typeof b !== 'object' || a === null || b === null) return false
  if (Array.isArray(a)) return Array.isArray(b) && a.length === b.length && a.every((item, i) => jsonEqual(item, b[i]))
  if (Array.isArray(b)) return false
  const keys = Object.keys(a)
  if (keys.length !== Object.keys(b).length) return false
  return keys.every((key) => Object.hasOwn(b, key) && jsonEqual((a as JsonObject)[key], (b as JsonObject)[key]))
}

/** A value as Go's `%v` prints it: `map[a:1 b:[x y]]`. */
export function goPrint(value: unknown): string {
  if (value === null || value === undefined) return '<nil>'
  if (Array.isArray(value)) return `[${value.map(goPrint).join(' ')}]`
  if (!isObject(value)) return String(value)
  const keys = Object.keys(value).sort()
  return `map[${keys.map((key) => `${key}:${goPrint(value[key])}`).join(' ')}]`
}
