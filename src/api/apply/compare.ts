// What two objects differ in, and what an object says, as sets of field paths. Types decide how deep a path goes: structs, maps
// and lists of type set or map are looked into; what is atomic is one path.
import type { ListSchema, Schema, StructSchema } from '../schema/schema.ts'
import { asMember, type FieldSet, leaf } from './field-set.ts'
import { itemElement } from './path-element.ts'
import { deduced, isEmptyValue, nullFields, resolveNode, schemaUnder, shapeOf } from './shapes.ts'
import { wholeOf } from './whole.ts'

/** Paths by what became of them. No path is in two of the sets. */
export interface Changes {
  readonly added?: FieldSet | undefined
  readonly modified?: FieldSet | undefined
  readonly removed?: FieldSet | undefined
}

/** How two objects of one type differ; undefined when they don't. Either may be in memory form; neither is changed. */
export function compareObjects(schema: StructSchema, old: unknown, current: unknown): Changes | undefined {
  return compareNodes(schema, old, current)
}

/** Every path that an object says something about: leaves, items of lists, keys of maps. Undefined when it says nothing. */
export function fieldSetOfObject(schema: StructSchema, object: unknown): FieldSet | undefined {
  return saidBy(schema, object)
}

type Fields = Readonly<Record<string, unknown>>

const modifiedLeaf: Changes = Object.freeze({ modified: leaf })
const addedLeaf: Changes = Object.freeze({ added: leaf })
const removedLeaf: Changes = Object.freeze({ removed: leaf })

function compareNodes(schemaOrRef: Schema, old: unknown, current: unknown): Changes | undefined {
  if (old === current) return undefined
  const schema = resolveNode(schemaOrRef)
  if (old === undefined) return changesOf('added', schema, current)
  if (current === undefined) return changesOf('removed', schema, old)
  const shape = shapeOf(schema, current)
  if (shape !== shapeOf(schema, old)) return changedShape(schema, old, current)
  if (shape === 'leaf' || (isEmptyValue(old) && isEmptyValue(current))) return leafEqual(old, current) ? undefined : modifiedLeaf
  if (shape === 'items') return compareItems(schema as ListSchema, asList(old), asList(current))
  return compareFields(schema, asFields(old), asFields(current))
}

// A value of unknown type that became a map, or was one.
function changedShape(schema: Exclude<Schema, { type: 'ref' }>, old: unknown, current: unknown): Changes | undefined {
  const below = compareFields(schema, asFields(old), asFields(current))
  return old === null || current === null ? below : { ...below, modified: leaf }
}

function asList(value: unknown): readonly unknown[] {
  return Array.isArray(value) ? value : []
}

function asFields(value: unknown): Fields {
  return typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as Fields) : {}
}

// Everything in a value that came or went, the value itself included.
function changesOf(what: 'added' | 'removed', schema: Exclude<Schema, { type: 'ref' }>, value: unknown): Changes {
  const set = wholeOf(schema, value)
  if (set === leaf) return what === 'added' ? addedLeaf : removedLeaf
  return { [what]: set }
}

/** Collects the changes of children into those of their parent. */
class ChangesBuilder {
  private added: Record<string, FieldSet> | undefined
  private modified: Record<string, FieldSet> | undefined
  private removed: Record<string, FieldSet> | undefined

  put(element: string, changes: Changes): void {
    if (changes.added !== undefined) {
      this.added ??= {}
      this.added[element] = changes.added
    }
    if (changes.modified !== undefined) {
      this.modified ??= {}
      this.modified[element] = changes.modified
    }
    if (changes.removed !== undefined) {
      this.removed ??= {}
      this.removed[element] = changes.removed
    }
  }

  changes(): Changes {
    return { added: this.added, modified: this.modified, removed: this.removed }
  }
}

function compareFields(schema: Exclude<Schema, { type: 'ref' }>, old: Fields, current: Fields): Changes | undefined {
  let builder: ChangesBuilder | undefined
  const nulls = nullFields(schema)
  for (const key in current) {
    let before = Object.hasOwn(old, key) ? old[key] : undefined
    if (before === current[key]) continue
    if (before === undefined && nulls.length > 0 && nulls.includes(key)) before = null
    const changes = compareNodes(schemaUnder(schema, key) ?? deduced, before, current[key])
    if (changes === undefined) continue
    builder ??= new ChangesBuilder()
    builder.put(`f:${key}`, changes)
  }
  for (const key in old) {
    if (old[key] === undefined || (Object.hasOwn(current, key) && current[key] !== undefined)) continue
    builder ??= new ChangesBuilder()
    if (nulls.includes(key)) builder.put(`f:${key}`, modifiedLeaf)
    else builder.put(`f:${key}`, changesOf('removed', resolveNode(schemaUnder(schema, key) ?? deduced), old[key]))
  }
  return builder?.changes()
}

