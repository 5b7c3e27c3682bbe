// ReplicaSet of apps/v1.
import type * as appsV1 from '../../generated/apps-v1.ts'
import { defineKind } from '../../kind.ts'

export type ReplicaSet = appsV1.ReplicaSet

export const ReplicaSet = defineKind<ReplicaSet>('apps/v1/replicasets')
