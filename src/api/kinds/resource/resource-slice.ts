// ResourceSlice of resource.k8s.io/v1: devices that a driver offers.
import type { FieldError } from '../../errors.ts'
import type * as resourceV1 from '../../generated/resource-v1.ts'
import { column, defineKind } from '../../kind.ts'
import { duplicate, immutable, invalid, invalidEach, notSupported, required, tooLong, tooMany } from '../../validation/field-errors.ts'
import { checkDns1123Label, checkDns1123Subdomain, nameIsDnsSubdomain } from '../../validation/names.ts'
import { validateLabelName } from '../../validation/object-meta.ts'
import { byteLength } from '../../validation/text.ts'
import { ageColumn, nameColumn } from '../columns.ts'
import { validateNodeSelector } from '../core/pod-scheduling.ts'
import { validateCsiDriverName } from '../core/volume-sources.ts'
import { validateQualifiedName } from './device-claims.ts'

export type ResourceSlice = resourceV1.ResourceSlice

const devicesMax = 128
const attributesMax = 32
const attributeBytesMax = 64
const taintsMax = 16
const taintEffects = ['NoExecute', 'NoSchedule', 'None']
const placement = 'exactly one of `nodeName`, `nodeSelector`, `allNodes`, `perDeviceNodeSelection` is required'

function validate({ spec }: ResourceSlice): FieldError[] {
  const errors = validateCsiDriverName(spec.driver, 'spec.driver')
  errors.push(...validatePool(spec.pool, 'spec.pool'))
  errors.push(...validatePlacement(spec))
  const devices = spec.devices ?? []
  if (devices.length > devicesMax) errors.push(tooMany('spec.devices', devices.length, devicesMax))
  const names = new Set<string>()
  for (const [i, device] of devices.entries()) {
    const path = `spec.devices[${i}]`
    errors.push(...validateDevice(device, path))
    if (names.has(device.name)) errors.push(duplicate(`${path}.name`, device.name))
    names.add(device.name)
  }
  return errors
}

function validatePool({ name, resourceSliceCount, generation }: resourceV1.ResourcePool, path: string): FieldError[] {
  const errors: FieldError[] = []
  if (name === '') errors.push(required(`${path}.name`))
  else for (const part of name.split('/')) errors.push(...invalidEach(`${path}.name`, part, checkDns1123Subdomain(part)))
  if (resourceSliceCount <= 0) errors.push(invalid(`${path}.resourceSliceCount`, resourceSliceCount, 'must be greater than zero'))
  if (generation < 0) errors.push(invalid(`${path}.generation`, generation, 'must be greater than or equal to zero'))
  return errors
}

function validatePlacement(spec: resourceV1.ResourceSliceSpec): FieldError[] {
  const { nodeName, nodeSelector, allNodes, perDeviceNodeSelection } = spec
  const errors: FieldError[] = []
  const set: string[] = []
  if (nodeName !== undefined) {
    if (nodeName === '') errors.push(invalid('spec.nodeName', '', 'must be either unset or set to a non-empty string'))
    else {
      set.push('nodeName')
      errors.push(...invalidEach('spec.nodeName', nodeName, nameIsDnsSubdomain(nodeName, false)))
    }
  }
  if (nodeSelector !== undefined) {
    set.push('nodeSelector')
    errors.push(...validateNodeSelector(nodeSelector, 'spec.nodeSelector'))
    if (nodeSelector.nodeSelectorTerms.length > 1) {
      errors.push(
        invalid('spec.nodeSelector.nodeSelectorTerms', nodeSelector.nodeSelectorTerms, 'must have exactly one node selector term'),
      )
    }
  }
  for (const [field, value] of Object.entries({ allNodes, perDeviceNodeSelection })) {
    if (value === true) set.push(field)
    if (value === false) errors.push(invalid(`spec.${field}`, value, 'must be either unset or set to true'))
  }
  if (set.length === 0) errors.push(required('spec', placement))
  else if (set.length > 1) {
    const shown = `{${set.map((field) => `\`${field}\``).join(', ')}}`
    errors.push(invalid('spec', shown, `${placement}, but multiple fields are set`))
  }
  return errors
}

function validateDevice({ name, attributes = {}, capacity = {}, taints = [] }: resourceV1.Device, path: string): FieldError[] {
  const errors = invalidEach(`${path}.name`, name, checkDns1123Label(name))
  const count = Object.keys(attributes).length + Object.keys(capacity).length
  if (count > attributesMax) {
    const detail = `the total number of attributes and capacities must not exceed ${attributesMax}`
    errors.push(invalid(path, count, detail))
  }
  for (const [key, attribute] of Object.entries(attributes)) {
    errors.push(...validateQualifiedName(key, `${path}.attributes[${key}]`), ...validateAttribute(attribute, `${path}.attributes[${key}]`))
  }
  for (const key of Object.keys(capacity)) errors.push(...validateQualifiedName(key, `${path}.capacity[${key}]`))
  if (taints.length > taintsMax) errors.push(tooMany(`${path}.taints`, taints.length, taintsMax))
  for (const [i, { key, effect }] of taints.entries()) {
    const at = `${path}.taints[${i}]`
    errors.push(...validateLabelName(key, `${at}.key`))
    const value: string = effect
    if (value === '') errors.push(required(`${at}.effect`))
    else if (!taintEffects.includes(value)) errors.push(notSupported(`${at}.effect`, value, taintEffects))
  }
  return errors
}

function validateAttribute(attribute: resourceV1.DeviceAttribute, path: string): FieldError[] {
  const count = Object.values(attribute).filter((value) => value !== undefined).length
  if (count === 0) return [required(path, 'exactly one value must be specified')]
  if (count > 1) return [invalid(path, attribute, 'exactly one value must be specified')]
  const errors: FieldError[] = []
  for (const field of ['string', 'version'] as const) {
    const value = attribute[field]
    if (value !== undefined && byteLength(value) > attributeBytesMax) {
      errors.push(tooLong(`${path}.${field}`, attributeBytesMax))
    }
  }
  return errors
}

export const ResourceSlice = defineKind<ResourceSlice>('resource.k8s.io/v1/resourceslices', {
  validate,
  validateUpdate: ({ spec }, old) => [
    ...immutable('spec.driver', spec.driver, old.spec.driver),
    ...immutable('spec.pool.name', spec.pool.name, old.spec.pool.name),
    ...immutable('spec.nodeName', spec.nodeName, old.spec.nodeName),
  ],
  columns: [
    nameColumn,
    column<ResourceSlice>('Node', ({ spec }) => spec.nodeName ?? ''),
    column<ResourceSlice>('Driver', ({ spec }) => spec.driver),
    column<ResourceSlice>('Pool', ({ spec }) => spec.pool.name),
    ageColumn,
  ],
  unsupportedField: (field) => `field label not supported for resource.k8s.io/v1, Kind=ResourceSlice: ${field}`,
  selectableFields: { 'spec.nodeName': ({ spec }) => spec.nodeName ?? '', 'spec.driver': ({ spec }) => spec.driver },
})
