// DeviceClass of resource.k8s.io/v1: a name for a sort of devices.
import type { FieldError } from '../../errors.ts'
import type * as resourceV1 from '../../generated/resource-v1.ts'
import { defineKind } from '../../kind.ts'
import { invalid, tooMany } from '../../validation/field-errors.ts'
import { ageColumn, nameColumn } from '../columns.ts'
import { isExtendedResourceName } from '../core/resource-names.ts'
import { validateConfiguration, validateSelectors } from './device-claims.ts'

export type DeviceClass = resourceV1.DeviceClass

const configMax = 32

function validate({ spec }: DeviceClass): FieldError[] {
  const { selectors = [], config = [], extendedResourceName } = spec
  const errors = validateSelectors(selectors, 'spec.selectors')
  if (config.length > configMax) errors.push(tooMany('spec.config', config.length, configMax))
  for (const [i, each] of config.entries()) errors.push(...validateConfiguration(each, `spec.config[${i}]`))
  if (extendedResourceName !== undefined && !isExtendedResourceName(extendedResourceName)) {
    errors.push(invalid('spec.extendedResourceName', extendedResourceName, 'must be a valid extended resource name'))
  }
  return errors
}

export const DeviceClass = defineKind<DeviceClass>('resource.k8s.io/v1/deviceclasses', { validate, columns: [nameColumn, ageColumn] })
