// YAML bodies, as Kubernetes reads them: YAML 1.1's truth values and numbers become JSON, keys become strings, aliases and depth
// are bounded (CVE-2019-11253).

import { Document, isMap, isNode, isScalar, LineCounter, parseDocument, type ScalarTag, stringify, type Tags, visit } from 'yaml'
import { parseDocument as parseJsonDocument, parseStored } from '#api/schema/json'
import { numberOf } from '#api/schema/json-reader'
import { DecodeError } from '#api/schema/scalars'
import { goQuote } from '#api/validation/text'

const aliasesMax = 100
const problemsMax = 100
const depthMax = 500
// Lines and items of a text. The parser takes some 20 µs for each, and everybody waits meanwhile; the largest definitions of custom
// resources have half as many, and what clients send as JSON is not counted.
const tokensMax = 50_000

// What Kubernetes' parser takes for text although YAML 1.1 does not: times, and numbers to the base of sixty. A lone point is no
// number either; managedFields are full of it.
function customTags(tags: Tags): Tags {
  const kept: Tags = []
  for (const tag of tags) {
    if (typeof tag === 'string') kept.push(tag)
    else if (tag.tag === 'tag:yaml.org,2002:timestamp' || ('format' in tag && tag.format === 'TIME')) continue
    else if ('test' in tag && tag.tag === 'tag:yaml.org,2002:float' && tag.test?.test('.') === true)
      kept.push({ ...tag, test: decimalPattern } as ScalarTag)
    else kept.push(tag)
  }
  return kept
}

const decimalPattern = /^[-+]?(?:[0-9][0-9_]*\.[0-9_]*|\.[0-9][0-9_]*)$/

/** How a problem of YAML begins; a line for each follows. */
export const yamlErrors = 'yaml: unmarshal errors:\n'

/**
 * Throws DecodeError. `problems`: one text that names all keys that stand twice and their lines, when wanted and when there are any.
 */
export function parseYaml(text: string, wantProblems: boolean): { value: unknown; problems: readonly string[] } {
  checkDepth(text)
  const json = parsedAsJson(text, wantProblems)
  if (json !== undefined) return json
  checkTokens(text)
  const lines = new LineCounter()
  const document = parseDocument(text, {
    version: '1.1',
    customTags,
    merge: true,
    uniqueKeys: false,
    intAsBigInt: true,
    ...(wantProblems ? { lineCounter: lines } : {}),
    strict: false,
    logLevel: 'silent',
    prettyErrors: false,
  })
  const [error] = document.errors
  if (error !== undefined) throw new DecodeError(`error converting YAML to JSON: yaml: ${error.message}`)
  const doubles: { line: number; name: string }[] = []
  visit(document, {
    Map(_key, node) {
      const seen = new Set<unknown>()
      for (const { key, value } of node.items) {
        if (isMap(key)) throw new DecodeError('error converting YAML to JSON: yaml: invalid map key')
        const name = isScalar(key) ? key.value : ''
        if (wantProblems && seen.has(name) && doubles.length < problemsMax) {
          const place = isNode(value) ? value.range : isNode(key) ? key.range : undefined
          const { line } = lines.linePos(place?.[0] ?? 0)
          doubles.push({ line, name: typeof name === 'string' ? goQuote(name) : String(name) })
        }
        seen.add(name)
      }
    },
  })
  const told = doubles.sort((a, b) => a.line - b.line).map(({ line, name }) => `  line ${line}: key ${name} already set in map`)
  const problems = told.length === 0 ? [] : [yamlErrors + told.join('\n')]
  let value: unknown
  try {
    value = plain(document.toJS({ maxAliasCount: aliasesMax, mapAsMap: true }), 0)
  } catch (cause) {
    if (cause instanceof DecodeError) throw cause
    throw new DecodeError(
      `error converting YAML to JSON: yaml: ${cause instanceof Error ? cause.message : 'document contains excessive aliasing'}`,
    )
  }
  return { value, problems }
}

// JSON is YAML, and what clients mostly send as such; parsed as what it is, it costs a fiftieth. Undefined: it is no JSON, or
// there is something about it that is YAML's to say (keys that stand twice) or to do (merge keys).
function parsedAsJson(text: string, wantProblems: boolean): { value: unknown; problems: readonly string[] } | undefined {
  if (!/^\s*\{/.test(text) || text.includes('"<<"')) return undefined
  try {
    const { value, doubled } = parseJsonDocument(text, 'values')
    return wantProblems && doubled ? undefined : { value, problems: [] }
  } catch (error) {
    if (error instanceof DecodeError) return undefined
    throw error
  }
}

// The parser recurses: text that is nested deeper than calls can be must not reach it.
function checkDepth(text: string): void {
  let depth = 0
  for (let i = 0; i < text.length; i++) {
    const char = text.charCodeAt(i)
    if (char === 0x5b || char === 0x7b) depth++
    else if (char === 0x5d || char === 0x7d) depth = Math.max(0, depth - 1)
    if (depth > depthMax) throw new DecodeError('error converting YAML to JSON: yaml: exceeded max depth')
  }
}

function checkTokens(text: string): void {
  let tokens = 0
  for (let i = 0; i < text.length; i++) {
    const char = text.charCodeAt(i)
    if (char === 0x0a || char === 0x0d || char === 0x2c) tokens++
  }
  if (tokens > tokensMax) throw new DecodeError(`error converting YAML to JSON: yaml: more than ${tokensMax} lines and items`)
}

function plain(value: unknown, depth: number): unknown {
  if (depth > depthMax) throw new DecodeError('error converting YAML to JSON: yaml: exceeded max depth')
  if (value instanceof Map) {
    // Sorted, as Kubernetes' converter leaves them: what is said of fields comes in that order.
    const entries = [...value].map(([key, child]) => [keyText(key), plain(child, depth + 1)] as const).sort(([a], [b]) => (a < b ? -1 : 1))
    // fromEntries makes own properties of every key, __proto__ included.
    return Object.fromEntries(entries)
  }
  if (Array.isArray(value)) return value.map((child) => plain(child, depth + 1))
  if (value instanceof Uint8Array) return Buffer.from(value).toString('base64')
  if (typeof value === 'bigint') return numberOf(String(value), true, 'values')
  return value
}

function keyText(key: unknown): string {
  if (typeof key === 'string') return key
  if (key === null) return 'null'
  if (typeof key === 'number' || typeof key === 'boolean' || typeof key === 'bigint') return String(key)
  throw new DecodeError('error converting YAML to JSON: yaml: invalid map key')
}

// Version 1.1, as clients read it: `yes`, `1:30` and times are quoted, or they would come back as something else.
const written = { version: '1.1', sortMapEntries: true } as const

/** A JSON text that we wrote, as YAML. */
export function yamlOf(json: string): string {
  const value = parseStored(json)
  if (!json.includes('"<<"')) return stringify(value, { ...written, lineWidth: 0 })
  // The key of merges is data here, and says so in quotes.
  const withoutMerge = (tags: Tags): Tags => tags.filter((tag) => tag !== 'merge' && (typeof tag === 'string' || tag.tag !== mergeTag))
  const document = new Document(value, { ...written, merge: false, customTags: withoutMerge })
  visit(document, {
    Scalar(_key, node) {
      if (node.value === '<<') node.type = 'QUOTE_DOUBLE'
    },
  })
  return document.toString({ lineWidth: 0 })
}

const mergeTag = 'tag:yaml.org,2002:merge'
