// A type may have become atomic since a manager wrote its set: paths below it then become the one path to it.
import type { Schema } from '../schema/schema.ts'
import { type FieldSet, isLeaf, leaf } from './field-set.ts'
import { schemaOfElement } from './merge.ts'
import { resolveNode } from './shapes.ts'

/** The set in terms of the schema as it is now; the same set when nothing changed. */
export function reconcileWithSchema(schemaOrRef: Schema, set: FieldSet): FieldSet {
  if (isLeaf(set)) return set
  const schema = resolveNode(schemaOrRef)
  if (isAtomic(schema)) return leaf
  let out: Record<string, FieldSet> | undefined
  for (const element in set) {
    if (element === '.') continue
    const below = reconcileWithSchema(schemaOfElement(schema, element), set[element]!)
    if (below === set[element]) continue
    out ??= { ...set }
    out[element] = below
  }
  return out ?? set
}

function isAtomic(schema: Schema): boolean {
  if (schema.type === 'struct' || schema.type === 'map') return schema.atomic
  return schema.type === 'list' && schema.listType === 'atomic'
}
