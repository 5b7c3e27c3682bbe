// NetworkPolicy of networking.k8s.io/v1.
import type * as networkingV1 from '../../generated/networking-v1.ts'
import { defineKind } from '../../kind.ts'

export type NetworkPolicy = networkingV1.NetworkPolicy

export const NetworkPolicy = defineKind<NetworkPolicy>('networking.k8s.io/v1/networkpolicies')
