// Lease of coordination.k8s.io/v1.
import type * as coordinationV1 from '../../generated/coordination-v1.ts'
import { defineKind } from '../../kind.ts'

export type Lease = coordinationV1.Lease

export const Lease = defineKind<Lease>('coordination.k8s.io/v1/leases')
