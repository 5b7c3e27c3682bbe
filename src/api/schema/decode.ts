// Decoding of JSON values into API objects: one pass that checks types, drops what the schema does not know and what Go would
// leave out, fills what Go would fill, and puts fields in canonical order. Compiled once per schema, into closures (no `eval`,
// so it runs under a content security policy).
//
// What comes out is what the types in generated/ promise: nulls are gone; structs that are no pointers are there, and so are
// zero values of fields without `omitempty`; empty values of fields with it are not. `JSON.stringify` of the result is what goes
// on the wire, but for the few nulls that Go writes (see wire.ts).
//
// Objects and maps are ordinary JavaScript objects: keys such as `constructor` and `__proto__` are own properties like any
// other and survive a round trip, but read a map by a key that a user chose with `Object.hasOwn`, not with `in`.
import { goTypeOfName } from './builtin.ts'
import {
  DecodeError,
  goTypeOfScalar,
  isEmptyScalar,
  NumberLiteral,
  scalarDecoder,
  type TypeMismatch,
  wrongType,
  zeroScalar,
} from './scalars.ts'
import type { FieldSchema, ListSchema, MapSchema, Schema, StructSchema, UnionSchema } from './schema.ts'

/** What to do about fields that the schema does not know: say so (strict and warn differ only in what the caller does), or nothing. */
export type FieldValidation = 'strict' | 'warn' | 'ignore'

export interface Decoded<T> {
  readonly object: T
  /** `unknown field "spec.foo"`, in document order, at most 100; empty when validation is `ignore`. */
  readonly problems: readonly string[]
}

/**
 * Decodes a parsed JSON value. The value becomes the decoder's: parts of it are changed and reused in the result.
 * Throws `DecodeError` when a type does not fit, whatever the validation.
 */
export type Decoder<T> = (value: unknown, validation: FieldValidation) => Decoded<T>

const compiled = new WeakMap<StructSchema, StructDecoder>()

/** The decoder of a schema. Compiling the same schema again is free. */
export function compileDecoder<T = unknown>(schema: StructSchema): Decoder<T> {
  const struct = structDecoder(schema)
  return (value, validation) => {
    const context = new DecodeContext(validation !== 'ignore')
    const object = struct.decode(value, context)
    return { object: (object === undefined ? struct.fill() : object) as T, problems: context.problems }
  }
}

/** The text of a strict decoding error, as Kubernetes words it. */
export function strictDecodingText(problems: readonly string[]): string {
  return `strict decoding error: ${problems.join(', ')}`
}

const problemsMax = 100
const depthMax = 500

/** What one run of a decoder knows: where it is, and what it found. */
class DecodeContext {
  readonly problems: string[] = []
  readonly report: boolean
  /** Field names, list indexes and map keys (the latter boxed) from the root down to the value being decoded. */
  readonly path: (string | number | { readonly key: string })[] = []
  /** The struct that holds the innermost field. */
  owner: StructSchema | undefined

  constructor(report: boolean) {
    this.report = report
  }

  /** What does not fit is kept. */
  get isLenient(): boolean {
    return this.owner?.lenient === true
  }

  enter(step: string | number | { readonly key: string }): void {
    if (this.path.length >= depthMax) throw new DecodeError('exceeded max depth')
    this.path.push(step)
  }

  leave(): void {
    this.path.pop()
  }

  unknown(key: string): void {
    if (!this.report || this.problems.length >= problemsMax) return
    const text = `unknown field ${JSON.stringify(joinPath(this.path, key))}`
    if (!this.problems.includes(text)) this.problems.push(text)
  }

  mismatch(value: unknown, goType: string, wanted: TypeMismatch['wanted'], field?: string): DecodeError {
    const names = this.path.filter((step) => typeof step === 'string')
    if (field !== undefined) names.push(field)
    const into =
      this.owner === undefined ? 'Go value' : `Go struct field ${goTypeOfName(this.owner.name).split('.').at(-1)}.${names.join('.')}`
    return new DecodeError(`json: cannot unmarshal ${describeJson(value, goType)} into ${into} of type ${goType}`, {
      value,
      wanted,
      goType,
    })
  }
}

function joinPath(path: DecodeContext['path'], key: string): string {
  let text = ''
  for (const step of path) {
    if (typeof step === 'number') text += `[${step}]`
    else text += `${text === '' ? '' : '.'}${typeof step === 'string' ? step : step.key}`
  }
  return text === '' ? key : `${text}.${key}`
}

