// What claims ask for: requests, constraints and configuration of devices. Claims, their templates and device classes share it.
// Selectors' expressions are compiled where they are run, not here.
import type { FieldError } from '../../errors.ts'
import type * as resourceV1 from '../../generated/resource-v1.ts'
import { invalid, invalidEach, notSupported, required, tooLong } from '../../validation/field-errors.ts'
import { checkDns1123Subdomain, checkLabelValue } from '../../validation/names.ts'
import { validateLabelName } from '../../validation/object-meta.ts'
import { byteLength } from '../../validation/text.ts'
import { validateList, validateSet } from './lists.ts'
import { validateDriverName, validateFullName, validateLabel } from './names.ts'

const listMax = 32
const subRequestsMax = 8
const expressionBytesMax = 10 * 1024
const parametersBytesMax = 10 * 1024
const effects = ['NoExecute', 'NoSchedule', 'None']
const oneOfRequests = 'exactly one of `exactly` or `firstAvailable` is required'
const requestRefRule = "must be the name of a request in the claim or the name of a request and a subrequest separated by '/'"

type AnyRequest = resourceV1.ExactDeviceRequest | resourceV1.DeviceSubRequest

export function setClaimDefaults({ devices }: resourceV1.ResourceClaimSpec): void {
  for (const { exactly, firstAvailable } of devices.requests ?? []) {
    for (const request of [...(exactly === undefined ? [] : [exactly]), ...(firstAvailable ?? [])]) {
      request.allocationMode ||= 'ExactCount'
      if (request.allocationMode === 'ExactCount') request.count ||= 1
      for (const toleration of request.tolerations ?? []) toleration.operator ||= 'Equal'
    }
  }
}

export function validateClaimSpec({ devices }: resourceV1.ResourceClaimSpec, path: string): FieldError[] {
  const { requests = [], constraints, config } = devices
  const at = `${path}.devices`
  const names = requestNames(requests)
  return [
    ...validateSet(requests, listMax, validateRequest, ({ name }) => name, `${at}.requests`),
    ...validateList(constraints, listMax, (constraint, item) => validateConstraint(constraint, names, item), `${at}.constraints`),
    ...validateList(
      config,
      listMax,
      (each, item) => [...validateRequestRefs(each.requests, names, `${item}.requests`), ...validateConfiguration(each, item)],
      `${at}.config`,
    ),
  ]
}

/** What results and constraints may name: a request, or `request/subrequest`. */
export function requestNames(requests: readonly resourceV1.DeviceRequest[]): ReadonlySet<string> {
  const names = requests.flatMap(({ name, firstAvailable = [] }) => [name, ...firstAvailable.map((sub) => `${name}/${sub.name}`)])
  return new Set(names)
}

function validateRequest({ name, exactly, firstAvailable = [] }: resourceV1.DeviceRequest, path: string): FieldError[] {
  const errors = validateLabel(name, `${path}.name`)
  if (firstAvailable.length > 0 && exactly !== undefined) {
    return [...errors, invalid(path, null, `${oneOfRequests}, but multiple fields are set`)]
  }
  if (exactly !== undefined) return [...errors, ...validateWanted(exactly, `${path}.exactly`)]
  if (firstAvailable.length === 0) return [...errors, required(path, oneOfRequests)]
  const check = (sub: resourceV1.DeviceSubRequest, at: string): FieldError[] => [
    ...validateLabel(sub.name, `${at}.name`),
    ...validateWanted(sub, at),
  ]
  return [...errors, ...validateSet(firstAvailable, subRequestsMax, check, (sub) => sub.name, `${path}.firstAvailable`)]
}

