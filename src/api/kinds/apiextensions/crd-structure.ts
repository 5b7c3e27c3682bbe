// Whether a schema is structural (KEP-1693): every value has one declared type, and what allOf, anyOf, oneOf and not say only restricts
// values that are declared outside of them.
import type { FieldError } from '../../errors.ts'
import type { JSONSchemaProps } from '../../generated/apiextensions-v1.ts'
import { canonicalJson } from '../../hash.ts'
import { forbidden, invalid, required } from '../../validation/field-errors.ts'

type Level = 'root' | 'item' | 'field'

const missingType: Readonly<Record<Level, string>> = {
  root: 'must not be empty at the root',
  item: 'must not be empty for specified array items',
  field: 'must not be empty for specified object fields',
}

const intOrString = canonicalJson([{ type: 'integer' }, { type: 'string' }])

const beyond = ['id', '$schema', '$ref', 'patternProperties', 'dependencies', 'additionalItems', 'definitions'] as const

/** Whether it has what no structural schema can: that is told of as not supported, and nothing is said of the rest's structure. */
export function isBeyondStructure(schema: JSONSchemaProps): boolean {
  if (Array.isArray(schema.items) || schema['x-kubernetes-preserve-unknown-fields'] === false) return true
  if (beyond.some((key) => schema[key] !== undefined && schema[key] !== '')) return true
  const { items, additionalProperties, properties = {}, allOf = [], anyOf = [], oneOf = [], not } = schema
  const below = [...Object.values(properties), items, additionalProperties, ...allOf, ...anyOf, ...oneOf, not]
  return below.some((child) => typeof child === 'object' && !Array.isArray(child) && isBeyondStructure(child))
}

/** What keeps a schema from being structural, sorted; empty when it is, and when it has what structural schemas know nothing of. */
export function structuralErrors(schema: JSONSchemaProps, path: string): FieldError[] {
  if (isBeyondStructure(schema)) return []
  const errors = [...invariants(schema, 'root', path), ...incomplete(schema, schema, path, path)]
  return errors.sort((a, b) => (`${a.field}: ${a.detail}` < `${b.field}: ${b.detail}` ? -1 : 1))
}

function invariants(schema: JSONSchemaProps, level: Level, path: string): FieldError[] {
  const errors: FieldError[] = []
  const { additionalProperties } = schema
  const items = itemsOf(schema)
  if (schema.type === 'array' && schema.items === undefined) errors.push(required(`${path}.items`, 'must be specified'))
  if (items !== undefined) errors.push(...invariants(items, 'item', `${path}.items`))
  for (const [name, property] of Object.entries(schema.properties ?? {})) {
    errors.push(...invariants(property, 'field', `${path}.properties[${name}]`))
  }
  if (additionalProperties !== undefined) {
    if (level === 'root') errors.push(forbidden(`${path}.additionalProperties`, 'must not be used at the root'))
    if (typeof additionalProperties === 'object') {
      errors.push(...invariants(additionalProperties, 'field', `${path}.additionalProperties`))
    }
  }
  errors.push(...extensions(schema, path))
  errors.push(...valueValidation(schema, path, isIntOrString(schema), isIntOrString(schema.allOf?.[0])))
  errors.push(...typeErrors(schema, level, path))
  if (level === 'root' || schema['x-kubernetes-embedded-resource'] === true) errors.push(...typeMeta(schema, path))
  errors.push(...metadata(schema, level, path))
  return errors
}

function itemsOf({ items }: JSONSchemaProps): JSONSchemaProps | undefined {
  return Array.isArray(items) ? undefined : items
}

// The one way in which types may differ: an integer or a string, as ports are.
function isIntOrString(schema: JSONSchemaProps | undefined): boolean {
  return schema?.anyOf?.length === 2 && canonicalJson(schema.anyOf) === intOrString
}

function extensions(schema: JSONSchemaProps, path: string): FieldError[] {
  if (schema['x-kubernetes-int-or-string'] !== true) return []
  return (['x-kubernetes-preserve-unknown-fields', 'x-kubernetes-embedded-resource'] as const)
    .filter((key) => schema[key] === true)
    .map((key) => invalid(`${path}.${key}`, true, 'must be false if x-kubernetes-int-or-string is true'))
}

function typeErrors(schema: JSONSchemaProps, level: Level, path: string): FieldError[] {
  const errors: FieldError[] = []
  const { type } = schema
  const embedded = schema['x-kubernetes-embedded-resource'] === true
  const preserves = schema['x-kubernetes-preserve-unknown-fields'] === true
  const at = `${path}.type`
  if (embedded && type !== 'object') {
    const detail = 'must be object if x-kubernetes-embedded-resource is true'
    errors.push(type ? invalid(at, type, detail) : required(at, detail))
  } else if (!type && schema['x-kubernetes-int-or-string'] !== true && !preserves) errors.push(required(at, missingType[level]))
  if (embedded && schema.additionalProperties !== undefined) {
    errors.push(forbidden(`${path}.additionalProperties`, 'must not be used if x-kubernetes-embedded-resource is set'))
  }
  if (level === 'root' && type && type !== 'object') errors.push(invalid(at, type, 'must be object at the root'))
  if (embedded && !preserves && Object.keys(schema.properties ?? {}).length === 0) {
    const detail = 'must not be empty if x-kubernetes-embedded-resource is true without x-kubernetes-preserve-unknown-fields'
    errors.push(required(`${path}.properties`, detail))
  }
  return errors
}