function describeJson(value: unknown, goType: string): string {
  if (Array.isArray(value)) return 'array'
  if (typeof value === 'boolean') return 'bool'
  if (typeof value === 'number' || typeof value === 'bigint' || value instanceof NumberLiteral) {
    return /^(int32|int64|float64)$/.test(goType) ? `number ${value instanceof NumberLiteral ? value.text : value}` : 'number'
  }
  return typeof value
}

/** The decoded value; undefined when null stood there; `wrongType` from scalars, whose owner words the error. */
type Decode = (value: unknown, context: DecodeContext) => unknown

interface NodeDecoder {
  readonly decode: Decode
  /** Null is a value of its own (custom resources only). */
  readonly nullable?: boolean
  /** Has a path of its own below it. */
  readonly composite: boolean
  /** A fresh zero value; undefined for what has none in JSON. */
  readonly fill: () => unknown
  readonly isEmpty: (value: unknown) => boolean
  readonly goType: string
  readonly kind: TypeMismatch['wanted']
}

interface FieldDecoder {
  readonly name: string
  readonly index: number
  readonly node: NodeDecoder
  /** Left out when empty (or, for pointers, never). */
  readonly dropEmpty: boolean
  /** Must be there; filled when it is not. */
  readonly filled: boolean
}

interface StructDecoder extends NodeDecoder {
  readonly decode: (value: unknown, context: DecodeContext) => Record<string, unknown> | undefined
}

function structDecoder(schema: StructSchema): StructDecoder {
  const known = compiled.get(schema)
  if (known !== undefined) return known
  // Fields are compiled on first use, so that recursive types and parts that nobody sends cost nothing.
  let table: FieldTable | undefined
  const fieldTable = (): FieldTable => {
    table ??= compileFields(schema)
    return table
  }
  const decoder: StructDecoder = {
    composite: true,
    kind: 'struct',
    ...(schema.nullable === true && { nullable: true }),
    goType: schema.name === '' ? 'struct' : goTypeOfName(schema.name),
    isEmpty: () => false,
    fill: () => fillStruct(fieldTable().filled),
    decode: (value, context) => {
      if (value === null || value === undefined) return undefined
      if (!isPlainObject(value)) {
        if (schema.lenient === true && context.owner !== undefined) return value as Record<string, unknown>
        throw context.mismatch(value, decoder.goType, 'struct')
      }
      return decodeStruct(schema, fieldTable(), value, context)
    },
  }
  compiled.set(schema, decoder)
  return decoder
}

function isPlainObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && !Array.isArray(value) && !(value instanceof NumberLiteral)
}

interface FieldTable {
  readonly byName: ReadonlyMap<string, FieldDecoder>
  readonly filled: readonly FieldDecoder[]
}

function compileFields(schema: StructSchema): FieldTable {
  const byName = new Map<string, FieldDecoder>()
  let index = 0
  for (const field of schema.fields.values()) byName.set(field.name, fieldDecoder(field, index++))
  return { byName, filled: [...byName.values()].filter((field) => field.filled) }
}

function fieldDecoder(field: FieldSchema, index: number): FieldDecoder {
  const node = nodeDecoder(field.schema)
  const isTime = field.schema.type === 'time' || field.schema.type === 'microTime'
  const isStruct =
    field.schema.type === 'struct' ||
    field.schema.type === 'quantity' ||
    field.schema.type === 'duration' ||
    field.schema.type === 'intOrString'
  return {
    name: field.name,
    index,
    node,
    // A list of managed fields that is there and empty says something: forget them all.
    dropEmpty: field.omitEmpty && !field.pointer && field.name !== 'managedFields',
    filled: !field.pointer && !isTime && field.schema.type !== 'any' && field.schema.type !== 'union' && (!field.omitEmpty || isStruct),
  }
}

function fillStruct(filled: readonly FieldDecoder[]): Record<string, unknown> {
  const out: Record<string, unknown> = {}
  for (const { name, node } of filled) out[name] = node.fill()
  return out
}

/** Decodes in place; only a value that was out of order, or had too much or too little, is built anew. */
function decodeStruct(
  schema: StructSchema,
  table: FieldTable,
  value: Record<string, unknown>,
  context: DecodeContext,
): Record<string, unknown> {
  let previous = -1
  let missing = table.filled.length
  let asIs = true
  for (const key in value) {
    const field = table.byName.get(key)
    if (field === undefined) {
      if (schema.preserveUnknown) {
        if (value[key] instanceof NumberLiteral) setOwn(value, key, value[key].value)
        checkDepth(value[key], depthMax - context.path.length)
        continue
      }
      context.unknown(key)
      asIs = false
      continue
    }
    const given = value[key]
    const decoded = decodeField(schema, field, given, context)
    if (decoded !== given) value[key] = decoded
    if (decoded === undefined) asIs = false
    else if (field.filled) missing--
    if (field.index < previous) asIs = false
    previous = field.index
  }
  return asIs && missing === 0 ? value : rebuilt(schema, table, value, missing)
}

