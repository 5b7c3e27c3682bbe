import { describe, expect, test } from 'vitest'
import type { Manifest } from '../../object.ts'
import { Event } from '../core/event.ts'
import { complete, created, createErrors, row, testNowMs, updateErrors } from '../testing.ts'
import { EventsEvent } from './events-event.ts'

const at = (secondsAgo: number): string => new Date(testNowMs - secondsAgo * 1000).toISOString().replace('Z', '000Z')

const core: Manifest<Event> = {
  metadata: { name: 'web.1', namespace: 'default' },
  involvedObject: { kind: 'Pod', namespace: 'default', name: 'web' },
  reason: 'Started',
  message: 'Started container web',
  type: 'Normal',
  source: { component: 'kubelet', host: 'one' },
  firstTimestamp: new Date(testNowMs - 90_000).toISOString(),
  lastTimestamp: new Date(testNowMs - 5_000).toISOString(),
  count: 3,
}

const newer: Manifest<EventsEvent> = {
  metadata: { name: 'web.2', namespace: 'default' },
  eventTime: at(20),
  reportingController: 'navarch/scheduler',
  reportingInstance: 'scheduler-1',
  action: 'Binding',
  reason: 'Scheduled',
  type: 'Normal',
  regarding: { kind: 'Pod', namespace: 'default', name: 'web' },
  note: 'Assigned',
}

describe('events', () => {
  test('both versions are checked', () => {
    expect(createErrors(Event, core)).toEqual([])
    expect(createErrors(EventsEvent, newer)).toEqual([])
  })

  test('an event is where its object is', () => {
    expect(createErrors(Event, { ...core, involvedObject: { ...core.involvedObject, namespace: 'other' } })).toEqual([
      'involvedObject.namespace: Invalid value: "other": does not match event.namespace',
    ])
  })

  test('the newer version wants to know who reports', () => {
    expect(createErrors(EventsEvent, { ...newer, reportingController: '', reportingInstance: '', action: '', reason: '' })).toEqual([
      'reportingController: Required value',
      'reportingController: Invalid value: "": name part must be non-empty',
      "reportingController: Invalid value: \"\": name part must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')",
      'reportingInstance: Required value',
      'action: Required value',
      'reason: Required value',
    ])
  })

  test('what belongs to the older version is not for the newer, and names are what fits in a path', () => {
    expect(createErrors(EventsEvent, { ...newer, deprecatedCount: 2, deprecatedSource: { host: 'one' } })).toEqual([
      'count: Invalid value: "": needs to be unset',
      'source: Invalid value: "": needs to be unset',
    ])
    expect(createErrors(Event, { ...core, metadata: { name: 'system:admin.1', namespace: 'default' } })).toEqual([])
  })

  test('only its series changes', () => {
    const series = { count: 2, lastObservedTime: at(1) }
    expect(updateErrors(EventsEvent, newer, { ...newer, series })).toEqual([])
    const object = '{"Kind":"Node","Namespace":"default","Name":"web","UID":"","APIVersion":"","ResourceVersion":"","FieldPath":""}'
    expect(
      updateErrors(EventsEvent, newer, { ...newer, series: { ...series, count: 1 }, regarding: { ...newer.regarding, kind: 'Node' } }),
    ).toEqual(['series.count: Invalid value: "": should be at least 2', `involvedObject: Invalid value: ${object}: field is immutable`])
  })

  test('one is the other in other words', () => {
    const convert = EventsEvent.strategy.convert!
    const stored = convert.toStorage(complete(EventsEvent, newer)) as Event
    expect(stored).toMatchObject({
      apiVersion: 'v1',
      involvedObject: newer.regarding,
      message: 'Assigned',
      reportingComponent: 'navarch/scheduler',
      reportingInstance: 'scheduler-1',
      action: 'Binding',
    })
    expect(convert.fromStorage(stored)).toEqual(complete(EventsEvent, newer))
    const seen = convert.fromStorage(complete(Event, core))
    expect(seen).toMatchObject({
      apiVersion: 'events.k8s.io/v1',
      regarding: core.involvedObject,
      note: core.message,
      deprecatedCount: 3,
      deprecatedSource: core.source,
    })
    expect(EventsEvent.strategy.storedAs).toBe('core/v1/events')
  })

  test('an event of the older version can be written back as it was read', () => {
    const convert = EventsEvent.strategy.convert!
    const stored = complete(Event, core)
    const seen = convert.fromStorage(stored)
    expect([Object.hasOwn(seen, 'reportingController'), Object.hasOwn(seen, 'reportingInstance')]).toEqual([false, false])
    expect(convert.toStorage(seen)).toEqual(stored)
  })

  test('the table says when, what and how often', () => {
    expect(row(Event, created(Event, core))).toMatchObject({
      'Last Seen': '5s',
      Type: 'Normal',
      Reason: 'Started',
      Object: 'pod/web',
      Source: 'kubelet, one',
      Message: 'Started container web',
      'First Seen': '90s',
      Count: 3,
    })
    const stored = EventsEvent.strategy.convert!.toStorage(complete(EventsEvent, newer)) as Event
    expect(row(Event, stored)).toMatchObject({ 'Last Seen': '20s', Source: 'navarch/scheduler, scheduler-1', Count: 1 })
  })

  test('events are found by their object', () => {
    const event = created(Event, core)
    const read = (field: string): string => Event.strategy.selectableFields![field]!(event)
    expect([read('involvedObject.name'), read('involvedObject.kind'), read('reason'), read('source'), read('type')]).toEqual([
      'web',
      'Pod',
      'Started',
      'kubelet',
      'Normal',
    ])
  })
})
