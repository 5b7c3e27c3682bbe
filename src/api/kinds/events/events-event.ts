// Event of events.k8s.io/v1: another form of the core group's events, stored as those.
import type { FieldError } from '../../errors.ts'
import type * as coreV1 from '../../generated/core-v1.ts'
import type * as eventsV1 from '../../generated/events-v1.ts'
import { column, defineKind } from '../../kind.ts'
import { invalid, required, semanticEqual } from '../../validation/field-errors.ts'
import { eventColumns, eventObjectFields, validateEventBasics } from '../core/event.ts'

export type EventsEvent = eventsV1.Event

/** The same event as it is stored. */
export function toCoreEvent(event: EventsEvent): coreV1.Event {
  const {
    regarding,
    note,
    reportingController,
    deprecatedSource,
    deprecatedFirstTimestamp,
    deprecatedLastTimestamp,
    deprecatedCount,
    apiVersion: _,
    ...same
  } = event
  return {
    ...same,
    apiVersion: 'v1',
    involvedObject: regarding ?? {},
    source: deprecatedSource ?? {},
    reportingComponent: reportingController ?? '',
    reportingInstance: event.reportingInstance ?? '',
    ...(note !== undefined && { message: note }),
    ...(deprecatedFirstTimestamp !== undefined && { firstTimestamp: deprecatedFirstTimestamp }),
    ...(deprecatedLastTimestamp !== undefined && { lastTimestamp: deprecatedLastTimestamp }),
    ...(deprecatedCount !== undefined && { count: deprecatedCount }),
  }
}

/** A stored event as this API shows it. */
export function fromCoreEvent(event: coreV1.Event): EventsEvent {
  const { involvedObject, message, reportingComponent, reportingInstance, source, firstTimestamp, lastTimestamp, count, ...same } = event
  // Of the reporter, the stored form writes empty texts and this one leaves them out: an object that comes back as it was is no change.
  return {
    ...same,
    apiVersion: 'events.k8s.io/v1',
    eventTime: event.eventTime as string,
    regarding: involvedObject ?? {},
    deprecatedSource: source ?? {},
    ...(message !== undefined && { note: message }),
    ...(reportingComponent && { reportingController: reportingComponent }),
    ...(reportingInstance && { reportingInstance }),
    ...(firstTimestamp !== undefined && { deprecatedFirstTimestamp: firstTimestamp }),
    ...(lastTimestamp !== undefined && { deprecatedLastTimestamp: lastTimestamp }),
    ...(count !== undefined && { deprecatedCount: count }),
  } as EventsEvent
}

function validateCreate(event: EventsEvent): FieldError[] {
  const errors: FieldError[] = []
  if (event.series !== undefined) errors.push(...validateSeries(event.series))
  if (!event.eventTime) errors.push(required('eventTime'))
  if (event.type !== 'Normal' && event.type !== 'Warning') errors.push(invalid('type', '', `has invalid value: ${event.type ?? ''}`))
  // Compat: by the names of the stored form, and without the value.
  if (event.deprecatedFirstTimestamp) errors.push(invalid('firstTimestamp', '', 'needs to be unset'))
  if (event.deprecatedLastTimestamp) errors.push(invalid('lastTimestamp', '', 'needs to be unset'))
  if (event.deprecatedCount) errors.push(invalid('count', '', 'needs to be unset'))
  if (event.deprecatedSource?.component || event.deprecatedSource?.host) errors.push(invalid('source', '', 'needs to be unset'))
  return errors
}

function validateSeries(series: eventsV1.EventSeries): FieldError[] {
  const errors: FieldError[] = []
  if ((series.count ?? 0) < 2) errors.push(invalid('series.count', '', 'should be at least 2'))
  if (!series.lastObservedTime) errors.push(required('series.lastObservedTime'))
  return errors
}

function validateUpdate(event: EventsEvent, old: EventsEvent): FieldError[] {
  const core = toCoreEvent(event)
  const before = toCoreEvent(old)
  const errors: FieldError[] = []
  if (event.series !== undefined && !semanticEqual(event.series, old.series)) errors.push(...validateSeries(event.series))
  for (const field of fixed) {
    if (semanticEqual(core[field], before[field])) continue
    const name = field === 'reportingComponent' ? 'reportingController' : field
    errors.push(invalid(name, shown(core, field), 'field is immutable'))
  }
  return errors
}

// Compat: in Kubernetes' order, in which the reason is looked at twice.
const fixed = [
  ...(['involvedObject', 'reason', 'message', 'source', 'firstTimestamp', 'lastTimestamp', 'count', 'reason', 'type'] as const),
  ...(['eventTime', 'action', 'related', 'reportingComponent', 'reportingInstance'] as const),
]

// Compat: structures are shown as Kubernetes' internal ones.
function shown(event: coreV1.Event, field: (typeof fixed)[number]): unknown {
  if (field === 'source') return { Component: event.source.component ?? '', Host: event.source.host ?? '' }
  if (field !== 'involvedObject' && field !== 'related') return event[field]
  const object = event[field]
  if (object === undefined) return null
  const { kind = '', namespace = '', name = '', uid = '', apiVersion = '', resourceVersion = '', fieldPath = '' } = object
  return {
    Kind: kind,
    Namespace: namespace,
    Name: name,
    UID: uid,
    APIVersion: apiVersion,
    ResourceVersion: resourceVersion,
    FieldPath: fieldPath,
  }
}

export const EventsEvent = defineKind<EventsEvent>('events.k8s.io/v1/events', {
  setDefaults(event) {
    event.regarding ??= {}
    event.deprecatedSource ??= {}
  },
  validate: (event) => validateEventBasics(toCoreEvent(event), 'reportingController'),
  validateCreate,
  validateUpdate,
  allowCreateOnUpdate: true,
  hasGeneration: false,
  storedAs: 'core/v1/events',
  convert: { toStorage: toCoreEvent, fromStorage: (stored) => fromCoreEvent(stored as coreV1.Event) },
  columns: eventColumns.map(({ name, cell, ...options }) =>
    column<EventsEvent>(name, (event, nowMs) => cell(toCoreEvent(event), nowMs), options),
  ),
  selectableFields: {
    ...eventObjectFields<EventsEvent>('regarding', ({ regarding }) => regarding),
    reason: ({ reason }) => reason ?? '',
    reportingController: ({ reportingController }) => reportingController ?? '',
    type: ({ type }) => type ?? '',
  },
})
