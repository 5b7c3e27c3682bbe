// ResourceSlice of resource.k8s.io/v1: devices that a driver offers.
import { timestamp } from '#base/clock'
import type { FieldError } from '../../errors.ts'
import type * as resourceV1 from '../../generated/resource-v1.ts'
import { column, defineKind } from '../../kind.ts'
import { immutable, invalid, invalidEach, required } from '../../validation/field-errors.ts'
import { nameIsDnsSubdomain } from '../../validation/names.ts'
import { goQuote } from '../../validation/text.ts'
import { ageColumn, nameColumn } from '../columns.ts'
import { validateNodeSelector } from '../core/pod-scheduling.ts'
import { validateCounterSet, validateDevice } from './devices.ts'
import { validateSet } from './lists.ts'
import { validateDriverName, validatePoolName } from './names.ts'

export type ResourceSlice = resourceV1.ResourceSlice

const devicesMax = 128
/** With taints or counters, which make devices larger. */
const advancedDevicesMax = 64
const counterSetsMax = 8
const placement = 'exactly one of `nodeName`, `nodeSelector`, `allNodes`, `perDeviceNodeSelection` is required'

function validate({ spec }: ResourceSlice, old?: ResourceSlice): FieldError[] {
  const { driver, pool, devices, sharedCounters, perDeviceNodeSelection } = spec
  const errors = validateDriverName(driver, 'spec.driver')
  errors.push(...validatePool(pool, 'spec.pool'))
  if (old !== undefined) {
    errors.push(...immutable('spec.pool.name', pool.name, old.spec.pool.name))
    errors.push(...immutable('spec.driver', driver, old.spec.driver))
    errors.push(...immutable('spec.nodeName', spec.nodeName, old.spec.nodeName))
  }
  errors.push(...validatePlacement(spec))
  if (sharedCounters !== undefined && devices !== undefined) {
    errors.push(invalid('spec', '', 'only one of `sharedCounters` or `devices` is allowed'))
  }
  const isAdvanced = ({ taints, consumesCounters }: resourceV1.Device): boolean =>
    (taints ?? []).length > 0 || (consumesCounters ?? []).length > 0
  const max = devices?.some(isAdvanced) === true ? advancedDevicesMax : devicesMax
  const before = new Map((old?.spec.devices ?? []).map((device) => [device.name, device]))
  const check = (device: resourceV1.Device, path: string): FieldError[] =>
    validateDevice(device, before.get(device.name), perDeviceNodeSelection === true, path)
  errors.push(...validateSet(devices, max, check, ({ name }) => name, 'spec.devices'))
  return [...errors, ...validateSet(sharedCounters, counterSetsMax, validateCounterSet, ({ name }) => name, 'spec.sharedCounters')]
}

function validatePool({ name, resourceSliceCount, generation }: resourceV1.ResourcePool, path: string): FieldError[] {
  const errors = validatePoolName(name, `${path}.name`)
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
    if (nodeSelector.nodeSelectorTerms.length !== 1) {
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

const listFields = ['bools', 'ints', 'strings', 'versions'] as const

function hasLists({ attributes }: resourceV1.Device): boolean {
  return Object.values(attributes ?? {}).some((attribute) => listFields.some((field) => attribute[field] !== undefined))
}

// Alpha features, not enabled: devices that are resources of their node, and attributes with several values.
function dropDisabledFields({ spec }: ResourceSlice, old?: ResourceSlice): void {
  const before = old?.spec.devices ?? []
  const keepMappings = before.some(({ nodeAllocatableResourceMappings: mappings }) => mappings !== undefined)
  const keepLists = before.some(hasLists)
  for (const device of spec.devices ?? []) {
    if (!keepMappings) delete device.nodeAllocatableResourceMappings
    if (keepLists || !hasLists(device)) continue
    for (const attribute of Object.values(device.attributes ?? {})) for (const field of listFields) delete attribute[field]
  }
}

function stampTaints({ spec }: ResourceSlice, nowMs: number): void {
  for (const { taints } of spec.devices ?? []) for (const taint of taints ?? []) taint.timeAdded ??= timestamp(nowMs)
}

export const ResourceSlice = defineKind<ResourceSlice>('resource.k8s.io/v1/resourceslices', {
  prepareForCreate(slice, { nowMs }) {
    dropDisabledFields(slice)
    stampTaints(slice, nowMs)
  },
  prepareForUpdate(slice, old, { nowMs }) {
    dropDisabledFields(slice, old)
    stampTaints(slice, nowMs)
  },
  validateCreate: (slice) => validate(slice),
  validateUpdate: validate,
  warnings: ({ spec: { driver } }) =>
    driver === driver.toLowerCase()
      ? []
      : [`spec.driver: driver names should be lowercase; ${goQuote(driver)} contains uppercase characters`],
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
