// Validation of a custom resource by its OpenAPI schema, in the words of Kubernetes (which are those of go-openapi).

import type { FieldError } from '#api/errors'
import type { JSONSchemaProps } from '#api/generated/apiextensions-v1'
import { stringifyJson } from '#api/schema/stringify'
import { invalid, notSupported, required, tooLong, tooMany, typeInvalid } from '#api/validation/field-errors'
import { sameJson } from '../registry/written.ts'
import { correlated, isUnchanged, propertyOf } from './correlate.ts'
import { hasFormat } from './formats.ts'
import { patternOf } from './patterns.ts'

const errorsMax = 100
const depthMax = 100

/**
 * What is wrong with the value; empty when nothing is. What is as it was in `old` is not held against it (ratcheting): a schema
 * may become stricter without locking the objects that are there already.
 */
export function validateValue(value: unknown, props: JSONSchemaProps, path: string, old?: unknown): FieldError[] {
  const errors: FieldError[] = []
  check(value, props, path, errors, 0, old)
  return errors
}

function check(value: unknown, props: JSONSchemaProps, path: string, errors: FieldError[], depth: number, old?: unknown): void {
  if (errors.length >= errorsMax || depth > depthMax) return
  if (old !== undefined && isUnchanged(value, old, props)) return
  if (value === null && props.nullable === true) return
  if (!hasType(value, props)) {
    errors.push(typeInvalid(path, goKind(value), `${path} in body must be of type ${typeName(props)}: ${JSON.stringify(goKind(value))}`))
    return
  }
  if (props.enum !== undefined && !props.enum.some((allowed) => sameJson(allowed, value))) {
    errors.push(
      notSupported(
        path,
        value,
        props.enum.map((allowed) => (typeof allowed === 'string' ? allowed : stringifyJson(allowed))),
      ),
    )
  }
  if (typeof value === 'string') checkString(value, props, path, errors)
  else if (typeof value === 'number' || typeof value === 'bigint') checkNumber(value, props, path, errors)
  else if (Array.isArray(value)) checkList(value, props, path, errors, depth, old)
  else if (typeof value === 'object' && value !== null) checkObject(value as Record<string, unknown>, props, path, errors, depth, old)
  checkCombinations(value, props, path, errors, depth)
}

function join(path: string, name: string): string {
  return path === '' ? name : `${path}.${name}`
}

function typeName(props: JSONSchemaProps): string {
  return props['x-kubernetes-int-or-string'] === true ? 'integer,string' : (props.type ?? '')
}

function goKind(value: unknown): string {
  if (value === null) return 'null'
  if (Array.isArray(value)) return 'array'
  if (typeof value === 'bigint') return 'integer'
  if (typeof value === 'number') return Number.isInteger(value) ? 'integer' : 'number'
  return typeof value
}

function hasType(value: unknown, props: JSONSchemaProps): boolean {
  if (props['x-kubernetes-int-or-string'] === true) return typeof value === 'string' || isWhole(value)
  switch (props.type) {
    case 'object':
      return typeof value === 'object' && value !== null && !Array.isArray(value)
    case 'array':
      return Array.isArray(value)
    case 'string':
      return typeof value === 'string'
    case 'boolean':
      return typeof value === 'boolean'
    case 'integer':
      return isWhole(value)
    case 'number':
      return typeof value === 'number' || typeof value === 'bigint'
    default:
      return true
  }
}

// Whole numbers beyond 2^53 are bigint.
function isWhole(value: unknown): boolean {
  return Number.isInteger(value) || typeof value === 'bigint'
}

function checkString(value: string, props: JSONSchemaProps, path: string, errors: FieldError[]): void {
  const length = props.maxLength === undefined && props.minLength === undefined ? 0 : [...value].length
  if (props.maxLength !== undefined && length > props.maxLength) errors.push(tooLong(path, props.maxLength))
  if (props.minLength !== undefined && length < props.minLength) {
    errors.push(invalid(path, value, `${path} in body should be at least ${props.minLength} chars long`))
  }
  if (props.pattern !== undefined && patternOf(props.pattern)?.test(value) === false) {
    errors.push(invalid(path, value, `${path} in body should match '${props.pattern}'`))
  }
  if (props.format !== undefined && !hasFormat(value, props.format)) {
    errors.push(typeInvalid(path, value, `${path} in body must be of type ${props.format}: ${JSON.stringify(value)}`))
  }
}

