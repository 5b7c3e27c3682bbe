// A PATCH body of one of the three plain kinds, applied to an object as the API server does it: parsed, checked, merged, decoded.
// Server-side apply is in ../apply/.
import { ApiError, badRequest, type FieldError } from '../errors.ts'
import { compileDecoder, type Decoded, type FieldValidation, setOwn, strictDecodingText } from '../schema/decode.ts'
import { type ParsedDocument, parseDocument, strictProblems } from '../schema/json.ts'
import { DecodeError, NumberLiteral } from '../schema/scalars.ts'
import type { FieldSchema, Schema, StructSchema } from '../schema/schema.ts'
import { stringifyJson } from '../schema/stringify.ts'
import { toWire } from '../schema/wire.ts'
import { goQuote } from '../validation/text.ts'
import { applyJsonPatch, JsonPatchError, type JsonPatchOperation, jsonPatchOperationsMax, unprocessablePatch } from './json-patch.ts'
import { applyMergePatch } from './merge-patch.ts'
import { applyStrategicMergePatch } from './strategic-merge.ts'
import { checkDepth, cloneValue, goPrint, isObject, type JsonObject } from './values.ts'

export type PatchType = 'application/json-patch+json' | 'application/merge-patch+json' | 'application/strategic-merge-patch+json'

export interface PatchRequest {
  readonly schema: StructSchema
  /** The object as it is in memory; not changed. */
  readonly current: unknown
  readonly type: PatchType
  /** The body. */
  readonly text: string
  readonly validation: FieldValidation
  /**
   * Which fields, but metadata, the object shares with `current` when the patch leaves them alone; it must not be changed there. Default:
   * none. What they hold must be what the decoder makes of it.
   */
  readonly shares?: (field: string) => boolean
  /** A custom resource, whose numbers and fields Kubernetes decodes without types. */
  readonly custom?: boolean
}

export interface Patched<T> {
  /** Decoded, not defaulted. Shares no part with `current` that anyone may change. */
  readonly object: T
  /** What was wrong but not refused, under validation `warn`. */
  readonly warnings: readonly string[]
}

/** Applies a patch body. Throws an `ApiError` with the code and words of Kubernetes. */
export function applyPatchText<T>(request: PatchRequest): Patched<T> {
  const { schema, current, type, text, validation, custom = false, shares } = request
  // A strategic merge works on values that are decoded already, where `1.0` is a whole number.
  const literals = !custom && type !== 'application/strategic-merge-patch+json'
  const patch = parsePatch(text, type, literals, validation)
  const wire = toWire(schema, current) as JsonObject
  const { value, problems, shown } = patchValue(schema, wire, type, patch, text, validation)
  let decoded: { object: T; problems: readonly string[] }
  try {
    decoded =
      shares === undefined
        ? decodePatched<T>(schema, wire, value, validation)
        : decodeChanged<T>({ schema, current: current as JsonObject, wire, value, validation, shares })
  } catch (error) {
    if (!(error instanceof DecodeError)) throw error
    throw invalidPatch(shown(), type === 'application/strategic-merge-patch+json' ? converterText(error) : error.message)
  }
  const sorted = custom || type === 'application/strategic-merge-patch+json'
  const all = [...problems, ...inOrder(decoded.problems, sorted, () => decodePatched(schema, wire, byKey(value), validation).problems)]
  if (all.length > 0 && validation === 'strict') throw invalidPatch(shown(), strictDecodingText(all))
  return { object: decoded.object, warnings: all }
}

// The decoder changes what it is given, and the value shares parts with the object in memory. Managed fields, which are much of
// an object and which few patches touch, are never changed where they stand: they are shared.
function decodePatched<T>(schema: StructSchema, wire: JsonObject, value: unknown, validation: FieldValidation): Decoded<T> {
  const decode = compileDecoder<T>(schema)
  const before = isObject(wire['metadata']) ? wire['metadata'] : undefined
  const after = isObject(value) && isObject(value['metadata']) ? value['metadata'] : undefined
  const kept = before?.['managedFields']
  if (kept === undefined || after === undefined || after['managedFields'] !== kept) {
    return decode(cloneValue(value), validation)
  }
  const { managedFields: _, ...metadata } = after
  const decoded = decode(cloneValue({ ...(value as JsonObject), metadata }), validation)
  ;(decoded.object as { metadata: Record<string, unknown> }).metadata['managedFields'] = kept
  return decoded
}

