// DeviceClass of resource.k8s.io/v1: a name for a sort of devices.
import type { FieldError } from '../../errors.ts'
import type * as resourceV1 from '../../generated/resource-v1.ts'
import { defineKind } from '../../kind.ts'
import { invalid } from '../../validation/field-errors.ts'
import { ageColumn, nameColumn } from '../columns.ts'
import { isExtendedResourceName } from '../core/resource-names.ts'
import { validateConfiguration, validateSelectors } from './device-claims.ts'
import { validateList } from './lists.ts'

export type DeviceClass = resourceV1.DeviceClass

const configMax = 32

function validate({ spec }: DeviceClass): FieldError[] {
  const { selectors = [], config = [], extendedResourceName } = spec
  const errors = validateSelectors(selectors, 'spec.selectors')
  errors.push(...validateList(config, configMax, validateConfiguration, 'spec.config'))
  if (extendedResourceName !== undefined && !isExtendedResourceName(extendedResourceName)) {
    errors.push(invalid('spec.extendedResourceName', extendedResourceName, 'must be a valid extended resource name'))
  }
  return errors
}

export const DeviceClass = defineKind<DeviceClass>('resource.k8s.io/v1/deviceclasses', { validate, columns: [nameColumn, ageColumn] })
