// DaemonSet of apps/v1.
import type * as appsV1 from '../../generated/apps-v1.ts'
import { defineKind } from '../../kind.ts'

export type DaemonSet = appsV1.DaemonSet

export const DaemonSet = defineKind<DaemonSet>('apps/v1/daemonsets')
