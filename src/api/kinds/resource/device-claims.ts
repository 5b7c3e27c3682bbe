// What claims ask for: requests, constraints and configuration of devices. Claims, their templates and device classes share it.
// Selectors' expressions are compiled where they are run, not here.
import type { FieldError } from '../../errors.ts'
import type * as resourceV1 from '../../generated/resource-v1.ts'
import { duplicate, forbidden, invalid, invalidEach, notSupported, required, tooLong, tooMany } from '../../validation/field-errors.ts'
import { checkCIdentifier, checkDns1123Label, checkDns1123Subdomain, checkLabelKey } from '../../validation/names.ts'
import { byteLength } from '../../validation/text.ts'
import { validateCsiDriverName } from '../core/volume-sources.ts'

const listMax = 32
const subRequestsMax = 8
const tolerationsMax = 16
const expressionBytesMax = 10 * 1024
const parametersBytesMax = 10 * 1024
const effects = ['NoExecute', 'NoSchedule', 'None']
const oneOfRequests = 'exactly one of `exactly` or `firstAvailable` is required'

type AnyRequest = resourceV1.ExactDeviceRequest | resourceV1.DeviceSubRequest

export function setClaimDefaults({ devices }: resourceV1.ResourceClaimSpec): void {
  for (const { exactly, firstAvailable } of devices.requests ?? []) {
    for (const request of [...(exactly === undefined ? [] : [exactly]), ...(firstAvailable ?? [])]) {
      request.allocationMode ??= 'ExactCount'
      if (request.allocationMode === 'ExactCount') request.count ??= 1
      for (const toleration of request.tolerations ?? []) toleration.operator ??= 'Equal'
    }
  }
}

export function validateClaimSpec({ devices }: resourceV1.ResourceClaimSpec, path: string): FieldError[] {
  const { requests = [], constraints = [], config = [] } = devices
  const at = `${path}.devices`
  const errors = boundedList(requests, listMax, `${at}.requests`)
  for (const [i, request] of requests.entries()) {
    errors.push(...validateRequest(request, `${at}.requests[${i}]`))
    if (requests.findIndex(({ name }) => name === request.name) < i) errors.push(duplicate(`${at}.requests[${i}].name`, request.name))
  }
  const names = requestNames(requests)
  errors.push(...boundedList(constraints, listMax, `${at}.constraints`))
  for (const [i, constraint] of constraints.entries()) {
    errors.push(...validateConstraint(constraint, names, `${at}.constraints[${i}]`))
  }
  errors.push(...boundedList(config, listMax, `${at}.config`))
  for (const [i, each] of config.entries()) {
    errors.push(...validateRequestRefs(each.requests, names, `${at}.config[${i}].requests`))
    errors.push(...validateConfiguration(each, `${at}.config[${i}]`))
  }
  return errors
}

function boundedList(list: readonly unknown[], max: number, path: string): FieldError[] {
  return list.length > max ? [tooMany(path, list.length, max)] : []
}

// A request, or `request/subrequest`.
function requestNames(requests: readonly resourceV1.DeviceRequest[]): ReadonlySet<string> {
  const names = requests.flatMap(({ name, firstAvailable = [] }) => [name, ...firstAvailable.map((sub) => `${name}/${sub.name}`)])
  return new Set(names)
}

function validateRequest(request: resourceV1.DeviceRequest, path: string): FieldError[] {
  const { name, exactly, firstAvailable = [] } = request
  const errors = invalidEach(`${path}.name`, name, checkDns1123Label(name))
  if (firstAvailable.length > 0) {
    errors.push(...boundedList(firstAvailable, subRequestsMax, `${path}.firstAvailable`))
    for (const [i, sub] of firstAvailable.entries()) {
      const at = `${path}.firstAvailable[${i}]`
      errors.push(...invalidEach(`${at}.name`, sub.name, checkDns1123Label(sub.name)), ...validateWanted(sub, at))
      if (firstAvailable.findIndex((other) => other.name === sub.name) < i) errors.push(duplicate(`${at}.name`, sub.name))
    }
  }
  if (exactly !== undefined) errors.push(...validateWanted(exactly, `${path}.exactly`))
  if (firstAvailable.length === 0 && exactly === undefined) errors.push(required(path, oneOfRequests))
  if (firstAvailable.length > 0 && exactly !== undefined) {
    errors.push(invalid(path, undefined, `${oneOfRequests}, but multiple fields are set`))
  }
  return errors
}

function validateWanted(request: AnyRequest, path: string): FieldError[] {
  const { deviceClassName, selectors = [], allocationMode, count = 0, tolerations = [] } = request
  const errors: FieldError[] = []
  if (deviceClassName === '') errors.push(required(`${path}.deviceClassName`))
  else errors.push(...invalidEach(`${path}.deviceClassName`, deviceClassName, checkDns1123Subdomain(deviceClassName)))
  errors.push(...validateSelectors(selectors, `${path}.selectors`))
  if (allocationMode === 'All') {
    if (count !== 0) errors.push(invalid(`${path}.count`, count, 'a non-zero count is not valid for allocationMode=All'))
  } else if (allocationMode === 'ExactCount') {
    if (count <= 0) errors.push(invalid(`${path}.count`, count, 'must be greater than zero'))
  } else errors.push(invalid(`${path}.allocationMode`, allocationMode, 'must be one of: All, ExactCount'))
  errors.push(...boundedList(tolerations, tolerationsMax, `${path}.tolerations`))
  for (const [i, toleration] of tolerations.entries()) errors.push(...validateToleration(toleration, `${path}.tolerations[${i}]`))
  return errors
}

