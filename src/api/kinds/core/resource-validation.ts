// Checks of amounts and of requests against limits, in containers, pods, quotas and nodes.
import type { FieldError } from '../../errors.ts'
import type { ResourceClaim, ResourceRequirements } from '../../generated/core-v1.ts'
import { canonicalQuantity, compareQuantities, isQuantity, parseQuantity, quantityMilliValue, quantitySign } from '../../quantity.ts'
import { isPodLevelResource } from '../../resources.ts'
import { duplicate, forbidden, invalid, invalidEach, notFound, notSupported, required } from '../../validation/field-errors.ts'
import { checkDns1123Label, checkLabelKey } from '../../validation/names.ts'
import {
  isExtendedResourceName,
  isHugePagesName,
  isIntegerResourceName,
  isNativeResource,
  isOvercommitAllowed,
  isStandardContainerResourceName,
  isStandardQuotaResourceName,
  isStandardResourceName,
} from './resource-names.ts'

const notNegative = 'must be greater than or equal to 0'

export function validateResourceName(name: string, path: string): FieldError[] {
  const errors = invalidEach(path, name, checkLabelKey(name))
  if (errors.length > 0 || name.includes('/') || isStandardResourceName(name)) return errors
  return [invalid(path, name, 'must be a standard resource type or fully qualified')]
}

export function validateContainerResourceName(name: string, path: string): FieldError[] {
  const errors = validateResourceName(name, path)
  if (!name.includes('/')) {
    if (!isStandardContainerResourceName(name)) errors.push(invalid(path, name, 'must be a standard resource for containers'))
  } else if (!isNativeResource(name) && !isExtendedResourceName(name)) {
    errors.push(invalid(path, name, "doesn't follow extended resource name standard"))
  }
  return errors
}

function validatePodResourceName(name: string, path: string): FieldError[] {
  const errors = validateResourceName(name, path)
  if (errors.length > 0 || isPodLevelResource(name)) return errors
  return [notSupported(path, name, ['cpu', 'hugepages-', 'memory'])]
}

export function validateQuotaResourceName(name: string, path: string): FieldError[] {
  const errors = validateResourceName(name, path)
  if (!name.includes('/') && !isStandardQuotaResourceName(name)) errors.push(invalid(path, name, 'must be a standard resource for quota'))
  return errors
}

/** The amount is not negative, and whole where the resource is counted. */
export function validateResourceAmount(name: string, amount: string, path: string): FieldError[] {
  const errors: FieldError[] = []
  if (!isQuantity(amount)) return errors
  const shown = canonicalQuantity(amount)
  const quantity = parseQuantity(amount)
  if (quantitySign(quantity) < 0) errors.push(invalid(path, shown, notNegative))
  if (isIntegerResourceName(name) && quantityMilliValue(quantity) % 1000 !== 0) errors.push(invalid(path, shown, 'must be an integer'))
  return errors
}

/** `map` of amounts in a quota or node, each name checked by `checkName` when given. */
export function validateAmounts(
  map: Readonly<Record<string, string>> | undefined,
  pathOf: (name: string) => string,
  checkName?: (name: string, path: string) => FieldError[],
): FieldError[] {
  const errors: FieldError[] = []
  for (const [name, amount] of Object.entries(map ?? {})) {
    const path = pathOf(name)
    if (checkName !== undefined) errors.push(...checkName(name, path))
    errors.push(...validateResourceAmount(name, amount, path))
  }
  return errors
}

export function validateContainerResources(requirements: ResourceRequirements, claims: ReadonlySet<string>, path: string): FieldError[] {
  return validateRequirements(requirements, validateContainerResourceName, claims, path)
}

export function validatePodResources(requirements: ResourceRequirements, path: string): FieldError[] {
  return validateRequirements(requirements, validatePodResourceName, new Set(), path)
}

function validateRequirements(
  requirements: ResourceRequirements,
  checkName: (name: string, path: string) => FieldError[],
  claims: ReadonlySet<string>,
  path: string,
): FieldError[] {
  const errors: FieldError[] = []
  const limits = requirements.limits ?? {}
  const requests = requirements.requests ?? {}
  for (const [name, limit] of Object.entries(limits)) {
    const at = `${path}.limits[${name}]`
    errors.push(...checkName(name, at), ...validateResourceAmount(name, limit, at), ...validateHugePages(name, limit, at))
  }
  for (const [name, request] of Object.entries(requests)) {
    const at = `${path}.requests[${name}]`
    errors.push(...checkName(name, at), ...validateResourceAmount(name, request, at))
    errors.push(...validateRequestAgainstLimit(name, request, limits[name], path))
    errors.push(...validateHugePages(name, request, at))
  }
  const names = [...Object.keys(limits), ...Object.keys(requests)]
  const hasCompute = names.some((name) => name === 'cpu' || name === 'memory')
  if (!hasCompute && names.some(isHugePagesName)) errors.push(forbidden(path, 'HugePages require cpu or memory'))
  errors.push(...validateClaimNames(requirements.claims, claims, `${path}.claims`))
  return errors
}

function validateRequestAgainstLimit(name: string, request: string, limit: string | undefined, path: string): FieldError[] {
  if (limit === undefined) {
    return isOvercommitAllowed(name) ? [] : [required(`${path}.limits`, 'Limit must be set for non overcommitable resources')]
  }
  if (!isQuantity(request) || !isQuantity(limit)) return []
  const order = compareQuantities(parseQuantity(request), parseQuantity(limit))
  const shown = canonicalQuantity(request)
  const shownLimit = canonicalQuantity(limit)
  if (order !== 0 && !isOvercommitAllowed(name)) {
    return [invalid(`${path}.requests`, shown, `must be equal to ${name} limit of ${shownLimit}`)]
  }
  return order > 0 ? [invalid(`${path}.requests`, shown, `must be less than or equal to ${name} limit of ${shownLimit}`)] : []
}

function validateHugePages(name: string, amount: string, path: string): FieldError[] {
  if (!isHugePagesName(name) || !isQuantity(amount)) return []
  const size = name.slice('hugepages-'.length)
  const bytes = quantityMilliValue(amount)
  const unit = isQuantity(size) ? quantityMilliValue(size) : 0
  if (unit > 0 && bytes % unit === 0) return []
  return [invalid(path, canonicalQuantity(amount), `${canonicalQuantity(amount)} is not positive integer multiple of ${name}`)]
}

function validateClaimNames(claims: readonly ResourceClaim[] | undefined, known: ReadonlySet<string>, path: string): FieldError[] {
  const errors: FieldError[] = []
  const seen = new Set<string>()
  for (const [i, { name, request }] of (claims ?? []).entries()) {
    const at = `${path}[${i}]`
    if (!name) {
      errors.push(required(at))
      continue
    }
    if (seen.has(name)) errors.push(duplicate(at, name))
    else {
      if (request) errors.push(...invalidEach(`${at}.request`, request, checkDns1123Label(request)))
      const key = request ? `${name}/${request}` : name
      if (seen.has(key)) errors.push(duplicate(at, key))
      else if (!request && [...seen].some((other) => other.startsWith(`${name}/`))) errors.push(duplicate(at, name))
      seen.add(key)
    }
    if (!known.has(name)) {
      const list = known.size === 0 ? ' which is empty' : `: ${[...known].sort().join(', ')}`
      const error = notFound(at, name)
      errors.push({ ...error, detail: `${error.detail}: must be one of the names in pod.spec.resourceClaims${list}` })
    }
  }
  return errors
}
