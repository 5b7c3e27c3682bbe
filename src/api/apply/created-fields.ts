// What a create sets: every path in which an object differs from one about which nobody has said anything. In one pass, and in
// the order of the finished set: creates are the writes that say most.
import { compileDecoder } from '../schema/decode.ts'
import type { StructSchema } from '../schema/schema.ts'
import { leafEqual } from './compare.ts'
import { type FieldSet, leaf } from './field-set.ts'
import { isEmptyValue, resolveNode, shapeOf } from './shapes.ts'
import { type FieldStep, itemsOf, keysOf, setOfSaid, wholeOf } from './whole.ts'

type Fields = Readonly<Record<string, unknown>>

const emptyObjects = new WeakMap<StructSchema, unknown>()

/** What an object of this type is before anybody said anything: only what is never absent. */
export function emptyObject(schema: StructSchema): unknown {
  const known = emptyObjects.get(schema)
  if (known !== undefined) return known
  const { object } = compileDecoder(schema)({}, 'ignore')
  emptyObjects.set(schema, object)
  return object
}

/**
 * The paths that `object`, decoded, adds to the empty object of its type or changes in it, in Kubernetes' order. Undefined: none.
 * Throws `PathElementError`.
 */
export function fieldsOfCreated(schema: StructSchema, object: unknown): FieldSet | undefined {
  return setFields(schema, object as Fields)
}

function setFields(schema: StructSchema, value: Fields): FieldSet | undefined {
  const empty = emptyObject(schema) as Fields
  return setOfSaid(schema, value, (step, inner) => {
    const before = valueAt(empty, step) ?? (step.nullWhenAbsent ? null : undefined)
    if (inner === before) return undefined
    if (before === undefined) return step.scalar ? leaf : wholeOf(step.schema, inner)
    return setSince(step, before, inner)
  })
}

function valueAt(object: Fields, { name, inherited }: FieldStep): unknown {
  return inherited && !Object.hasOwn(object, name) ? undefined : object[name]
}

// A field that is never absent.
function setSince(step: FieldStep, before: unknown, value: unknown): FieldSet | undefined {
  const schema = resolveNode(step.schema)
  const shape = shapeOf(schema, value)
  if (shape === 'leaf') return leafEqual(before, value) ? undefined : leaf
  if (isEmptyValue(value)) return undefined
  if (schema.type === 'struct') return before === null ? withoutSelf(wholeOf(schema, value)) : setFields(schema, value as Fields)
  const set = schema.type === 'list' ? itemsOf(schema, value as unknown[]) : keysOf(schema, value as Fields)
  for (const _ in set) return set
  return undefined
}

function withoutSelf(set: FieldSet): FieldSet | undefined {
  const { '.': _, ...rest } = set
  for (const _element in rest) return rest
  return undefined
}
