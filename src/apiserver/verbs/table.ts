// Tables: what `kubectl get` prints. Columns come from the kind; each row carries the object, its metadata, or nothing.

import { badRequest } from '#api/errors'
import { type Column, column, type Kind } from '#api/kind'
import type { KubeObject } from '#api/object'
import { stringifyJson } from '#api/schema/stringify'
import type { StoredObject } from '../watch-cache/stored-object.ts'
import { partialText } from './partial.ts'

export type IncludeObject = 'None' | 'Metadata' | 'Object'

/** The `includeObject` parameter. Throws BadRequest. */
export function parseIncludeObject(query: URLSearchParams): IncludeObject {
  const value = query.get('includeObject') ?? ''
  if (value === '') return 'Metadata'
  if (value === 'None' || value === 'Metadata' || value === 'Object') return value
  const detail = `includeObject: Invalid value: ${JSON.stringify(value)}: must be 'Metadata', 'Object', 'None', or empty`
  throw badRequest(`Unable to convert to Table as requested: ${detail}`)
}

const defaultColumns: readonly Column[] = [
  column<KubeObject>('Name', (object) => object.metadata.name, {
    format: 'name',
    description: 'Name must be unique within a namespace. It is what the object is known by in its collection, and cannot be changed.',
  }),
  column<KubeObject>('Created At', (object) => object.metadata.creationTimestamp, {
    type: 'date',
    description: 'When the server made the object.',
  }),
]

function columnsOf(kind: Kind): readonly Column[] {
  return kind.strategy.columns ?? defaultColumns
}

const definitions = new WeakMap<readonly Column[], string>()

/** `columnDefinitions` as JSON. */
export function columnDefinitions(kind: Kind): string {
  return definitionsText(columnsOf(kind))
}

function definitionsText(columns: readonly Column[]): string {
  let text = definitions.get(columns)
  if (text === undefined) {
    text = JSON.stringify(
      columns.map(({ name, type, format, description, priority }) => ({
        name,
        type,
        format: format ?? '',
        description: description ?? '',
        priority,
      })),
    )
    definitions.set(columns, text)
  }
  return text
}

/** One row as JSON. */
export function rowText(object: StoredObject, include: IncludeObject, metaVersion: string, nowMs: number): string {
  const decoded = object.object()
  const { kind } = object.context
  const cells = stringifyJson(columnsOf(kind).map((c) => c.cell(decoded, nowMs)))
  const conditions = kind.strategy.rowConditions?.(decoded) ?? []
  const about = conditions.length === 0 ? '' : `,"conditions":${JSON.stringify(conditions)}`
  return `{"cells":${cells}${about},"object":${rowObject(object, include, metaVersion)}}`
}

/** A whole table of one object that is not stored (a Scale). */
export function valueTable(
  columns: readonly Column[],
  value: KubeObject,
  { include, metaVersion, nowMs }: { include: IncludeObject; metaVersion: string; nowMs: number },
): string {
  const { kind: _, apiVersion: __, metadata, ...rest } = value
  const partial = { kind: 'PartialObjectMetadata', apiVersion: `meta.k8s.io/${metaVersion}`, metadata }
  const object = { None: null, Metadata: partial, Object: { kind: value.kind, apiVersion: value.apiVersion, metadata, ...rest } }[include]
  const cells = stringifyJson(columns.map((c) => c.cell(value, nowMs)))
  const head = tableHead(metaVersion, `{"resourceVersion":${JSON.stringify(metadata.resourceVersion)}}`, definitionsText(columns))
  return `${head}{"cells":${cells},"object":${stringifyJson(object)}}]}`
}

function rowObject(object: StoredObject, include: IncludeObject, metaVersion: string): string {
  if (include === 'None') return 'null'
  return include === 'Object' ? object.json.toString() : partialText(object, metaVersion)
}

/** The row of a bookmark: no object of the kind, only where the watch stands. */
export function bookmarkRow(kind: Kind, metaVersion: string, metadata: string): string {
  const cells = JSON.stringify(columnsOf(kind).map((c) => (c.type === 'integer' || c.type === 'number' ? 0 : '')))
  return `{"cells":${cells},"object":{"kind":"PartialObjectMetadata","apiVersion":"meta.k8s.io/${metaVersion}","metadata":${metadata}}}`
}

export function tableHead(metaVersion: string, metadata: string, columns: string): string {
  return `{"kind":"Table","apiVersion":"meta.k8s.io/${metaVersion}","metadata":${metadata},"columnDefinitions":${columns},"rows":[`
}
