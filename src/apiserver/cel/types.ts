// The types of expressions: what the checker reasons with, and how JSON is read as values of the language.

/** What a request may carry at most, in bytes; so large is any text of which nothing else is known. */
export const requestBytesMax = 3_145_728

/** How many elements, characters or bytes there can be at most; for estimating costs. */
interface Sized {
  readonly max?: number
}

export type PlainKind = 'dyn' | 'null' | 'bool' | 'int' | 'uint' | 'double' | 'string' | 'bytes' | 'duration' | 'timestamp'
export type PlainType = Sized & { readonly kind: PlainKind }
export type ListType = Sized & {
  readonly kind: 'list'
  readonly element: Type
  /** Lists that behave as sets, or as maps by these keys, in comparisons and sums. */
  readonly listType?: 'set' | 'map'
  readonly mapKeys?: readonly string[]
}
export type MapType = Sized & { readonly kind: 'map'; readonly key: Type; readonly value: Type }
export interface Field {
  /** As it stands in JSON. */
  readonly name: string
  readonly type: Type
}
export interface ObjectType {
  readonly kind: 'object'
  readonly name: string
  /** By the name that expressions use. */
  readonly fields: ReadonlyMap<string, Field>
}
export interface OptionalType {
  readonly kind: 'optional'
  readonly value: Type
}
export interface TypeType {
  readonly kind: 'type'
}
/** Types of Kubernetes' libraries, which have functions and nothing else. */
export interface OpaqueType {
  readonly kind: 'opaque'
  readonly name: string
}
/** Stands for any type in the signature of a function. */
export interface ParamType {
  readonly kind: 'param'
  readonly name: string
}

export type Type = PlainType | ListType | MapType | ObjectType | OptionalType | TypeType | OpaqueType | ParamType

export const dyn: PlainType = { kind: 'dyn' }
export const bool: PlainType = { kind: 'bool' }
export const int: PlainType = { kind: 'int' }
export const uint: PlainType = { kind: 'uint' }
export const double: PlainType = { kind: 'double' }
export const string: PlainType = { kind: 'string' }
export const bytes: PlainType = { kind: 'bytes' }
export const nullType: PlainType = { kind: 'null' }
export const typeType: TypeType = { kind: 'type' }

export function listOf(element: Type): ListType {
  return { kind: 'list', element }
}

export function mapOf(key: Type, value: Type): MapType {
  return { kind: 'map', key, value }
}

export function optionalOf(value: Type): OptionalType {
  return { kind: 'optional', value }
}

/** An object type whose fields have the same names in JSON. */
export function objectOf(name: string, fields: Readonly<Record<string, Type>>): ObjectType {
  return { kind: 'object', name, fields: new Map(Object.entries(fields).map(([field, type]) => [field, { name: field, type }])) }
}

const plainKinds = new Set(['dyn', 'null', 'bool', 'int', 'uint', 'double', 'string', 'bytes', 'duration', 'timestamp'])

/** A type as signatures write it: `list<T>`, `map<string,int>`, `optional<T>`, `kubernetes.URL`. */
export function parseType(text: string): Type {
  const open = text.indexOf('<')
  if (open < 0) {
    if (plainKinds.has(text)) return { kind: text as PlainKind }
    if (text === 'type') return typeType
    return /^[A-Z]$/.test(text) ? { kind: 'param', name: text } : { kind: 'opaque', name: text }
  }
  const parts = splitTypes(text.slice(open + 1, -1)).map(parseType)
  const head = text.slice(0, open)
  if (head === 'list') return listOf(parts[0]!)
  if (head === 'optional') return optionalOf(parts[0]!)
  return mapOf(parts[0]!, parts[1]!)
}

/** Types separated by commas, those within angle brackets aside. */
export function splitTypes(text: string): string[] {
  const parts: string[] = []
  let depth = 0
  let start = 0
  for (let i = 0; i <= text.length; i++) {
    const char = text[i]
    if (char === '<') depth++
    else if (char === '>') depth--
    else if ((char === ',' && depth === 0) || i === text.length) {
      const part = text.slice(start, i).trim()
      if (part !== '') parts.push(part)
      start = i + 1
    }
  }
  return parts
}

export function formatType(type: Type): string {
  switch (type.kind) {
    case 'list':
      return `list(${formatType(type.element)})`
    case 'map':
      return `map(${formatType(type.key)}, ${formatType(type.value)})`
    case 'optional':
      return `optional_type(${formatType(type.value)})`
    case 'object':
    case 'opaque':
    case 'param':
      return type.name
    case 'duration':
      return 'google.protobuf.Duration'
    case 'timestamp':
      return 'google.protobuf.Timestamp'
    default:
      return type.kind
  }
}

/** Types that type parameters stand for, within one call. */
export type Bindings = Map<string, Type>

/** Whether a value of type `from` may stand where `to` is asked for. Binds parameters of `to`. */
export function assignable(from: Type, to: Type, bindings: Bindings): boolean {
  if (to.kind === 'param') {
    const bound = bindings.get(to.name)
    if (bound === undefined || bound.kind === 'dyn') {
      bindings.set(to.name, from)
      return true
    }
    return assignable(from, bound, bindings) || assignable(bound, from, bindings)
  }
  if (from.kind === 'dyn' || to.kind === 'dyn' || from.kind === 'param') return true
  if (from.kind === 'null') return to.kind === 'null' || nullable.has(to.kind)
  if (from.kind !== to.kind) return to.kind === 'null' && nullable.has(from.kind)
  switch (from.kind) {
    case 'list':
      return assignable(from.element, (to as ListType).element, bindings)
    case 'map':
      return assignable(from.key, (to as MapType).key, bindings) && assignable(from.value, (to as MapType).value, bindings)
    case 'optional':
      return assignable(from.value, (to as OptionalType).value, bindings)
    case 'opaque':
    case 'object':
      return from.name === (to as ObjectType).name
    default:
      return true
  }
}

const nullable = new Set(['object', 'opaque', 'optional', 'duration', 'timestamp'])

export function substitute(type: Type, bindings: Bindings): Type {
  switch (type.kind) {
    case 'param':
      return bindings.get(type.name) ?? dyn
    case 'list':
      return { ...type, element: substitute(type.element, bindings) }
    case 'map':
      return { ...type, key: substitute(type.key, bindings), value: substitute(type.value, bindings) }
    case 'optional':
      return optionalOf(substitute(type.value, bindings))
    default:
      return type
  }
}

/** The one type of several values: theirs when they agree, else dyn. */
export function joined(types: readonly Type[]): Type {
  const [first = dyn] = types
  for (const type of types) {
    if (type.kind === 'dyn' || !assignable(type, first, new Map()) || !assignable(first, type, new Map())) return dyn
  }
  if (first.kind === 'string' || first.kind === 'bytes') {
    const sizes = types.map((type) => (type as PlainType).max)
    const { max: _, ...unsized } = first
    return sizes.includes(undefined) ? unsized : { ...first, max: Math.max(...(sizes as number[])) }
  }
  return first
}
