// IPAddress of networking.k8s.io/v1.
import type * as networkingV1 from '../../generated/networking-v1.ts'
import { defineKind } from '../../kind.ts'

export type IPAddress = networkingV1.IPAddress

export const IPAddress = defineKind<IPAddress>('networking.k8s.io/v1/ipaddresses')
