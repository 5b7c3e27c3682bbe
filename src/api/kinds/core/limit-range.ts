// LimitRange of the core group: bounds and defaults of what pods, containers and claims may ask for.
import type { FieldError } from '../../errors.ts'
import type * as coreV1 from '../../generated/core-v1.ts'
import { column, defineKind } from '../../kind.ts'
import { canonicalQuantity, compareQuantities, isQuantity, parseQuantity, quantityAsNumber } from '../../quantity.ts'
import { duplicate, forbidden, invalid, invalidEach, required } from '../../validation/field-errors.ts'
import { checkLabelKey } from '../../validation/names.ts'
import { nameColumn } from '../columns.ts'
import { isOvercommitAllowed } from './resource-names.ts'
import { validateContainerResourceName, validateResourceName } from './resource-validation.ts'

export type LimitRange = coreV1.LimitRange

const standardTypes = ['Pod', 'Container', 'PersistentVolumeClaim']
type AmountField = 'max' | 'min' | 'default' | 'defaultRequest' | 'maxLimitRequestRatio'

function setDefaults(limitRange: LimitRange): void {
  limitRange.spec ??= { limits: [] }
  for (const limit of limitRange.spec.limits ?? []) {
    if (limit.type !== 'Container') continue
    limit.default = { ...limit.max, ...limit.default }
    limit.defaultRequest = { ...limit.min, ...limit.default, ...limit.defaultRequest }
    if (Object.keys(limit.default).length === 0) delete limit.default
    if (Object.keys(limit.defaultRequest).length === 0) delete limit.defaultRequest
  }
}

function validate({ spec }: LimitRange): FieldError[] {
  const errors: FieldError[] = []
  const seen = new Set<string>()
  for (const [i, limit] of (spec.limits ?? []).entries()) {
    const path = `spec.limits[${i}]`
    errors.push(...validateType(limit.type ?? '', `${path}.type`))
    if (seen.has(limit.type)) errors.push(duplicate(`${path}.type`, limit.type))
    seen.add(limit.type)
    errors.push(...validateItem(limit, path))
  }
  return errors
}

function validateType(type: string, path: string): FieldError[] {
  const errors = invalidEach(path, type, checkLabelKey(type))
  if (errors.length > 0 || type.includes('/') || standardTypes.includes(type)) return errors
  return [invalid(path, type, 'must be a standard limit type or fully qualified')]
}

function validateItem(limit: coreV1.LimitRangeItem, path: string): FieldError[] {
  const checkName = limit.type === 'Pod' || limit.type === 'Container' ? validateContainerResourceName : validateResourceName
  const errors: FieldError[] = []
  const names = new Set<string>()
  const take = (field: AmountField): void => {
    for (const name of Object.keys(limit[field] ?? {})) {
      errors.push(...checkName(name, `${path}.${field}[${name}]`))
      names.add(name)
    }
  }
  take('max')
  take('min')
  if (limit.type === 'Pod') {
    for (const field of ['default', 'defaultRequest'] as const) {
      if (Object.keys(limit[field] ?? {}).length > 0)
        errors.push(forbidden(`${path}.${field}`, "may not be specified when `type` is 'Pod'"))
    }
  } else {
    take('default')
    take('defaultRequest')
  }
  if (limit.type === 'PersistentVolumeClaim' && limit.min?.['storage'] === undefined && limit.max?.['storage'] === undefined) {
    errors.push(required(`${path}.limits`, 'either minimum or maximum storage value is required, but neither was provided'))
  }
  take('maxLimitRequestRatio')
  return [...errors, ...[...names].flatMap((name) => validateAmounts(limit, name, path))]
}

function validateAmounts(limit: coreV1.LimitRangeItem, name: string, path: string): FieldError[] {
  const read = (field: AmountField): string | undefined =>
    limit[field]?.[name] !== undefined && isQuantity(limit[field][name]!) ? canonicalQuantity(limit[field][name]!) : undefined
  const isPod = limit.type === 'Pod'
  const [min, max, ratio] = [read('min'), read('max'), read('maxLimitRequestRatio')]
  const [normal, request] = isPod ? [undefined, undefined] : [read('default'), read('defaultRequest')]
  const errors: FieldError[] = []
  const check = (
    low: string | undefined,
    high: string | undefined,
    field: AmountField,
    shown: string | undefined,
    words: [string, string],
  ): void => {
    if (low === undefined || high === undefined || compareQuantities(parseQuantity(low), parseQuantity(high)) <= 0) return
    errors.push(invalid(`${path}.${field}[${name}]`, shown, `${words[0]} value ${low} is greater than ${words[1]} value ${high}`))
  }
  check(min, max, 'min', min, ['min', 'max'])
  check(min, request, 'defaultRequest', request, ['min', 'default request'])
  check(request, max, 'defaultRequest', request, ['default request', 'max'])
  check(request, normal, 'defaultRequest', request, ['default request', 'default limit'])
  check(min, normal, 'default', min, ['min', 'default'])
  check(normal, max, 'default', max, ['default', 'max'])
  if (ratio !== undefined) errors.push(...validateRatio(ratio, min, max, `${path}.maxLimitRequestRatio[${name}]`))
  if (
    !isOvercommitAllowed(name) &&
    normal !== undefined &&
    request !== undefined &&
    compareQuantities(parseQuantity(normal), parseQuantity(request)) !== 0
  ) {
    errors.push(
      invalid(
        `${path}.defaultRequest[${name}]`,
        request,
        `default value ${normal} must equal to defaultRequest value ${request} in ${name}`,
      ),
    )
  }
  return errors
}

function validateRatio(ratio: string, min: string | undefined, max: string | undefined, path: string): FieldError[] {
  const errors: FieldError[] = []
  if (quantityAsNumber(ratio) < 1) errors.push(invalid(path, ratio, `ratio ${ratio} is less than 1`))
  if (min === undefined || max === undefined) return errors
  const limit = quantityAsNumber(max) / quantityAsNumber(min)
  if (quantityAsNumber(ratio) > limit) errors.push(invalid(path, ratio, `ratio ${ratio} is greater than max/min = ${limit.toFixed(6)}`))
  return errors
}

export const LimitRange = defineKind<LimitRange>('core/v1/limitranges', {
  setDefaults,
  validate,
  allowCreateOnUpdate: true,
  hasGeneration: false,
  columns: [nameColumn, column<LimitRange>('Created At', ({ metadata }) => metadata.creationTimestamp ?? null, { type: 'date' })],
})
