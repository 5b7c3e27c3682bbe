// RuntimeClass of node.k8s.io/v1.
import type * as nodeV1 from '../../generated/node-v1.ts'
import { defineKind } from '../../kind.ts'

export type RuntimeClass = nodeV1.RuntimeClass

export const RuntimeClass = defineKind<RuntimeClass>('node.k8s.io/v1/runtimeclasses')
