// ServiceCIDR of networking.k8s.io/v1: where cluster addresses are allocated from.
import type { FieldError } from '../../errors.ts'
import type * as networkingV1 from '../../generated/networking-v1.ts'
import { column, defineKind } from '../../kind.ts'
import { invalid, required, semanticEqual } from '../../validation/field-errors.ts'
import { validateCidr } from '../../validation/ip.ts'
import { ageColumn, nameColumn } from '../columns.ts'

export type ServiceCIDR = networkingV1.ServiceCIDR

function validate({ spec }: ServiceCIDR): FieldError[] {
  const cidrs = spec.cidrs ?? []
  if (cidrs.length === 0) return [required('spec.cidrs', 'at least one CIDR required')]
  const errors: FieldError[] = []
  if (cidrs.length > 2) errors.push(invalid('spec.cidrs', cidrs, 'may only hold up to 2 values'))
  if (cidrs.length === 2 && cidrs[0]!.includes(':') === cidrs[1]!.includes(':')) {
    const detail = 'may specify no more than one IP for each IP family, i.e 192.168.0.0/24 and 2001:db8::/64'
    errors.push(invalid('spec.cidrs', cidrs, detail))
  }
  return [...errors, ...cidrs.flatMap((cidr, i) => validateCidr(`spec.cidrs[${i}]`, cidr))]
}

function validateUpdate({ spec }: ServiceCIDR, old: ServiceCIDR): FieldError[] {
  const [cidrs, before] = [spec.cidrs ?? [], old.spec.cidrs ?? []]
  // A second family may be added, nothing else.
  const upgrade = before.length === 1 && cidrs.length === 2 && cidrs[0] === before[0]
  return upgrade || semanticEqual(cidrs, before) ? [] : [invalid('spec.cidrs', cidrs, 'field is immutable')]
}

export const ServiceCIDR = defineKind<ServiceCIDR>('networking.k8s.io/v1/servicecidrs', {
  validate,
  validateUpdate,
  hasGeneration: false,
  columns: [nameColumn, column<ServiceCIDR>('CIDRs', ({ spec }) => (spec.cidrs ?? []).join(',')), ageColumn],
})
