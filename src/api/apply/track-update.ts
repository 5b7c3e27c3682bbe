// managedFields after a create, update or patch: who changed a field owns it, and nobody else does (KEP-555). On the way of every
// write, so it costs one comparison of the two objects and looks only at what changed in the sets of the managers.
import { timestamp } from '#base/clock'
import type { ManagedFieldsEntry } from '../generated/meta-v1.ts'
import type { StructSchema } from '../schema/schema.ts'
import { type Changes, compareObjects, leafEqual } from './compare.ts'
import { emptyObject, fieldsOfCreated } from './created-fields.ts'
import { difference, type FieldSet, fieldSetOf, isEmptySet, recursiveDifference, sortedFieldSet, union } from './field-set.ts'
import {
  capUpdaters,
  entryOf,
  type Managed,
  type Managers,
  managerId,
  readForeignManagers,
  readManagers,
  writeManagers,
} from './managers.ts'
import { sharedSet } from './shared-sets.ts'
import { type ConvertObject, inVersion } from './versions.ts'

export interface UpdateToTrack {
  readonly schema: StructSchema
  readonly apiVersion: string
  /** The stored object; undefined for a create. */
  readonly old: unknown
  /** The object about to be stored, decoded and defaulted. Its own managedFields are what the client sent. */
  readonly current: unknown
  /** The field manager of the request: its parameter, or the part of the user agent before the first slash. */
  readonly manager: string
  /** Empty for the main resource. */
  readonly subresource: string
  readonly nowMs: number
  /** Fields that this endpoint does not write, whatever the client says, e.g. `status` for the main resource. Nobody gets to own them. */
  readonly reset?: FieldSet
  readonly convert?: ConvertObject
}

/** The managedFields to store. Undefined: none (objects that were stored without any are not tracked until they are applied). */
export function trackUpdate(request: UpdateToTrack): ManagedFieldsEntry[] | undefined {
  const { old, current, subresource } = request
  const entries = managedFieldsOf(old)
  const managers = startingManagers(entries, managedFieldsOf(current), subresource)
  if (managers.size === 0) return old === undefined ? firstEntries(request) : undefined
  const after = afterUpdate(request, managers)
  return after === managers && managers.size > 0 && entriesAreOf(managers, entries) ? entries : writeManagers(after)
}

function entriesAreOf(managers: Managers, entries: ManagedFieldsEntry[] | undefined): entries is ManagedFieldsEntry[] {
  return entries !== undefined && [...managers.values()].every(({ entry }) => entry !== undefined && entries.includes(entry))
}

// Of an object that nobody has managed: all that it says is its creator's.
function firstEntries({
  schema,
  current,
  manager,
  apiVersion,
  subresource,
  nowMs,
  reset,
}: UpdateToTrack): ManagedFieldsEntry[] | undefined {
  const created = fieldsOfCreated(schema, current)
  const fields = created === undefined ? undefined : ownedOfCreated(created, reset)
  if (fields === undefined) return undefined
  const time = timestamp(nowMs)
  return [entryOf({ name: manager === '' ? 'unknown' : manager, operation: 'Update', apiVersion, subresource, time, fields })]
}

interface Owned {
  readonly reset: FieldSet | undefined
  readonly fields: FieldSet | undefined
}

// Objects of one form have one set.
const owned = new WeakMap<FieldSet, Owned>()

function ownedOfCreated(created: FieldSet, reset: FieldSet | undefined): FieldSet | undefined {
  const known = owned.get(created)
  if (known !== undefined && known.reset === reset) return known.fields
  const left = difference(recursiveDifference(created, reset), neverOwned)
  const fields = left === undefined ? undefined : sharedSet(left)
  owned.set(created, { reset, fields })
  return fields
}

type WithMetadata = { readonly metadata?: { readonly managedFields?: ManagedFieldsEntry[] } } | undefined

export function managedFieldsOf(object: unknown): ManagedFieldsEntry[] | undefined {
  return (object as WithMetadata)?.metadata?.managedFields
}

const noManagers: Managers = new Map()

// A client may reset managedFields ([] or [{}]) or send its own, but not through a subresource.
function startingManagers(old: ManagedFieldsEntry[] | undefined, sent: ManagedFieldsEntry[] | undefined, subresource: string): Managers {
  const stored = (): Managers => readManagers(old) ?? noManagers
  if (subresource !== '' || sent === undefined || sent === old) return stored()
  if (sent.length === 0 || (sent.length === 1 && Object.keys(sent[0]!).length === 0)) return noManagers
  if (old !== undefined && leafEqual(sent, old)) return stored()
  return readForeignManagers(sent) ?? stored()
}

