// What the expressions of mutations make, brought into the object: configurations that are merged as apply merges them, and JSON
// patches.

import { mergeApplied } from '#api/apply/merge'
import type { Kind } from '#api/kind'
import type { KubeObject } from '#api/object'
import { applyJsonPatch, JsonPatchError, type JsonPatchOperation } from '#api/patch/json-patch'
import { cloneValue } from '#api/patch/values'
import { compileDecoder } from '#api/schema/decode'
import { DecodeError } from '#api/schema/scalars'
import { CelList, StructValue, toJson, type Value } from '../../cel/values.ts'

/** A mutation that cannot be carried out; what comes of it is the failure policy's matter. */
export class MutationError extends Error {
  override readonly name = 'MutationError'
}

/** The object with the configuration merged into it, decoded and defaulted. Throws MutationError. */
export function mergeConfiguration(kind: Kind, object: KubeObject, made: Value): KubeObject {
  if (!(made instanceof StructValue) || made.name !== 'Object')
    throw new MutationError('applyConfiguration expression must evaluate to an Object')
  const { apiVersion, kind: kindName, metadata } = object
  const configuration = toJson(made) as Record<string, unknown>
  const wrong = forbiddenField(configuration)
  if (wrong !== undefined) throw new MutationError(`error applying patch: ${wrong} may not be changed by an apply configuration`)
  const own = (configuration['metadata'] ?? {}) as Record<string, unknown>
  const applied = { ...configuration, apiVersion, kind: kindName, metadata: { ...own, ...(metadata.name ? { name: metadata.name } : {}) } }
  return decoded(kind, mergeApplied(kind.schema(), object, applied))
}

// Who an object is, is not a mutation's to say.
function forbiddenField(configuration: Record<string, unknown>): string | undefined {
  for (const field of ['apiVersion', 'kind']) if (Object.hasOwn(configuration, field)) return field
  const metadata = configuration['metadata']
  if (typeof metadata !== 'object' || metadata === null) return undefined
  return ['name', 'namespace', 'uid', 'generateName', 'managedFields']
    .map((name) => `metadata.${name}`)
    .find((path) => Object.hasOwn(metadata, path.slice(9)))
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