function typeMeta({ properties = {} }: JSONSchemaProps, path: string): FieldError[] {
  return ['kind', 'apiVersion']
    .filter((name) => Object.hasOwn(properties, name) && properties[name]!.type !== 'string')
    .map((name) => invalid(`${path}.properties[${name}].type`, properties[name]!.type ?? '', 'must be string'))
}

function metadata(schema: JSONSchemaProps, level: Level, path: string): FieldError[] {
  const { properties = {} } = schema
  if (!Object.hasOwn(properties, 'metadata')) return []
  const own = properties['metadata']!
  const at = `${path}.properties[metadata]`
  const errors: FieldError[] = []
  const checked = level === 'root' || schema['x-kubernetes-embedded-resource'] === true
  if (checked && own.type !== 'object') errors.push(invalid(`${at}.type`, own.type ?? '', 'must be object'))
  if (level !== 'root') return errors
  const { type: _type, default: _default, properties: fields = {}, ...rest } = own
  const onlyNames = Object.keys(fields).every((name) => name === 'name' || name === 'generateName')
  if (onlyNames && Object.values(rest).every((value) => value === undefined || value === '')) return errors
  const detail = 'must not specify anything other than name and generateName, but metadata is implicitly specified'
  return [...errors, forbidden(at, detail)]
}

function valueValidation(schema: JSONSchemaProps, path: string, skipAnyOf: boolean, skipFirstAllOf: boolean): FieldError[] {
  const errors: FieldError[] = []
  if (!skipAnyOf) for (const [i, each] of (schema.anyOf ?? []).entries()) errors.push(...nested(each, `${path}.anyOf[${i}]`))
  for (const [i, each] of (schema.allOf ?? []).entries()) {
    errors.push(...nested(each, `${path}.allOf[${i}]`, skipFirstAllOf && i === 0))
  }
  for (const [i, each] of (schema.oneOf ?? []).entries()) errors.push(...nested(each, `${path}.oneOf[${i}]`))
  if (schema.not !== undefined) errors.push(...nested(schema.not, `${path}.not`))
  return errors
}

const mustBeAbsent = [
  ['default', 'must be undefined to be structural'],
  ['title', 'must be empty to be structural'],
  ['description', 'must be empty to be structural'],
  ['nullable', 'must be false to be structural'],
  ['x-kubernetes-preserve-unknown-fields', 'must be false to be structural'],
  ['x-kubernetes-embedded-resource', 'must be false to be structural'],
  ['x-kubernetes-int-or-string', 'must be false to be structural'],
  ['x-kubernetes-list-map-keys', 'must be empty to be structural'],
  ['x-kubernetes-list-type', 'must be undefined to be structural'],
  ['x-kubernetes-map-type', 'must be undefined to be structural'],
  ['x-kubernetes-validations', 'must be empty to be structural'],
] as const

function nested(schema: JSONSchemaProps, path: string, skipAnyOf = false): FieldError[] {
  const errors = valueValidation(schema, path, skipAnyOf, false)
  const items = itemsOf(schema)
  if (items !== undefined) errors.push(...nested(items, `${path}.items`))
  for (const [name, property] of Object.entries(schema.properties ?? {})) {
    errors.push(...nested(property, `${path}.properties[${name}]`))
  }
  if (schema.type) errors.push(forbidden(`${path}.type`, 'must be empty to be structural'))
  if (schema.additionalProperties !== undefined) {
    errors.push(forbidden(`${path}.additionalProperties`, 'must be undefined to be structural'))
  }
  for (const [key, detail] of mustBeAbsent) {
    const value: unknown = schema[key]
    const absent = value === undefined || value === false || value === '' || (Array.isArray(value) && value.length === 0)
    if (!absent || (key === 'default' && value !== undefined)) errors.push(forbidden(`${path}.${key}`, detail))
  }
  if (Object.hasOwn(schema.properties ?? {}, 'metadata')) {
    errors.push(forbidden(`${path}.properties[metadata]`, 'must not be specified in a nested context'))
  }
  return errors
}

// Everything that a junctor speaks of must be declared outside of it.
function incomplete(rules: JSONSchemaProps, declared: JSONSchemaProps, declaredPath: string, path: string): FieldError[] {
  const errors: FieldError[] = []
  const walk = (each: JSONSchemaProps, at: string): void => {
    errors.push(...undeclared(each, declared, declaredPath, at))
  }
  if (rules.not !== undefined) walk(rules.not, `${path}.not`)
  for (const key of ['allOf', 'anyOf', 'oneOf'] as const) {
    for (const [i, each] of (rules[key] ?? []).entries()) walk(each, `${path}.${key}[${i}]`)
  }
  return errors
}

function undeclared(rules: JSONSchemaProps, declared: JSONSchemaProps | undefined, declaredPath: string, path: string): FieldError[] {
  if (declared === undefined) return [required(declaredPath, `because it is defined in ${path}`)]
  const errors = incomplete(rules, declared, declaredPath, path)
  const items = itemsOf(rules)
  if (items !== undefined) errors.push(...undeclared(items, itemsOf(declared), `${declaredPath}.items`, `${path}.items`))
  const { properties = {} } = declared
  for (const [name, property] of Object.entries(rules.properties ?? {})) {
    const own = Object.hasOwn(properties, name) ? properties[name] : undefined
    errors.push(...undeclared(property, own, `${declaredPath}.properties[${name}]`, `${path}.properties[${name}]`))
  }
  return errors
}
