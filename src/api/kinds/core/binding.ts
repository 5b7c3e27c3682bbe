// Binding of the core group: assigns a pod to a node; never stored.
import type { FieldError } from '../../errors.ts'
import type * as coreV1 from '../../generated/core-v1.ts'
import { defineKind } from '../../kind.ts'
import { notSupported, required } from '../../validation/field-errors.ts'

export type Binding = coreV1.Binding

export function validateBinding({ target }: Binding): FieldError[] {
  const errors: FieldError[] = []
  if (target.kind && target.kind !== 'Node') errors.push(notSupported('target.kind', target.kind, ['Node', '<empty>']))
  if (!target.name) errors.push(required('target.name'))
  return errors
}

export const Binding = defineKind<Binding>('core/v1/bindings', {
  setDefaults(binding) {
    binding.target ??= {}
  },
  validate: validateBinding,
})