interface Changed {
  readonly schema: StructSchema
  readonly current: JsonObject
  readonly wire: JsonObject
  readonly value: unknown
  readonly validation: FieldValidation
  readonly shares: (field: string) => boolean
}

// Decodes what the patch touched, and takes the rest from the object in memory.
function decodeChanged<T>({ schema, current, wire, value, validation, shares }: Changed): Decoded<T> {
  if (!isObject(value)) return decodePatched(schema, wire, value, validation)
  const changed: JsonObject = {}
  const kept = new Set<string>()
  for (const name of Object.keys(value)) {
    if (name !== 'metadata' && value[name] === wire[name] && schema.fields.has(name) && shares(name)) kept.add(name)
    else setOwn(changed, name, value[name])
  }
  const { object, problems } = decodePatched<JsonObject>(schema, wire, changed, validation)
  const out: JsonObject = {}
  for (const name of schema.fields.keys()) {
    if (kept.has(name)) out[name] = current[name]
    else if (Object.hasOwn(object, name)) out[name] = object[name]
  }
  return { object: out as T, problems }
}

// Kubernetes decodes what its JSON patch library wrote, whose objects have their keys sorted; other decoders sort the messages.
function inOrder(problems: readonly string[], sorted: boolean, again: () => readonly string[]): readonly string[] {
  if (problems.length < 2) return problems
  return sorted ? [...problems].sort() : again()
}

function byKey(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(byKey)
  if (!isObject(value)) return value
  const out: JsonObject = {}
  for (const key of Object.keys(value).sort()) setOwn(out, key, byKey(value[key]))
  return out
}

function parsePatch(text: string, type: PatchType, literals: boolean, validation: FieldValidation): ParsedDocument {
  let patch: ParsedDocument
  try {
    patch = parseDocument(text, literals ? 'literals' : 'values')
  } catch (error) {
    if (error instanceof DecodeError) throw badRequest(unreadable(type, error.message, validation))
    throw error
  }
  checkDepth(patch.value)
  return patch
}

// Kubernetes reads JSON and merge patches once more where fields are validated, and says so.
function unreadable(type: PatchType, why: string, validation: FieldValidation): string {
  if (type === 'application/strategic-merge-patch+json') return why
  if (validation !== 'ignore') return `error decoding patch: ${why}`
  return type === 'application/json-patch+json' ? why : 'Invalid JSON Patch'
}

// A strategic merge goes through another converter of Kubernetes, which has words of its own.
function converterText({ message, mismatch }: DecodeError): string {
  if (mismatch === undefined) return message
  const { value, wanted, goType } = mismatch
  if (wanted === 'struct') return `cannot restore struct from: ${goKindOf(value)}`
  if (wanted === 'map' || wanted === 'list') return `cannot restore ${wanted === 'list' ? 'slice' : 'map'} from ${goKindOf(value)}`
  const whole = Number.isInteger(value) || typeof value === 'bigint'
  const convertible =
    (typeof value === 'number' || typeof value === 'bigint') && (whole ? wanted === 'string' : wanted === 'int32' || wanted === 'int64')
  if (convertible) return `cannot convert ${whole ? 'int64' : 'float64'} to ${goType}`
  const plain = wanted === 'string' || wanted === 'boolean' || wanted === 'int32' || wanted === 'int64' || wanted === 'number'
  return plain ? `unrecognized type: ${goKinds[wanted] ?? wanted}` : message
}

const goKinds: Readonly<Record<string, string>> = { boolean: 'bool', number: 'float64' }

function goKindOf(value: unknown): string {
  if (Array.isArray(value)) return 'slice'
  if (typeof value === 'bigint') return 'int64'
  if (typeof value === 'number') return Number.isInteger(value) ? 'int64' : 'float64'
  return typeof value === 'object' ? 'map' : typeof value === 'boolean' ? 'bool' : typeof value
}

interface PatchedValue {
  readonly value: unknown
  readonly problems: readonly string[]
  /** What an error quotes. */
  readonly shown: () => string
}

