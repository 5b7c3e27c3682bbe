// Configuration files of the API server (apiserver.config.k8s.io and its like): YAML or JSON of a known kind, read strictly.
import type { FieldError } from '#api/errors'
import { parseGoDuration } from '#api/go-duration'
import { goQuote } from '#api/validation/text'
import { parseYaml } from '../verbs/yaml.ts'

/** What a value may be. Durations are read into milliseconds. */
export type Shape =
  | 'text'
  | 'boolean'
  | 'duration'
  | 'any'
  | { readonly list: Shape }
  | { readonly map: Shape }
  | { readonly fields: Readonly<Record<string, Shape>> }

export interface ConfigurationKind {
  readonly group: string
  /** The first is the one that people should write. */
  readonly versions: readonly string[]
  readonly kind: string
  readonly shape: { readonly fields: Readonly<Record<string, Shape>> }
}

/** The configuration in a text. Throws an Error of one line. What is absent or null in it is absent in the value. */
export function readConfiguration<T>(text: string, { group, versions, kind, shape }: ConfigurationKind): T {
  if (text.trim() === '') throw new Error('empty config data')
  const { value, problems } = parseYaml(text, true)
  const [twice] = problems
  if (twice !== undefined) throw new Error(`strict decoding error: ${twice.split('\n').slice(-1)[0]!.trim()}`)
  if (!isMap(value)) throw new Error(`${kind} must be an object`)
  const { apiVersion, kind: saidKind, ...rest } = value
  if (typeof saidKind !== 'string' || saidKind === '') throw new Error(`Object 'Kind' is missing in '${shortened(text)}'`)
  if (typeof apiVersion !== 'string' || apiVersion === '') throw new Error(`Object 'apiVersion' is missing in '${shortened(text)}'`)
  if (!versions.some((version) => apiVersion === `${group}/${version}`)) {
    throw new Error(`no kind ${goQuote(saidKind)} is registered for version ${goQuote(apiVersion)}`)
  }
  if (saidKind !== kind) throw new Error(`expected ${kind}, got ${saidKind}`)
  const unknown: string[] = []
  const read = shaped(rest, shape, '', unknown)
  if (unknown.length > 0) throw new Error(`strict decoding error: ${unknown.join(', ')}`)
  return read as T
}

function shaped(value: unknown, shape: Shape, path: string, unknown: string[]): unknown {
  if (shape === 'any') return value
  const wrong = (what: string): Error => new Error(`${path}: must be ${what}`)
  if (shape === 'text' || shape === 'boolean') {
    if (typeof value !== (shape === 'text' ? 'string' : 'boolean')) throw wrong(shape === 'text' ? 'a text' : 'true or false')
    return value
  }
  if (shape === 'duration') {
    if (typeof value !== 'string') throw wrong('a time such as 30s')
    try {
      return parseGoDuration(value)
    } catch (error) {
      throw new Error(`${path}: ${(error as Error).message}`)
    }
  }
  if ('list' in shape) {
    if (!Array.isArray(value)) throw wrong('a list')
    return value.map((item, i) => shaped(item, shape.list, `${path}[${i}]`, unknown))
  }
  if (!isMap(value)) throw wrong('an object')
  const read: Record<string, unknown> = Object.create(null) as Record<string, unknown>
  for (const [name, inner] of Object.entries(value)) {
    const at = path === '' ? name : `${path}.${name}`
    const of = 'map' in shape ? shape.map : Object.hasOwn(shape.fields, name) ? shape.fields[name] : undefined
    if (of === undefined) unknown.push(`unknown field ${goQuote(at)}`)
    else if (inner !== null && inner !== undefined) read[name] = shaped(inner, of, at, unknown)
  }
  return { ...read }
}

function isMap(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

function shortened(text: string): string {
  const line = text.trim().replaceAll('\n', '\\n')
  return line.length > 200 ? `${line.slice(0, 200)}...` : line
}

/** Several problems as one text, as Kubernetes' aggregated errors read. Undefined: there are none. */
export function describeErrors(errors: readonly FieldError[]): string | undefined {
  const texts = [...new Set(errors.map(({ field, detail }) => (field === '' ? detail : `${field}: ${detail}`)))]
  return texts.length > 1 ? `[${texts.join(', ')}]` : texts[0]
}
