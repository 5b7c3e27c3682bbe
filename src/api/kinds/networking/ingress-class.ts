// IngressClass of networking.k8s.io/v1.
import type * as networkingV1 from '../../generated/networking-v1.ts'
import { defineKind } from '../../kind.ts'

export type IngressClass = networkingV1.IngressClass

export const IngressClass = defineKind<IngressClass>('networking.k8s.io/v1/ingressclasses')
