// A custom resource's schema as the types of its validation rules, with the sizes that it allows: what a rule may say of `self`,
// and what it may cost at most.
import type { JSONSchemaProps } from '#api/generated/apiextensions-v1'
import { bool, double, dyn, type Field, int, type ListType, objectOf, requestBytesMax, string, type Type } from '../cel/types.ts'

const reserved = new Set(['true', 'false', 'null', 'in', 'as', 'break', 'const', 'continue', 'else', 'for', 'function', 'if', 'import'])
for (const word of ['let', 'loop', 'package', 'namespace', 'return', 'var', 'void', 'while']) reserved.add(word)

const escapes: Readonly<Record<string, string>> = { __: '__underscores__', '.': '__dot__', '-': '__dash__', '/': '__slash__' }

/** The name that rules use for a property; undefined when they cannot name it. */
export function ruleName(property: string): string | undefined {
  if (reserved.has(property)) return `__${property}__`
  if (!/^[a-zA-Z_.\-/][a-zA-Z0-9_.\-/]*$/.test(property)) return undefined
  return property.replace(/__|\.|-|\//g, (part) => escapes[part]!)
}

const metadataType = objectOf('metadata', { name: string, generateName: string })

/**
 * The type of a node of the schema; undefined for what expressions cannot see: values without a type, and lists and maps of them.
 * `root`: of the object as a whole, or of one embedded in it.
 */
export function ruleType(props: JSONSchemaProps, root = props['x-kubernetes-embedded-resource'] === true): Type | undefined {
  if (props['x-kubernetes-int-or-string'] === true) return props.maxLength === undefined ? dyn : { ...dyn, max: props.maxLength * 4 }
  switch (props.type) {
    case 'boolean':
      return bool
    case 'integer':
      return int
    case 'number':
      return double
    case 'string':
      return stringType(props)
    case 'array':
      return listType(props)
    case 'object':
      return objectType(props, root)
    default:
      return undefined
  }
}

function stringType({ format, maxLength, enum: allowed }: JSONSchemaProps): Type {
  if (format === 'date' || format === 'date-time') return { kind: 'timestamp' }
  if (format === 'duration') return { kind: 'duration' }
  if (format === 'byte') return { kind: 'bytes', max: maxLength ?? requestBytesMax - 2 }
  const longest = allowed?.reduce((max: number, value) => Math.max(max, typeof value === 'string' ? Buffer.byteLength(value) : 0), 0)
  // Lengths are in characters of up to four bytes.
  const max = maxLength === undefined ? (longest ?? requestBytesMax - 2) : maxLength * 4
  return { kind: 'string', max }
}

function listType(props: JSONSchemaProps): ListType | undefined {
  const element = childType(itemsOf(props))
  if (element === undefined) return undefined
  const kind = props['x-kubernetes-list-type']
  return {
    kind: 'list',
    element,
    max: sizeMax(props),
    ...(kind === 'set' || kind === 'map' ? { listType: kind } : {}),
    ...(kind === 'map' ? { mapKeys: props['x-kubernetes-list-map-keys'] ?? [] } : {}),
  }
}

function itemsOf({ items }: JSONSchemaProps): JSONSchemaProps | undefined {
  return Array.isArray(items) ? undefined : items
}

function childType(props: JSONSchemaProps | undefined): Type | undefined {
  return props === undefined ? undefined : ruleType(props)
}

function objectType(props: JSONSchemaProps, whole: boolean): Type | undefined {
  const { properties, additionalProperties } = props
  if (typeof additionalProperties === 'object') {
    const value = ruleType(additionalProperties)
    if (value === undefined) return undefined
    // Compat: Kubernetes counts the keys of maps as empty; what bounds their number bounds what rules on them cost.
    return { kind: 'map', key: { ...string, max: 0 }, value, max: sizeMax(props) }
  }
  const fields = new Map<string, Field>()
  if (whole) {
    fields.set('apiVersion', { name: 'apiVersion', type: string })
    fields.set('kind', { name: 'kind', type: string })
    fields.set('metadata', { name: 'metadata', type: metadataType })
  }
  for (const [name, child] of Object.entries(properties ?? {})) {
    const shown = ruleName(name)
    const type = ruleType(child)
    if (shown === undefined || type === undefined || fields.has(shown)) continue
    fields.set(shown, { name, type })
    // A word of the language may be a field's name as well as its escaped form.
    if (reserved.has(name)) fields.set(name, { name, type })
  }
  return { kind: 'object', name: 'object', fields }
}

/** How many items or properties the schema allows, or a request can carry. */
export function sizeMax(props: JSONSchemaProps): number {
  const { additionalProperties } = props
  if (props.type === 'array') {
    const items = itemsOf(props)
    return props.maxItems ?? Math.floor((requestBytesMax - 2) / ((items === undefined ? 1 : bytesMin(items)) + 1))
  }
  const least = typeof additionalProperties === 'object' ? bytesMin(additionalProperties) : 1
  return props.maxProperties ?? Math.floor((requestBytesMax - 2) / (least + 6))
}

/** How often a value can stand in one request, when nothing around it is bounded. */
export function timesMax(props: JSONSchemaProps): number {
  return Math.floor(requestBytesMax / (bytesMin(props) + 1))
}

/** What a schema multiplies the number of values within it by; undefined: without bound. */
export function boundOf(props: JSONSchemaProps): number | undefined {
  if (props.type === 'array') return props.maxItems
  return props.type === 'object' && props.additionalProperties !== undefined ? props.maxProperties : 1
}

/** How short a value can be as JSON, in bytes. */
function bytesMin(props: JSONSchemaProps): number {
  if (props['x-kubernetes-int-or-string'] === true) return 1
  switch (props.type) {
    case 'boolean':
      return 4
    case 'object': {
      const needed = (props.required ?? []).filter((name) => props.properties?.[name]?.default === undefined)
      const types = needed.filter((name) => props.properties?.[name] !== undefined && ruleType(props.properties[name]!) !== undefined)
      return types.reduce((sum, name) => sum + name.length + 4 + bytesMin(props.properties![name]!), 2)
    }
    case 'string':
      return props.format === 'date' ? 12 : props.format === 'date-time' ? 21 : props.format === 'duration' ? 3 : 2
    case 'array':
      return 2
    default:
      return 1
  }
}
