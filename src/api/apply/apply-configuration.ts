// Server-side apply (KEP-555): an applied configuration is merged into the live object; the applier owns what it says, and takes
// back what it said last time and nobody else says now. Who would change a field that another owns is told so, or forces it.

import { timestamp } from '#base/clock'
import { ApiError, applyConflict, badRequest } from '../errors.ts'
import type { ManagedFieldsEntry, StatusCause } from '../generated/meta-v1.ts'
import { cloneValue } from '../patch/values.ts'
import { compileDecoder } from '../schema/decode.ts'
import { DecodeError } from '../schema/scalars.ts'
import type { StructSchema } from '../schema/schema.ts'
import { checkApplied } from './check-applied.ts'
import { type Changes, compareObjects, fieldSetOfObject } from './compare.ts'
import { type Conflict, conflictMessage, managerText } from './conflicts.ts'
import { emptyObject } from './created-fields.ts'
import {
  difference,
  type FieldSet,
  forEachPath,
  intersection,
  isEmptySet,
  pathText,
  recursiveDifference,
  sortedFieldSet,
  union,
} from './field-set.ts'
import { allowedByLastApplied, withLastApplied } from './last-applied.ts'
import { type Managed, type Managers, managerId, readManagers, writeManagers } from './managers.ts'
import { mergeApplied } from './merge.ts'
import { PathElementError } from './path-element.ts'
import { prune } from './prune.ts'
import { reconcileWithSchema } from './reconcile.ts'
import {
  afterUpdate,
  changesByVersion,
  MissingVersion,
  managedFieldsOf,
  neverOwned,
  takeAway,
  withoutManagedFields,
} from './track-update.ts'
import type { ConvertObject } from './versions.ts'

export interface ApplyRequest {
  readonly schema: StructSchema
  /** Of the endpoint; the configuration must say the same. */
  readonly apiVersion: string
  readonly kind: string
  /** The stored object; undefined when there is none yet. Not changed. */
  readonly live: unknown
  /** The parsed configuration, not decoded. Not changed. */
  readonly applied: unknown
  readonly manager: string
  readonly force: boolean
  readonly subresource: string
  readonly nowMs: number
  /** Fields that this endpoint does not write. */
  readonly reset?: FieldSet
  readonly convert?: ConvertObject
}

export interface Applied<T> {
  /** Decoded, not defaulted, with its managedFields. */
  readonly object: T
  readonly managedFields: ManagedFieldsEntry[] | undefined
}

/** Applies a configuration. Throws an `ApiError`: conflicts (409, one cause for each field), bad configurations. */
export function applyConfiguration<T>(request: ApplyRequest): Applied<T> {
  checkConfiguration(request)
  try {
    return applyChecked(request)
  } catch (error) {
    // The configuration was looked at; what has no path is in the object that stands there.
    if (error instanceof PathElementError) throw failed(`failed to create typed live object (${nameOf(request)}): ${error.message}`)
    throw error
  }
}

function applyChecked<T>(request: ApplyRequest): Applied<T> {
  const stored = readManagers(managedFieldsOf(request.live)) ?? new Map<string, Managed>()
  const managers = reconciled(request, stored.size === 0 ? beforeFirstApply(request) : stored)
  const outcome = applyOrExplain(request, managers)
  const object = withLastApplied(request, outcome.object)
  const managedFields = writeManagers(outcome.managers)
  setManagedFields(object, managedFields)
  return { object: object as T, managedFields }
}

function checkConfiguration({ schema, apiVersion, kind, applied }: ApplyRequest): void {
  // Go takes nothing for a map without anything in it.
  const given = applied ?? {}
  if (typeof given !== 'object' || Array.isArray(given)) {
    const found = Array.isArray(given) ? 'array' : typeof given === 'boolean' ? 'bool' : typeof given === 'string' ? 'string' : 'number'
    const why = `json: cannot unmarshal ${found} into Go value of type map[string]interface {}`
    throw badRequest(`error decoding patch: error unmarshaling JSON: while decoding JSON: ${why}`)
  }
  const said = given as {
    apiVersion?: unknown
    kind?: unknown
    metadata?: { managedFields?: unknown } | null
  }
  const type = groupVersionKind(said.apiVersion, said.kind)
  if (type !== groupVersionKind(apiVersion, kind)) throw badRequest(`invalid object type: ${type}`)
  const metadata = typeof said.metadata === 'object' && said.metadata !== null ? said.metadata : {}
  if (metadata.managedFields !== undefined && metadata.managedFields !== null) throw badRequest('metadata.managedFields must be nil')
  const problem = checkApplied(schema, applied)
  if (problem === undefined) return
  throw failed(`failed to create typed patch object (${nameOf({ applied, apiVersion, kind })}): ${problem}`)
}

// As messages name the configuration. What is no text counts as none.
function nameOf({ applied, apiVersion, kind }: Pick<ApplyRequest, 'applied' | 'apiVersion' | 'kind'>): string {
  const { metadata } = applied as { metadata?: { namespace?: unknown; name?: unknown } | null }
  return `${textOf(metadata?.namespace)}/${textOf(metadata?.name)}; ${groupVersionKind(apiVersion, kind)}`
}

function textOf(value: unknown): string {
  return typeof value === 'string' ? value : ''
}

// As Go prints a GroupVersionKind.
function groupVersionKind(apiVersion: unknown, kind: unknown): string {
  const text = textOf(apiVersion)
  return `${text.includes('/') ? text : `/${text}`}, Kind=${textOf(kind)}`
}

