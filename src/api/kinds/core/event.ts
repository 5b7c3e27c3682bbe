// Event of the core group: stored form of both event APIs.

import { ageOf } from '../../duration.ts'
import type { FieldError } from '../../errors.ts'
import type * as coreV1 from '../../generated/core-v1.ts'
import { type Column, column, defineKind } from '../../kind.ts'
import { invalid, invalidEach, required } from '../../validation/field-errors.ts'
import { checkDns1123Subdomain, checkLabelKey, nameIsPathSegment } from '../../validation/names.ts'
import { byteLength } from '../../validation/text.ts'

export type Event = coreV1.Event

const wordBytesMax = 128
const noteBytesMax = 1024

/** What both APIs ask of an event. `controllerField` is what the asking API calls the reporting controller. */
export function validateEventBasics(event: Event, controllerField: string): FieldError[] {
  const errors: FieldError[] = []
  const { involvedObject, metadata } = event
  const namespace = involvedObject.namespace ?? ''
  const mismatch = invalid('involvedObject.namespace', namespace, 'does not match event.namespace')
  if (!event.eventTime) {
    const matches = namespace === '' ? metadata.namespace === 'default' : metadata.namespace === namespace
    if (!matches) errors.push(mismatch)
  } else {
    if (namespace === '' && metadata.namespace !== 'default' && metadata.namespace !== 'kube-system') errors.push(mismatch)
    const controller = event.reportingComponent ?? ''
    if (controller === '') errors.push(required(controllerField))
    errors.push(...invalidEach(controllerField, controller, checkLabelKey(controller)))
    for (const field of ['reportingInstance', 'action', 'reason'] as const) errors.push(...validateWord(event[field], field))
    if (byteLength(event.message ?? '') > noteBytesMax) errors.push(invalid('message', '', `can have at most ${noteBytesMax} characters`))
  }
  return [...errors, ...invalidEach('namespace', metadata.namespace ?? '', checkDns1123Subdomain(metadata.namespace ?? ''))]
}

function validateWord(word: string | undefined, path: string): FieldError[] {
  if (!word) return [required(path)]
  return byteLength(word) > wordBytesMax ? [invalid(path, '', `can have at most ${wordBytesMax} characters`)] : []
}

export interface EventSummary {
  readonly lastSeen: string
  readonly firstSeen: string
  readonly count: number
}

/** When and how often, whichever of the two APIs wrote it. */
export function summarizeEvent(event: Event, nowMs: number): EventSummary {
  const firstSeen = ageOf(event.firstTimestamp ?? event.eventTime, nowMs)
  if (event.series !== undefined) {
    return { firstSeen, lastSeen: ageOf(event.series.lastObservedTime, nowMs), count: event.series.count ?? 0 }
  }
  return { firstSeen, lastSeen: event.lastTimestamp ? ageOf(event.lastTimestamp, nowMs) : firstSeen, count: event.count || 1 }
}

function objectCell({ involvedObject }: Event): string {
  const kind = (involvedObject.kind ?? '').toLowerCase()
  return involvedObject.name ? `${kind}/${involvedObject.name}` : kind
}

function sourceCell({ source, reportingComponent, reportingInstance }: Event): string {
  const component = source.component || reportingComponent || ''
  const instance = source.host || reportingInstance || ''
  return instance === '' ? component : `${component}, ${instance}`
}

/** Columns over the stored form; the newer API's kind reads them through its conversion. */
export const eventColumns: readonly Column<Event>[] = [
  column<Event>('Last Seen', (event, nowMs) => summarizeEvent(event, nowMs).lastSeen),
  column<Event>('Type', ({ type }) => type ?? ''),
  column<Event>('Reason', ({ reason }) => reason ?? ''),
  column<Event>('Object', objectCell),
  column<Event>('Subobject', ({ involvedObject }) => involvedObject.fieldPath ?? '', { priority: 1 }),
  column<Event>('Source', sourceCell, { priority: 1 }),
  column<Event>('Message', ({ message }) => (message ?? '').trim()),
  column<Event>('First Seen', (event, nowMs) => summarizeEvent(event, nowMs).firstSeen, { priority: 1 }),
  column<Event>('Count', (event, nowMs) => summarizeEvent(event, nowMs).count, { priority: 1 }),
  column<Event>('Name', ({ metadata }) => metadata.name, { format: 'name', priority: 1 }),
]

const objectFields = ['kind', 'namespace', 'name', 'uid', 'apiVersion', 'resourceVersion', 'fieldPath'] as const

/** Selectable fields of the object an event is about, below `prefix`. */
export function eventObjectFields<T>(prefix: string, objectOf: (event: T) => coreV1.ObjectReference): Record<string, (event: T) => string> {
  return Object.fromEntries(objectFields.map((field) => [`${prefix}.${field}`, (event: T) => objectOf(event)[field] ?? '']))
}

export const Event = defineKind<Event>('core/v1/events', {
  setDefaults(event) {
    event.involvedObject ??= {}
    event.source ??= {}
  },
  // Names of events begin with those of any object, so they may be what is safe in a path.
  validateName: nameIsPathSegment,
  validate: (event) => validateEventBasics(event, 'reportingComponent'),
  allowCreateOnUpdate: true,
  hasGeneration: false,
  columns: eventColumns,
  selectableFields: {
    ...eventObjectFields<Event>('involvedObject', ({ involvedObject }) => involvedObject),
    reason: ({ reason }) => reason ?? '',
    reportingComponent: ({ reportingComponent }) => reportingComponent ?? '',
    source: ({ source, reportingComponent }) => source.component || reportingComponent || '',
    type: ({ type }) => type ?? '',
  },
})