function compareItems(schema: ListSchema, old: readonly unknown[], current: readonly unknown[]): Changes | undefined {
  // Most lists are as they were, and seeing that takes no names.
  if (leafEqual(old, current)) return undefined
  const before = itemsByElement(schema, old)
  const after = itemsByElement(schema, current)
  let builder: ChangesBuilder | undefined
  for (const [element, items] of after) {
    const changes = compareSameKey(schema.items, before.get(element), items)
    if (changes === undefined) continue
    builder ??= new ChangesBuilder()
    builder.put(element, changes)
  }
  for (const [element, items] of before) {
    if (after.has(element)) continue
    builder ??= new ChangesBuilder()
    builder.put(element, items.length > 1 ? removedLeaf : changesOf('removed', resolveNode(schema.items), items[0]))
  }
  return builder?.changes()
}

function itemsByElement(schema: ListSchema, list: readonly unknown[]): Map<string, unknown[]> {
  const found = new Map<string, unknown[]>()
  for (const item of list) {
    const element = itemElement(schema, item)
    const same = found.get(element)
    if (same === undefined) found.set(element, [item])
    else same.push(item)
  }
  return found
}

// Usually one item on each side. Where there are several with one key, they count as one atomic value.
function compareSameKey(schema: Schema, old: readonly unknown[] | undefined, current: readonly unknown[]): Changes | undefined {
  const oldCount = old?.length ?? 0
  if (oldCount <= 1 && current.length === 1) return compareNodes(schema, old?.[0], current[0])
  if (oldCount > 1 && current.length > 1) return leafEqual(old, current) ? undefined : modifiedLeaf
  if (oldCount > 1) return { ...changesOf('added', resolveNode(schema), current[0]), removed: leaf }
  if (oldCount === 1) {
    const removed = changesOf('removed', resolveNode(schema), old![0])
    return { ...removed, added: leaf }
  }
  return addedLeaf
}

/** Whether two JSON values are equal, fields in any order. */
export function leafEqual(a: unknown, b: unknown): boolean {
  if (a === b) return true
  if (typeof a !== 'object' || typeof b !== 'object' || a === null || b === null) return false
  if (Array.isArray(a)) {
    if (!Array.isArray(b) || a.length !== b.length) return false
    for (let i = 0; i < a.length; i++) if (!leafEqual(a[i], b[i])) return false
    return true
  }
  if (Array.isArray(b)) return false
  let count = 0
  for (const key in a) {
    count++
    if (!Object.hasOwn(b, key) || !leafEqual((a as Fields)[key], (b as Fields)[key])) return false
  }
  for (const _ in b) count--
  return count === 0
}

function saidBy(schemaOrRef: Schema, value: unknown): FieldSet | undefined {
  const schema = resolveNode(schemaOrRef)
  const shape = shapeOf(schema, value)
  if (shape === 'leaf') return leaf
  if (value === null || value === undefined) return undefined
  if (shape === 'items') return saidByItems(schema as ListSchema, asList(value))
  let out: Record<string, FieldSet> | undefined
  for (const key in value as Fields) {
    const inner = (value as Fields)[key]
    if (inner === undefined) continue
    const node = saidBy(schemaUnder(schema, key) ?? deduced, inner)
    const declared = schema.type === 'struct' && schema.fields.has(key)
    const member = !declared || inner === null || (isEmptyValue(inner) && !Array.isArray(inner))
    const said = member ? asMember(node ?? leaf) : node
    if (said === undefined) continue
    out ??= {}
    out[`f:${key}`] = said
  }
  return out
}

function saidByItems(schema: ListSchema, list: readonly unknown[]): FieldSet | undefined {
  let out: Record<string, FieldSet> | undefined
  for (const item of list) {
    const element = itemElement(schema, item)
    out ??= {}
    out[element] = Object.hasOwn(out, element) ? leaf : asMember(saidBy(schema.items, item) ?? leaf)
  }
  return out
}