/** An error that Kubernetes passes on as it is, without a reason: code 500. */
function failed(message: string): ApiError {
  return new ApiError({ kind: 'Status', apiVersion: 'v1', metadata: {}, status: 'Failure', message, code: 500 })
}

// An object that was never tracked: all that it says belongs to a manager of its own.
function beforeFirstApply(request: ApplyRequest): Managers {
  const none: Managers = new Map()
  if (request.live === undefined) return none
  return afterUpdate({ ...request, old: undefined, current: request.live, manager: 'before-first-apply' }, none)
}

function reconciled({ schema, apiVersion }: ApplyRequest, managers: Managers): Managers {
  let out: Map<string, Managed> | undefined
  for (const [id, managed] of managers) {
    if (managed.apiVersion !== apiVersion || managed.fields === undefined) continue
    const fields = reconcileWithSchema(schema, managed.fields)
    if (fields === managed.fields) continue
    out ??= new Map(managers)
    out.set(id, { ...managed, fields })
  }
  return out ?? managers
}

interface Outcome {
  readonly object: unknown
  readonly managers: Managers
}

function applyOrExplain(request: ApplyRequest, managers: Managers): Outcome {
  const result = applyTo(request, managers, request.force)
  if ('managers' in result) return result
  // kubectl may take over what it wrote itself before it applied on the server.
  const allowed = request.manager === 'kubectl' ? allowedByLastApplied(request) : undefined
  const conflicts = result.conflicts.flatMap((conflict) => {
    const fields = difference(conflict.fields, allowed)
    return fields === undefined ? [] : [{ ...conflict, fields }]
  })
  if (conflicts.length > 0) throw conflictError(conflicts)
  return applyTo(request, managers, true) as Outcome
}

function applyTo(request: ApplyRequest, managers: Managers, force: boolean): Outcome | { conflicts: Conflict[] } {
  const { schema, apiVersion, applied, manager, subresource, nowMs, reset } = request
  const live = withoutManagedFields(request.live ?? emptyObject(schema))
  const id = managerId({ name: manager, operation: 'Apply', apiVersion, subresource })
  const last = managers.get(id)
  const said = recursiveDifference(fieldSetOfObject(schema, applied), reset)
  const mine: Managed = { name: manager, operation: 'Apply', apiVersion, subresource, time: last?.time, fields: said }
  const withMine = new Map(managers).set(id, mine)
  const merged = prune({ ...request, merged: mergeApplied(schema, live, applied), last, managers: withMine })
  // Compared before it is decoded: a `false` that decoding leaves out still takes the place of somebody's `true`.
  const changesIn = changesByVersion({ ...request, old: live, current: merged })
  if (!force) {
    const conflicts = conflictsOf(withMine, changesIn, id)
    if (conflicts.length > 0) return { conflicts }
  }
  const object = decodeMerged(request, merged)
  const owned = sortedOrNone(difference(said, neverOwned))
  const changed = compareObjects(schema, live, object) !== undefined || !sameSet(owned, last?.fields)
  const out = new Map(takeAway(withMine, changesIn, id))
  if (isEmptySet(owned)) out.delete(id)
  else out.set(id, { ...mine, fields: owned, time: changed ? timestamp(nowMs) : last?.time })
  return { object, managers: out }
}

function sameSet(a: FieldSet | undefined, b: FieldSet | undefined): boolean {
  if (a === undefined || b === undefined) return a === b
  return JSON.stringify(a) === JSON.stringify(b)
}

function sortedOrNone(set: FieldSet | undefined): FieldSet | undefined {
  return set === undefined ? undefined : sortedFieldSet(set)
}

// The merged value shares parts with the live object, and the decoder changes what it is given.
function decodeMerged({ schema, applied, apiVersion, kind }: ApplyRequest, merged: unknown): unknown {
  try {
    return compileDecoder(schema)(cloneValue(merged), 'ignore').object
  } catch (error) {
    if (!(error instanceof DecodeError)) throw error
    throw failed(`failed to convert new typed object (${nameOf({ applied, apiVersion, kind })}) to object: ${error.message}`)
  }
}

function conflictsOf(managers: Managers, changesIn: (apiVersion: string) => Changes | undefined, except: string): Conflict[] {
  const found: Conflict[] = []
  for (const [id, manager] of [...managers].sort(([a], [b]) => (a < b ? -1 : 1))) {
    if (id === except) continue
    try {
      const changes = changesIn(manager.apiVersion)
      const fields = intersection(manager.fields, union(changes?.modified, changes?.added))
      if (fields !== undefined) found.push({ manager, fields })
    } catch (error) {
      if (!(error instanceof MissingVersion)) throw error
    }
  }
  return found
}

function conflictError(conflicts: readonly Conflict[]): ApiError {
  const causes: StatusCause[] = []
  for (const { manager, fields } of conflicts) {
    forEachPath(fields, (path) => {
      causes.push({ reason: 'FieldManagerConflict', message: `conflict with ${managerText(manager)}`, field: pathText(path) })
    })
  }
  return applyConflict(conflictMessage(conflicts), causes)
}

function setManagedFields(object: unknown, entries: ManagedFieldsEntry[] | undefined): void {
  // A custom resource may have been given no metadata at all, or null.
  const holder = object as { metadata?: { managedFields?: ManagedFieldsEntry[] } | null }
  holder.metadata ??= {}
  if (entries === undefined) delete holder.metadata.managedFields
  else holder.metadata.managedFields = entries
}
