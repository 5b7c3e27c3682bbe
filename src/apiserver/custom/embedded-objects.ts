// Objects within custom resources (x-kubernetes-embedded-resource): they have a type and metadata like any other object.
import type { FieldError } from '#api/errors'
import type { JSONSchemaProps } from '#api/generated/apiextensions-v1'
import type { ObjectMeta } from '#api/generated/meta-v1'
import type { Kind } from '#api/kind'
import { compileDecoder } from '#api/schema/decode'
import { DecodeError } from '#api/schema/scalars'
import { invalid, required } from '#api/validation/field-errors'
import { checkDns1035Label, nameIsPathSegment } from '#api/validation/names'
import { validateObjectMeta } from '#api/validation/object-meta'
import { isObject, own } from './correlate.ts'
import { holdsObjects, metadataSchema } from './settle-value.ts'

const depthMax = 100

/** What cannot be decoded of the objects within a custom resource, in Kubernetes' words; undefined when all can. */
export function embeddedProblem(kind: Kind, value: unknown): string | undefined {
  const schema = kind.published?.schema
  if (!kind.custom || schema === undefined || !holdsObjects(schema)) return undefined
  const error = malformedEmbedded(value, schema, '')
  return error === undefined ? undefined : `${error.field}: ${error.detail}`
}

/** The first type or metadata of an object within a value that cannot be decoded. */
export function malformedEmbedded(value: unknown, schema: JSONSchemaProps, at: string): FieldError | undefined {
  const look = (one: unknown, props: JSONSchemaProps, path: string, depth: number): FieldError | undefined => {
    if (depth > depthMax || typeof one !== 'object' || one === null) return undefined
    if (props['x-kubernetes-embedded-resource'] === true && isObject(one)) {
      for (const name of ['apiVersion', 'kind']) {
        const text = own(one, name)
        if (text !== undefined && typeof text !== 'string') return invalid(join(path, name), text, 'must be a string')
      }
      const problem = metadataError(own(one, 'metadata'), join(path, 'metadata'))
      if (problem !== undefined) return problem
    }
    for (const [name, child] of Object.entries(one)) {
      const below = schemaBelow(props, Array.isArray(one) ? undefined : name)
      const isField = !Array.isArray(one) && Object.hasOwn(props.properties ?? {}, name)
      const problem = below === undefined ? undefined : look(child, below, isField ? join(path, name) : `${path}[${name}]`, depth + 1)
      if (problem !== undefined) return problem
    }
    return undefined
  }
  return look(value, schema, at, 0)
}

function metadataError(metadata: unknown, path: string): FieldError | undefined {
  if (metadata === undefined || metadata === null) return undefined
  try {
    compileDecoder(metadataSchema())(structuredClone(metadata), 'ignore')
    return undefined
  } catch (error) {
    if (!(error instanceof DecodeError)) throw error
    return invalid(path, metadata, error.message)
  }
}

// `name`: of a field; undefined: of an item.
function schemaBelow({ items, properties, additionalProperties }: JSONSchemaProps, name: string | undefined): JSONSchemaProps | undefined {
  if (name === undefined) return Array.isArray(items) ? undefined : items
  if (properties !== undefined && Object.hasOwn(properties, name)) return properties[name]
  return typeof additionalProperties === 'object' ? additionalProperties : undefined
}

/** What is wrong with the types and metadata of the objects within a value. */
export function validateEmbedded(value: unknown, props: JSONSchemaProps, path = ''): FieldError[] {
  const errors: FieldError[] = []
  visit(value, props, path, errors, 0)
  return errors
}

function visit(value: unknown, props: JSONSchemaProps, path: string, errors: FieldError[], depth: number): void {
  if (depth > depthMax) return
  if (Array.isArray(value)) {
    const { items } = props
    if (items === undefined || Array.isArray(items)) return
    for (const [i, item] of value.entries()) visit(item, items, `${path}[${i}]`, errors, depth + 1)
    return
  }
  if (!isObject(value)) return
  if (props['x-kubernetes-embedded-resource'] === true) errors.push(...validateObject(value, path))
  const { properties = {}, additionalProperties } = props
  for (const [name, child] of Object.entries(value)) {
    if (Object.hasOwn(properties, name)) visit(child, properties[name]!, join(path, name), errors, depth + 1)
    else if (typeof additionalProperties === 'object') visit(child, additionalProperties, `${path}[${name}]`, errors, depth + 1)
  }
}

function join(path: string, name: string): string {
  return path === '' ? name : `${path}.${name}`
}

function validateObject(object: Record<string, unknown>, path: string): FieldError[] {
  const errors: FieldError[] = []
  for (const name of ['apiVersion', 'kind']) if (!Object.hasOwn(object, name)) errors.push(required(join(path, name)))
  for (const name of ['apiVersion', 'kind'] as const) {
    const at = join(path, name)
    if (!Object.hasOwn(object, name)) continue
    const text = object[name]
    if (typeof text !== 'string') errors.push(invalid(at, text, 'must be a string'))
    else if (text === '') errors.push(invalid(at, text, 'must not be empty'))
    else if (name === 'apiVersion') {
      if (text.split('/').length > 2) errors.push(invalid(at, text, `unexpected GroupVersion string: ${text}`))
    } else {
      const problems = checkDns1035Label(text.toLowerCase())
      if (problems.length > 0) errors.push(invalid(at, text, `may have mixed case, but should otherwise match: ${problems.join(',')}`))
    }
  }
  const metadata = own(object, 'metadata')
  if (!isObject(metadata)) return errors
  const named = { ...metadata, name: metadata['name'] || 'fakename' } as unknown as ObjectMeta
  const rules = { namespaced: Boolean(metadata['namespace']), builtIn: false, validateName: nameIsPathSegment }
  return [...errors, ...validateObjectMeta(named, rules, join(path, 'metadata'))]
}