function validateWanted(request: AnyRequest, path: string): FieldError[] {
  const { deviceClassName, selectors = [], allocationMode, count = 0, tolerations = [] } = request
  const errors: FieldError[] = []
  if (deviceClassName === '') errors.push(required(`${path}.deviceClassName`))
  else errors.push(...invalidEach(`${path}.deviceClassName`, deviceClassName, checkDns1123Subdomain(deviceClassName)))
  errors.push(...validateSelectors(selectors, `${path}.selectors`))
  if (allocationMode === 'All') {
    if (count !== 0) errors.push(invalid(`${path}.count`, count, "must not be specified when allocationMode is 'All'"))
  } else if (allocationMode === 'ExactCount') {
    if (count <= 0) errors.push(invalid(`${path}.count`, count, 'must be greater than zero'))
  } else errors.push(notSupported(`${path}.allocationMode`, allocationMode ?? '', ['All', 'ExactCount']))
  for (const [i, toleration] of tolerations.entries()) errors.push(...validateToleration(toleration, `${path}.tolerations[${i}]`))
  return errors
}

export function validateSelectors(selectors: readonly resourceV1.DeviceSelector[], path: string): FieldError[] {
  return validateList(selectors, listMax, validateSelector, path)
}

function validateSelector({ cel }: resourceV1.DeviceSelector, path: string): FieldError[] {
  const at = `${path}.cel`
  if (cel === undefined) return [required(at)]
  if (byteLength(cel.expression) > expressionBytesMax) return [tooLong(`${at}.expression`, expressionBytesMax)]
  return cel.expression.trim() === '' ? [required(`${at}.expression`)] : []
}

function validateToleration({ key, operator, value = '', effect }: resourceV1.DeviceToleration, path: string): FieldError[] {
  const errors: FieldError[] = []
  if (key) errors.push(...validateLabelName(key, `${path}.key`))
  if (operator === 'Exists') {
    if (value) errors.push(invalid(`${path}.value`, value, 'must be empty for operator `Exists`'))
  } else if (operator === 'Equal') errors.push(...invalidEach(`${path}.value`, value, checkLabelValue(value)))
  else errors.push(operator ? notSupported(`${path}.operator`, operator, ['Equal', 'Exists']) : required(`${path}.operator`))
  if (effect && !effects.includes(effect)) errors.push(notSupported(`${path}.effect`, effect, effects))
  return errors
}

export function validateRequestRefs(refs: readonly string[] | undefined, names: ReadonlySet<string>, path: string): FieldError[] {
  return validateSet(
    refs,
    listMax,
    (ref, at) => validateRequestRef(ref, names, at),
    (ref) => ref,
    path,
  )
}

export function validateRequestRef(ref: string, names: ReadonlySet<string>, path: string): FieldError[] {
  const parts = ref.split('/')
  if (parts.length > 2) return [invalid(path, ref, requestRefRule)]
  const errors = parts.flatMap((part) => validateLabel(part, path))
  return names.has(ref) ? errors : [...errors, invalid(path, ref, requestRefRule)]
}

function validateConstraint(constraint: resourceV1.DeviceConstraint, names: ReadonlySet<string>, path: string): FieldError[] {
  const errors = validateRequestRefs(constraint.requests, names, `${path}.requests`)
  const { matchAttribute, distinctAttribute } = constraint
  if (matchAttribute !== undefined) errors.push(...validateFullName(matchAttribute, `${path}.matchAttribute`))
  else if (distinctAttribute !== undefined) errors.push(...validateFullName(distinctAttribute, `${path}.distinctAttribute`))
  else {
    // Compat: Kubernetes' words for having neither.
    const detail = 'exactly one of "matchAttribute" or "distinctAttribute" is required, but multiple fields are set'
    errors.push(required(path, detail))
  }
  return errors
}

export function validateConfiguration({ opaque }: resourceV1.DeviceConfiguration, path: string): FieldError[] {
  const at = `${path}.opaque`
  if (opaque === undefined) return [required(at)]
  return [...validateDriverName(opaque.driver, `${at}.driver`), ...validateRaw(opaque.parameters, parametersBytesMax, `${at}.parameters`)]
}

/** Parameters and data that only a driver understands: an object, not too large. */
export function validateRaw(raw: unknown, bytesMax: number, path: string): FieldError[] {
  if (raw === undefined || raw === null) return [required(path)]
  if (byteLength(JSON.stringify(raw)) > bytesMax) return [tooLong(path, bytesMax)]
  return typeof raw === 'object' && !Array.isArray(raw) ? [] : [invalid(path, '<value omitted>', 'must be a valid JSON object')]
}
