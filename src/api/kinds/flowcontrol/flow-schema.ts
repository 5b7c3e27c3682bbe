// FlowSchema of flowcontrol.apiserver.k8s.io/v1.
import type * as flowcontrolV1 from '../../generated/flowcontrol-v1.ts'
import { defineKind } from '../../kind.ts'

export type FlowSchema = flowcontrolV1.FlowSchema

export const FlowSchema = defineKind<FlowSchema>('flowcontrol.apiserver.k8s.io/v1/flowschemas')
