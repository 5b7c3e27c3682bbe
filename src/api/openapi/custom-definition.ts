// What OpenAPI documents say of a custom resource: the schema of its definition, with the fields that all objects have. Version 3 says
// all of it; version 2 only what OpenAPI 2 can express and what old clients, which check by it, would not misread.
import type { JSONSchemaProps } from '../generated/apiextensions-v1.ts'
import type { Json, OpenApiVersion } from './definitions.ts'

/** The schema that a definition publishes. */
export interface PublishedSchema {
  readonly schema: JSONSchemaProps | undefined
  /** All unknown fields are kept, as before structural schemas. */
  readonly preserveUnknownFields: boolean
}

/** The fields of every object, as this document refers to them. */
export interface ObjectFields {
  readonly apiVersion: Json
  readonly kind: Json
  readonly metadata: Json
}

const junctors = ['allOf', 'anyOf', 'oneOf', 'not']
const structure = ['type', 'nullable', 'items', 'properties', 'additionalProperties', 'required']

/** The definition, without its extension that names the kind. */
export function customDefinition(published: PublishedSchema, version: OpenApiVersion, fields: ObjectFields): Json {
  const { schema, preserveUnknownFields } = published
  const open = preserveUnknownFields || schema?.['x-kubernetes-preserve-unknown-fields'] === true
  // Compat: kubectl before 1.27 takes every field for unknown that is not listed; where any may come, none is.
  if (schema === undefined || (version === 'v2' && open)) return { type: 'object' }
  const form = convert(schema, version, fields)
  return { ...form, properties: { ...(form['properties'] as Json | undefined), ...fields } }
}

function convert(props: JSONSchemaProps, version: OpenApiVersion, fields: ObjectFields): Json {
  const form: Json = {}
  const open = props['x-kubernetes-preserve-unknown-fields'] === true
  const vague = version === 'v2' && (props.nullable === true || open)
  for (const [key, value] of Object.entries(props)) {
    if (value === undefined || (version === 'v2' && junctors.includes(key)) || (vague && structure.includes(key))) continue
    form[key] = convertValue(key, value, version, fields)
  }
  if (version === 'v2') dropNullableFromRequired(form, props)
  if (props['x-kubernetes-embedded-resource'] !== true || (version === 'v2' && open)) return form
  return {
    ...form,
    required: [...new Set([...(props.required ?? []), 'kind', 'apiVersion'])],
    properties: { ...(form['properties'] as Json | undefined), ...fields },
  }
}

function convertValue(key: string, value: unknown, version: OpenApiVersion, fields: ObjectFields): unknown {
  if (key === 'properties') {
    const entries = Object.entries(value as Record<string, JSONSchemaProps>)
    return Object.fromEntries(entries.map(([name, child]) => [name, convert(child, version, fields)]))
  }
  const isSchema = key === 'items' || key === 'additionalProperties'
  return isSchema && typeof value === 'object' && value !== null ? convert(value as JSONSchemaProps, version, fields) : value
}

// Whoever knows no null would take a null for a missing field.
function dropNullableFromRequired(form: Json, { required, properties }: JSONSchemaProps): void {
  if (form['required'] === undefined) return
  const left = (required ?? []).filter((name) => properties?.[name]?.nullable !== true)
  if (left.length > 0) form['required'] = left
  else delete form['required']
}
