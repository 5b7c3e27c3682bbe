// Lease of coordination.k8s.io/v1: who leads, who is alive.
import type { FieldError } from '../../errors.ts'
import type * as coordinationV1 from '../../generated/coordination-v1.ts'
import { column, defineKind } from '../../kind.ts'
import { invalid } from '../../validation/field-errors.ts'
import { ageColumn, nameColumn } from '../columns.ts'
import { nonNegative } from '../numbers.ts'

export type Lease = coordinationV1.Lease

function validate({ spec }: Lease): FieldError[] {
  const errors: FieldError[] = []
  const seconds = spec.leaseDurationSeconds
  if (seconds !== undefined && seconds <= 0) errors.push(invalid('spec.leaseDurationSeconds', seconds, 'must be greater than 0'))
  return [...errors, ...nonNegative(spec.leaseTransitions, 'spec.leaseTransitions')]
}

// Leaders chosen by a coordinator: a beta feature that is not enabled.
function dropDisabledFields({ spec }: Lease, old?: Lease): void {
  for (const field of ['strategy', 'preferredHolder'] as const) if (old?.spec[field] === undefined) delete spec[field]
}

export const Lease = defineKind<Lease>('coordination.k8s.io/v1/leases', {
  setDefaults(lease) {
    lease.spec ??= {}
  },
  prepareForCreate: (lease) => dropDisabledFields(lease),
  prepareForUpdate: dropDisabledFields,
  validate,
  allowCreateOnUpdate: true,
  allowUnconditionalUpdate: false,
  hasGeneration: false,
  columns: [nameColumn, column<Lease>('Holder', ({ spec }) => spec.holderIdentity ?? ''), ageColumn],
})
