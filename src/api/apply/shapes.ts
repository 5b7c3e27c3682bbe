// How values are looked into when their fields are named: what has fields or items of its own, and what is one path.
import type { FieldSchema, Schema, StructSchema } from '../schema/schema.ts'

/** What a value of unknown type is taken for: maps are looked into, lists are not. */
export const deduced: Schema = { type: 'any' }

/** How a value is looked into: not at all, by its fields or keys, by its items. */
export type Shape = 'leaf' | 'fields' | 'items'

export function resolveNode(schema: Schema): Exclude<Schema, { type: 'ref' }> {
  return schema.type === 'ref' ? schema.resolve() : schema
}

export function shapeOf(schema: Exclude<Schema, { type: 'ref' }>, value: unknown): Shape {
  switch (schema.type) {
    case 'struct':
    case 'map':
      return schema.atomic ? 'leaf' : 'fields'
    case 'list':
      return schema.listType === 'atomic' ? 'leaf' : 'items'
    case 'any':
      if (schema.special === 'RawExtension') return 'leaf'
      return typeof value === 'object' && value !== null && !Array.isArray(value) ? 'fields' : 'leaf'
    case 'union':
      return typeof value === 'object' && value !== null && !Array.isArray(value) ? 'fields' : 'leaf'
    default:
      return 'leaf'
  }
}

/** The schema of what stands under a key; undefined when the type does not know the key. */
export function schemaUnder(schema: Exclude<Schema, { type: 'ref' }>, key: string): Schema | undefined {
  if (schema.type === 'map') return schema.values
  if (schema.type === 'struct') return schema.fields.get(key)?.schema ?? (schema.preserveUnknown ? deduced : undefined)
  return deduced
}

/** Null, or without fields, items or keys. */
export function isEmptyValue(value: unknown): boolean {
  if (value === null || value === undefined) return true
  if (typeof value !== 'object') return false
  for (const _ in value) return false
  return true
}

const nullFieldsOf = new WeakMap<StructSchema, readonly string[]>()
const none: readonly string[] = []

/** Fields that JSON shows as null when nothing is set: for managedFields they are there. */
export function nullFields(schema: Schema): readonly string[] {
  if (schema.type !== 'struct') return none
  const known = nullFieldsOf.get(schema)
  if (known !== undefined) return known
  const names = [...schema.fields.values()].filter(isNullWhenAbsent).map((field) => field.name)
  nullFieldsOf.set(schema, names.length === 0 ? none : names)
  return nullFieldsOf.get(schema)!
}

function isNullWhenAbsent(field: FieldSchema): boolean {
  if (field.pointer) return !field.omitEmpty
  const { type } = field.schema
  return (type === 'time' || type === 'microTime') && !field.omitZero
}
