// ServiceCIDR of networking.k8s.io/v1beta1: the same as in v1, in which it is stored.
import type * as networkingV1beta1 from '../../generated/networking-v1beta1.ts'
import { defineKind } from '../../kind.ts'
import { ServiceCIDR } from './service-cidr.ts'

export type ServiceCIDRV1beta1 = networkingV1beta1.ServiceCIDR

export const ServiceCIDRV1beta1 = defineKind<ServiceCIDRV1beta1>('networking.k8s.io/v1beta1/servicecidrs', {
  ...ServiceCIDR.strategy,
  storedAs: ServiceCIDR.id,
  convert: {
    toStorage: (cidr) => ({ ...cidr, apiVersion: ServiceCIDR.apiVersion }),
    fromStorage: (stored) => ({ ...(stored as ServiceCIDR), apiVersion: 'networking.k8s.io/v1beta1' }),
  },
})
