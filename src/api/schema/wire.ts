// Between objects in memory and JSON on the wire. The two differ only in the nulls that Go writes: for times that are not set, for
// lists, maps and raw values that are empty where the field has no `omitempty`, and for such pointers. In memory a list or map of
// that kind is empty and the rest is absent. Only the parts of a schema that can hold such a null are visited, and only objects
// on the way to one are copied.

import { resolved, type Schema, type StructSchema } from './schema.ts'
import { stringifyJson } from './stringify.ts'

/** JSON text of an object, as Kubernetes would write it. The object is not changed. */
export function encodeJson(schema: StructSchema, object: unknown): string {
  return stringifyJson(toWire(schema, object))
}

/** Of the values of an object's own fields: those that are not looked at. */
export type Passed = (value: unknown) => boolean

/**
 * The object with the nulls of the wire, but in the fields that are `passed`. Shares everything else with `object`, which is not
 * changed.
 */
export function toWire(schema: StructSchema, object: unknown, passed?: Passed): unknown {
  const plan = planOf(schema)
  return plan === undefined ? object : outward(plan, object as Record<string, unknown>, passed)
}

/**
 * The object in memory of a value that `toWire` made, or that was read from a Kubernetes API. Changes and returns `value`; fields
 * that are `passed` are in memory form already.
 */
export function fromWire<T>(schema: StructSchema, value: unknown, passed?: Passed): T {
  const plan = planOf(schema)
  if (plan !== undefined) inward(plan, value, passed)
  return value as T
}

/** `fromWire` of what stands in some of an object's fields: fields that are not there are not filled in. */
export function fieldsFromWire(schema: StructSchema, fields: Record<string, unknown>): void {
  const plan = planOf(schema)
  if (plan !== undefined) inwardChildren(plan, fields)
}

interface Plan {
  /** Fields that are null on the wire when nothing is in memory. */
  readonly nulls: readonly { readonly name: string; readonly empty: 'absent' | 'list' | 'map' }[]
  readonly children: readonly { readonly name: string; readonly via: 'struct' | 'list' | 'map'; readonly plan: () => Plan | undefined }[]
}

const plans = new WeakMap<StructSchema, { plan: Plan | undefined }>()

function planOf(schema: StructSchema): Plan | undefined {
  const known = plans.get(schema)
  if (known !== undefined) return known.plan
  // A recursive type is assumed to have nothing of interest further down: JSONSchemaProps, the only one, has none.
  const entry: { plan: Plan | undefined } = { plan: undefined }
  plans.set(schema, entry)
  const nulls: Plan['nulls'][number][] = []
  const children: Plan['children'][number][] = []
  for (const field of schema.fields.values()) {
    const empty = nullWhenEmpty(field)
    if (empty !== undefined) nulls.push({ name: field.name, empty })
    const [target, via] = structBelow(field.schema)
    if (target === undefined) continue
    const plan = planOf(target)
    if (plan !== undefined) children.push({ name: field.name, via, plan: () => plan })
  }
  if (nulls.length > 0 || children.length > 0) entry.plan = { nulls, children }
  return entry.plan
}

function nullWhenEmpty(field: {
  schema: Schema
  pointer: boolean
  omitEmpty: boolean
  omitZero: boolean
}): 'absent' | 'list' | 'map' | undefined {
  const { type } = field.schema
  if (field.pointer) return field.omitEmpty ? undefined : 'absent'
  if (type === 'time' || type === 'microTime') return field.omitZero ? undefined : 'absent'
  if (type === 'any') return field.schema.special === 'FieldsV1' || field.schema.special === undefined ? undefined : 'absent'
  if (field.omitEmpty) return undefined
  return type === 'list' || type === 'map' ? type : undefined
}

function structBelow(schema: Schema): [StructSchema | undefined, 'struct' | 'list' | 'map'] {
  const node = resolved(schema)
  if (node.type === 'struct') return [node, 'struct']
  if (node.type !== 'list' && node.type !== 'map') return [undefined, 'struct']
  const inner = resolved(node.type === 'list' ? node.items : node.values)
  return [inner.type === 'struct' ? inner : undefined, node.type]
}

type Fields = Record<string, unknown>

function outward(plan: Plan, object: Fields, passed?: Passed): Fields {
  let copy: Fields | undefined
  for (const { name, via, plan: childPlan } of plan.children) {
    const child = object[name]
    if (child === undefined || child === null || passed?.(child) === true) continue
    const changed = outwardChild(childPlan()!, via, child)
    if (changed === child) continue
    copy ??= { ...object }
    copy[name] = changed
  }
  for (const { name, empty } of plan.nulls) {
    const value = object[name]
    if (empty === 'absent' ? value !== undefined : !isEmptyCollection(value)) continue
    copy ??= { ...object }
    copy[name] = null
  }
  return copy ?? object
}

function outwardChild(plan: Plan, via: 'struct' | 'list' | 'map', child: unknown): unknown {
  if (via === 'struct') return outward(plan, child as Fields)
  if (via === 'list') {
    let copy: unknown[] | undefined
    const list = child as Fields[]
    for (let i = 0; i < list.length; i++) {
      const changed = outward(plan, list[i]!)
      if (changed === list[i]) continue
      copy ??= list.slice()
      copy[i] = changed
    }
    return copy ?? list
  }
  const entries = Object.entries(child as Fields)
  const changed = entries.map(([key, value]) => [key, outward(plan, value as Fields)] as const)
  return changed.some(([, value], i) => value !== entries[i]![1]) ? Object.fromEntries(changed) : child
}

function isEmptyCollection(value: unknown): boolean {
  if (value === undefined || value === null) return true
  if (Array.isArray(value)) return value.length === 0
  for (const _ in value as object) return false
  return true
}

function inward(plan: Plan, value: unknown, passed?: Passed): void {
  if (typeof value !== 'object' || value === null) return
  const object = value as Fields
  inwardChildren(plan, object, passed)
  for (const { name, empty } of plan.nulls) {
    const given = object[name]
    if (given !== null && given !== undefined) continue
    if (empty === 'list') object[name] = []
    else if (empty === 'map') object[name] = {}
    else if (given === null) delete object[name]
  }
}

function inwardChildren(plan: Plan, object: Fields, passed?: Passed): void {
  for (const { name, via, plan: childPlan } of plan.children) {
    const child = object[name]
    if (typeof child !== 'object' || child === null || passed?.(child) === true) continue
    if (via === 'struct') inward(childPlan()!, child)
    else for (const key in child) inward(childPlan()!, (child as Fields)[key])
  }
}
