// Node of the core group/v1.
import type * as coreV1 from '../../generated/core-v1.ts'
import { defineKind } from '../../kind.ts'

export type Node = coreV1.Node

export const Node = defineKind<Node>('core/v1/nodes')
