// The cells that many kinds' tables share. Names, types and priorities are those of the API's own tables.
import { ageOf } from '../duration.ts'
import type { Container } from '../generated/core-v1.ts'
import type { LabelSelector } from '../generated/meta-v1.ts'
import { type Column, column } from '../kind.ts'
import { formatLabelSelector, formatLabels, type Labels } from '../label-selectors.ts'
import type { KubeObject } from '../object.ts'

export const none = '<none>'
export const unset = '<unset>'
export const unknown = '<unknown>'

export const nameColumn: Column = column<KubeObject>('Name', (object) => object.metadata.name, { format: 'name' })
export const ageColumn: Column = column<KubeObject>('Age', (object, nowMs) => ageOf(object.metadata.creationTimestamp, nowMs))
/** What kinds without a table of their own show. */
export const defaultColumns: readonly Column[] = [
  nameColumn,
  column<KubeObject>('Created At', (object) => object.metadata.creationTimestamp ?? null, { type: 'date' }),
]

/** A column of whole numbers. */
export function countColumn<T>(name: string, read: (object: T) => number | undefined, priority = 0): Column<T> {
  return column<T>(name, (object) => read(object) ?? 0, { type: 'integer', priority })
}

/** The wide columns of workloads: container names, images and, if there is one, the selector. */
export function containerColumns<T>(containers: (object: T) => readonly Container[], selector?: (object: T) => string): Column<T>[] {
  const columns = [
    column<T>(
      'Containers',
      (object) =>
        containers(object)
          .map(({ name }) => name)
          .join(','),
      { priority: 1 },
    ),
    column<T>(
      'Images',
      (object) =>
        containers(object)
          .map(({ image }) => image)
          .join(','),
      { priority: 1 },
    ),
  ]
  if (selector !== undefined) columns.push(column<T>('Selector', selector, { priority: 1 }))
  return columns
}

export function labelsCell(labels: Labels | undefined): string {
  return formatLabels(labels) || none
}

export function selectorCell(selector: LabelSelector | undefined): string {
  return formatLabelSelector(selector) || none
}

/** `a,b,c + 2 more...` */
export function firstOf(list: readonly string[], max: number, separator = ','): string {
  const shown = list.slice(0, max).join(separator)
  return list.length > max ? `${shown} + ${list.length - max} more...` : shown
}
