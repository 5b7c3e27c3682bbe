// ReplicationController of the core group/v1.
import type * as coreV1 from '../../generated/core-v1.ts'
import { defineKind } from '../../kind.ts'

export type ReplicationController = coreV1.ReplicationController

export const ReplicationController = defineKind<ReplicationController>('core/v1/replicationcontrollers')
