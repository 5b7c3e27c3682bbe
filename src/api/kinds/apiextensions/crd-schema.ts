// What the schema of a custom resource may look like: OpenAPI v3, restricted so that it describes one structure ("structural
// schemas", KEP-1693). Expressions and default values are looked at where they are compiled and applied.
import type { FieldError } from '../../errors.ts'
import type { CustomResourceValidation, JSONSchemaProps, ValidationRule } from '../../generated/apiextensions-v1.ts'
import { forbidden, invalid, notSupported, required } from '../../validation/field-errors.ts'
import { isBeyondStructure, structuralErrors } from './crd-structure.ts'
import { findField } from './field-path.ts'

const types = ['array', 'boolean', 'integer', 'number', 'object', 'string']
const listTypes = ['atomic', 'set', 'map']
const reasons = ['FieldValueDuplicate', 'FieldValueForbidden', 'FieldValueInvalid', 'FieldValueRequired']
const metaFields = ['metadata', 'kind', 'apiVersion']

// What may stand at the root when status is a subresource; named as in the message.
const rootFields = [
  ['Description', 'Type', 'Format', 'Title', 'Maximum', 'ExclusiveMaximum', 'Minimum', 'ExclusiveMinimum', 'MaxLength', 'MinLength'],
  ['Pattern', 'MaxItems', 'MinItems', 'UniqueItems', 'MultipleOf', 'Required', 'Items', 'Properties', 'ExternalDocs', 'Example'],
  ['XPreserveUnknownFields', 'XValidations'],
].flat()
const rootKeys = new Set(rootFields.map((name) => name[0]!.toLowerCase() + name.slice(1)))
rootKeys.add('x-kubernetes-preserve-unknown-fields').add('x-kubernetes-validations')

const unsupported = ['id', 'additionalItems', 'patternProperties', 'definitions', 'dependencies', '$ref'] as const

interface Place {
  readonly path: string
  readonly insideMeta: boolean
  /** Why defaults may not be here, if so. */
  readonly noDefaults?: string
}

/** `path` is that of the `schema` that holds openAPIV3Schema. */
export function validateCrdSchema({ openAPIV3Schema: schema }: CustomResourceValidation, hasStatus: boolean, path: string): FieldError[] {
  if (schema === undefined) return []
  const at = `${path}.openAPIV3Schema`
  const errors = hasStatus ? validateRootWithStatus(schema, at) : []
  if (schema.nullable === true) errors.push(forbidden(`${at}.nullable`, 'nullable cannot be true at the root'))
  errors.push(...structuralErrors(schema, at))
  errors.push(...validateNode(schema, { path: at, insideMeta: false }, true))
  // The one keyword of them that is not refused by name.
  if (errors.length === 0 && isBeyondStructure(schema)) errors.push(invalid(at, '', "OpenAPIV3Schema 'schema' is not supported"))
  return errors
}

function validateRootWithStatus(schema: JSONSchemaProps, path: string): FieldError[] {
  if (schema.type && schema.type !== 'object') {
    const detail = 'only "object" is allowed as the type at the root of the schema if the status subresource is enabled'
    return [invalid(`${path}.type`, schema.type, detail)]
  }
  const other = Object.keys(schema).find((key) => !rootKeys.has(key) && schema[key as keyof JSONSchemaProps] !== undefined)
  if (other === undefined) return []
  const detail = `only [${rootFields.join(' ')}] fields are allowed at the root of the schema if the status subresource is enabled`
  return [invalid(path, schema, detail)]
}

function validateNode(schema: JSONSchemaProps, place: Place, isRoot: boolean): FieldError[] {
  const { path } = place
  const errors = validateKeywords(schema, place)
  if (schema.uniqueItems === true) {
    errors.push(forbidden(`${path}.uniqueItems`, 'uniqueItems cannot be set to true since the runtime complexity becomes quadratic'))
  }
  errors.push(...validateChildren(schema, place, isRoot))
  if (schema['x-kubernetes-preserve-unknown-fields'] === false) {
    errors.push(invalid(`${path}.x-kubernetes-preserve-unknown-fields`, false, 'must be true or undefined'))
  }
  errors.push(...validateMapAndListTypes(schema, path))
  for (const [i, rule] of (schema['x-kubernetes-validations'] ?? []).entries()) {
    errors.push(...validateRule(rule, schema, `${path}.x-kubernetes-validations[${i}]`))
  }
  return errors
}

