// Patterns of custom resources' schemas: RE2's syntax and meaning, and never more than linear time in the length of a value, whoever wrote
// the pattern. Most are simple enough to mean the same to V8's linear engine, which is the faster one; the others go to an engine for RE2.
import type { FieldError } from '#api/errors'
import type { JSONSchemaProps } from '#api/generated/apiextensions-v1'
import { invalid } from '#api/validation/field-errors'
import { linearExpression } from '#platform/regular-expressions'
import { compileRegex, loadRegexEngine } from '../cel/functions/regex.ts'
import { CelError } from '../cel/values.ts'

export interface Pattern {
  /** Whether the pattern is found in the text. */
  test(text: string): boolean
}

const patterns = new Map<string, Pattern | undefined>()
const patternsMax = 1_000

/** The compiled pattern; undefined for what is no expression, which matches everything. `loadPatterns` must have been waited for. */
export function patternOf(source: string): Pattern | undefined {
  if (!patterns.has(source)) {
    const made = fastPattern(source) ?? exactPattern(source)
    if (patterns.size >= patternsMax) patterns.clear()
    patterns.set(source, made)
  }
  return patterns.get(source)
}

/** Loads what the patterns of a schema need. */
export async function loadPatterns(schema: JSONSchemaProps): Promise<void> {
  for (const { pattern } of placesOf(schema, '')) if (fastPattern(pattern) === undefined) return loadRegexEngine()
}

/** What is wrong with the patterns of a schema. `path`: of the schema. */
export async function checkPatterns(schema: JSONSchemaProps, path: string): Promise<FieldError[]> {
  await loadPatterns(schema)
  const errors: FieldError[] = []
  for (const { pattern, path: at } of placesOf(schema, path)) {
    if (fastPattern(pattern) !== undefined) continue
    try {
      compileRegex(pattern)
    } catch (error) {
      if (!(error instanceof CelError)) throw error
      errors.push(invalid(`${at}.pattern`, pattern, `must be a valid regular expression, but isn't: ${error.message}`))
    }
  }
  return errors
}

function* placesOf(props: JSONSchemaProps, path: string): Generator<{ pattern: string; path: string }> {
  if (props.pattern) yield { pattern: props.pattern, path }
  const { items, additionalProperties, not } = props
  for (const [name, child] of Object.entries(props.properties ?? {})) yield* placesOf(child, `${path}.properties[${name}]`)
  if (typeof additionalProperties === 'object') yield* placesOf(additionalProperties, `${path}.additionalProperties`)
  if (typeof items === 'object' && !Array.isArray(items)) yield* placesOf(items, `${path}.items`)
  for (const junctor of ['allOf', 'anyOf', 'oneOf'] as const) {
    for (const [i, child] of (props[junctor] ?? []).entries()) yield* placesOf(child, `${path}.${junctor}[${i}]`)
  }
  if (not !== undefined) yield* placesOf(not, `${path}.not`)
}

function exactPattern(source: string): Pattern | undefined {
  try {
    const compiled = compileRegex(source)
    return { test: (text) => compiled.matcher(text).find() }
  } catch (error) {
    if (error instanceof CelError) return undefined
    throw error
  }
}

// RE2 sees characters, V8 without its unicode mode (which its linear engine lacks) halves of them: what stands for any character, or for
// any but some, is spelled out. RE2's dot leaves out the line feed alone.
const pairs = '[\\ud800-\\udbff][\\udc00-\\udfff]'
const anyBut = (members: string): string => `(?:[^${members}\\ud800-\\udfff]|${pairs})`
const spelledOut: Readonly<Record<string, string>> = {
  '.': anyBut('\\n'),
  '\\D': anyBut('0-9'),
  '\\W': anyBut('0-9A-Za-z_'),
  '\\s': '[\\t\\n\\f\\r ]',
}
const punctuation = String.raw`\\[!"#$%&'()*+,\-./:;<=>?@[\\\]^\`{|}~]`
const token = new RegExp(
  [
    String.raw`\((?:\?:)?(?!\?)`,
    String.raw`\)`,
    String.raw`[*+?]\??`,
    String.raw`\{\d{1,4}(?:,\d{0,4})?\}\??`,
    '[|^$.]',
    String.raw`\\[dDwWsbBntrf]`,
    punctuation,
    String.raw`\[(\^?)((?:(?!\]|-\])(?:[\x20-\x5a^-~]|\\[dwntrf]|${punctuation}))(?:[\x20-\x5a^-~]|\\[dwntrf]|${punctuation})*)\]`,
    String.raw`[^\\()[\]{}*+?|.^$\ud800-\udfff\x00-\x1f]`,
  ].join('|'),
  'y',
)

const fastPatterns = new Map<string, Pattern | undefined>()

/** The pattern for V8, when it means the same there and is matched in linear time. */
function fastPattern(source: string): Pattern | undefined {
  if (fastPatterns.has(source)) return fastPatterns.get(source)
  const translated = translate(source)
  const made = translated === undefined ? undefined : linearExpression(translated)
  if (fastPatterns.size >= patternsMax) fastPatterns.clear()
  fastPatterns.set(source, made)
  return made
}

/** The pattern in V8's words; undefined when something in it may mean another thing there. */
export function translate(source: string): string | undefined {
  let text = ''
  let repeated = false
  token.lastIndex = 0
  while (token.lastIndex < source.length) {
    const match = token.exec(source)
    if (match === null) return undefined
    const [whole, negated, members] = match
    const repeats = /^[*+?{]/.test(whole)
    // RE2 refuses what is repeated twice, and what repeats nothing.
    if (repeats && (repeated || text === '' || /[(|^]$/.test(text))) return undefined
    repeated = repeats
    if (members !== undefined && /\\[dw]-.|-\\[dw]/.test(members)) return undefined
    text += spelledOut[whole] ?? (negated === '^' ? anyBut(members!) : whole)
  }
  return text
}
