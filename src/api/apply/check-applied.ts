// The type check of an applied configuration. It is looser than decoding (quantities may be numbers, required fields may be
// absent) and stricter (no unknown fields, no two items with one key), and words its errors as structured-merge-diff does.

import type { ListSchema, ScalarSchema, Schema, StructSchema } from '../schema/schema.ts'
import { stringifyJson } from '../schema/stringify.ts'
import { itemElement, PathElementError, pathElementText } from './path-element.ts'
import { resolveNode, schemaUnder } from './shapes.ts'

const depthMax = 500

/** What is wrong with the configuration, as one text; undefined when nothing is. */
export function checkApplied(schema: StructSchema, applied: unknown): string | undefined {
  const problems: string[] = []
  check(schema, applied, '', problems, 0)
  if (problems.length === 0) return undefined
  return problems.length === 1 ? problems[0] : ['errors:', ...problems.map((problem) => `  ${problem}`)].join('\n')
}

function check(schemaOrRef: Schema, value: unknown, path: string, problems: string[], depth: number): void {
  const at = (message: string): void => {
    problems.push(path === '' ? message : `${path}: ${message}`)
  }
  if (depth > depthMax) return at('exceeded max depth')
  if (value === null) return
  const schema = resolveNode(schemaOrRef)
  switch (schema.type) {
    case 'struct':
    case 'map':
      if (typeof value !== 'object' || Array.isArray(value)) return at(`expected map, got ${goValue(value)}`)
      return checkFields(schema, value as Record<string, unknown>, path, problems, depth)
    case 'list':
      if (!Array.isArray(value)) return at(`expected list, got ${goValue(value)}`)
      return schema.listType === 'atomic'
        ? checkAll(schema, value, path, problems, depth)
        : checkItems(schema, value, path, problems, depth)
    case 'any':
    case 'union':
      return checkDeduced(value, path, problems, depth)
    default: {
      const message = scalarProblem(schema, value)
      if (message !== undefined) at(message)
    }
  }
}

function checkFields(
  schema: Exclude<Schema, { type: 'ref' }>,
  value: Record<string, unknown>,
  path: string,
  problems: string[],
  depth: number,
): void {
  for (const key of Object.keys(value)) {
    const under = schemaUnder(schema, key)
    if (under === undefined) {
      problems.push(`${path}.${key}: field not declared in schema`)
      return
    }
    check(under, value[key], `${path}.${key}`, problems, depth + 1)
  }
}

function checkAll(schema: ListSchema, list: readonly unknown[], path: string, problems: string[], depth: number): void {
  for (const [i, item] of list.entries()) check(schema.items, item, `${path}[${i}]`, problems, depth + 1)
}

function checkItems(schema: ListSchema, list: readonly unknown[], path: string, problems: string[], depth: number): void {
  const seen = new Set<string>()
  for (const [i, item] of list.entries()) {
    let element: string
    try {
      element = itemElement(schema, item)
    } catch (error) {
      if (!(error instanceof PathElementError)) throw error
      problems.push(`${path}: element ${i}: ${error.message}`)
      return
    }
    const shown = pathElementText(element)
    if (seen.has(element)) problems.push(`${path}: duplicate entries for key ${shown}`)
    seen.add(element)
    check(schema.items, item, `${path}${shown}`, problems, depth + 1)
  }
}

// Anything goes, to a depth.
function checkDeduced(value: unknown, path: string, problems: string[], depth: number): void {
  if (typeof value !== 'object' || value === null) return
  if (depth > depthMax) {
    problems.push(`${path}: exceeded max depth`)
    return
  }
  for (const inner of Object.values(value)) checkDeduced(inner, path, problems, depth + 1)
}

function scalarProblem(schema: ScalarSchema, value: unknown): string | undefined {
  switch (schema.type) {
    case 'int32':
    case 'int64':
    case 'number':
      return typeof value === 'number' || typeof value === 'bigint'
        ? undefined
        : `expected numeric (int or float), got ${goTypeName(value)}`
    case 'boolean':
      return typeof value === 'boolean' ? undefined : `expected boolean, got ${goValue(value)}`
    case 'quantity':
    case 'intOrString':
      return typeof value === 'object' ? `expected any scalar, got ${goValue(value)}` : undefined
    default:
      return typeof value === 'string' ? undefined : `expected string, got ${goValue(value)}`
  }
}

function goTypeName(value: unknown): string {
  if (Array.isArray(value)) return '[]interface {}'
  if (typeof value === 'object') return 'map[string]interface {}'
  return typeof value === 'boolean' ? 'bool' : typeof value === 'number' || typeof value === 'bigint' ? 'int64' : 'string'
}

function goValue(value: unknown): string {
  const shown = typeof value === 'object' ? `${goTypeName(value)}{...}` : stringifyJson(value)
  return `&value.valueUnstructured{Value:${shown}}`
}
