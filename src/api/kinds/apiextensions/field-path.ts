// Paths that name a field of a schema by steps alone: `.spec.name`, `['odd.name']`. Rules say by them which field they are about, selectable
// fields which one they select by.
import type { JSONSchemaProps } from '../../generated/apiextensions-v1.ts'

export interface FoundField {
  /** As errors name it: `spec.name`, `spec.labels[key]`. */
  readonly path: string
  readonly schema: JSONSchemaProps
  readonly names: readonly string[]
}

const tokens = /'(?:\\.|[^'\\])*'|[.[\]]|[^.[\]]+/gs

const escapes: Readonly<Record<string, string>> = { a: '\x07', b: '\b', f: '\f', n: '\n', r: '\r', t: '\t', v: '\v', "'": "'", '\\': '\\' }

/** The field that a path names in a schema, or what is wrong with the path, in Kubernetes' words. */
export function findField(jsonPath: string, schema: JSONSchemaProps, allowBrackets: boolean): FoundField | { readonly error: string } {
  const steps = [...jsonPath.matchAll(tokens)].map(([token]) => token)
  let at: FoundField = { path: '', schema, names: [] }
  for (let i = 0; i < steps.length; i++) {
    let name: string
    if (steps[i] === '.') {
      const next = steps[++i]
      if (next === undefined) return { error: 'unexpected end of JSON path' }
      name = next
    } else if (steps[i] === '[') {
      if (!allowBrackets) return { error: 'array notation is not allowed' }
      const quoted = steps[++i]
      if (quoted === undefined) return { error: 'unexpected end of JSON path' }
      if (!/^'.*'$/s.test(quoted) || quoted.length < 2) return { error: `expected single quoted string but got ${quoted}` }
      const strange = /\\([^abfnrtv'\\])/s.exec(quoted)
      if (strange !== null) return { error: `invalid string literal: invalid escape char ${strange[0]}` }
      name = quoted.slice(1, -1).replace(/\\(.)/gs, (_, char: string) => escapes[char]!)
      const close = steps[++i]
      if (close === undefined) return { error: 'unexpected end of JSON path' }
      if (close !== ']') return { error: `expected ] but got ${close}` }
    } else return { error: `expected [ or . but got: ${steps[i]}` }
    const next = stepInto(at, name)
    if (next === undefined) return { error: 'does not refer to a valid field' }
    at = next
  }
  return at
}

function stepInto({ path, schema, names }: FoundField, name: string): FoundField | undefined {
  const { properties, additionalProperties } = schema
  if (properties !== undefined) {
    if (!Object.hasOwn(properties, name)) return undefined
    return { path: path === '' ? name : `${path}.${name}`, schema: properties[name]!, names: [...names, name] }
  }
  if (typeof additionalProperties !== 'object') return undefined
  return { path: `${path}[${name}]`, schema: additionalProperties, names: [...names, name] }
}
