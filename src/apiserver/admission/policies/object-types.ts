// The schemas of served kinds as types of expressions: what `object` is when the kind of the object is known beforehand.
import { resolved, type Schema, type StructSchema } from '#api/schema/schema'
import { bool, double, dyn, type Field, int, listOf, mapOf, type ObjectType, string, type Type } from '../../cel/types.ts'
import { ruleName } from '../../custom/rule-types.ts'

const made = new WeakMap<StructSchema, ObjectType>()

/** The type of an object of the schema; made once for each struct, so that recursive schemas end. */
export function objectType(schema: StructSchema, name = schema.name): ObjectType {
  const known = made.get(schema)
  if (known !== undefined) return known
  const fields = new Map<string, Field>()
  const type: ObjectType = { kind: 'object', name, fields }
  made.set(schema, type)
  for (const field of schema.fields.values()) {
    const shown = ruleName(field.name)
    if (shown !== undefined) fields.set(shown, { name: field.name, type: typeOf(field.schema, `${name}.${field.name}`) })
  }
  return type
}

// `at` names structs that have no name of their own.
function typeOf(schema: Schema, at: string): Type {
  const node = resolved(schema)
  switch (node.type) {
    case 'struct':
      // What no schema describes is of any type.
      if (node.fields.size === 0) return dyn
      return objectType(node, node.name || at)
    case 'list':
      return listOf(typeOf(node.items, `${at}.@idx`))
    case 'map':
      return mapOf(string, typeOf(node.values, `${at}.@elem`))
    case 'string':
    case 'quantity':
      return string
    case 'boolean':
      return bool
    case 'int32':
    case 'int64':
      return int
    case 'number':
      return double
    case 'bytes':
      return { kind: 'bytes' }
    case 'time':
    case 'microTime':
      return { kind: 'timestamp' }
    case 'duration':
      return string
    default:
      return dyn
  }
}
