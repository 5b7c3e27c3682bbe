// ServiceCIDR of networking.k8s.io/v1.
import type * as networkingV1 from '../../generated/networking-v1.ts'
import { defineKind } from '../../kind.ts'

export type ServiceCIDR = networkingV1.ServiceCIDR

export const ServiceCIDR = defineKind<ServiceCIDR>('networking.k8s.io/v1/servicecidrs')
