// The devices of a slice: what they are like, where they are, and what they share.
import type { FieldError } from '../../errors.ts'
import type * as resourceV1 from '../../generated/resource-v1.ts'
import { forbidden, invalid, invalidEach, notSupported, required, semanticEqual, tooLong } from '../../validation/field-errors.ts'
import { checkLabelValue, dnsLabelBytesMax, nameIsDnsSubdomain } from '../../validation/names.ts'
import { validateLabelName } from '../../validation/object-meta.ts'
import { byteLength } from '../../validation/text.ts'
import { validateNodeSelector } from '../core/pod-scheduling.ts'
import { validateRequestPolicy } from './capacities.ts'
import { validateList, validateMap, validateSet } from './lists.ts'
import { qualifiedNameBytesMax, validateBinding, validateLabel, validateQualifiedName } from './names.ts'

const attributesMax = 32
const attributeValuesMax = 48
const attributeBytesMax = 64
const taintsMax = 16
const consumptionsMax = 2
const countersMax = 32
const taintEffects = ['NoExecute', 'NoSchedule', 'None']
const wherePerDevice =
  'exactly one of `nodeName`, `nodeSelector`, or `allNodes` is required when `perDeviceNodeSelection` is set to true in the ResourceSlice spec'
const whereNotPerDevice =
  '`nodeName`, `nodeSelector` and `allNodes` can only be set if `perDeviceNodeSelection` is set to true in the ResourceSlice spec'

/** `old`: the device as it was; taints that it had stay. */
export function validateDevice(
  device: resourceV1.Device,
  old: resourceV1.Device | undefined,
  perDevice: boolean,
  path: string,
): FieldError[] {
  const { name, attributes = {}, capacity = {}, taints, consumesCounters } = device
  const errors = validateLabel(name, `${path}.name`)
  const values = Object.keys(attributes).length
  const count = values + Object.keys(capacity).length
  if (count > attributesMax) {
    errors.push(invalid(path, count, `the total number of attributes and capacities must not exceed ${attributesMax}`))
  }
  if (values > attributeValuesMax) {
    errors.push(invalid(path, values, `the total number of attribute values must not exceed ${attributeValuesMax}`))
  }
  const each = [Number.POSITIVE_INFINITY, qualifiedNameBytesMax, validateQualifiedName] as const
  errors.push(...validateMap(attributes, ...each, validateAttribute, `${path}.attributes`))
  const isShared = device.allowMultipleAllocations === true
  const checkCapacity = (one: resourceV1.DeviceCapacity, at: string): FieldError[] => validateCapacity(one, isShared, `${at}.requestPolicy`)
  errors.push(...validateMap(capacity, ...each, checkCapacity, `${path}.capacity`))
  if (old === undefined || !semanticEqual(old.taints, taints)) {
    errors.push(...validateList(taints, taintsMax, validateTaint, `${path}.taints`))
  }
  const counterSetOf = ({ counterSet }: resourceV1.DeviceCounterConsumption): string => counterSet
  errors.push(...validateSet(consumesCounters, consumptionsMax, validateConsumption, counterSetOf, `${path}.consumesCounters`))
  return [...errors, ...validatePlace(device, perDevice, path), ...validateBinding(device, path)]
}

function validatePlace(device: resourceV1.Device, perDevice: boolean, path: string): FieldError[] {
  const { nodeName, nodeSelector, allNodes } = device
  if (!perDevice) {
    const isSet = nodeName !== undefined || nodeSelector !== undefined || allNodes !== undefined
    return isSet ? [invalid(path, null, whereNotPerDevice)] : []
  }
  const errors: FieldError[] = []
  const set: string[] = []
  if (nodeName === '') errors.push(invalid(`${path}.nodeName`, '', 'must not be empty'))
  else if (nodeName !== undefined) {
    set.push('`nodeName`')
    errors.push(...invalidEach(`${path}.nodeName`, nodeName, nameIsDnsSubdomain(nodeName, false)))
  }
  if (nodeSelector !== undefined) {
    set.push('`nodeSelector`')
    errors.push(...validateNodeSelector(nodeSelector, `${path}.nodeSelector`))
  }
  if (allNodes === true) set.push('`allNodes`')
  else if (allNodes === false) errors.push(invalid(`${path}.allNodes`, false, 'must be either unset or set to true'))
  if (set.length === 0) errors.push(required(path, wherePerDevice))
  else if (set.length > 1) errors.push(invalid(path, `{${set.join(', ')}}`, wherePerDevice))
  return errors
}

const number = '(0|[1-9]\\d*)'
const preRelease = '(0|[1-9]\\d*|\\d*[a-zA-Z-][0-9a-zA-Z-]*)'
const build = '[0-9a-zA-Z-]+'
const semanticVersion = new RegExp(`^${number}\\.${number}\\.${number}(-${preRelease}(\\.${preRelease})*)?(\\+${build}(\\.${build})*)?$`)

function validateAttribute(attribute: resourceV1.DeviceAttribute, path: string): FieldError[] {
  const { string, version } = attribute
  const errors: FieldError[] = []
  if (string !== undefined && byteLength(string) > attributeBytesMax) errors.push(tooLong(`${path}.string`, attributeBytesMax))
  if (version !== undefined) {
    if (!semanticVersion.test(version)) {
      errors.push(invalid(`${path}.version`, version, 'must be a string compatible with semver.org spec 2.0.0'))
    }
    if (byteLength(version) > attributeBytesMax) errors.push(tooLong(`${path}.version`, attributeBytesMax))
  }
  const count = Object.values(attribute).filter((value) => value !== undefined).length
  if (count === 1) return errors
  return [...errors, invalid(path, count === 0 ? '' : attribute, 'exactly one value must be specified')]
}

function validateCapacity(capacity: resourceV1.DeviceCapacity, isShared: boolean, path: string): FieldError[] {
  if (capacity.requestPolicy === undefined) return []
  if (!isShared) return [forbidden(path, 'allowMultipleAllocations must be true')]
  return validateRequestPolicy(capacity.value, capacity.requestPolicy, path)
}

function validateTaint({ key, value, effect }: resourceV1.DeviceTaint, path: string): FieldError[] {
  const errors = validateLabelName(key, `${path}.key`)
  if (value) errors.push(...invalidEach(`${path}.value`, value, checkLabelValue(value)))
  if (!effect) errors.push(required(`${path}.effect`))
  else if (!taintEffects.includes(effect)) errors.push(notSupported(`${path}.effect`, effect, taintEffects))
  return errors
}

function validateConsumption({ counterSet, counters }: resourceV1.DeviceCounterConsumption, path: string): FieldError[] {
  const errors = counterSet ? validateLabel(counterSet, `${path}.counterSet`) : [required(`${path}.counterSet`)]
  return [...errors, ...validateCounters(counters, `${path}.counters`)]
}

export function validateCounterSet({ name, counters }: resourceV1.CounterSet, path: string): FieldError[] {
  const errors = name ? validateLabel(name, `${path}.name`) : [required(`${path}.name`)]
  return [...errors, ...validateCounters(counters, `${path}.counters`)]
}

function validateCounters(counters: Readonly<Record<string, resourceV1.Counter>> | undefined, path: string): FieldError[] {
  if (Object.keys(counters ?? {}).length === 0) return [required(path)]
  return validateMap(counters, countersMax, dnsLabelBytesMax, validateLabel, () => [], path)
}