function decodeField(schema: StructSchema, field: FieldDecoder, given: unknown, context: DecodeContext): unknown {
  const { node } = field
  if (given === null && node.nullable === true) return null
  let decoded: unknown
  context.owner = schema
  if (node.composite) {
    context.enter(field.name)
    decoded = node.decode(given, context)
    context.leave()
  } else {
    decoded = given === null ? undefined : node.decode(given, context)
    if (decoded === wrongType) {
      if (schema.lenient === true) return given
      throw context.mismatch(given, node.goType, node.kind, field.name)
    }
  }
  if (decoded === undefined) return field.filled ? node.fill() : undefined
  return field.dropEmpty && node.isEmpty(decoded) ? undefined : decoded
}

function rebuilt(schema: StructSchema, table: FieldTable, value: Record<string, unknown>, missing: number): Record<string, unknown> {
  const present: FieldDecoder[] = []
  for (const key in value) {
    const field = table.byName.get(key)
    if (field !== undefined && value[key] !== undefined) present.push(field)
  }
  if (missing > 0) {
    for (const field of table.filled) {
      if (Object.hasOwn(value, field.name)) continue
      value[field.name] = field.node.fill()
      present.push(field)
    }
  }
  sortByIndex(present)
  const out: Record<string, unknown> = {}
  for (const { name } of present) out[name] = value[name]
  if (schema.preserveUnknown) for (const key in value) if (!table.byName.has(key)) setOwn(out, key, value[key])
  return out
}

// Few and mostly in order already.
function sortByIndex(fields: FieldDecoder[]): void {
  for (let i = 1; i < fields.length; i++) {
    const field = fields[i]!
    let at = i - 1
    while (at >= 0 && fields[at]!.index > field.index) {
      fields[at + 1] = fields[at]!
      at--
    }
    fields[at + 1] = field
  }
}

// Equal nodes share one decoder; struct nodes through `compiled`.
const nodes = new WeakMap<Schema, NodeDecoder>()

function nodeDecoder(schema: Schema): NodeDecoder {
  if (schema.type === 'struct') return structDecoder(schema)
  const known = nodes.get(schema)
  if (known !== undefined) return known
  const built = buildNode(schema)
  const decoder = schema.nullable === true ? { ...built, nullable: true } : built
  nodes.set(schema, decoder)
  return decoder
}

function buildNode(schema: Exclude<Schema, StructSchema>): NodeDecoder {
  switch (schema.type) {
    case 'ref':
      return {
        composite: true,
        kind: 'struct',
        goType: goTypeOfName(schema.name),
        isEmpty: () => false,
        fill: () => structDecoder(schema.resolve()).fill(),
        decode: (value, context) => structDecoder(schema.resolve()).decode(value, context),
      }
    case 'list':
      return listDecoder(schema)
    case 'map':
      return mapDecoder(schema)
    case 'union':
      return unionDecoder(schema)
    case 'any':
      return { composite: true, kind: 'struct', goType: 'interface {}', isEmpty: () => false, fill: () => undefined, decode: decodeAny }
    default: {
      const goType = goTypeOfScalar(schema)
      const zero = zeroScalar(schema.type)
      return {
        composite: false,
        kind: schema.type,
        goType,
        isEmpty: (value) => isEmptyScalar(schema.type, value),
        fill: () => zero,
        decode: scalarDecoder(schema.type),
      }
    }
  }
}

function decodeAny(value: unknown, context: DecodeContext): unknown {
  if (value === null) return undefined
  if (value instanceof NumberLiteral) return value.value
  checkDepth(value, depthMax - context.path.length)
  return value
}

// Numbers that were kept as they were written become their values on the way.
function checkDepth(value: unknown, left: number): void {
  if (typeof value !== 'object' || value === null) return
  if (left <= 0) throw new DecodeError('exceeded max depth')
  for (const key in value) {
    const child = (value as Record<string, unknown>)[key]
    if (typeof child !== 'object') continue
    if (child instanceof NumberLiteral) setOwn(value as Record<string, unknown>, key, child.value)
    else checkDepth(child, left - 1)
  }
}

