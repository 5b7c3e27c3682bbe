// The schema of a custom resource: from the OpenAPI schema in its definition to the form that decoding, pruning and apply read.
// Only structural schemas come here, where each value has one type; what else they say is validation (validate-value.ts).
import type { JSONSchemaProps } from '#api/generated/apiextensions-v1'
import { ConfigMap } from '#api/kinds/core/config-map'
import type { AnySchema, FieldSchema, Schema, StructSchema } from '#api/schema/schema'

const any: AnySchema = { type: 'any' }
const text: Schema = { type: 'string' }

function field(name: string, schema: Schema, props?: JSONSchemaProps): FieldSchema {
  return {
    name,
    schema,
    required: false,
    omitEmpty: true,
    omitZero: false,
    pointer: true,
    ...(props?.description === undefined ? {} : { description: props.description }),
    ...(props?.default === undefined ? {} : { default: props.default }),
  }
}

const typeFields = (): Map<string, FieldSchema> =>
  new Map([
    ['apiVersion', field('apiVersion', text)],
    ['kind', field('kind', text)],
    // Every object's metadata is the same, whatever its schema says of it.
    ['metadata', { ...field('metadata', ConfigMap.schema().fields.get('metadata')!.schema), required: true }],
  ])

/** The schema of a version. Without one, everything is kept as it comes. */
export function structSchemaOf(props: JSONSchemaProps | undefined, preserveUnknown: boolean): StructSchema {
  const fields = typeFields()
  for (const [name, child] of Object.entries(props?.properties ?? {})) {
    if (!fields.has(name)) fields.set(name, field(name, schemaOf(child), child))
  }
  return {
    type: 'struct',
    name: '',
    fields,
    atomic: false,
    preserveUnknown: preserveUnknown || props === undefined || props['x-kubernetes-preserve-unknown-fields'] === true,
    embeddedResource: false,
    lenient: true,
  }
}

function schemaOf(props: JSONSchemaProps): Schema {
  const nullable = props.nullable === true ? { nullable: true } : {}
  if (props['x-kubernetes-int-or-string'] === true) return { type: 'intOrString', ...nullable }
  switch (props.type) {
    case 'object':
      return objectSchema(props)
    case 'array':
      return {
        type: 'list',
        items: itemsOf(props),
        listType: listTypeOf(props),
        mapKeys: props['x-kubernetes-list-map-keys'] ?? [],
        ...nullable,
      }
    case 'string':
      return { type: 'string', ...nullable }
    case 'boolean':
      return { type: 'boolean', ...nullable }
    case 'integer':
      return { type: 'int64', ...nullable }
    case 'number':
      return { type: 'number', ...nullable }
    default:
      return any
  }
}

function objectSchema(props: JSONSchemaProps): Schema {
  const preserveUnknown = props['x-kubernetes-preserve-unknown-fields'] === true
  const embeddedResource = props['x-kubernetes-embedded-resource'] === true
  const { properties, additionalProperties } = props
  if (properties === undefined && typeof additionalProperties === 'object') {
    return { type: 'map', values: schemaOf(additionalProperties), atomic: props['x-kubernetes-map-type'] === 'atomic' }
  }
  if (properties === undefined && !embeddedResource && (preserveUnknown || additionalProperties === true)) return any
  const fields = embeddedResource ? typeFields() : new Map<string, FieldSchema>()
  for (const [name, child] of Object.entries(properties ?? {})) {
    if (!fields.has(name)) fields.set(name, field(name, schemaOf(child), child))
  }
  return {
    type: 'struct',
    name: '',
    fields,
    atomic: props['x-kubernetes-map-type'] === 'atomic',
    preserveUnknown,
    embeddedResource,
    lenient: true,
  }
}

function itemsOf({ items }: JSONSchemaProps): Schema {
  return items === undefined || Array.isArray(items) ? any : schemaOf(items)
}

function listTypeOf(props: JSONSchemaProps): 'atomic' | 'set' | 'map' {
  const type = props['x-kubernetes-list-type']
  return type === 'set' || type === 'map' ? type : 'atomic'
}
