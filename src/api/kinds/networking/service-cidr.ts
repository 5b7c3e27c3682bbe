// ServiceCIDR of networking.k8s.io/v1: where cluster addresses are allocated from.
import type { FieldError } from '../../errors.ts'
import type * as networkingV1 from '../../generated/networking-v1.ts'
import { parseCidr } from '../../ip.ts'
import { column, defineKind } from '../../kind.ts'
import { immutable, invalid, required } from '../../validation/field-errors.ts'
import { validateCidr } from '../../validation/ip.ts'
import { ageColumn, nameColumn } from '../columns.ts'

export type ServiceCIDR = networkingV1.ServiceCIDR

function validate({ spec }: ServiceCIDR): FieldError[] {
  const cidrs = spec.cidrs ?? []
  if (cidrs.length === 0) return [required('spec.cidrs', 'at least one CIDR required')]
  // The value as Kubernetes shows it: the whole spec, under its internal name.
  if (cidrs.length > 2) return [invalid('spec.cidrs', { CIDRs: cidrs }, 'may only hold up to 2 values')]
  const errors = cidrs.flatMap((cidr, i) => validateCidr(`spec.cidrs[${i}]`, cidr))
  const families = cidrs.map((cidr) => parseCidr(cidr)?.address.family)
  if (cidrs.length === 2 && families[0] !== undefined && families[0] === families[1]) {
    const detail = 'may specify no more than one IP for each IP family, i.e 192.168.0.0/24 and 2001:db8::/64'
    errors.push(invalid('spec.cidrs', cidrs, detail))
  }
  return errors
}

/** A second family may be added, nothing else. */
function validateUpdate(object: ServiceCIDR, old: ServiceCIDR): FieldError[] {
  const [cidrs, before] = [object.spec.cidrs ?? [], old.spec.cidrs ?? []]
  const grows = before.length === 1 && cidrs.length === 2
  if (!grows && cidrs.length !== before.length) return [invalid('spec.cidrs', cidrs, 'field is immutable')]
  const errors = before.flatMap((cidr, i) => immutable(`spec.cidrs[${i}]`, cidrs[i], cidr))
  return grows ? [...errors, ...validate(object)] : errors
}

export const ServiceCIDR = defineKind<ServiceCIDR>('networking.k8s.io/v1/servicecidrs', {
  validateCreate: validate,
  validateUpdate,
  hasGeneration: false,
  columns: [nameColumn, column<ServiceCIDR>('CIDRs', ({ spec }) => (spec.cidrs ?? []).join(',')), ageColumn],
})
