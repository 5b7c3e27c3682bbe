// Addresses and blocks in API fields. Fields from before strict parsing may hold non-canonical text; newer ones may not (KEP-4858).
import type { FieldError } from '../errors.ts'
import { type Cidr, formatCidr, formatIp, type IpAddress, networkOf, parseCidr, parseIp } from '../ip.ts'
import { invalid } from './field-errors.ts'
import { goQuote } from './text.ts'

function strictIp(field: string, value: string): { ip?: IpAddress; errors: FieldError[] } {
  const ip = parseIp(value)
  if (ip === undefined) return { errors: [invalid(field, value, 'must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)')] }
  const errors: FieldError[] = []
  if (ip.leadingZero) errors.push(invalid(field, value, 'must not have leading 0s'))
  else if (ip.mapped) errors.push(invalid(field, value, 'must not be an IPv4-mapped IPv6 address'))
  return { ip, errors }
}

/** An address in a field that once took any form: canonical form is not asked for. `validOld`: values that were there before. */
export function validateLegacyIp(field: string, value: string, validOld: readonly string[] = []): FieldError[] {
  return validOld.includes(value) ? [] : strictIp(field, value).errors
}

/** An address in canonical form. */
export function validateIp(field: string, value: string): FieldError[] {
  const { ip, errors } = strictIp(field, value)
  if (ip === undefined || errors.length > 0) return errors
  const canonical = formatIp(ip)
  return value === canonical ? [] : [invalid(field, value, `must be in canonical form (${goQuote(canonical)})`)]
}

function strictCidr(field: string, value: string): { cidr?: Cidr; errors: FieldError[] } {
  const cidr = parseCidr(value)
  if (cidr === undefined) {
    return { errors: [invalid(field, value, 'must be a valid CIDR value, (e.g. 10.9.8.0/24 or 2001:db8::/64)')] }
  }
  if (cidr.leadingZero || cidr.address.leadingZero) {
    return { cidr, errors: [invalid(field, value, 'must not have leading 0s in IP or prefix length')] }
  }
  if (cidr.address.mapped) return { cidr, errors: [invalid(field, value, 'must not have an IPv4-mapped IPv6 address')] }
  if (formatIp(networkOf(cidr)) !== formatIp(cidr.address)) {
    return { cidr, errors: [invalid(field, value, 'must not have bits set beyond the prefix length')] }
  }
  return { cidr, errors: [] }
}

/** A block in a field that once took any form. */
export function validateLegacyCidr(field: string, value: string, validOld: readonly string[] = []): FieldError[] {
  return validOld.includes(value) ? [] : strictCidr(field, value).errors
}

/** A block in canonical form. */
export function validateCidr(field: string, value: string): FieldError[] {
  const { cidr, errors } = strictCidr(field, value)
  if (cidr === undefined || errors.length > 0) return errors
  const canonical = formatCidr(cidr)
  return value === canonical ? [] : [invalid(field, value, `must be in canonical form (${goQuote(canonical)})`)]
}

/** An address with its prefix length, e.g. of an interface: `192.168.1.5/24`. */
export function validateInterfaceAddress(field: string, value: string): FieldError[] {
  const cidr = parseCidr(value)
  if (cidr === undefined) {
    return [invalid(field, value, 'must be a valid address in CIDR form, (e.g. 10.9.8.7/24 or 2001:db8::1/64)')]
  }
  const canonical = `${formatIp(cidr.address)}/${cidr.prefixLength}`
  return value === canonical ? [] : [invalid(field, value, `must be in canonical form (${goQuote(canonical)})`)]
}

/** Warnings about an address in a legacy field that is valid but not in the preferred form. */
export function warningsForIp(field: string, value: string): string[] {
  const ip = parseIp(value)
  if (ip === undefined) return []
  const canonical = formatIp(ip)
  if (ip.leadingZero || ip.mapped) return [`${field}: non-standard IP address ${goQuote(value)} is invalid: use ${goQuote(canonical)}`]
  if (ip.family === 6 && canonical !== value) {
    return [`${field}: IPv6 address ${goQuote(value)} should be in RFC 5952 canonical format (${goQuote(canonical)})`]
  }
  return []
}

/** Warnings about a block in a legacy field that is valid but not in the preferred form. */
export function warningsForCidr(field: string, value: string): string[] {
  const cidr = parseCidr(value)
  if (cidr === undefined) return []
  const warnings: string[] = []
  const canonical = formatCidr(cidr)
  const address = formatIp(cidr.address)
  if (address !== formatIp(networkOf(cidr))) {
    const single = `${address}/${cidr.address.family === 6 ? 128 : 32}`
    warnings.push(
      `${field}: CIDR value ${goQuote(value)} is ambiguous in this context (should be ${goQuote(canonical)} or ${goQuote(single)}?)`,
    )
  }
  if (cidr.leadingZero || cidr.address.leadingZero || cidr.address.mapped) {
    warnings.push(`${field}: non-standard CIDR value ${goQuote(value)} is invalid: use ${goQuote(canonical)}`)
  }
  if (warnings.length === 0 && cidr.address.family === 6 && canonical !== value) {
    warnings.push(`${field}: IPv6 CIDR value ${goQuote(value)} should be in RFC 5952 canonical format (${goQuote(canonical)})`)
  }
  return warnings
}