function validateKeywords(schema: JSONSchemaProps, { path, insideMeta, noDefaults }: Place): FieldError[] {
  const errors: FieldError[] = []
  if (schema.type && !types.includes(schema.type)) errors.push(notSupported(`${path}.type`, schema.type, types))
  if (schema.default !== undefined && noDefaults !== undefined) {
    errors.push(forbidden(`${path}.default`, `must not be set ${noDefaults}`))
  }
  for (const key of unsupported) {
    const value = schema[key]
    if (value !== undefined && value !== '') errors.push(forbidden(`${path}.${key}`, `${key} is not supported`))
  }
  if (schema.type === 'null') errors.push(forbidden(`${path}.type`, 'type cannot be set to null, use nullable as an alternative'))
  if (Array.isArray(schema.items)) errors.push(forbidden(`${path}.items`, 'items must be a schema object and not an array'))
  if (insideMeta && schema['x-kubernetes-embedded-resource'] === true) {
    errors.push(forbidden(`${path}.x-kubernetes-embedded-resource`, 'must not be used inside of resource meta'))
  }
  return errors
}

function validateChildren(schema: JSONSchemaProps, place: Place, isRoot: boolean): FieldError[] {
  const { path } = place
  const errors: FieldError[] = []
  const { additionalProperties, items } = schema
  const properties = Object.entries(schema.properties ?? {})
  if (additionalProperties !== undefined) {
    if (properties.length > 0 && additionalProperties !== true) {
      errors.push(forbidden(`${path}.additionalProperties`, 'additionalProperties and properties are mutual exclusive'))
    }
    if (typeof additionalProperties === 'object') {
      const inMeta = place.insideMeta ? { noDefaults: 'inside additionalProperties applying to object metadata' } : {}
      errors.push(...validateNode(additionalProperties, { ...place, ...inMeta, path: `${path}.additionalProperties` }, false))
    }
  }
  for (const [name, property] of properties) {
    const isMeta = (isRoot || schema['x-kubernetes-embedded-resource'] === true) && metaFields.includes(name)
    const child = { ...place, ...(isMeta && { insideMeta: true }), ...(isMeta && isRoot && { noDefaults: `in top-level ${name}` }) }
    errors.push(...validateNode(property, { ...child, path: `${path}.properties[${name}]` }, false))
  }
  if (schema.not !== undefined) errors.push(...validateNode(schema.not, { ...place, path: `${path}.not` }, false))
  for (const key of ['allOf', 'oneOf', 'anyOf'] as const) {
    for (const [i, each] of (schema[key] ?? []).entries()) {
      errors.push(...validateNode(each, { ...place, path: `${path}.${key}[${i}]` }, false))
    }
  }
  if (items !== undefined && !Array.isArray(items)) errors.push(...validateNode(items, { ...place, path: `${path}.items` }, false))
  return errors
}

function validateMapAndListTypes(schema: JSONSchemaProps, path: string): FieldError[] {
  const mapType = schema['x-kubernetes-map-type']
  const listType = schema['x-kubernetes-list-type']
  const keys = schema['x-kubernetes-list-map-keys'] ?? []
  const errors: FieldError[] = []
  if (mapType !== undefined) {
    errors.push(...mustHaveType(schema, 'object', 'x-kubernetes-map-type', path))
    if (mapType !== 'atomic' && mapType !== 'granular') {
      errors.push(notSupported(`${path}.x-kubernetes-map-type`, mapType, ['atomic', 'granular']))
    }
  }
  if (listType !== undefined) {
    const wrongType = mustHaveType(schema, 'array', 'x-kubernetes-list-type', path)
    errors.push(...wrongType)
    if (wrongType.length === 0 && listType === 'set') errors.push(...validateSetItems(schema, path))
    if (!listTypes.includes(listType)) errors.push(notSupported(`${path}.x-kubernetes-list-type`, listType, listTypes))
  }
  if (keys.length > 0 && listType !== 'map') {
    const detail = 'must be map if x-kubernetes-list-map-keys is non-empty'
    const at = `${path}.x-kubernetes-list-type`
    errors.push(listType === undefined ? required(at, detail) : invalid(at, listType, detail))
  }
  if (listType === 'map') errors.push(...validateMapItems(schema, keys, path))
  if (listType === 'map' || listType === 'set') errors.push(...validateKeyedItems(schema, listType, keys, path))
  return errors
}

function mustHaveType(schema: JSONSchemaProps, type: string, because: string, path: string): FieldError[] {
  if (schema.type === type) return []
  const detail = `must be ${type} if ${because} is specified`
  return [schema.type ? invalid(`${path}.type`, schema.type, detail) : required(`${path}.type`, detail)]
}

function itemsOf({ items }: JSONSchemaProps): JSONSchemaProps | undefined {
  return Array.isArray(items) ? undefined : items
}