function listDecoder(schema: ListSchema): NodeDecoder {
  const items = nodeDecoder(schema.items)
  const goType = schema.goType ?? `[]${items.goType}`
  return {
    composite: true,
    kind: 'list',
    goType,
    isEmpty: (value) => (value as unknown[]).length === 0,
    fill: () => [],
    decode(value, context) {
      if (value === null || value === undefined) return undefined
      if (!Array.isArray(value)) {
        if (context.isLenient) return value
        throw context.mismatch(value, goType, 'list')
      }
      if (items.composite) decodeItems(items, value, context)
      else decodeScalarItems(items, value, context)
      return value
    },
  }
}

function decodeItems(items: NodeDecoder, list: unknown[], context: DecodeContext): void {
  for (let i = 0; i < list.length; i++) {
    const given = list[i]
    if (given === null && items.nullable === true) continue
    context.enter(i)
    const decoded = items.decode(given, context)
    context.leave()
    if (decoded !== given) list[i] = decoded === undefined ? (context.isLenient ? null : (items.fill() ?? null)) : decoded
  }
}

function decodeScalarItems(items: NodeDecoder, list: unknown[], context: DecodeContext): void {
  for (let i = 0; i < list.length; i++) {
    const given = list[i]
    if (given === null && items.nullable === true) continue
    if (context.isLenient && given === null) continue
    const decoded = given === null ? items.fill() : items.decode(given, context)
    if (decoded === wrongType) {
      if (context.isLenient) continue
      throw context.mismatch(given, items.goType, items.kind)
    }
    if (decoded !== given) list[i] = decoded
  }
}

function mapDecoder(schema: MapSchema): NodeDecoder {
  const values = nodeDecoder(schema.values)
  const goType = schema.goType ?? `map[string]${values.goType}`
  return {
    composite: true,
    kind: 'map',
    goType,
    isEmpty: (value) => {
      for (const _ in value as object) return false
      return true
    },
    fill: () => ({}),
    decode(value, context) {
      if (value === null || value === undefined) return undefined
      if (!isPlainObject(value)) {
        if (context.isLenient) return value
        throw context.mismatch(value, goType, 'map')
      }
      return decodeMap(values, value, context)
    },
  }
}

function decodeMap(values: NodeDecoder, map: Record<string, unknown>, context: DecodeContext): Record<string, unknown> {
  let previous = ''
  let sorted = true
  for (const key in map) {
    if (key < previous) sorted = false
    previous = key
    const given = map[key]
    if (given === null && values.nullable === true) continue
    let decoded: unknown
    if (values.composite) {
      context.enter({ key })
      decoded = values.decode(given, context)
      context.leave()
    } else {
      decoded = given === null ? undefined : values.decode(given, context)
      if (decoded === wrongType) {
        if (context.isLenient) continue
        throw context.mismatch(given, values.goType, values.kind)
      }
    }
    if (decoded === undefined && context.isLenient) {
      delete map[key]
      continue
    }
    if (decoded === undefined) decoded = values.fill() ?? null
    if (decoded !== given) setOwn(map, key, decoded)
  }
  return sorted ? map : sortedCopy(map)
}

/** Go writes maps with their keys sorted; so equal maps have equal bytes. */
function sortedCopy(map: Record<string, unknown>): Record<string, unknown> {
  const out: Record<string, unknown> = {}
  for (const key of Object.keys(map).sort()) setOwn(out, key, map[key])
  return out
}

/** Sets an own property, `__proto__` included. */
export function setOwn(object: Record<string, unknown>, key: string, value: unknown): void {
  if (key === '__proto__') Object.defineProperty(object, key, { value, writable: true, enumerable: true, configurable: true })
  else object[key] = value
}

// Schemas inside CustomResourceDefinitions: `items`, `additionalProperties`, `dependencies`.
function unionDecoder(schema: UnionSchema): NodeDecoder {
  const object = nodeDecoder(schema.object)
  return {
    composite: true,
    kind: 'struct',
    goType: `v1.${schema.name}`,
    isEmpty: () => false,
    fill: () => undefined,
    decode(value, context) {
      if (value === null || value === undefined) return undefined
      if (typeof value === 'boolean' && schema.name === 'JSONSchemaPropsOrBool') return value
      if (Array.isArray(value)) {
        if (schema.name === 'JSONSchemaPropsOrArray') decodeItems(object, value, context)
        else if (schema.name !== 'JSONSchemaPropsOrStringArray' || value.some((item) => typeof item !== 'string')) {
          throw new DecodeError('boolean or JSON schema expected')
        }
        return value
      }
      return object.decode(value, context)
    },
  }
}
