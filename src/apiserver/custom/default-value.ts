// Defaults of a custom resource's schema: filled in where nothing is said, to any depth.
import type { JSONSchemaProps } from '#api/generated/apiextensions-v1'
import { cloneJson } from '../registry/written.ts'

type Fields = Record<string, unknown>

/** Fills in, in place, what the schema has defaults for. */
export function applyDefaults(value: unknown, props: JSONSchemaProps): void {
  if (Array.isArray(value)) {
    const { items } = props
    if (items === undefined || Array.isArray(items)) return
    for (const [i, item] of value.entries()) {
      if (item === null && items.nullable !== true && items.default !== undefined) value[i] = cloneJson(items.default)
      applyDefaults(value[i], items)
    }
    return
  }
  if (typeof value !== 'object' || value === null) return
  const object = value as Fields
  for (const [name, child] of Object.entries(props.properties ?? {})) {
    const given = Object.hasOwn(object, name) ? object[name] : undefined
    const missing = given === undefined || (given === null && child.nullable !== true)
    if (missing && child.default !== undefined) object[name] = cloneJson(child.default)
    if (Object.hasOwn(object, name)) applyDefaults(object[name], child)
  }
  const { additionalProperties } = props
  if (typeof additionalProperties !== 'object') return
  for (const [name, child] of Object.entries(object)) {
    if (props.properties !== undefined && Object.hasOwn(props.properties, name)) continue
    const filled = child === null && additionalProperties.nullable !== true && additionalProperties.default !== undefined
    if (filled) object[name] = cloneJson(additionalProperties.default)
    applyDefaults(object[name], additionalProperties)
  }
}
