// Checks of conditions in their common form (metav1.Condition), in Kubernetes' words.
import type { FieldError } from '../errors.ts'
import type { Condition } from '../generated/meta-v1.ts'
import { duplicate, invalid, notSupported, required, tooLong } from './field-errors.ts'
import { regexError } from './names.ts'
import { validateLabelName } from './object-meta.ts'
import { byteLength } from './text.ts'

const statuses = ['False', 'True', 'Unknown']
const reasonBytesMax = 1024
const messageBytesMax = 32 * 1024
const reasonPattern = '[A-Za-z]([A-Za-z0-9_,:]*[A-Za-z0-9_])?'
const reasonWords =
  "a condition reason must start with alphabetic character, optionally followed by a string of alphanumeric characters or '_,:', and must end with an alphanumeric character or '_'"

export function validateConditions(conditions: readonly Condition[] | undefined, path: string): FieldError[] {
  const errors: FieldError[] = []
  const types = new Set<string>()
  for (const [i, condition] of (conditions ?? []).entries()) {
    if (types.has(condition.type)) errors.push(duplicate(`${path}[${i}].type`, condition.type))
    types.add(condition.type)
    errors.push(...validateCondition(condition, `${path}[${i}]`))
  }
  return errors
}

function validateCondition(condition: Condition, path: string): FieldError[] {
  const { type = '', status = '', observedGeneration = 0, lastTransitionTime, reason = '', message = '' } = condition
  const errors = validateLabelName(type, `${path}.type`)
  if (!statuses.includes(status)) errors.push(notSupported(`${path}.status`, status, statuses))
  if (observedGeneration < 0) {
    errors.push(invalid(`${path}.observedGeneration`, observedGeneration, 'must be greater than or equal to zero'))
  }
  if (!lastTransitionTime) errors.push(required(`${path}.lastTransitionTime`))
  if (reason === '') errors.push(required(`${path}.reason`))
  else {
    if (!/^[A-Za-z]([A-Za-z0-9_,:]*[A-Za-z0-9_])?$/.test(reason)) {
      const examples = ['my_name', 'MY_NAME', 'MyName', 'ReasonA,ReasonB', 'ReasonA:ReasonB']
      errors.push(invalid(`${path}.reason`, reason, regexError(reasonWords, reasonPattern, ...examples)))
    }
    if (byteLength(reason) > reasonBytesMax) errors.push(tooLong(`${path}.reason`, reasonBytesMax))
  }
  if (byteLength(message) > messageBytesMax) errors.push(tooLong(`${path}.message`, messageBytesMax))
  return errors
}
