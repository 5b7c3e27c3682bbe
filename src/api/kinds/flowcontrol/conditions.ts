// What flow schemas and priority levels have in common: conditions, each of a type of its own.
import type { FieldError } from '../../errors.ts'
import { duplicate, required } from '../../validation/field-errors.ts'

export function validateConditionTypes(conditions: readonly { type?: string }[] | undefined): FieldError[] {
  const errors: FieldError[] = []
  const seen = new Set<string>()
  for (const [i, { type = '' }] of (conditions ?? []).entries()) {
    const path = `status.conditions[${i}].type`
    if (seen.has(type)) errors.push(duplicate(path, type))
    seen.add(type)
    if (type === '') errors.push(required(path))
  }
  return errors
}
