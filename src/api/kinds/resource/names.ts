// What drivers, pools, attributes and shares may be called.
import type { FieldError } from '../../errors.ts'
import { duplicate, invalid, invalidEach, required, tooLong } from '../../validation/field-errors.ts'
import { checkCIdentifier, checkDns1123Label, checkDns1123Subdomain, dnsSubdomainBytesMax } from '../../validation/names.ts'
import { validateLabelName } from '../../validation/object-meta.ts'
import { byteLength } from '../../validation/text.ts'
import { validateCsiDriverName } from '../core/volume-sources.ts'
import { validateList } from './lists.ts'

const identifierBytesMax = 32
const domainBytesMax = 63
const bindingConditionsMax = 4

/** The longest name of an attribute or a capacity. */
export const qualifiedNameBytesMax = domainBytesMax + 1 + identifierBytesMax

/** Drivers are named as those of volumes. */
export const validateDriverName = validateCsiDriverName

export function validateLabel(name: string, path: string): FieldError[] {
  return invalidEach(path, name, checkDns1123Label(name))
}

export function validatePoolName(name: string, path: string): FieldError[] {
  if (name === '') return [required(path)]
  const errors = byteLength(name) > dnsSubdomainBytesMax ? [tooLong(path, dnsSubdomainBytesMax)] : []
  for (const part of name.split('/')) errors.push(...invalidEach(path, part, checkDns1123Subdomain(part)))
  return errors
}

/** The name of an attribute or a capacity: an identifier, perhaps with a domain before it. */
export function validateQualifiedName(name: string, path: string): FieldError[] {
  const parts = name.split('/')
  if (parts.length > 2) return []
  const errors: FieldError[] = []
  const [domain, identifier] = parts.length === 2 ? [parts[0]!, parts[1]!] : [undefined, parts[0]!]
  if (domain === '') errors.push(invalid(path, '', 'the domain must not be empty'))
  else if (domain !== undefined) errors.push(...validateDriverName(domain, path))
  if (domain !== undefined && identifier === '') return [...errors, invalid(path, '', 'the name must not be empty')]
  if (byteLength(identifier) > identifierBytesMax) errors.push(tooLong(path, identifierBytesMax))
  return [...errors, ...invalidEach(path, identifier, checkCIdentifier(identifier))]
}

export function validateFullName(name: string, path: string): FieldError[] {
  const errors = validateQualifiedName(name, path)
  if (!name.includes('/')) errors.push(invalid(path, name, 'a fully qualified name must be a domain and a name separated by a slash'))
  return errors
}

export function validateUid(uid: string, path: string): FieldError[] {
  const bare = uid
    .toLowerCase()
    .replace(/^urn:uuid:/, '')
    .replace(/^\{(.*)\}$/, '$1')
  if (![32, 36, 38, 45].includes(uid.length)) return [invalid(path, uid, `error validating uid: invalid UUID length: ${byteLength(uid)}`)]
  if (!/^[0-9a-f]{8}(-?)[0-9a-f]{4}\1[0-9a-f]{4}\1[0-9a-f]{4}\1[0-9a-f]{12}$/.test(bare)) {
    return [invalid(path, uid, 'error validating uid: invalid UUID format')]
  }
  if (uid.length === 36 && uid === uid.toLowerCase()) return []
  const form = '`xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx` with lowercase hexadecimal characters'
  return [invalid(path, uid, `uid must be in RFC 4122 normalized form, ${form}`)]
}

interface Binding {
  readonly bindingConditions?: readonly string[]
  readonly bindingFailureConditions?: readonly string[]
}

/** What a device waits for before it is bound, and what ends the waiting: both or neither. */
export function validateBinding({ bindingConditions = [], bindingFailureConditions = [] }: Binding, path: string): FieldError[] {
  const [good, bad] = [`${path}.bindingConditions`, `${path}.bindingFailureConditions`]
  const errors = validateList(bindingConditions, bindingConditionsMax, validateLabelName, good)
  errors.push(...validateList(bindingFailureConditions, bindingConditionsMax, validateLabelName, bad))
  errors.push(...repeated(bindingConditions, good))
  for (const [i, condition] of bindingFailureConditions.entries()) {
    errors.push(...repeated(bindingFailureConditions, bad, i))
    if (!bindingConditions.includes(condition)) continue
    errors.push(invalid(`${bad}[${i}]`, condition, 'bindingFailureConditions must not overlap with bindingConditions'))
  }
  if (bindingConditions.length === 0 && bindingFailureConditions.length > 0) {
    errors.push(invalid(good, null, 'bindingConditions are required to use bindingFailureConditions'))
  }
  if (bindingFailureConditions.length === 0 && bindingConditions.length > 0) {
    errors.push(invalid(bad, null, 'bindingFailureConditions are required to use bindingConditions'))
  }
  return errors
}

function repeated(list: readonly string[], path: string, only?: number): FieldError[] {
  return list.flatMap((item, i) => ((only === undefined || only === i) && list.indexOf(item) < i ? [duplicate(`${path}[${i}]`, item)] : []))
}
