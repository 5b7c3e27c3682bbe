// Request bodies: read within bounds, parsed as the client says, decoded as the kind they must be, with Kubernetes' words for
// what is wrong with them.
import { badRequest } from '#api/errors'
import type { Kind } from '#api/kind'
import type { KubeObject } from '#api/object'
import { compileDecoder, type FieldValidation, strictDecodingText } from '#api/schema/decode'
import { parseDocument, strictProblems } from '#api/schema/json'
import { DecodeError } from '#api/schema/scalars'
import { stringifyJson } from '#api/schema/stringify'
import { embeddedProblem } from '../custom/embedded-objects.ts'
import type { Call } from '../registry/call.ts'
import type { ApiRequest, KindCatalog } from '../request.ts'
import { type Media, negotiateInput } from './negotiate.ts'
import { decodeProtobuf } from './protobuf.ts'
import { checkCustomType, ensureMetadata, unrecognized, wrongKind } from './wrong-kind.ts'
import { parseYaml, yamlErrors } from './yaml.ts'

/** Largest request body. */
export const bodyBytesMax = 3 * 1024 * 1024

/** A body that was read but not decoded; decoding it anew gives a fresh object each time. */
export interface RawBody {
  readonly media: Media
  readonly bytes: Buffer
}

export async function readBody(request: ApiRequest): Promise<RawBody> {
  const media = negotiateInput(request.headers['content-type'])
  return { media, bytes: await request.body.read(bodyBytesMax) }
}

export function validationOf(call: Call): FieldValidation {
  return call.fieldValidation === 'Strict' ? 'strict' : call.fieldValidation === 'Warn' ? 'warn' : 'ignore'
}

interface Parsed {
  readonly value: unknown
  /** What stands twice in YAML. */
  readonly problems: readonly string[]
  /** Some field stands twice in JSON: `strictProblems` says which. */
  readonly doubled: boolean
}

function parse({ media, bytes }: RawBody, validation: FieldValidation, custom: boolean): Parsed {
  if (media === 'yaml') return { ...parseYaml(bytes.toString(), validation !== 'ignore'), doubled: false }
  return { ...parseDocument(bytes.toString(), custom ? 'values' : 'literals'), problems: [] }
}

/**
 * The warnings of a problem that strict decoding found: YAML's are one problem, with a line for each.
 */
export function warningsOf(problem: string): string[] {
  const at = problem.indexOf(yamlErrors)
  if (at < 0) return [problem]
  return problem
    .slice(at + yamlErrors.length)
    .split('\n')
    .map((line) => line.trim())
}

// In the order in which Kubernetes' decoders meet them: YAML's own, then fields as they stand in the text; but for custom
// resources, which are pruned after decoding, the unknown ones come last and sorted.
function problemsOf(body: RawBody, kind: Kind, { problems, doubled }: Parsed, unknown: readonly string[]): readonly string[] {
  if (kind.custom) {
    const doubles = doubled ? strictProblems(body.bytes.toString()) : []
    return unknown.length === 0 && doubles.length === 0 ? problems : [...problems, ...doubles, ...[...unknown].sort()]
  }
  if (doubled) return strictProblems(body.bytes.toString(), kind.schema())
  return problems.length === 0 ? unknown : [...problems, ...unknown]
}

/**
 * Decodes a body as one of `kinds` (the first when the body does not say). Unknown and doubled fields are refused, told as
 * warnings, or ignored, as the call says. Throws BadRequest.
 */
export function decodeBody(body: RawBody, kinds: readonly Kind[], catalog: KindCatalog, call: Call): { object: KubeObject; kind: Kind } {
  const expected = kinds[0]!
  const validation = validationOf(call)
  if (body.media === 'protobuf') return decodeProtobuf(body.bytes, kinds, catalog)
  let parsed: Parsed
  try {
    parsed = parse(body, validation, expected.custom)
  } catch (error) {
    if (!(error instanceof DecodeError)) throw error
    const what = `couldn't get version/kind; json parse error: ${error.message}`
    throw unrecognized(expected, what, body.bytes)
  }
  const said = typeOf(parsed.value, expected, body.bytes)
  if (expected.custom) checkCustomType(expected, said, nameIn(parsed.value), () => jsonOf(body, parsed.value))
  const kindName = said.kind || expected.kind
  const apiVersion = said.apiVersion || expected.apiVersion
  const kind = kinds.find((k) => k.kind === kindName && k.apiVersion === apiVersion)
  if (kind === undefined) throw wrongKind(expected, kindName, apiVersion, catalog)
  const fail = (why: string): never => {
    throw badRequest(`${kindName} in version ${JSON.stringify(kind.version)} cannot be handled as a ${expected.kind}: ${why}`)
  }
  let decoded: { object: KubeObject; problems: readonly string[] }
  try {
    decoded = compileDecoder<KubeObject>(kind.schema())(parsed.value, validation)
  } catch (error) {
    if (!(error instanceof DecodeError)) throw error
    return fail(kind.custom ? (embeddedProblem(kind, parsed.value) ?? metadataText(error.message)) : error.message)
  }
  const malformed = embeddedProblem(kind, decoded.object)
  if (malformed !== undefined) return fail(malformed)
  const problems = validation === 'ignore' ? [] : problemsOf(body, kind, parsed, decoded.problems)
  if (problems.length > 0) {
    if (validation === 'strict') return fail(strictDecodingText(problems))
    for (const problem of problems) for (const text of warningsOf(problem)) call.warn(text)
  }
  const { object } = decoded
  object.apiVersion = kind.apiVersion
  object.kind = kind.kind
  ensureMetadata(object)
  return { object, kind }
}

// The metadata of a custom resource is decoded by itself.
function metadataText(message: string): string {
  return message
    .replace(/Go struct field \.metadata of/, 'Go value of')
    .replace(/Go struct field (\w+)\.metadata\./, (_, struct) => `Go struct field ${struct}.`)
}

function jsonOf({ media, bytes }: RawBody, value: unknown): string {
  return media === 'json' ? bytes.toString().trim() : stringifyJson(value)
}

function nameIn(value: unknown): string {
  const name = (value as { metadata?: { name?: unknown } | null } | null | undefined)?.metadata?.name
  return typeof name === 'string' ? name : ''
}

function typeOf(value: unknown, expected: Kind, bytes: Buffer): { kind: string; apiVersion: string } {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    const found = Array.isArray(value) ? 'array' : value === null ? 'null' : typeof value === 'boolean' ? 'bool' : typeof value
    if (value === null || value === undefined) return { kind: '', apiVersion: '' }
    const why = `json: cannot unmarshal ${found} into Go value of type struct { APIVersion string "json:\\"apiVersion,omitempty\\""; Kind string "json:\\"kind,omitempty\\"" }`
    throw unrecognized(expected, `couldn't get version/kind; json parse error: ${why}`, bytes)
  }
  const { kind, apiVersion } = value as { kind?: unknown; apiVersion?: unknown }
  for (const [name, found] of [
    ['kind', kind],
    ['apiVersion', apiVersion],
  ] as const) {
    if (found === undefined || found === null || typeof found === 'string') continue
    const type = Array.isArray(found) ? 'array' : typeof found === 'boolean' ? 'bool' : typeof found
    const why = `json: cannot unmarshal ${type} into Go struct field .${name} of type string`
    throw unrecognized(expected, `couldn't get version/kind; json parse error: ${why}`, bytes)
  }
  return { kind: (kind as string | null | undefined) ?? '', apiVersion: (apiVersion as string | null | undefined) ?? '' }
}