function validateSetItems(schema: JSONSchemaProps, path: string): FieldError[] {
  const items = itemsOf(schema)
  const detail = 'must be atomic as item of a list with x-kubernetes-list-type=set'
  const listType = items?.['x-kubernetes-list-type']
  if (items?.type === 'array' && listType !== undefined && listType !== 'atomic') {
    return [invalid(`${path}.items.x-kubernetes-list-type`, listType, detail)]
  }
  if (items?.type === 'object' && items['x-kubernetes-map-type'] !== 'atomic') {
    return [invalid(`${path}.items.x-kubernetes-map-type`, listType, detail)]
  }
  return []
}

function validateMapItems(schema: JSONSchemaProps, keys: readonly string[], path: string): FieldError[] {
  const at = `${path}.x-kubernetes-list-map-keys`
  const errors: FieldError[] = []
  if (keys.length === 0) errors.push(required(at, 'must not be empty if x-kubernetes-list-type is map'))
  const items = itemsOf(schema)
  if (items === undefined) {
    const detail = 'must only have a single schema if x-kubernetes-list-type is map'
    return schema.items === undefined
      ? [...errors, required(`${path}.items`, 'must have a schema if x-kubernetes-list-type is map')]
      : [...errors, invalid(`${path}.items`, schema.items, detail)]
  }
  if (items.type !== 'object') {
    return [...errors, invalid(`${path}.items.type`, items.type ?? '', "must be object if parent array's x-kubernetes-list-type is map")]
  }
  for (const [i, key] of keys.entries()) {
    const property = propertyOf(items, key)
    if (property === undefined) errors.push(invalid(at, keys, 'entries must all be names of item properties'))
    else if (property.type === 'array' || property.type === 'object') {
      const detail = "must be a scalar type if parent array's x-kubernetes-list-type is map"
      errors.push(invalid(`${path}.items.properties[${key}].type`, items.type, detail))
    }
    if (keys.indexOf(key) < i) errors.push(invalid(at, keys, 'must not contain duplicate entries'))
  }
  return errors
}

function propertyOf({ properties }: JSONSchemaProps, name: string): JSONSchemaProps | undefined {
  return properties !== undefined && Object.hasOwn(properties, name) ? properties[name] : undefined
}

// Items that are told apart by value or by keys can be neither null nor without their keys.
function validateKeyedItems(schema: JSONSchemaProps, listType: string, keys: readonly string[], path: string): FieldError[] {
  const items = itemsOf(schema)
  if (items === undefined) return []
  const errors: FieldError[] = []
  if (items.nullable === true) {
    errors.push(forbidden(`${path}.items.nullable`, `cannot be nullable when x-kubernetes-list-type is ${listType}`))
  }
  if (listType !== 'map') return errors
  const whose = 'this property is in x-kubernetes-list-map-keys, so it'
  for (const key of keys) {
    const property = propertyOf(items, key)
    if (property === undefined) continue
    const at = `${path}.items.properties[${key}]`
    if (items.required?.includes(key) !== true && property.default === undefined) {
      errors.push(required(`${at}.default`, `${whose} must have a default or be a required property`))
    }
    if (property.nullable === true) errors.push(forbidden(`${at}.nullable`, `${whose} cannot be nullable`))
  }
  return errors
}

function validateRule(rule: ValidationRule, schema: JSONSchemaProps, path: string): FieldError[] {
  const errors: FieldError[] = []
  const text = rule.rule.trim()
  const message = rule.message?.trim() ?? ''
  const lines = (value: string): boolean => /[\r\n]/.test(value)
  if (text === '') errors.push(required(`${path}.rule`, 'rule is not specified'))
  else if (rule.message && message === '') errors.push(invalid(`${path}.message`, rule.message, 'must be non-empty if specified'))
  else if (lines(message)) errors.push(invalid(`${path}.message`, rule.message, 'must not contain line breaks'))
  else if (lines(text) && message === '') {
    errors.push(required(`${path}.message`, 'message must be specified if rule contains line breaks'))
  }
  if (rule.messageExpression && rule.messageExpression.trim() === '') {
    errors.push(required(`${path}.messageExpression`, 'messageExpression must be non-empty if specified'))
  }
  if (rule.reason !== undefined && !reasons.includes(rule.reason)) errors.push(notSupported(`${path}.reason`, rule.reason, reasons))
  if (rule.fieldPath && rule.fieldPath.trim() === '') {
    errors.push(invalid(`${path}.fieldPath`, rule.fieldPath, 'must be non-empty if specified'))
  }
  if (lines(rule.fieldPath ?? '')) errors.push(invalid(`${path}.fieldPath`, rule.fieldPath, 'must not contain line breaks'))
  if (rule.fieldPath && 'error' in findField(rule.fieldPath, schema, true)) {
    errors.push(invalid(`${path}.fieldPath`, rule.fieldPath, 'must be a valid path'))
  }
  return errors
}
