// Ingress of networking.k8s.io/v1.
import type * as networkingV1 from '../../generated/networking-v1.ts'
import { defineKind } from '../../kind.ts'

export type Ingress = networkingV1.Ingress

export const Ingress = defineKind<Ingress>('networking.k8s.io/v1/ingresses')
