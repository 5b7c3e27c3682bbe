// Event of events.k8s.io/v1.
import type * as eventsV1 from '../../generated/events-v1.ts'
import { defineKind } from '../../kind.ts'

export type EventsEvent = eventsV1.Event

export const EventsEvent = defineKind<EventsEvent>('events.k8s.io/v1/events')
