// What an applier said last time and does not say now is taken out of the object, unless somebody else says it.
import type { StructSchema } from '../schema/schema.ts'
import { fieldSetOfObject } from './compare.ts'
import { difference, type FieldSet, intersection, isEmptySet, union } from './field-set.ts'
import type { Managed, Managers } from './managers.ts'
import { removeFields, withNamedFields } from './merge.ts'
import { neverOwned } from './track-update.ts'
import { type ConvertObject, inVersion } from './versions.ts'

export interface PruneRequest {
  readonly schema: StructSchema
  readonly apiVersion: string
  /** The live object with the configuration merged in. */
  readonly merged: unknown
  /** What the applier owned before. */
  readonly last: Managed | undefined
  /** All managers, the applier with what it says now. */
  readonly managers: Managers
  readonly convert?: ConvertObject
}

/** The merged object, pruned; the same object when there is nothing to prune. */
export function prune({ schema, apiVersion, merged, last, managers, convert }: PruneRequest): unknown {
  if (last === undefined || isEmptySet(last.fields)) return merged
  // All that the applier had said is still said by somebody: nothing can go.
  if (convert === undefined && difference(last.fields, ownedIn(managers, last.apiVersion, true)) === undefined) return merged
  const base = inVersion({ schema, object: merged }, apiVersion, last.apiVersion, convert)
  if (base === undefined) return merged
  const lastSet = withNamedFields(base.schema, last.fields)
  const all = namedFields(base.schema, base.object)
  // What the object has less: all that the applier had said, then given back what anybody says now.
  let pruned = removeFields(base.schema, base.object, lastSet)
  // The object's identity stays whatever anybody says.
  const owned = union(ownedIn(managers, last.apiVersion, convert === undefined), neverOwned)!
  const kept = union(namedFields(base.schema, pruned), withNamedFields(base.schema, owned))
  pruned = keepOnly(base.schema, base.object, all, kept)
  if (convert !== undefined) pruned = giveBackOfOtherVersions({ schema, apiVersion, merged, last, managers, convert }, base.schema, pruned)
  // Only what the applier itself owned may go: never what nobody owns.
  const gone = intersection(difference(all, namedFields(base.schema, pruned)), lastSet)
  const result = removeFields(base.schema, base.object, gone)
  return inVersion({ schema: base.schema, object: result }, last.apiVersion, apiVersion, convert)?.object ?? result
}

function namedFields(schema: StructSchema, object: unknown): FieldSet | undefined {
  const set = fieldSetOfObject(schema, object)
  return set === undefined ? undefined : withNamedFields(schema, set)
}

function keepOnly(schema: StructSchema, object: unknown, all: FieldSet | undefined, kept: FieldSet | undefined): unknown {
  return removeFields(schema, object, difference(all, kept))
}

function ownedIn(managers: Managers, apiVersion: string, everyVersion: boolean): FieldSet | undefined {
  let owned: FieldSet | undefined
  for (const managed of managers.values()) {
    if (everyVersion || managed.apiVersion === apiVersion) owned = union(owned, managed.fields)
  }
  return owned
}

// Managers of other versions name their fields in those: the object is looked at in each.
function giveBackOfOtherVersions(request: PruneRequest, schema: StructSchema, pruned: unknown): unknown {
  const { apiVersion, merged, last, managers, convert } = request
  const versions = new Set([...managers.values()].map((managed) => managed.apiVersion))
  versions.delete(last!.apiVersion)
  let result = pruned
  for (const version of versions) {
    const whole = inVersion({ schema: request.schema, object: merged }, apiVersion, version, convert)
    const part = inVersion({ schema, object: result }, last!.apiVersion, version, convert)
    if (whole === undefined || part === undefined) continue
    const owned = ownedIn(managers, version, false)
    if (owned === undefined) continue
    const kept = union(namedFields(part.schema, part.object), withNamedFields(whole.schema, owned))
    const given = keepOnly(whole.schema, whole.object, namedFields(whole.schema, whole.object), kept)
    result = inVersion({ schema: whole.schema, object: given }, version, last!.apiVersion, convert)?.object ?? result
  }
  return result
}
