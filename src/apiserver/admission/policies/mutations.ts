// What the expressions of mutations make, brought into the object: configurations that are merged as apply merges them, and JSON
// patches.

import { checkApplied } from '#api/apply/check-applied'
import { mergeApplied } from '#api/apply/merge'
import type { Kind } from '#api/kind'
import type { KubeObject } from '#api/object'
import { applyJsonPatch, JsonPatchError, type JsonPatchOperation, JsonPatchTestError } from '#api/patch/json-patch'
import { cloneValue } from '#api/patch/values'
import { compileDecoder } from '#api/schema/decode'
import { DecodeError } from '#api/schema/scalars'
import { resolved, type Schema } from '#api/schema/schema'
import { CelList, isMap, StructValue, toJson, type Value } from '../../cel/values.ts'

/** A mutation that cannot be carried out; what comes of it is the failure policy's matter. */
export class MutationError extends Error {
  override readonly name = 'MutationError'
}

/** The object with the configuration merged into it, decoded and defaulted. Throws MutationError. */
export function mergeConfiguration(kind: Kind, object: KubeObject, made: Value): KubeObject {
  if (!(made instanceof StructValue) || made.name !== 'Object')
    throw new MutationError('applyConfiguration expression must evaluate to an Object')
  checkTypeNames(made, 'Object')
  const configuration = { ...(toJson(made) as Record<string, unknown>), apiVersion: object.apiVersion, kind: object.kind }
  const problem = checkApplied(kind.schema(), configuration)
  if (problem !== undefined) throw new MutationError(`error applying patch: failed to convert patch object to typed object: ${problem}`)
  const atomic = atomicParts(kind.schema(), configuration, '')
  if (atomic.length > 0) {
    const why = `invalid ApplyConfiguration: may not mutate atomic arrays, maps or structs: ${atomic.join(', ')}`
    throw new MutationError(`error applying patch: ${why}`)
  }
  return decoded(kind, mergeApplied(kind.schema(), object, configuration))
}

// Types are named after their place, so a name tells what stands in the wrong one.
function checkTypeNames(value: Value, place: string): void {
  if (value instanceof StructValue) {
    if (value.name !== place) {
      const expected = `expected ${JSON.stringify(place)}, which matches field name path from root Object type`
      throw new MutationError(`type mismatch: unexpected type name ${JSON.stringify(value.name)}, ${expected}`)
    }
    for (const [name, inner] of value.fields) checkTypeNames(inner, `${place}.${name}`)
  } else if (value instanceof CelList) {
    for (const item of value) checkTypeNames(item, place)
  } else if (isMap(value)) {
    for (const key of value.keys()) checkTypeNames(value.get(key)!, place)
  }
}

// Lists, maps and structs of the configuration that are replaced as a whole: what it does not say would be lost.
function atomicParts(schemaOrRef: Schema, value: unknown, path: string): string[] {
  const schema = resolved(schemaOrRef)
  if (typeof value !== 'object' || value === null) return []
  const found: string[] = []
  if (Array.isArray(value)) {
    if (schema.type !== 'list') return []
    if (schema.listType === 'atomic') found.push(path)
    for (const [i, item] of value.entries()) found.push(...atomicParts(schema.items, item, `${path}[${i}]`))
    return found
  }
  if (schema.type !== 'struct' && schema.type !== 'map') return []
  if (schema.atomic) found.push(path)
  if (schema.type === 'map') return found
  for (const [name, inner] of Object.entries(value)) {
    const field = schema.fields.get(name)
    if (field !== undefined) found.push(...atomicParts(field.schema, inner, `${path}.${name}`))
  }
  return found
}

/** The object with the patches applied, decoded and defaulted. Throws MutationError. */
export function patchObject(kind: Kind, object: KubeObject, made: Value): KubeObject {
  if (!(made instanceof CelList)) throw new MutationError('JSONPatch expression must evaluate to a list')
  const operations = [...made].map((operation) => {
    if (operation instanceof StructValue && operation.name === 'JSONPatch') return toJson(operation) as JsonPatchOperation
    throw new MutationError('type mismatch: JSONPatchType.expression should evaluate to array of JSONPatch')
  })
  try {
    return decoded(kind, applyJsonPatch(object, operations))
  } catch (error) {
    // A test that fails says that the patch is not meant for this object.
    if (error instanceof JsonPatchTestError) return object
    if (error instanceof JsonPatchError) throw new MutationError(`JSON Patch: ${error.message}`, { cause: error })
    throw error
  }
}

function decoded(kind: Kind, value: unknown): KubeObject {
  try {
    const { object } = compileDecoder<KubeObject>(kind.schema())(cloneValue(value), 'ignore')
    kind.strategy.setDefaults?.(object)
    return object
  } catch (error) {
    if (error instanceof DecodeError) throw new MutationError(error.message, { cause: error })
    throw error
  }
}
