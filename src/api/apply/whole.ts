// Every path of a value that is there as a whole: what a create adds, and what comes or goes with a field. A create walks the whole
// object, and objects of one template differ in little that a set names: sets are looked up by the fields that are there and the
// sets below them, and what was made once for fields of one form is that set ever after (`node-sets.ts`). So the sets of two pods of
// one Deployment are one object, and whoever has its text has the text of both.
import type { FieldSchema, ListSchema, Schema, StructSchema } from '../schema/schema.ts'
import { type FieldSet, leaf } from './field-set.ts'
import { NodeSets } from './node-sets.ts'
import { comparePathElements, fieldElement, itemElement } from './path-element.ts'
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
  /** Its place among the fields, as a power of two. */
  readonly bit: number
}

interface Plan {
  /** In the order of their elements. */
  readonly steps: readonly FieldStep[]
  readonly byName: ReadonlyMap<string, FieldStep>
  /** Sets of structs that are there as a whole, and of fields that are said of structs that are always there; by the bits of the fields. */
  readonly known: NodeSets<number> | undefined
  readonly knownSaid: NodeSets<number> | undefined
}

// As many bits as a number holds exactly.
const bitsMax = 52

const plans = new WeakMap<StructSchema, Plan>()

function planOf(schema: StructSchema): Plan {
  const known = plans.get(schema)
  if (known !== undefined) return known
  const nulls = nullFields(schema)
  const steps = [...schema.fields.values()]
    .map((field) => {
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
    .map((step, i): FieldStep => ({ ...step, bit: 2 ** i }))
  const countable = steps.length <= bitsMax && !schema.preserveUnknown
  const plan = {
    steps,
    byName: new Map(steps.map((step) => [step.name, step])),
    known: countable ? new NodeSets<number>() : undefined,
    knownSaid: countable ? new NodeSets<number>() : undefined,
  }
  plans.set(schema, plan)
  return plan
}

// What lies below the nodes that are being looked at, innermost last: sets, and the names of items and keys. A walk makes no lists of
// its own; it takes from the ends what it has put there.
const setsBelow: FieldSet[] = []
const namesBelow: string[] = []

/** The node of a value that is new as a whole: a member, and whatever is below it. In Kubernetes' order. Throws `PathElementError`. */
export function wholeOf(schema: Schema, value: unknown): FieldSet {
  return undisturbed(() => whole(schema, value))
}

/** The items of a list without the list. Items with one key cannot be told apart: the key alone is a path. Throws `PathElementError`. */
export function itemsOf(schema: ListSchema, list: readonly unknown[]): FieldSet {
  return undisturbed(() => wholeItems(schema, list, false))
}

/** The keys of a map, or of a value of unknown type, without the map. Throws `PathElementError`. */
export function keysOf(schema: Exclude<Schema, { type: 'ref' }>, value: Fields): FieldSet {
  return undisturbed(() => wholeKeys(schema, value, false))
}

// A walk that ends in an error leaves nothing behind for the next.
function undisturbed(walk: () => FieldSet): FieldSet {
  const sets = setsBelow.length
  const names = namesBelow.length
  try {
    return walk()
  } finally {
    setsBelow.length = sets
    namesBelow.length = names
  }
}

function whole(schemaOrRef: Schema, value: unknown): FieldSet {
  const schema = resolveNode(schemaOrRef)
  switch (shapeOf(schema, value)) {
    case 'leaf':
      return leaf
    case 'items':
      return isEmptyValue(value) ? leaf : wholeItems(schema as ListSchema, value as unknown[], true)
    case 'fields':
      if (isEmptyValue(value)) return leaf
      return schema.type === 'struct' ? wholeStruct(schema, value as Fields) : wholeKeys(schema, value as Fields, true)
  }
}

function wholeStruct(schema: StructSchema, value: Fields): FieldSet {
  const plan = planOf(schema)
  const from = setsBelow.length
  let bits = 0
  for (const name in value) {
    const inner = value[name]
    const step = inner === undefined ? undefined : plan.byName.get(name)
    if (step === undefined) continue
    bits += step.bit
    if (!step.scalar) setsBelow.push(whole(step.schema, inner))
  }
  let set = plan.known?.find(bits, namesBelow, namesBelow.length, setsBelow, from)
  if (set === undefined) {
    const below = setsBelow.slice(from)
    let at = 0
    const found = new Map<FieldStep, FieldSet>()
    for (const name in value) {
      const step = value[name] === undefined ? undefined : plan.byName.get(name)
      if (step !== undefined) found.set(step, step.scalar ? leaf : below[at++]!)
    }
    set = setOfFound(plan, found, true)
    if (schema.preserveUnknown) set = addUnknown(schema, value, set)!
    plan.known?.add(bits, { names: [], below, set })
  }
  setsBelow.length = from
  return set
}

function setOfFound({ steps }: Plan, found: ReadonlyMap<FieldStep, FieldSet>, member: boolean): FieldSet {
  const out: Record<string, FieldSet> = member ? { '.': leaf } : {}
  for (const step of steps) {
    const set = found.get(step) ?? (member && step.nullWhenAbsent ? leaf : undefined)
    if (set !== undefined) out[step.element] = set
  }
  return out
}

/**
 * What `said` says of the fields that are there, as the set of a struct that is always there itself; undefined when it says nothing.
 */
export function setOfSaid(
  schema: StructSchema,
  value: Fields,
  said: (step: FieldStep, inner: unknown) => FieldSet | undefined,
): FieldSet | undefined {
  const plan = planOf(schema)
  const from = setsBelow.length
  const steps: FieldStep[] = []
  let bits = 0
  for (const name in value) {
    const inner = value[name]
    const step = inner === undefined ? undefined : plan.byName.get(name)
    if (step === undefined) continue
    const set = said(step, inner)
    if (set === undefined) continue
    bits += step.bit
    steps.push(step)
    setsBelow.push(set)
  }
  let set: FieldSet | undefined
  if (steps.length > 0) {
    set = plan.knownSaid?.find(bits, namesBelow, namesBelow.length, setsBelow, from)
    if (set === undefined) {
      const below = setsBelow.slice(from)
      set = setOfFound(plan, new Map(steps.map((step, i) => [step, below[i]!])), false)
      plan.knownSaid?.add(bits, { names: [], below, set })
    }
  }
  setsBelow.length = from
  return schema.preserveUnknown ? addUnknown(schema, value, set) : set
}

/** A struct's set with the fields that its schema does not know. Throws `PathElementError`. */
export function addUnknown(schema: StructSchema, value: Fields, set: FieldSet | undefined): FieldSet | undefined {
  let out: Record<string, FieldSet> | undefined
  for (const key in value) {
    if (value[key] === undefined || schema.fields.has(key)) continue
    out ??= { ...set }
    out[`f:${key}`] = whole(deduced, value[key])
  }
  return out === undefined ? set : inElementOrder(out)
}

const setsOfMaps = new WeakMap<Schema, NodeSets<string>>()
const setsOfMapsAlone = new WeakMap<Schema, NodeSets<string>>()

function knownIn(all: WeakMap<Schema, NodeSets<string>>, schema: Schema): NodeSets<string> {
  let known = all.get(schema)
  if (known === undefined) {
    known = new NodeSets()
    all.set(schema, known)
  }
  return known
}

function wholeKeys(schema: Exclude<Schema, { type: 'ref' }>, value: Fields, member: boolean): FieldSet {
  const names = namesBelow.length
  const from = setsBelow.length
  for (const key in value) {
    const inner = value[key]
    if (inner === undefined) continue
    namesBelow.push(key)
    setsBelow.push(whole(schemaUnder(schema, key) ?? deduced, inner))
  }
  const set = joined(knownIn(member ? setsOfMaps : setsOfMapsAlone, schema), names, from, member, fieldElement)
  namesBelow.length = names
  setsBelow.length = from
  return set
}

function wholeItems(schema: ListSchema, list: readonly unknown[], member: boolean): FieldSet {
  const names = namesBelow.length
  const from = setsBelow.length
  for (const item of list) {
    namesBelow.push(itemElement(schema, item))
    setsBelow.push(whole(schema.items, item))
  }
  const set = joined(knownIn(member ? setsOfMaps : setsOfMapsAlone, schema), names, from, member, sameElement)
  namesBelow.length = names
  setsBelow.length = from
  return set
}

const sameElement = (element: string): string => element

function joined(known: NodeSets<string>, names: number, from: number, member: boolean, elementOf: (name: string) => string): FieldSet {
  const key = namesBelow[names] ?? ''
  const found = known.find(key, namesBelow, names, setsBelow, from)
  if (found !== undefined) return found
  const out: Record<string, FieldSet> = member ? { '.': leaf } : {}
  for (let i = names; i < namesBelow.length; i++) {
    const element = elementOf(namesBelow[i]!)
    out[element] = Object.hasOwn(out, element) ? leaf : setsBelow[from + i - names]!
  }
  const set = inElementOrder(out)
  return known.add(key, { names: namesBelow.slice(names), below: setsBelow.slice(from), set })
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
