// Every path of a value that is there as a whole: what a create adds, and what comes or goes with a field. A create walks the whole
// object, so a struct's fields are known beforehand in the order in which a set names them, and the sets of structs that hold
// only scalars, which are few and come again and again, are made once.
import type { FieldSchema, ListSchema, Schema, StructSchema } from '../schema/schema.ts'
import { type FieldSet, leaf } from './field-set.ts'
import { comparePathElements, itemElement } from './path-element.ts'
import { deduced, isEmptyValue, nullFields, resolveNode, schemaUnder, shapeOf } from './shapes.ts'

type Fields = Readonly<Record<string, unknown>>

/** One field of a struct, on the way through an object. */
export interface FieldStep {
  readonly name: string
  readonly element: string
  readonly schema: FieldSchema['schema']
  /** Never has paths of its own. */
  readonly scalar: boolean
  /** Counts as there when it is not. */
  readonly nullWhenAbsent: boolean
  /** Every object has something by this name. */
  readonly inherited: boolean
}

interface Plan {
  /** In the order of their elements. */
  readonly steps: readonly FieldStep[]
  /** Sets of values with scalars only, by the bits of the steps that are there; undefined: too many fields for that. */
  readonly known: Map<number, FieldSet> | undefined
}

// As many bits as a number holds exactly; and how many sets a struct may have kept.
const bitsMax = 52
const knownMax = 256

const plans = new WeakMap<StructSchema, Plan>()

function planOf(schema: StructSchema): Plan {
  const known = plans.get(schema)
  if (known !== undefined) return known
  const nulls = nullFields(schema)
  const steps = [...schema.fields.values()]
    .map((field): FieldStep => {
      const { type } = field.schema
      const composite = type === 'struct' || type === 'list' || type === 'map' || type === 'any' || type === 'union' || type === 'ref'
      return {
        name: field.name,
        element: `f:${field.name}`,
        schema: field.schema,
        scalar: !composite,
        nullWhenAbsent: nulls.includes(field.name),
        inherited: field.name in {},
      }
    })
    .sort((a, b) => (a.element < b.element ? -1 : 1))
  const plan = { steps, known: steps.length <= bitsMax && !schema.preserveUnknown ? new Map<number, FieldSet>() : undefined }
  plans.set(schema, plan)
  return plan
}

/** The fields of a struct in the order of their elements. */
export function stepsOf(schema: StructSchema): readonly FieldStep[] {
  return planOf(schema).steps
}

/** What stands in a field; undefined for nothing. */
export function valueAt(object: Fields, { name, inherited }: FieldStep): unknown {
  return inherited && !Object.hasOwn(object, name) ? undefined : object[name]
}

/** The node of a value that is new as a whole: a member, and whatever is below it. In Kubernetes' order. */
export function wholeOf(schemaOrRef: Schema, value: unknown): FieldSet {
  const schema = resolveNode(schemaOrRef)
  switch (shapeOf(schema, value)) {
    case 'leaf':
      return leaf
    case 'items':
      return isEmptyValue(value) ? leaf : wholeItems(schema as ListSchema, value as unknown[], { '.': leaf })
    case 'fields':
      if (isEmptyValue(value)) return leaf
      return schema.type === 'struct' ? wholeStruct(schema, value as Fields) : wholeKeys(schema, value as Fields, { '.': leaf })
  }
}

function wholeStruct(schema: StructSchema, value: Fields): FieldSet {
  const { steps, known } = planOf(schema)
  let bits = 0
  let bit = 1
  let plain = known !== undefined
  if (plain) {
    for (const step of steps) {
      if (valueAt(value, step) !== undefined || step.nullWhenAbsent) {
        if (!step.scalar) {
          plain = false
          break
        }
        bits += bit
      }
      bit *= 2
    }
    const set = plain ? known!.get(bits) : undefined
    if (set !== undefined) return set
  }
  const out: Record<string, FieldSet> = { '.': leaf }
  for (const step of steps) {
    const inner = valueAt(value, step)
    if (inner !== undefined) out[step.element] = step.scalar ? leaf : wholeOf(step.schema, inner)
    else if (step.nullWhenAbsent) out[step.element] = leaf
  }
  if (schema.preserveUnknown) return wholeKeys(schema, value, out)
  if (plain && known!.size < knownMax) known!.set(bits, out)
  return out
}

/** Adds the keys of a map, or of a value of unknown type, to `out`, which may name some already. */
export function wholeKeys(schema: Exclude<Schema, { type: 'ref' }>, value: Fields, out: Record<string, FieldSet>): FieldSet {
  for (const key in value) {
    const inner = value[key]
    const element = `f:${key}`
    if (inner !== undefined && !Object.hasOwn(out, element)) out[element] = wholeOf(schemaUnder(schema, key) ?? deduced, inner)
  }
  return inElementOrder(out)
}

/** Adds the items of a list to `out`. Items with one key cannot be told apart: the key alone is a path. */
export function wholeItems(schema: ListSchema, list: readonly unknown[], out: Record<string, FieldSet>): FieldSet {
  for (const item of list) {
    const element = itemElement(schema, item)
    out[element] = Object.hasOwn(out, element) ? leaf : wholeOf(schema.items, item)
  }
  return inElementOrder(out)
}

function inElementOrder(set: Record<string, FieldSet>): FieldSet {
  const elements = Object.keys(set)
  let sorted = true
  for (let i = 1; i < elements.length && sorted; i++) sorted = comparePathElements(elements[i - 1]!, elements[i]!) <= 0
  if (sorted) return set
  const out: Record<string, FieldSet> = {}
  for (const element of elements.sort(comparePathElements)) out[element] = set[element]!
  return out
}