export function validateSelectors(selectors: readonly resourceV1.DeviceSelector[], path: string): FieldError[] {
  const errors = boundedList(selectors, listMax, path)
  for (const [i, { cel }] of selectors.entries()) {
    const at = `${path}[${i}].cel`
    if (cel === undefined) errors.push(required(at))
    else if (byteLength(cel.expression) > expressionBytesMax) {
      errors.push(tooLong(`${at}.expression`, expressionBytesMax))
    } else if (cel.expression.trim() === '') errors.push(required(`${at}.expression`))
  }
  return errors
}

function validateToleration({ key, operator, value, effect }: resourceV1.DeviceToleration, path: string): FieldError[] {
  const errors: FieldError[] = []
  if (key) errors.push(...invalidEach(`${path}.key`, key, checkLabelKey(key)))
  if (operator === 'Exists') {
    if (value) errors.push(invalid(`${path}.value`, value, 'must be empty for operator `Exists`'))
  } else if (operator === 'Equal') {
    if (!key) errors.push(required(`${path}.key`, 'must not be empty for operator `Equal`'))
  } else errors.push(operator ? notSupported(`${path}.operator`, operator, ['Equal', 'Exists']) : required(`${path}.operator`))
  if (effect && !effects.includes(effect)) errors.push(notSupported(`${path}.effect`, effect, effects))
  return errors
}

function validateRequestRefs(refs: readonly string[] | undefined, names: ReadonlySet<string>, path: string): FieldError[] {
  const list = refs ?? []
  const errors = boundedList(list, listMax, path)
  for (const [i, ref] of list.entries()) {
    for (const part of ref.split('/')) errors.push(...invalidEach(`${path}[${i}]`, part, checkDns1123Label(part)))
    if (!names.has(ref)) {
      errors.push(invalid(`${path}[${i}]`, ref, "must be the name of a request in the claim or '<main request>/<subrequest>'"))
    }
    if (list.indexOf(ref) < i) errors.push(duplicate(`${path}[${i}]`, ref))
  }
  return errors
}

function validateConstraint(constraint: resourceV1.DeviceConstraint, names: ReadonlySet<string>, path: string): FieldError[] {
  const errors = validateRequestRefs(constraint.requests, names, `${path}.requests`)
  const { matchAttribute, distinctAttribute } = constraint
  if (matchAttribute !== undefined) errors.push(...validateFullName(matchAttribute, `${path}.matchAttribute`))
  else if (distinctAttribute !== undefined) errors.push(...validateFullName(distinctAttribute, `${path}.distinctAttribute`))
  else errors.push(required(`${path}.matchAttribute`))
  return errors
}

function validateFullName(name: string, path: string): FieldError[] {
  const slash = name.indexOf('/')
  if (name === '') return [required(path)]
  const errors = validateQualifiedName(name, path)
  return slash < 0 ? [...errors, invalid(path, name, 'must include a domain')] : errors
}

/** The name of an attribute or a capacity: an identifier, perhaps with a domain before it. */
export function validateQualifiedName(name: string, path: string): FieldError[] {
  if (name === '') return [required(path, 'name required')]
  const slash = name.indexOf('/')
  const errors: FieldError[] = []
  const identifier = name.slice(slash + 1)
  if (slash >= 0) {
    const domain = name.slice(0, slash)
    if (domain === '') errors.push(required(path, 'the domain must not be empty'))
    else errors.push(...invalidEach(path, domain, checkDns1123Subdomain(domain)))
  }
  if (identifier === '') errors.push(required(path, 'the name must not be empty'))
  else errors.push(...invalidEach(path, identifier, checkCIdentifier(identifier)))
  return errors
}

export function validateConfiguration({ opaque }: resourceV1.DeviceConfiguration, path: string): FieldError[] {
  const at = `${path}.opaque`
  if (opaque === undefined) return [required(at)]
  const errors = validateCsiDriverName(opaque.driver, `${at}.driver`)
  const parameters: unknown = opaque.parameters
  if (parameters === undefined || parameters === null) errors.push(required(`${at}.parameters`))
  else if (byteLength(JSON.stringify(parameters)) > parametersBytesMax) {
    errors.push(tooLong(`${at}.parameters`, parametersBytesMax))
  }
  return errors
}

/** A claim's status: who may use what was allocated. */
export function validateReservations(claim: resourceV1.ResourceClaim, old: resourceV1.ResourceClaim): FieldError[] {
  const path = 'status.reservedFor'
  const reserved = claim.status.reservedFor ?? []
  const errors: FieldError[] = reserved.length > 256 ? [tooMany(path, reserved.length, 256)] : []
  for (const [i, user] of reserved.entries()) {
    for (const field of ['resource', 'name', 'uid'] as const) if (user[field] === '') errors.push(required(`${path}[${i}].${field}`))
    if (reserved.findIndex(({ uid }) => uid === user.uid) < i) errors.push(duplicate(`${path}[${i}].uid`, user.uid))
  }
  if (reserved.length === 0) return errors
  if (claim.status.allocation === undefined) {
    return [...errors, forbidden(path, 'may not be specified when `allocated` is not set')]
  }
  const before = new Set((old.status.reservedFor ?? []).map(({ uid }) => uid))
  if (claim.metadata.deletionTimestamp !== undefined && reserved.some(({ uid }) => !before.has(uid))) {
    errors.push(forbidden(path, 'new entries may not be added while `deallocationRequested` or `deletionTimestamp` are set'))
  }
  return errors
}