/** Managers after `current` took the place of `old`. Returns `managers` itself when nobody's fields changed. */
export function afterUpdate(request: UpdateToTrack, managers: Managers): Managers {
  const { apiVersion, subresource, nowMs } = request
  const changesIn = changesByVersion(request)
  const changes = changesIn(apiVersion)
  const set = union(changes?.modified, changes?.added)
  const own = difference(set, neverOwned)
  if (own === undefined) {
    const left = takeAway(managers, changesIn, undefined)
    return left === managers ? managers : capUpdaters(left)
  }
  const name = request.manager === '' ? 'unknown' : request.manager
  const id = managerId({ name, operation: 'Update', apiVersion, subresource })
  const previous = managers.get(id)?.fields
  // What changed is taken from its manager and given back; most managers change what they have, and keep the set that they had.
  const had = difference(difference(previous, difference(set, own)), changes?.removed)
  const fields = union(had, sortedFieldSet(own))
  const out = new Map(takeAway(managers, changesIn, id))
  return capUpdaters(out.set(id, { name, operation: 'Update', apiVersion, subresource, time: timestamp(nowMs), fields }))
}

/** What changed, by version: undefined when nothing did, `missing` when the version is not served any more. */
export type ChangesIn = (apiVersion: string) => Changes | 'missing' | undefined

/** Compares the objects once in each version that is asked for. */
export function changesByVersion(
  request: Omit<UpdateToTrack, 'manager' | 'subresource' | 'nowMs'>,
): (apiVersion: string) => Changes | undefined {
  const { schema, apiVersion, old, current, reset, convert } = request
  const before = withoutManagedFields(old ?? emptyObject(schema))
  const after = withoutManagedFields(current)
  const known = new Map<string, Changes | undefined>()
  return (version) => {
    if (known.has(version)) return known.get(version)
    const left = inVersion({ schema, object: before }, apiVersion, version, convert)
    const right = inVersion({ schema, object: after }, apiVersion, version, convert)
    if (left === undefined || right === undefined) throw new MissingVersion()
    const changes = withoutReset(compareObjects(left.schema, left.object, right.object), reset)
    known.set(version, changes)
    return changes
  }
}

/** The version of a manager is not served any more. */
export class MissingVersion extends Error {}

function withoutReset(changes: Changes | undefined, reset: FieldSet | undefined): Changes | undefined {
  if (changes === undefined || reset === undefined) return changes
  const { added, modified, removed } = changes
  return {
    added: recursiveDifference(added, reset),
    modified: recursiveDifference(modified, reset),
    removed: recursiveDifference(removed, reset),
  }
}

/** Takes from every manager but `except` what changed. Returns `managers` itself when that is nothing. */
export function takeAway(managers: Managers, changesIn: (apiVersion: string) => Changes | undefined, except: string | undefined): Managers {
  let out: Map<string, Managed> | undefined
  for (const [id, managed] of managers) {
    if (id === except) continue
    const fields = remaining(managed, changesIn)
    if (fields === managed.fields) continue
    out ??= new Map(managers)
    if (isEmptySet(fields)) out.delete(id)
    else out.set(id, { ...managed, fields })
  }
  return out ?? managers
}

function remaining(managed: Managed, changesIn: (apiVersion: string) => Changes | undefined): FieldSet | undefined {
  try {
    const changes = changesIn(managed.apiVersion)
    if (changes === undefined) return managed.fields
    return difference(difference(difference(managed.fields, changes.modified), changes.added), changes.removed)
  } catch (error) {
    if (error instanceof MissingVersion) return undefined
    throw error
  }
}

/** The object without its managedFields, which are not compared; shares the rest. */
export function withoutManagedFields(object: unknown): unknown {
  if (managedFieldsOf(object) === undefined) return object
  const { metadata, ...rest } = object as { metadata: Record<string, unknown> }
  const { managedFields: _, ...kept } = metadata
  return { ...rest, metadata: kept }
}

/** Paths that managedFields never name. */
export const neverOwned: FieldSet = fieldSetOf(
  ['f:apiVersion'],
  ['f:kind'],
  ['f:metadata'],
  ...['name', 'namespace', 'creationTimestamp', 'selfLink', 'uid', 'clusterName', 'generation', 'managedFields', 'resourceVersion'].map(
    (name) => ['f:metadata', `f:${name}`],
  ),
)

/** What each endpoint of most kinds resets: the main resource leaves `status` alone, `status` everything else but metadata. */
export function usualResetFields(subresource: string): FieldSet | undefined {
  if (subresource === '') return statusOnly
  return subresource === 'status' ? specOnly : undefined
}

const statusOnly = fieldSetOf(['f:status'])
const specOnly = fieldSetOf(['f:spec'])

/** Whether two lists of entries say the same, but for when. Writes that change nothing else are no writes. */
export function sameButForTimes(a: readonly ManagedFieldsEntry[] | undefined, b: readonly ManagedFieldsEntry[] | undefined): boolean {
  if (a === b) return true
  if (a === undefined || b === undefined || a.length !== b.length) return false
  const texts = (entries: readonly ManagedFieldsEntry[]): string[] =>
    entries.map((entry) => JSON.stringify({ ...entry, time: undefined })).sort()
  const left = texts(a)
  const right = texts(b)
  return left.every((text, i) => text === right[i])
}
