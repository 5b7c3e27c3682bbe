// StatefulSet of apps/v1.
import type * as appsV1 from '../../generated/apps-v1.ts'
import { defineKind } from '../../kind.ts'

export type StatefulSet = appsV1.StatefulSet

export const StatefulSet = defineKind<StatefulSet>('apps/v1/statefulsets')