function patchValue(
  schema: StructSchema,
  current: JsonObject,
  type: PatchType,
  { value: patch, doubled }: ParsedDocument,
  text: string,
  validation: FieldValidation,
): PatchedValue {
  if (type === 'application/json-patch+json') {
    const operations = checkedOperations(patch)
    const asked = validation !== 'ignore' && (doubled || operations.some(hasUnknown))
    const problems = asked ? strictProblems(text, operationsSchema).map((problem) => `json patch ${problem}`) : []
    const value = runJsonPatch(current, operations)
    return { value, problems, shown: () => stringifyJson(value) }
  }
  const duplicates = validation === 'ignore' || !doubled ? [] : strictProblems(text)
  if (type === 'application/merge-patch+json') {
    if (!isObject(patch)) throw badRequest(patch === null ? 'Invalid JSON Patch' : `error decoding patch: ${notAnObject(patch)}`)
    const value = applyMergePatch(current, patch)
    return { value, problems: duplicates, shown: () => stringifyJson(value) }
  }
  // Go takes null for a map without anything in it.
  const changes = patch ?? {}
  if (!isObject(changes)) throw badRequest(notAnObject(changes))
  const value = applyStrategicMergePatch(schema, current, changes)
  return { value, problems: duplicates, shown: () => goPrint(changes) }
}

function notAnObject(patch: unknown): string {
  return `json: cannot unmarshal ${jsonTypeOf(patch)} into Go value of type map[string]interface {}`
}

function jsonTypeOf(value: unknown): string {
  if (Array.isArray(value)) return 'array'
  if (value instanceof NumberLiteral || typeof value === 'bigint') return 'number'
  return typeof value === 'boolean' ? 'bool' : typeof value
}

function checkedOperations(patch: unknown): readonly JsonPatchOperation[] {
  // Go takes null for a list without anything in it.
  if (patch === null) return []
  if (!Array.isArray(patch)) {
    throw badRequest(`error decoding patch: json: cannot unmarshal ${jsonTypeOf(patch)} into Go value of type []handlers.jsonPatchOp`)
  }
  if (patch.length > jsonPatchOperationsMax) {
    const message = `Request entity too large: The allowed maximum operations in a JSON patch is ${jsonPatchOperationsMax}, got ${patch.length}`
    throw new ApiError({
      kind: 'Status',
      apiVersion: 'v1',
      metadata: {},
      status: 'Failure',
      message,
      reason: 'RequestEntityTooLarge',
      code: 413,
    })
  }
  return patch.map(checkedOperation)
}

function checkedOperation(given: unknown): JsonPatchOperation {
  const operation = given ?? {}
  if (!isObject(operation)) {
    throw badRequest(`error decoding patch: json: cannot unmarshal ${jsonTypeOf(given)} into Go value of type handlers.jsonPatchOp`)
  }
  for (const name of ['op', 'path', 'from']) {
    const value = operation[name]
    if (value !== undefined && value !== null && typeof value !== 'string') {
      const type = jsonTypeOf(value)
      throw badRequest(`error decoding patch: json: cannot unmarshal ${type} into Go struct field jsonPatchOp.${name} of type string`)
    }
  }
  return operation as unknown as JsonPatchOperation
}

const operationField = (name: string, schema: Schema): [string, FieldSchema] => [
  name,
  { name, schema, required: false, omitEmpty: false, omitZero: false, pointer: false },
]

const operationSchema: StructSchema = {
  type: 'struct',
  name: '',
  fields: new Map([
    operationField('op', { type: 'string' }),
    operationField('path', { type: 'string' }),
    operationField('from', { type: 'string' }),
    operationField('value', { type: 'any' }),
  ]),
  atomic: false,
  preserveUnknown: false,
  embeddedResource: false,
}
const operationsSchema: Schema = { type: 'list', items: operationSchema, listType: 'atomic', mapKeys: [] }

function hasUnknown(operation: JsonPatchOperation): boolean {
  for (const key in operation) if (!operationSchema.fields.has(key)) return true
  return false
}

function runJsonPatch(current: JsonObject, operations: readonly JsonPatchOperation[]): unknown {
  try {
    return applyJsonPatch(current, operations)
  } catch (error) {
    if (error instanceof JsonPatchError) throw unprocessablePatch(error)
    throw error
  }
}

function invalidPatch(shown: string, why: string): ApiError {
  const cause: FieldError = { type: 'FieldValueInvalid', field: 'patch', detail: `Invalid value: ${goQuote(shown)}: ${why}` }
  return new ApiError({
    kind: 'Status',
    apiVersion: 'v1',
    metadata: {},
    status: 'Failure',
    message: ` "" is invalid: patch: ${cause.detail}`,
    reason: 'Invalid',
    details: { causes: [{ reason: cause.type, message: cause.detail, field: cause.field }] },
    code: 422,
  })
}
