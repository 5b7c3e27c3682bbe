// How much of a device's capacity one claim may take, where several share the device.
import type { FieldError } from '../../errors.ts'
import type * as resourceV1 from '../../generated/resource-v1.ts'
import { addQuantities, canonicalQuantity, compareQuantities, formatQuantity, parseQuantity, quantityValue } from '../../quantity.ts'
import { forbidden, invalid, required } from '../../validation/field-errors.ts'
import { validateSet } from './lists.ts'

const optionsMax = 10

function isMore(a: string, b: string): boolean {
  return compareQuantities(parseQuantity(a), parseQuantity(b)) > 0
}

export function validateRequestPolicy(capacity: string, policy: resourceV1.CapacityRequestPolicy, path: string): FieldError[] {
  const { validValues = [], validRange, default: usual } = policy
  if (validValues.length > 0 && validRange !== undefined) {
    return [forbidden(path, 'exactly one policy can be specified, cannot specify "validValues" and "validRange" at the same time')]
  }
  if (validValues.length > 0) {
    if (usual === undefined) return [required(`${path}.default`, 'required when validValues is defined')]
    return validateOptions(usual, capacity, validValues, `${path}.validValues`)
  }
  if (validRange === undefined) return []
  if (usual === undefined) return [required(`${path}.default`, 'required when validRange is defined')]
  return validateRange(usual, capacity, validRange, `${path}.validRange`)
}

function validateOptions(usual: string, capacity: string, options: readonly string[], path: string): FieldError[] {
  const errors: FieldError[] = []
  for (const [i, option] of options.entries()) {
    if (i === 0 || !isMore(options[i - 1]!, option)) continue
    errors.push(invalid(`${path}[${i}]`, canonicalQuantity(option), 'values must be sorted in ascending order'))
  }
  const check = (option: string, at: string): FieldError[] =>
    isMore(option, capacity)
      ? [invalid(at, canonicalQuantity(option), `option is larger than capacity value: ${canonicalQuantity(capacity)}`)]
      : []
  errors.push(...validateSet(options, optionsMax, check, (option) => String(quantityValue(option)), path))
  const isAmong = options.length <= optionsMax && options.some((option) => !isMore(option, usual) && !isMore(usual, option))
  if (!isAmong) errors.push(invalid(path, canonicalQuantity(usual), 'default value is not valid according to the requestPolicy'))
  return errors
}

function validateRange(usual: string, capacity: string, range: resourceV1.CapacityRequestPolicyRange, path: string): FieldError[] {
  const { min, max, step } = range
  if (!min) return [required(`${path}.min`, 'required when validRange is defined')]
  const errors: FieldError[] = []
  const compare = (field: string, shown: string, a: string, b: string, words: string): void => {
    if (isMore(a, b)) errors.push(invalid(`${path}.${field}`, canonicalQuantity(shown), words))
  }
  const [limit, lowest] = [canonicalQuantity(capacity), canonicalQuantity(min)]
  compare('min', min, min, capacity, `min is larger than capacity value: ${limit}`)
  compare('min', usual, min, usual, `default is less than min: ${lowest}`)
  if (max !== undefined) {
    compare('max', min, min, max, `min is larger than max: ${canonicalQuantity(max)}`)
    compare('max', max, max, capacity, `max is larger than capacity value: ${limit}`)
    compare('max', usual, usual, max, `default is more than max: ${canonicalQuantity(max)}`)
  }
  if (step === undefined) return errors
  const second = formatQuantity(addQuantities(parseQuantity(min), parseQuantity(step)))
  compare('step', step, second, capacity, `one step ${second} is larger than capacity value: ${limit}`)
  for (const value of [usual, ...(max === undefined ? [] : [max])]) {
    if ((quantityValue(value) - quantityValue(min)) % quantityValue(step) === 0) continue
    const words = `value is not a multiple of a given step (${canonicalQuantity(step)}) from (${lowest})`
    errors.push(invalid(`${path}.step`, canonicalQuantity(value), words))
  }
  return errors
}
