// What is done to a custom resource that comes from the store, or from a webhook that converted it: what its schema does not know is
// left out, without asking whether the rest fits. Types may have changed since it was written, and an object that fits no more must
// still be read, shown, mended and deleted.
import type { JSONSchemaProps } from '#api/generated/apiextensions-v1'
import type { Kind } from '#api/kind'
import { ConfigMap } from '#api/kinds/core/config-map'
import { compileDecoder } from '#api/schema/decode'
import { DecodeError } from '#api/schema/scalars'
import type { StructSchema } from '#api/schema/schema'
import { applyDefaults } from './default-value.ts'

type Fields = Record<string, unknown>

const typeFields = new Set(['apiVersion', 'kind', 'metadata'])
const depthMax = 500

/** Leaves out, in place, what the schema of the kind does not know, and nulls where it allows none. */
export function pruneObject(object: Fields, { published }: Kind): void {
  const props = published?.schema
  if (props === undefined || published?.preserveUnknownFields === true) return
  const { apiVersion, kind, metadata } = object
  prune(object, { ...props, 'x-kubernetes-embedded-resource': true }, 0)
  // Metadata is typed, whatever the schema says of it.
  for (const [name, value] of Object.entries({ apiVersion, kind, metadata })) if (value !== undefined) object[name] = value
}

/** Puts an object of the store, in place, into the form that its version has now: pruned, its metadata typed, defaults filled in. */
export function settleObject(object: Fields, kind: Kind): void {
  pruneObject(object, kind)
  object['metadata'] = typedMetadata(object['metadata'])
  const metadata = object['metadata'] as Fields
  // Objects were once stored without a generation.
  if (!metadata['generation']) metadata['generation'] = 1
  const props = kind.published?.schema
  if (props !== undefined) fillDefaults(object, props)
}

/** Leaves out, in place, what the schema of a value does not know; metadata within it stays as it is. */
export function pruneValue(value: unknown, props: JSONSchemaProps): void {
  prune(value, props, 0, false)
}

/** Fills in, in place, what an object's schema has defaults for; what they bring of metadata is typed like all of it. */
export function fillDefaults(object: Fields, props: JSONSchemaProps): void {
  applyDefaults(object, withoutTypeFields(props))
  if (holdsObjects(props))
    prune(object, { ...props, 'x-kubernetes-embedded-resource': true, 'x-kubernetes-preserve-unknown-fields': true }, 0)
}

const bringing = new WeakMap<JSONSchemaProps, boolean>()

/** Whether objects stand within what a schema describes. */
export function holdsObjects(props: JSONSchemaProps): boolean {
  const known = bringing.get(props)
  if (known !== undefined) return known
  const { items, properties, additionalProperties } = props
  const below = [items, additionalProperties, ...Object.values(properties ?? {})].filter(
    (child): child is JSONSchemaProps => typeof child === 'object' && !Array.isArray(child),
  )
  const brings = below.some((child) => child['x-kubernetes-embedded-resource'] === true || holdsObjects(child))
  bringing.set(props, brings)
  return brings
}

function withoutTypeFields(props: JSONSchemaProps): JSONSchemaProps {
  const { properties } = props
  if (properties === undefined || ![...typeFields].some((name) => Object.hasOwn(properties, name))) return props
  return { ...props, properties: Object.fromEntries(Object.entries(properties).filter(([name]) => !typeFields.has(name))) }
}

function prune(value: unknown, props: JSONSchemaProps, depth: number, types = true): void {
  if (typeof value !== 'object' || value === null || depth > depthMax) return
  if (Array.isArray(value)) {
    const items = props.items === undefined || Array.isArray(props.items) ? undefined : props.items
    if (items !== undefined) for (const item of value) prune(item, items, depth + 1, types)
    return
  }
  const object = value as Fields
  const keepsUnknown = props['x-kubernetes-preserve-unknown-fields'] === true || props.additionalProperties === true
  const embedded = props['x-kubernetes-embedded-resource'] === true
  for (const name of Object.keys(object)) {
    if (embedded && typeFields.has(name)) continue
    const child = schemaUnder(props, name)
    if (child === undefined) {
      if (!keepsUnknown) delete object[name]
    } else if (object[name] === null && child.nullable !== true && child.default === undefined) delete object[name]
    else prune(object[name], child, depth + 1, types)
  }
  if (embedded && depth > 0 && types) coerceEmbedded(object)
}

function schemaUnder({ properties, additionalProperties }: JSONSchemaProps, name: string): JSONSchemaProps | undefined {
  if (properties !== undefined && Object.hasOwn(properties, name)) return properties[name]
  return typeof additionalProperties === 'object' ? additionalProperties : undefined
}

function coerceEmbedded(object: Fields): void {
  for (const name of ['apiVersion', 'kind']) if (Object.hasOwn(object, name) && typeof object[name] !== 'string') delete object[name]
  if (Object.hasOwn(object, 'metadata')) object['metadata'] = typedMetadata(object['metadata'])
}

/** The schema of every object's metadata. */
export const metadataSchema = (): StructSchema => ConfigMap.schema().fields.get('metadata')!.schema as StructSchema

/** Metadata with its known fields; what has the wrong type is dropped. */
function typedMetadata(value: unknown): Fields {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return {}
  const decode = compileDecoder<Fields>(metadataSchema())
  try {
    return decode(structuredClone(value), 'ignore').object
  } catch (error) {
    if (!(error instanceof DecodeError)) throw error
  }
  const kept: Fields = {}
  for (const [name, field] of Object.entries(value)) {
    try {
      Object.assign(kept, decode({ [name]: structuredClone(field) }, 'ignore').object)
    } catch (error) {
      if (!(error instanceof DecodeError)) throw error
    }
  }
  return kept
}
