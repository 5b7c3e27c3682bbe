// IPAddress of networking.k8s.io/v1beta1: the same as in v1, in which it is stored.
import type * as networkingV1beta1 from '../../generated/networking-v1beta1.ts'
import { defineKind } from '../../kind.ts'
import { IPAddress } from './ip-address.ts'

export type IPAddressV1beta1 = networkingV1beta1.IPAddress

export const IPAddressV1beta1 = defineKind<IPAddressV1beta1>('networking.k8s.io/v1beta1/ipaddresses', {
  ...IPAddress.strategy,
  storedAs: IPAddress.id,
  convert: {
    toStorage: (address) => ({ ...address, apiVersion: IPAddress.apiVersion }),
    fromStorage: (stored) => ({ ...(stored as IPAddress), apiVersion: 'networking.k8s.io/v1beta1' }),
  },
})
