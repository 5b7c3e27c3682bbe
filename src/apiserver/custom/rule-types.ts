// A custom resource's schema as the types of its validation rules, with the sizes that it allows: what a rule may say of `self`,
// and what it may cost at most.
import type { JSONSchemaProps } from '#api/generated/apiextensions-v1'
import {
  bool,
  double,
  dyn,
  type Field,
  int,
  type ListType,
  type ObjectType,
  objectOf,
  requestBytesMax,
  string,
  type Type,
} from '../cel/types.ts'

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

/** The type of a node of the schema. `root`: of the object as a whole, or of one embedded in it. */
export function ruleType(props: JSONSchemaProps, root = false): Type {
  if (props['x-kubernetes-int-or-string'] === true) return dyn
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
      return objectType(props, root || props['x-kubernetes-embedded-resource'] === true)
    default:
      return dyn
  }
}

function stringType({ format, maxLength, enum: allowed }: JSONSchemaProps): Type {
  if (format === 'date' || format === 'date-time') return { kind: 'timestamp' }
  if (format === 'duration') return { kind: 'duration' }
  const longest = allowed?.reduce((max: number, value) => Math.max(max, String(value).length), 0)
  const max = maxLength ?? longest ?? requestBytesMax - 2
  return { kind: format === 'byte' ? 'bytes' : 'string', max }
}

function listType(props: JSONSchemaProps): ListType {
  const { items } = props
  const one = items === undefined || Array.isArray(items) ? undefined : items
  const kind = props['x-kubernetes-list-type']
  return {
    kind: 'list',
    element: one === undefined ? dyn : ruleType(one),
    max: sizeMax(props),
    ...(kind === 'set' || kind === 'map' ? { listType: kind } : {}),
    ...(kind === 'map' ? { mapKeys: props['x-kubernetes-list-map-keys'] ?? [] } : {}),
  }
}

function objectType(props: JSONSchemaProps, whole: boolean): Type {
  const { properties, additionalProperties } = props
  if (typeof additionalProperties === 'object') {
    return { kind: 'map', key: { ...string, max: requestBytesMax - 2 }, value: ruleType(additionalProperties), max: sizeMax(props) }
  }
  if (properties === undefined && !whole)
    return additionalProperties === true || props['x-kubernetes-preserve-unknown-fields'] === true ? dyn : emptyType
  const fields = new Map<string, Field>()
  if (whole) {
    fields.set('apiVersion', { name: 'apiVersion', type: string })
    fields.set('kind', { name: 'kind', type: string })
    fields.set('metadata', { name: 'metadata', type: metadataType })
  }
  for (const [name, child] of Object.entries(properties ?? {})) {
    const shown = ruleName(name)
    if (shown !== undefined && !fields.has(shown)) fields.set(shown, { name, type: ruleType(child) })
  }
  return { kind: 'object', name: 'object', fields }
}

const emptyType: ObjectType = { kind: 'object', name: 'object', fields: new Map() }

/** How many items or properties the schema allows, or a request can carry. */
export function sizeMax(props: JSONSchemaProps): number {
  const { items, additionalProperties } = props
  if (props.type === 'array') {
    const least = items === undefined || Array.isArray(items) ? 1 : bytesMin(items)
    return props.maxItems ?? Math.floor((requestBytesMax - 2) / (least + 1))
  }
  const least = typeof additionalProperties === 'object' ? bytesMin(additionalProperties) : 1
  return props.maxProperties ?? Math.floor((requestBytesMax - 2) / (least + 6))
}

/** How short a value can be as JSON, in bytes. */
function bytesMin(props: JSONSchemaProps): number {
  switch (props.type) {
    case 'boolean':
      return 4
    case 'object': {
      const needed = (props.required ?? []).filter((name) => props.properties?.[name]?.default === undefined)
      return needed.reduce((sum, name) => sum + name.length + 3 + bytesMin(props.properties?.[name] ?? {}), 2)
    }
    case 'string':
    case 'array':
      return 2
    default:
      return 1
  }
}
