// Merging an applied configuration into a live object, and taking fields out of an object. Both give new objects that share
// what did not change.
import { setOwn } from '../schema/decode.ts'
import type { ListSchema, Schema, StructSchema } from '../schema/schema.ts'
import { asMember, type FieldSet, isMember } from './field-set.ts'
import { itemElement, PathElementError } from './path-element.ts'
import { deduced, isEmptyValue, resolveNode, schemaUnder, shapeOf } from './shapes.ts'

type Fields = Record<string, unknown>

/** `live` with everything that `applied` says. Nothing is taken away. Lists keep the order of `applied` where it says one. */
export function mergeApplied(schema: StructSchema, live: unknown, applied: unknown): unknown {
  return mergeNodes(schema, live, applied)
}

function mergeNodes(schemaOrRef: Schema, live: unknown, applied: unknown): unknown {
  if (applied === undefined) return live
  if (live === undefined) return applied
  const schema = resolveNode(schemaOrRef)
  const shape = shapeOf(schema, applied === null ? live : applied)
  if (shape === 'leaf' || (isEmptyValue(live) && isEmptyValue(applied))) return applied
  if (shape === 'items') return mergeItems(schema as ListSchema, (live ?? []) as unknown[], (applied ?? []) as unknown[])
  return mergeFields(schema, isFields(live) ? live : {}, (applied ?? {}) as Fields)
}

function isFields(value: unknown): value is Fields {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

function mergeFields(schema: Exclude<Schema, { type: 'ref' }>, live: Fields, applied: Fields): Fields {
  const out = { ...live }
  for (const key of Object.keys(applied)) {
    const before = Object.hasOwn(live, key) ? live[key] : undefined
    setOwn(out, key, mergeNodes(schemaUnder(schema, key) ?? deduced, before, applied[key]))
  }
  return out
}

/**
 * The items of both lists, each once. Applied items stand in the order of the configuration; live items that it does not name
 * stay before the shared item that they stood before.
 */
function mergeItems(schema: ListSchema, live: readonly unknown[], applied: readonly unknown[]): unknown[] {
  const liveElements = live.map((item) => itemElement(schema, item))
  const appliedElements = applied.map((item) => itemElement(schema, item))
  const liveItems = firstItems(liveElements, live)
  const appliedItems = new Map(appliedElements.map((element, i) => [element, applied[i]]))
  const shared = appliedElements.filter((element) => liveItems.has(element))
  const merged = new Set<string>()
  const out: unknown[] = []
  let nextShared = 0
  let l = 0
  let a = 0
  const takeApplied = (): void => {
    const element = appliedElements[a++]!
    merged.add(element)
    out.push(mergeNodes(schema.items, liveItems.get(element), appliedItems.get(element)))
    if (shared[nextShared] === element) nextShared++
  }
  while (l < live.length || a < applied.length) {
    if (l < live.length) {
      const element = liveElements[l]!
      if (a < applied.length && element === appliedElements[a]) {
        takeApplied()
        l++
        continue
      }
      if (!appliedItems.has(element)) {
        out.push(live[l++])
        continue
      }
      // A shared item out of turn comes, or came, with the applied ones.
      if (a < applied.length && nextShared < shared.length && shared[nextShared] !== element) {
        l++
        continue
      }
      if (merged.has(element)) l++
    }
    if (a < applied.length) takeApplied()
  }
  return out
}

// Of items that cannot be told apart none is merged into.
function firstItems(elements: readonly string[], list: readonly unknown[]): Map<string, unknown> {
  const items = new Map<string, unknown>()
  elements.forEach((element, i) => {
    items.set(element, items.has(element) ? undefined : list[i])
  })
  return items
}

/** `value` without the list items, map keys and fields that are in the set. What a set says below an atomic value is ignored. */
export function removeFields(schema: StructSchema, value: unknown, set: FieldSet | undefined): unknown {
  return set === undefined ? value : (removeFrom(schema, value, set) ?? {})
}

// What is left; undefined when that is nothing.
function removeFrom(schemaOrRef: Schema, value: unknown, set: FieldSet): unknown {
  const schema = resolveNode(schemaOrRef)
  const shape = shapeOf(schema, value)
  if (isEmptyValue(value) || typeof value !== 'object') return value
  if (shape === 'items') return removeItems(schema as ListSchema, value as unknown[], set)
  if (shape !== 'fields') return undefined
  const out: Fields = {}
  for (const key of Object.keys(value as Fields)) {
    const inner = (value as Fields)[key]
    const node = set[`f:${key}`]
    if (node !== undefined && isMember(node)) continue
    const left = node === undefined ? inner : removeFrom(schemaUnder(schema, key) ?? deduced, inner, node)
    if (left !== undefined) setOwn(out, key, left)
  }
  return isEmptyValue(out) ? undefined : out
}

function removeItems(schema: ListSchema, list: readonly unknown[], set: FieldSet): unknown {
  const out: unknown[] = []
  for (const item of list) {
    const node = set[elementOrNone(schema, item)]
    if (node !== undefined && isMember(node)) continue
    out.push(node === undefined ? item : (removeFrom(schema.items, item, node) ?? {}))
  }
  return out.length === 0 ? undefined : out
}

function elementOrNone(schema: ListSchema, item: unknown): string {
  try {
    return itemElement(schema, item)
  } catch (error) {
    if (error instanceof PathElementError) return ''
    throw error
  }
}

/** The set with every declared field that has something below it as a member too. */
export function withNamedFields(schemaOrRef: Schema, set: FieldSet): FieldSet {
  const schema = resolveNode(schemaOrRef)
  let out: Record<string, FieldSet> | undefined
  for (const element in set) {
    if (element === '.') continue
    const node = set[element]!
    const below = withNamedFields(schemaOfElement(schema, element), node)
    const declared = schema.type === 'struct' && element.startsWith('f:') && schema.fields.has(element.slice(2))
    const result = declared ? asMember(below) : below
    if (result === node) continue
    out ??= { ...set }
    out[element] = result
  }
  return out ?? set
}

/** The schema of what an element leads to. */
export function schemaOfElement(schema: Exclude<Schema, { type: 'ref' }>, element: string): Schema {
  if (element.startsWith('f:')) return schemaUnder(schema, element.slice(2)) ?? deduced
  return schema.type === 'list' ? schema.items : deduced
}
