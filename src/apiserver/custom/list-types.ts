// Lists that are sets or maps (x-kubernetes-list-type): no item stands in them twice.
import type { FieldError } from '#api/errors'
import type { JSONSchemaProps } from '#api/generated/apiextensions-v1'
import { stringifyJson } from '#api/schema/stringify'
import { duplicate, invalid } from '#api/validation/field-errors'
import { isObject, own } from './correlate.ts'

const depthMax = 100

/** Items that stand twice, wherever the schema says that they may not; each is told once, where it stands the second time. */
export function validateListTypes(value: unknown, props: JSONSchemaProps): FieldError[] {
  const errors: FieldError[] = []
  visit(value, props, '', errors, 0)
  return errors
}

function visit(value: unknown, props: JSONSchemaProps, path: string, errors: FieldError[], depth: number): void {
  if (depth > depthMax) return
  if (Array.isArray(value)) {
    if (props['x-kubernetes-list-type'] === 'set') checkUnique(value, path, errors)
    else if (props['x-kubernetes-list-type'] === 'map') checkKeys(value, props['x-kubernetes-list-map-keys'] ?? [], path, errors)
    const { items } = props
    if (items === undefined || Array.isArray(items)) return
    for (const [i, item] of value.entries()) visit(item, items, `${path}[${i}]`, errors, depth + 1)
    return
  }
  if (!isObject(value)) return
  const { properties = {}, additionalProperties } = props
  for (const [name, child] of Object.entries(value)) {
    if (Object.hasOwn(properties, name)) visit(child, properties[name]!, path === '' ? name : `${path}.${name}`, errors, depth + 1)
    else if (typeof additionalProperties === 'object') visit(child, additionalProperties, `${path}[${name}]`, errors, depth + 1)
  }
}

function checkUnique(list: readonly unknown[], path: string, errors: FieldError[]): void {
  const seen = new Map<string, number>()
  for (const [i, item] of list.entries()) {
    const id = identity(item)
    const times = (seen.get(id) ?? 0) + 1
    seen.set(id, times)
    if (times === 2) errors.push(duplicate(`${path}[${i}]`, item))
  }
}

function checkKeys(list: readonly unknown[], keys: readonly string[], path: string, errors: FieldError[]): void {
  const strange = list.findIndex((item) => item !== null && !isObject(item))
  if (strange >= 0) {
    errors.push(invalid(`${path}[${strange}]`, list[strange], 'must be an object for an array of list-type map'))
    return
  }
  const names = list.map((item) => {
    const said = keys.filter((key) => isObject(item) && Object.hasOwn(item, key))
    return Object.fromEntries(said.map((key) => [key, own(item as Record<string, unknown>, key)]))
  })
  checkUnique(names, path, errors)
}

// The same for values that differ only in the order of their fields.
function identity(value: unknown): string {
  if (typeof value !== 'object' || value === null) return `${typeof value} ${stringifyJson(value)}`
  if (Array.isArray(value)) return `[${value.map(identity).join(',')}]`
  const fields = value as Record<string, unknown>
  return `{${Object.keys(fields)
    .sort()
    .map((key) => `${JSON.stringify(key)}:${identity(fields[key])}`)
    .join(',')}}`
}
