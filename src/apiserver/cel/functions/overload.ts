// What functions are made of: a signature that the checker reads, and what it does to values. `string->startsWith(string): bool`
// is a method; without the arrow it is a function.
import { parseType, splitTypes, type Type } from '../types.ts'
import { CelList, Duration, isMap, isOpaque, Optional, Timestamp, TypeValue, Uint, type Value } from '../values.ts'

export interface Overload {
  readonly name: string
  readonly method: boolean
  /** The receiver of a method first. */
  readonly args: readonly Type[]
  readonly result: Type
  readonly run: (args: readonly Value[]) => Value
  /** Units of cost beyond the call's own; at run time by the values. */
  readonly cost?: (args: readonly Value[]) => number
  /** How the cost grows with the sizes of the arguments; for estimates before the values are known. */
  readonly estimate?: (sizes: readonly number[]) => number
}

export interface Costs {
  readonly cost?: (args: readonly Value[]) => number
  readonly estimate?: (sizes: readonly number[]) => number
}

/** `by`: how the cost follows from the sizes of the arguments, at run time and before. */
export function fn(signature: string, run: (...args: never[]) => Value, by?: (...sizes: number[]) => number): Overload {
  const match = /^(?:(.+)->)?([^(]+)\((.*)\): (.+)$/.exec(signature)
  if (match === null) throw new Error(`assertion failed: not a signature: ${signature}`)
  const [, receiver, name = '', args = '', result = ''] = match
  const types = splitTypes(args).map(parseType)
  const call = run as unknown as (...args: readonly Value[]) => Value
  return {
    name,
    method: receiver !== undefined,
    args: receiver === undefined ? types : [parseType(receiver), ...types],
    result: parseType(result),
    run: (values) => call(...values),
    ...(by === undefined ? {} : { cost: (values) => by(...values.map(sizeOf)), estimate: (sizes) => by(...sizes) }),
  }
}

/** Elements, characters or bytes of a value; 1 for what has no size. */
export function sizeOf(value: Value): number {
  if (typeof value === 'string') return value.length
  if (value instanceof Uint8Array) return value.length
  if (value instanceof CelList) return value.size
  if (typeof value === 'object' && value !== null && isMap(value)) return value.size
  return 1
}

/** Going through a text costs a tenth of a unit for each character. */
export function perChar(size: number): number {
  return Math.ceil(size * 0.1)
}

/** Whether a value may be given where the type is asked for; looks at the outermost type only. */
export function fits(value: Value, type: Type): boolean {
  switch (type.kind) {
    case 'dyn':
    case 'param':
      return true
    case 'null':
      return value === null
    case 'bool':
      return typeof value === 'boolean'
    case 'int':
      return typeof value === 'bigint'
    case 'double':
      return typeof value === 'number'
    case 'string':
      return typeof value === 'string'
    case 'uint':
      return value instanceof Uint
    case 'bytes':
      return value instanceof Uint8Array
    case 'timestamp':
      return value instanceof Timestamp
    case 'duration':
      return value instanceof Duration
    case 'optional':
      return value instanceof Optional
    case 'type':
      return value instanceof TypeValue
    case 'list':
      return value instanceof CelList
    case 'map':
    case 'object':
      return typeof value === 'object' && value !== null && isMap(value)
    case 'opaque':
      return typeof value === 'object' && value !== null && isOpaque(value) && value.opaque === type.name
  }
}