function checkNumber(value: number | bigint, props: JSONSchemaProps, path: string, errors: FieldError[]): void {
  const { minimum, maximum, multipleOf } = props
  if (maximum !== undefined && (props.exclusiveMaximum === true ? value >= maximum : value > maximum)) {
    errors.push(
      invalid(path, value, `${path} in body should be less than${props.exclusiveMaximum === true ? '' : ' or equal to'} ${maximum}`),
    )
  }
  if (minimum !== undefined && (props.exclusiveMinimum === true ? value <= minimum : value < minimum)) {
    const than = props.exclusiveMinimum === true ? '' : ' or equal to'
    errors.push(invalid(path, value, `${path} in body should be greater than${than} ${minimum}`))
  }
  if (multipleOf !== undefined && Math.abs(Number(value) / multipleOf - Math.round(Number(value) / multipleOf)) > 1e-9) {
    errors.push(invalid(path, value, `${path} in body should be a multiple of ${multipleOf}`))
  }
}

function checkList(
  value: readonly unknown[],
  props: JSONSchemaProps,
  path: string,
  errors: FieldError[],
  depth: number,
  old: unknown,
): void {
  if (props.maxItems !== undefined && value.length > props.maxItems) errors.push(tooMany(path, value.length, props.maxItems))
  if (props.minItems !== undefined && value.length < props.minItems) {
    errors.push(invalid(path, value.length, `${path} in body should have at least ${props.minItems} items`))
  }
  const { items } = props
  if (items !== undefined && !Array.isArray(items)) {
    const before = correlated(props, old)
    for (const [i, item] of value.entries()) check(item, items, `${path}[${i}]`, errors, depth + 1, before(item))
  }
}

function checkObject(
  value: Record<string, unknown>,
  props: JSONSchemaProps,
  path: string,
  errors: FieldError[],
  depth: number,
  old: unknown,
): void {
  const before = typeof old === 'object' && old !== null && !Array.isArray(old) ? (old as Record<string, unknown>) : undefined
  for (const name of props.required ?? []) if (!Object.hasOwn(value, name)) errors.push(required(join(path, name)))
  const count = props.maxProperties === undefined && props.minProperties === undefined ? 0 : Object.keys(value).length
  if (props.maxProperties !== undefined && count > props.maxProperties) errors.push(tooMany(path, count, props.maxProperties))
  if (props.minProperties !== undefined && count < props.minProperties) {
    errors.push(invalid(path, count, `${path} in body should have at least ${props.minProperties} properties`))
  }
  for (const [name, child] of Object.entries(value)) {
    const schema = propertyOf(props, name)
    if (schema !== undefined) {
      // The type is always as it was: both are seen in the version of the request.
      const always = path === '' && (name === 'apiVersion' || name === 'kind')
      const was = before !== undefined && !always && Object.hasOwn(before, name) ? before[name] : undefined
      check(child, schema, join(path, name), errors, depth + 1, was)
    } else if (props.additionalProperties === false) {
      errors.push(invalid(path, value, `${join(path, name)} in body is a forbidden property`))
    }
  }
}

function checkCombinations(value: unknown, props: JSONSchemaProps, path: string, errors: FieldError[], depth: number): void {
  const fits = (schema: JSONSchemaProps): boolean => {
    const found: FieldError[] = []
    check(value, schema, path, found, depth + 1)
    return found.length === 0
  }
  const say = (text: string): void => {
    errors.push(invalid(path, value, `${JSON.stringify(path)} ${text}`))
  }
  if (props.not !== undefined && fits(props.not)) say('must not validate the schema (not)')
  for (const schema of props.allOf ?? []) check(value, schema, path, errors, depth + 1)
  if (props.anyOf !== undefined && !props.anyOf.some(fits)) say('must validate at least one schema (anyOf)')
  if (props.oneOf === undefined) return
  const matching = props.oneOf.filter(fits).length
  if (matching === 0) say('must validate one and only one schema (oneOf). Found none valid')
  else if (matching > 1) say(`must validate one and only one schema (oneOf). Found ${matching} valid alternatives`)
}
