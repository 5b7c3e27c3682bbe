// Event of the core group/v1.
import type * as coreV1 from '../../generated/core-v1.ts'
import { defineKind } from '../../kind.ts'

export type Event = coreV1.Event

export const Event = defineKind<Event>('core/v1/events')
