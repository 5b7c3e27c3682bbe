// managedFields between its form in metadata and a map of managers. A manager is its name, operation, apiVersion (updates only)
// and subresource: updates by one program through different versions or subresources are kept apart.
import type { ManagedFieldsEntry } from '../generated/meta-v1.ts'
import { type FieldSet, isEmptySet, leaf, sortedFieldSet, union } from './field-set.ts'
import { canonicalElement } from './path-element.ts'
import { sharedSet } from './shared-sets.ts'

export type Operation = 'Apply' | 'Update'

export interface Managed {
  readonly name: string
  readonly operation: Operation
  readonly apiVersion: string
  readonly subresource: string
  readonly time: string | undefined
  /** In Kubernetes' order. */
  readonly fields: FieldSet | undefined
  /** As it was read. Written again as it is when neither time nor fields have changed. */
  readonly entry?: ManagedFieldsEntry
}

/** By `managerId`. */
export type Managers = ReadonlyMap<string, Managed>

/** Identifies a manager; texts sort as Kubernetes sorts managers in messages. */
export function managerId({
  name,
  operation,
  apiVersion,
  subresource,
}: Pick<Managed, 'name' | 'operation' | 'apiVersion' | 'subresource'>): string {
  const manager = name === '' ? '' : `"manager":${JSON.stringify(name)},`
  const version = operation === 'Update' ? `,"apiVersion":${JSON.stringify(apiVersion)}` : ''
  const part = subresource === '' ? '' : `,"subresource":${JSON.stringify(subresource)}`
  return `{${manager}"operation":"${operation}"${version}${part}}`
}

// Entries are never changed where they stand, and an object's are read at each of its writes.
const read = new WeakMap<ManagedFieldsEntry, { readonly id: string; readonly managed: Managed }>()

/** The managers of an object; undefined when an entry is malformed. Sets in canonical form are taken as they are. */
export function readManagers(entries: readonly ManagedFieldsEntry[] | undefined): Managers | undefined {
  const managers = new Map<string, Managed>()
  for (const entry of entries ?? []) {
    const known = read.get(entry)
    if (known !== undefined) {
      managers.set(known.id, known.managed)
      continue
    }
    if (entry.operation !== 'Apply' && entry.operation !== 'Update') return undefined
    if (!entry.apiVersion || entry.fieldsType !== 'FieldsV1') return undefined
    const managed: Managed = {
      name: entry.manager ?? '',
      operation: entry.operation,
      apiVersion: entry.apiVersion,
      subresource: entry.subresource ?? '',
      time: entry.time,
      fields: entry.fieldsV1 as FieldSet | undefined,
      entry,
    }
    const id = managerId(managed)
    read.set(entry, { id, managed })
    managers.set(id, managed)
  }
  return managers
}

const depthMax = 500

/** Managers that a client sent: malformed sets make the whole undefined, others are put in canonical form. */
export function readForeignManagers(entries: readonly ManagedFieldsEntry[]): Managers | undefined {
  const managers = readManagers(entries)
  if (managers === undefined) return undefined
  const checked = new Map<string, Managed>()
  for (const [id, managed] of managers) {
    const fields = managed.fields === undefined ? undefined : canonicalSet(managed.fields, 0)
    if (managed.fields !== undefined && fields === undefined) return undefined
    const { entry: _, ...rest } = managed
    checked.set(id, { ...rest, fields: fields === undefined ? undefined : sortedFieldSet(fields) })
  }
  return checked
}

function canonicalSet(set: unknown, depth: number): FieldSet | undefined {
  if (typeof set !== 'object' || set === null || Array.isArray(set) || depth > depthMax) return undefined
  const out: Record<string, FieldSet> = {}
  for (const key of Object.keys(set)) {
    const element = canonicalElement(key)
    const below = element === undefined ? undefined : canonicalSet((set as Record<string, unknown>)[key], depth + 1)
    if (element === undefined || below === undefined) return undefined
    out[element] = element === '.' ? leaf : below
  }
  return out
}

/** The entries as metadata carries them, sorted as Kubernetes sorts them; undefined when there are none. Entries that did not change are shared. */
export function writeManagers(managers: Managers): ManagedFieldsEntry[] | undefined {
  const entries = [...managers.values()].filter(({ fields }) => !isEmptySet(fields)).sort(compareManaged)
  return entries.length === 0 ? undefined : entries.map(entryOf)
}

/** A manager as metadata carries it. */
export function entryOf({ name, operation, apiVersion, subresource, time, fields, entry }: Managed): ManagedFieldsEntry {
  if (entry !== undefined && entry.fieldsV1 === fields && entry.time === time && entry.apiVersion === apiVersion) return entry
  return {
    ...(name !== '' && { manager: name }),
    operation,
    apiVersion,
    ...(time !== undefined && { time }),
    fieldsType: 'FieldsV1',
    fieldsV1: sharedSet(fields!),
    ...(subresource !== '' && { subresource }),
  }
}

function compareManaged(a: Managed, b: Managed): number {
  return (
    compareTexts(a.operation, b.operation) ||
    secondsOf(a) - secondsOf(b) ||
    compareTexts(a.name, b.name) ||
    compareTexts(a.apiVersion, b.apiVersion) ||
    compareTexts(a.subresource, b.subresource)
  )
}

function compareTexts(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0
}

function secondsOf({ time }: Managed): number {
  return time === undefined ? 0 : Date.parse(time) / 1000
}

const updatersMax = 10
const ancient = 'ancient-changes'

/** Joins the oldest updaters of each version into one, `ancient-changes`, so that no more than ten are left if that can be. */
export function capUpdaters(managers: Managers): Managers {
  const updaters = [...managers].filter(([, managed]) => managed.operation === 'Update')
  if (updaters.length <= updatersMax) return managers
  updaters.sort(([idA, a], [idB, b]) => secondsOf(a) - secondsOf(b) || compareTexts(idA, idB))
  const out = new Map(managers)
  const firstOfVersion = new Map<string, string>()
  let count = updaters.length
  for (const [id, managed] of updaters) {
    if (count <= updatersMax) break
    const { entry: _, ...rest } = managed
    const bucket: Managed = { ...rest, name: ancient, subresource: '' }
    const bucketId = managerId(bucket)
    const first = firstOfVersion.get(managed.apiVersion)
    if (first === undefined) {
      firstOfVersion.set(managed.apiVersion, id)
      continue
    }
    const earlier = out.get(bucketId)?.fields ?? out.get(first)?.fields
    if (!out.has(bucketId)) out.delete(first)
    out.delete(id)
    out.set(bucketId, { ...bucket, fields: union(earlier, managed.fields) })
    count--
  }
  return out
}
