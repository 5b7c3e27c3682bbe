// IPAddress of networking.k8s.io/v1: an allocated cluster address and the service it belongs to.
import type { FieldError } from '../../errors.ts'
import type * as networkingV1 from '../../generated/networking-v1.ts'
import { formatIp, parseIp } from '../../ip.ts'
import { column, defineKind } from '../../kind.ts'
import { immutable, invalidEach, required } from '../../validation/field-errors.ts'
import { checkDns1123Subdomain, checkPathSegment } from '../../validation/names.ts'
import { goQuote } from '../../validation/text.ts'
import { nameColumn, none } from '../columns.ts'

export type IPAddress = networkingV1.IPAddress

/** The name is the address, in canonical form. */
function checkAddressName(name: string): string[] {
  const ip = parseIp(name)
  if (ip === undefined) return ['must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)']
  if (ip.leadingZero) return ['must not have leading 0s']
  if (ip.mapped) return ['must not be an IPv4-mapped IPv6 address']
  const canonical = formatIp(ip)
  return name === canonical ? [] : [`must be in canonical form (${goQuote(canonical)})`]
}

function validate({ spec }: IPAddress): FieldError[] {
  const { parentRef } = spec
  const path = 'spec.parentRef'
  if (parentRef === undefined) return [required(path)]
  const errors: FieldError[] = []
  if (parentRef.group) errors.push(...invalidEach(`${path}.group`, parentRef.group, checkDns1123Subdomain(parentRef.group)))
  for (const field of ['resource', 'name'] as const) {
    if (!parentRef[field]) errors.push(required(`${path}.${field}`))
    else errors.push(...invalidEach(`${path}.${field}`, parentRef[field], checkPathSegment(parentRef[field])))
  }
  if (parentRef.namespace) errors.push(...invalidEach(`${path}.namespace`, parentRef.namespace, checkPathSegment(parentRef.namespace)))
  return errors
}

function parentCell({ spec }: IPAddress): string {
  const parent = spec.parentRef
  if (parent === undefined) return none
  const resource = parent.group ? `${parent.resource ?? ''}.${parent.group}` : (parent.resource ?? '')
  return [resource.toLowerCase(), parent.namespace, parent.name].filter(Boolean).join('/')
}

export const IPAddress = defineKind<IPAddress>('networking.k8s.io/v1/ipaddresses', {
  validateName: checkAddressName,
  validateCreate: validate,
  validateUpdate: ({ spec }, old) => immutable('spec.parentRef', spec.parentRef, old.spec.parentRef),
  hasGeneration: false,
  columns: [nameColumn, column<IPAddress>('ParentRef', parentCell)],
})
